//! What a change of an object adds. An old object that breaks a rule may still be touched; what is new is judged.

use std::collections::BTreeMap;

use crate::control::{Body, Control, FieldPath, Finding, PodView, Segment, Subject, Workload};

/// What an update changed, as far as judging goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that is judged.
    Nothing,
    /// More replicas of what was there.
    ScaledUp,
    /// The part that is judged as a whole: a template, a policy, a label.
    Whole,
    /// A Pod, a declaration, or what lies beside workloads: findings are compared one by one.
    ByFinding,
}

/// What an update changed. `reads` are the metadata keys that the controls of the class read.
pub(super) fn change(old: &Subject, new: &Subject, controls: &[&'static Control]) -> Change {
    match (&old.body, &new.body) {
        (Body::Namespace, Body::Namespace) => Change::Whole,
        (Body::Scale { replicas: before }, Body::Scale { replicas: after }) => scaled(*before, *after),
        (Body::NetworkPolicy(_), Body::NetworkPolicy(_))
        | (Body::ResourceQuota(_), Body::ResourceQuota(_))
        | (Body::LimitRange(_), Body::LimitRange(_)) => match (old.body == new.body, same_owners(old, new)) {
            (false, _) => Change::Whole,
            // What is built goes with its owners; what others made may get whichever it likes.
            (true, false) => Change::ByFinding,
            (true, true) => Change::Nothing,
        },
        (Body::CloudWorkload(before), Body::CloudWorkload(after)) => unless_same(before, after, Change::ByFinding),
        (Body::Claim(_), Body::Claim(_))
        | (Body::Service { .. }, Body::Service { .. })
        | (Body::Ingress, Body::Ingress)
        | (Body::ReferenceGrant { .. }, Body::ReferenceGrant { .. }) => {
            let same = old.body == new.body && metadata_read(old, controls) == metadata_read(new, controls);
            if same { Change::Nothing } else { Change::ByFinding }
        }
        (Body::Workload(before), Body::Workload(after)) => {
            let same = same_spec(before, after) && metadata_read(old, controls) == metadata_read(new, controls);
            match (same, is_template(after)) {
                (true, true) => scaled(old.replicas().unwrap_or(1), new.replicas().unwrap_or(1)),
                (true, false) => Change::Nothing,
                (false, true) => Change::Whole,
                (false, false) => Change::ByFinding,
            }
        }
        // An object doesn't change its kind; if it did, all of it is new.
        _ => Change::Whole,
    }
}

fn unless_same<T: PartialEq>(before: &T, after: &T, change: Change) -> Change {
    if before == after { Change::Nothing } else { change }
}

fn same_owners(before: &Subject, after: &Subject) -> bool {
    before.metadata.owner_references == after.metadata.owner_references
}

/// Of a template, every field counts; of a Pod, what is read: findings are compared there.
fn same_spec(before: &Workload, after: &Workload) -> bool {
    match (&before.template, &after.template) {
        _ if before.claims != after.claims => false,
        (Some(before), Some(after)) => before.written == after.written,
        _ => before.spec == after.spec,
    }
}

fn is_template(workload: &Workload) -> bool {
    workload.template.is_some()
}

fn scaled(before: i32, after: i32) -> Change {
    if after > before { Change::ScaledUp } else { Change::Nothing }
}

/// The labels and annotations that some control reads: of the Pod or template, where there is one.
fn metadata_read<'a>(subject: &'a Subject, controls: &[&'static Control]) -> Vec<(&'a str, &'a str)> {
    let (labels, annotations) = match subject.pod() {
        Some(PodView { labels, annotations, .. }) => (labels, annotations),
        None => (&subject.metadata.labels, &subject.metadata.annotations),
    };
    let is_read = |key: &str| {
        controls.iter().flat_map(|control| control.reads).any(|read| match read.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key == *read,
        })
    };
    let entries = labels.iter().chain(annotations);
    entries.filter(|(key, _)| is_read(key)).map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// What a finding is about, without the places in lists: those shift when something is inserted before.
type Key = (&'static str, Option<String>, String, String);

fn key(finding: &Finding) -> Key {
    (finding.control, finding.container.clone(), without_indices(&finding.path), finding.value.to_string())
}

fn without_indices(path: &FieldPath) -> String {
    let names = path.segments().iter().filter_map(|segment| match segment {
        Segment::Field(name) => Some(name.as_ref()),
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// Findings of the old object, counted: each forgives one of the new.
pub(super) struct Forgiven(BTreeMap<Key, usize>);

impl Forgiven {
    /// From what was found in the old object.
    pub(super) fn new(old: &[Finding]) -> Self {
        let mut counts = BTreeMap::new();
        for finding in old {
            *counts.entry(key(finding)).or_default() += 1;
        }
        Self(counts)
    }

    /// True when the old object had this finding too, and it wasn't counted yet.
    pub(super) fn take(&mut self, finding: &Finding) -> bool {
        match self.0.get_mut(&key(finding)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}
