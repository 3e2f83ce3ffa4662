//! What a control demands, it may supply: fields that a Pod leaves out are filled in when the Pod is made. Only what is
//! absent is filled in; what contradicts stays, and is a finding.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Body, Context, Governed, Kind, Params, PodSpec, Regime, Subject, Template};
use crate::api::CloudWorkloadSpec;

/// Fills in what a Pod lacks.
pub type Fill = fn(&Supplying<'_>, &Params, &mut Draft<'_>);

/// How a control supplies what it demands.
#[derive(Clone, Copy)]
pub struct Supply {
    /// Fills in. It changes nothing that is there already, so that doing it twice is doing it once.
    pub fill: Fill,
    /// A CEL expression over `object`, a Pod: true when `fill` may have something to do. In doubt it is true: a call too
    /// many costs time, one too few a refusal.
    pub missing: &'static str,
    /// A parameter that makes the control demand more where a class sets it, and the expression for that: where none
    /// does, a Pod that lacks it lacks nothing, and isn't called about.
    pub missing_where: Option<(&'static str, &'static str)>,
}

/// What a supply may look at beside the Pod.
#[derive(Clone, Copy)]
pub struct Supplying<'a> {
    /// What the baseline fixes.
    pub regime: &'a Regime,
    /// How the namespace is governed.
    pub governed: &'a Governed,
    /// What the namespace declares, where that is known.
    pub declaration: Option<&'a CloudWorkloadSpec>,
    /// What else exists.
    pub context: &'a dyn Context,
}

impl<'a> Supplying<'a> {
    /// The name of the namespace's class.
    pub fn class(&self) -> &'a str {
        self.regime.class_name(self.governed.rank)
    }
}

/// A step of a JSON Patch (RFC 6902).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Edit {
    /// Sets a field, or inserts into a list.
    Add {
        /// A JSON pointer.
        path: String,
        /// The value.
        value: Value,
    },
    /// Removes a field, or an item of a list.
    Remove {
        /// A JSON pointer.
        path: String,
    },
}

/// A Pod or a template while it is filled in. The typed object and the patch are changed side by side; a test applies
/// the patch to the text and demands the typed object.
pub struct Draft<'a> {
    /// The kind that carries the Pod's spec.
    pub kind: Kind,
    /// True of a DaemonSet and of its Pods, whose nodes the template chooses.
    pub of_daemon_set: bool,
    /// The labels of the Pod or of the template.
    pub labels: &'a mut BTreeMap<String, String>,
    /// The spec.
    pub spec: &'a mut PodSpec,
    edits: Vec<Edit>,
    notices: Vec<String>,
}

/// What was supplied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supplied {
    /// The patch that does the same to the object's text; paths are those of a Pod.
    pub edits: Vec<Edit>,
    /// What the author of a template should know: what its Pods won't have.
    pub notices: Vec<String>,
}

impl<'a> Draft<'a> {
    /// A draft of an object; none of what carries no Pod's spec.
    pub fn of(subject: &'a mut Subject) -> Option<Self> {
        let kind = subject.kind;
        let of_daemon_set = kind == Kind::DaemonSet
            || subject.metadata.controller().is_some_and(|owner| owner.kind == Kind::DaemonSet.name());
        let Body::Workload(workload) = &mut subject.body else { return None };
        let labels = match &mut workload.template {
            Some(Template { labels, .. }) => labels,
            None => &mut subject.metadata.labels,
        };
        let spec = &mut workload.spec;
        Some(Self { kind, of_daemon_set, labels, spec, edits: Vec::new(), notices: Vec::new() })
    }

    /// True of a template: its Pods are filled in, not it.
    pub fn is_template(&self) -> bool {
        self.kind != Kind::Pod
    }

    /// Sets a label that is absent.
    pub fn label(&mut self, key: &str, value: &str) {
        if self.labels.contains_key(key) {
            return;
        }
        if self.labels.is_empty() {
            self.add("/metadata/labels", serde_json::json!({ key: value }));
        } else {
            self.add(format!("/metadata/labels/{}", pointer(key)), value);
        }
        self.labels.insert(key.to_owned(), value.to_owned());
    }

    /// Notes that the patch sets a field or inserts into a list; the caller does the same to the typed object.
    pub fn add(&mut self, path: impl Into<String>, value: impl Into<Value>) {
        self.edits.push(Edit::Add { path: path.into(), value: value.into() });
    }

    /// Notes that the patch removes something; the caller does the same to the typed object.
    pub fn remove(&mut self, path: impl Into<String>) {
        self.edits.push(Edit::Remove { path: path.into() });
    }

    /// Tells the author of the object.
    pub fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
    }

    /// What was done.
    pub fn finish(self) -> Supplied {
        Supplied { edits: self.edits, notices: self.notices }
    }
}

/// A key as a part of a JSON pointer.
fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
