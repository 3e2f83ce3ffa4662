//! What is answered by the envelope alone, before anything is decoded.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::entry::Entry;
use super::envelope::Request;
use crate::catalogue;
use crate::control::{Kind, Operation};

/// Subresources of Pods that carry nothing that a control judges: the kubelet's and the eviction API's. They are
/// dropped by matchCondition already.
pub(super) const PASSING_POD_SUBRESOURCES: &[&str] = &["status", "eviction", "binding", "log"];

/// What the envelope says about how to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// No control judges this, or it is always admitted.
    NotJudged,
    /// To be decoded as this kind and judged.
    Judge(Kind, Operation),
}

/// The kinds and operations that some control judges.
static JUDGED: LazyLock<BTreeSet<(Kind, Operation)>> = LazyLock::new(|| {
    let judges = catalogue::ALL.iter().flat_map(|control| control.judges);
    judges
        .flat_map(|judges| {
            let scale = judges.subresources.contains(&"scale").then_some(Kind::Scale);
            let kinds = judges.kinds.iter().copied().chain(scale);
            kinds.flat_map(|kind| judges.operations.iter().map(move |operation| (kind, *operation)))
        })
        .collect()
});

/// Looks at the envelope. What is supplied is supplied to Pods, when they are made.
pub(super) fn of(entry: Entry, request: &Request<'_>) -> Exit {
    let Some(operation) = request.operation() else { return Exit::NotJudged };
    let Some(kind) = kind(request) else { return Exit::NotJudged };
    let looked_at = match entry {
        Entry::Registry => false,
        Entry::Supply | Entry::SupplyUndeclared => (kind, operation) == (Kind::Pod, Operation::Create),
        _ => JUDGED.contains(&(kind, operation)),
    };
    if looked_at { Exit::Judge(kind, operation) } else { Exit::NotJudged }
}

/// The kind as which the objects are decoded while the envelope is read; none where they will hardly be looked at.
pub(super) fn decoded(entry: Entry, request: &Request<'_>) -> Option<Kind> {
    match of(entry, request) {
        // Where no class is declared, nothing is supplied.
        Exit::Judge(kind, _) if entry != Entry::SupplyUndeclared => Some(kind),
        _ => None,
    }
}

/// The kind that the object is judged as.
fn kind(request: &Request<'_>) -> Option<Kind> {
    let resource = &*request.resource.resource;
    let subresource = &*request.sub_resource;
    if request.resource.group.is_empty() && resource == Kind::Pod.plural() {
        // A subresource that isn't known may carry a Pod's spec: it has to decode as one.
        return (!PASSING_POD_SUBRESOURCES.contains(&subresource)).then_some(Kind::Pod);
    }
    match subresource {
        // They name the same; where they don't, one that is known has to be judged.
        "" => Kind::from_group_kind(&request.kind.group, &request.kind.kind).or_else(|| {
            Kind::ALL.iter().copied().find(|kind| kind.group() == request.resource.group && kind.plural() == resource)
        }),
        "scale" => {
            let scaled = Kind::ALL
                .iter()
                .find(|kind| kind.is_scalable() && kind.group() == request.resource.group && kind.plural() == resource);
            scaled.map(|_| Kind::Scale)
        }
        _ if request.resource.group.is_empty() && resource == Kind::Namespace.plural() => Some(Kind::Namespace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::envelope;

    fn exit(operation: &str, group: &str, kind: &str, resource: &str, subresource: &str) -> Exit {
        let body = serde_json::json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": operation, "kind": {"group": group, "version": "v1", "kind": kind},
            "resource": {"group": group, "version": "v1", "resource": resource}, "subResource": subresource}})
        .to_string();
        of(Entry::Governed, &envelope::read(body.as_bytes(), |_| None).unwrap().0)
    }

    #[test]
    fn the_envelope_decides_what_is_judged() {
        let judge = Exit::Judge;
        let table = [
            (exit("CREATE", "", "Pod", "pods", ""), judge(Kind::Pod, Operation::Create)),
            (exit("UPDATE", "", "Pod", "pods", "ephemeralcontainers"), judge(Kind::Pod, Operation::Update)),
            (exit("UPDATE", "", "Pod", "pods", "resize"), judge(Kind::Pod, Operation::Update)),
            (exit("UPDATE", "", "Nova", "pods", "nova"), judge(Kind::Pod, Operation::Update)),
            (exit("UPDATE", "", "Pod", "pods", "status"), Exit::NotJudged),
            (exit("CREATE", "policy", "Eviction", "pods", "eviction"), Exit::NotJudged),
            (exit("CREATE", "", "Binding", "pods", "binding"), Exit::NotJudged),
            (exit("CONNECT", "", "PodExecOptions", "pods", "exec"), Exit::NotJudged),
            (exit("DELETE", "", "Pod", "pods", ""), Exit::NotJudged),
            (exit("UPDATE", "apps", "Deployment", "deployments", "status"), Exit::NotJudged),
            (
                exit("DELETE", "amanat.dev", "CloudWorkload", "cloudworkloads", ""),
                judge(Kind::CloudWorkload, Operation::Delete),
            ),
            (exit("UPDATE", "", "Namespace", "namespaces", "finalize"), judge(Kind::Namespace, Operation::Update)),
            (exit("UPDATE", "", "Namespace", "namespaces", "status"), judge(Kind::Namespace, Operation::Update)),
            (exit("CREATE", "", "Secret", "secrets", ""), Exit::NotJudged),
            (exit("CREATE", "batch", "CronJob", "cronjobs", ""), judge(Kind::CronJob, Operation::Create)),
        ];
        for (index, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, expected, "row {index}");
        }
    }

    #[test]
    fn a_scale_is_judged_as_one() {
        let body = serde_json::json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "UPDATE", "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"}, "subResource": "scale"}})
        .to_string();
        let exit = of(Entry::Governed, &envelope::read(body.as_bytes(), |_| None).unwrap().0);
        assert_eq!(exit, Exit::Judge(Kind::Scale, Operation::Update));
    }
}
