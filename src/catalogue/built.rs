//! What holds for everything that controls build.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::control::{Case, FieldPath, Finding, Lookup, Operation, Sink};

/// The metadata of an object that is built, without owner reference.
pub(super) fn metadata(namespace: &str, name: &str) -> ObjectMeta {
    let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "amanat".to_owned())]);
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        ..Default::default()
    }
}

/// What is built is changed by Amanat, by the control plane's garbage collection, and by administrators, whose changes
/// are healed. `instead` is what anyone else may do.
pub(super) fn protect(case: &Case<'_>, names: &[&str], instead: &str, sink: &mut Sink) {
    let name = case.subject.metadata.name.as_str();
    let Some(actor) = case.actor.filter(|_| names.contains(&name) && case.standing.governed().is_some()) else {
        return;
    };
    if actor.amanat || actor.control_plane || actor.is_in(&case.regime.administrators) {
        return;
    }
    let going = || case.context.namespace_going(case.namespace()) == Lookup::Found(true);
    if case.operation == Operation::Delete && going() {
        return;
    }
    // Of another owner, it would be collected with that one; of one that never was, at once.
    let unchanged = case.old.is_some_and(|old| {
        old.body == case.subject.body && old.metadata.owner_references == case.subject.metadata.owner_references
    });
    if case.operation == Operation::Update && unchanged {
        return;
    }
    let message = format!("{} {name} is built and kept by Amanat", case.subject.kind);
    sink.push(Finding::new(FieldPath::of(&["metadata", "name"]), message, instead).value(name));
}
