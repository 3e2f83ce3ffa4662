//! Bounds of resources as the engine decides on them: what is coming, what was missed, resizes, and what is built.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use amanat::api::Effect;
use amanat::control::{Actor, Kind, Operation, Standing, Subject};
use amanat::engine::{Engine, Request, Verdict};
use fixture::{Registry, conforming_spec, declaration, engine, governed, instant};
use serde_json::{Value, json};

fn with(resources: Value) -> Value {
    let mut spec = conforming_spec();
    spec["containers"][0]["resources"] = resources;
    spec
}

/// A Pod as the API server sends it.
fn sent(resources: Value) -> Subject {
    Subject::decode(Kind::Pod, json!({"metadata": {"name": "p", "namespace": "a"}, "spec": with(resources)})).unwrap()
}

fn written(kind: Kind, resources: Value) -> Subject {
    let object = match kind {
        Kind::Pod => json!({"metadata": {"name": "p", "namespace": "a"}, "spec": with(resources)}),
        _ => json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"template": {"spec": with(resources)}}}),
    };
    Subject::from_manifest(kind, object).unwrap()
}

fn decide(
    engine: &Engine,
    standing: &Standing,
    operation: Operation,
    subject: &Subject,
    old: Option<&Subject>,
    actor: Option<&Actor>,
) -> Verdict {
    let context = Registry::usual();
    engine.decide(&Request {
        operation,
        subject,
        old,
        actor,
        standing,
        context: &context,
        now: instant("06-01T00:00:00"),
    })
}

fn found(verdict: &Verdict, effect: Effect) -> Vec<String> {
    let bounds = verdict.with(effect).filter(|outcome| outcome.finding.control == "pod/resource-bounds");
    bounds.map(|outcome| format!("{} {}", outcome.finding.path, outcome.finding.message)).collect()
}

#[test]
fn what_is_given_where_it_is_built_may_be_left_out_and_nowhere_else() {
    let engine = engine(json!({}));
    let create = |class, cap, subject: &Subject, effect| {
        let verdict = decide(&engine, &governed(&engine, class, cap), Operation::Create, subject, None, None);
        found(&verdict, effect).len()
    };
    for subject in [written(Kind::Deployment, json!({})), written(Kind::Pod, json!({}))] {
        assert_eq!(create("Restricted", None, &subject, Effect::Deny), 0);
        assert_eq!(create("Restricted", Some(Effect::Warn), &subject, Effect::Warn), 2, "nothing is built under a cap");
        assert_eq!(create("Open", None, &subject, Effect::Warn), 2, "nothing is built where the control warns");
    }
    let verdict =
        decide(&engine, &governed(&engine, "Restricted", None), Operation::Create, &sent(json!({})), None, None);
    let missed = found(&verdict, Effect::Deny);
    assert_eq!(missed.len(), 2);
    assert!(
        missed.iter().all(|line| line.contains("LimitRange amanat-resource-bounds") && line.contains("not there yet"))
    );
}

#[test]
fn a_resize_is_refused_for_what_it_takes_out_of_bounds() {
    let engine = engine(json!({}));
    let limits =
        |cpu: &str| json!({"limits": {"cpu": cpu, "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}});
    let update = |old: Value, new: Value| {
        let standing = governed(&engine, "Restricted", None);
        found(&decide(&engine, &standing, Operation::Update, &sent(new), Some(&sent(old)), None), Effect::Deny).len()
    };
    assert_eq!(update(limits("1"), limits("16")), 0, "within");
    assert_eq!(update(limits("1"), limits("17")), 1, "beyond the most");
    assert_eq!(
        update(limits("1"), json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m"}})),
        1,
        "without a limit"
    );
    assert_eq!(update(json!({}), json!({})), 0, "what never had any");
    assert_eq!(update(json!({}), json!({"limits": {"cpu": "1"}})), 0, "what gets one");
    assert_eq!(update(limits("17"), limits("18")), 1, "further beyond");
    assert_eq!(update(limits("17"), limits("1")), 0, "back within");
}

#[test]
fn what_is_built_is_changed_by_those_who_may() {
    let engine = engine(json!({"administrators": {"groups": ["admins"]}}));
    let owned = |kind, name: &str, spec: &Value, owners: Value| {
        let metadata = json!({"name": name, "namespace": "a", "ownerReferences": owners});
        Subject::from_manifest(kind, json!({"metadata": metadata, "spec": spec})).unwrap()
    };
    let object = |kind, name: &str, spec: Value| owned(kind, name, &spec, json!([]));
    let standing = governed(&engine, "Restricted", None);
    for (kind, spec, other) in [
        (Kind::ResourceQuota, json!({"hard": {"pods": "1"}}), json!({"hard": {"pods": "1000"}})),
        (
            Kind::LimitRange,
            json!({"limits": [{"type": "Container", "max": {"cpu": "1"}}]}),
            json!({"limits": [{"type": "Container"}]}),
        ),
    ] {
        let (built, changed) =
            (object(kind, "amanat-resource-bounds", spec.clone()), object(kind, "amanat-resource-bounds", other));
        let decide = |operation, new: &Subject, old: Option<&Subject>, user: &str, groups: &[&str]| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let actor = Actor::new(user, groups, "amanat", &[]);
            decide(&engine, &standing, operation, new, old, Some(&actor)).denied()
        };
        let dangling = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "x"}]);
        let disowned = owned(kind, "amanat-resource-bounds", &spec, dangling.clone());
        let collector = "system:serviceaccount:kube-system:generic-garbage-collector";
        for (operation, new, old) in [
            (Operation::Create, &built, None),
            (Operation::Update, &changed, Some(&built)),
            (Operation::Update, &disowned, Some(&built)),
            (Operation::Update, &built, Some(&disowned)),
            (Operation::Delete, &built, None),
        ] {
            assert!(decide(operation, new, old, "alice", &[]), "{kind} {operation:?}");
            assert!(!decide(operation, new, old, "amanat", &[]), "{kind} {operation:?}");
            assert!(!decide(operation, new, old, collector, &[]), "{kind} {operation:?}");
            assert!(!decide(operation, new, old, "bob", &["admins"]), "{kind} {operation:?}: healed, not refused");
        }
        assert!(!decide(Operation::Update, &built, Some(&built), "alice", &[]), "metadata alone");
        assert!(!decide(Operation::Update, &disowned, Some(&disowned), "alice", &[]), "as it was");
        let own = object(kind, "own", spec.clone());
        assert!(!decide(Operation::Create, &own, None, "alice", &[]), "their own");
        let given = owned(kind, "own", &spec, dangling);
        assert!(!decide(Operation::Update, &given, Some(&own), "alice", &[]), "their own");
    }
}

#[test]
fn a_size_beyond_the_class_is_told() {
    let engine = engine(json!({}));
    let notices = |cpu: &str| {
        let spec = serde_json::to_value(declaration(json!({"size": {"cpu": cpu}}))).unwrap();
        let object = json!({"metadata": {"name": "workload", "namespace": "a"}, "spec": spec});
        let subject = Subject::from_manifest(Kind::CloudWorkload, object).unwrap();
        let verdict = decide(&engine, &governed(&engine, "Restricted", None), Operation::Update, &subject, None, None);
        verdict.notices.into_iter().filter(|notice| notice.contains("spec.size")).collect::<Vec<_>>()
    };
    assert_eq!(notices("64"), [""; 0]);
    let beyond = notices("64001m");
    assert_eq!(beyond, ["spec.size.cpu: 64001m is above 64, the most that class Restricted gives, which holds"]);
}
