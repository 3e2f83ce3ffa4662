//! What every supply keeps to: its patch does to the text what it does to the object, doing it twice is doing it once,
//! what it supplies is what its own control demands, and where nothing is denied nothing is supplied.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pods.rs"]
mod pods;

use amanat::api::Effect;
use amanat::baseline::{Effective, Mode};
use amanat::catalogue;
use amanat::control::{Acceptance, Control, Finding, Kind, Operation, Standing, Subject, Supplied};
use amanat::engine::{Engine, Request, Verdict};
use fixture::{Registry, baseline, conforming_spec, governed, instant};
use proptest::prelude::*;
use serde_json::{Value, json};

const CLASS: &str = "Restricted";

fn supplying() -> Vec<&'static Control> {
    catalogue::ALL.iter().copied().filter(|control| control.supply.is_some()).collect()
}

fn effective() -> Effective {
    Effective::resolve("test", &baseline(json!({})), Mode::Cluster).unwrap()
}

/// An engine of one control, which denies and supplies in every class.
fn only(control: &'static Control) -> Engine {
    let whole = effective();
    let mut effective = whole.only(&[control], whole.regime.rank(CLASS).unwrap());
    effective.regime.builds = true;
    effective.controls.iter_mut().for_each(|terms| terms.supply = true);
    Engine::compile(&effective)
}

/// One that has all of them, and says regions beside the jurisdiction.
fn in_a_region() -> Engine {
    let mut controls = serde_json::to_value(baseline(json!({}))).unwrap()["controls"].clone();
    for control in controls.as_array_mut().unwrap() {
        if control["id"] == "residency/in-country-scheduling" {
            control["params"] = json!({"allowedJurisdictions": ["PK"], "regions": ["islamabad", "lahore"]});
        }
    }
    fixture::engine(json!({ "controls": controls }))
}

/// One engine for each supply by itself, and two that have all of them as the shipped baseline has.
fn engines() -> Vec<Engine> {
    supplying().into_iter().map(only).chain([Engine::compile(&effective()), in_a_region()]).collect()
}

fn decoded(object: &Value) -> Subject {
    Subject::decode(Kind::Pod, object.clone()).unwrap()
}

fn supply(engine: &Engine, standing: &Standing, subject: &mut Subject) -> Supplied {
    engine.supply(standing, &Registry::usual(), subject)
}

/// How many findings there are, and how many things that can't be decided.
fn found(engine: &Engine, subject: &Subject) -> usize {
    let verdict = judged(engine, subject);
    verdict.outcomes.len() + verdict.not_assessed.len()
}

/// What is found, and where.
fn places(engine: &Engine, subject: &Subject) -> Vec<String> {
    let outcomes = judged(engine, subject).outcomes.into_iter();
    let place = |Finding { control, path, value, .. }| format!("{control} {path} {value}");
    outcomes.map(|outcome| place(outcome.finding)).collect()
}

fn judged(engine: &Engine, subject: &Subject) -> Verdict {
    let standing = governed(engine, CLASS, None);
    let (context, now) = (Registry::usual(), instant("06-01T00:00:00"));
    let operation = Operation::Create;
    let request = Request { operation, subject, old: None, actor: None, standing: &standing, context: &context, now };
    engine.decide(&request)
}

/// Pods as the API server sends them.
fn objects() -> impl Strategy<Value = Value> {
    let key = "amanat.dev/data-class";
    let metadata = prop::sample::select(vec![
        json!({"name": "p", "namespace": "a"}),
        json!({"generateName": "p-", "namespace": "a", "labels": {}}),
        json!({"name": "p", "namespace": "a", "labels": {"app": "p", "example.org/~tier": "web"}}),
        json!({"name": "p", "namespace": "a", "labels": {key: CLASS}}),
        json!({"name": "p", "namespace": "a", "labels": {"app": "p", key: "Open"}}),
        json!({"name": "p", "namespace": "a", "ownerReferences":
            [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}]}),
    ]);
    (metadata, pods::specs()).prop_map(|(metadata, mut spec)| {
        // The API server leaves nothing null.
        prune(&mut spec);
        pods::mount_token(&mut spec);
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    })
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_patch_does_to_the_text_what_is_done_to_the_object(object in objects()) {
        for engine in engines() {
            let standing = governed(&engine, CLASS, None);
            let mut subject = decoded(&object);
            let before = found(&engine, &subject);
            let supplied = supply(&engine, &standing, &mut subject);
            let mut patched = object.clone();
            let patch: json_patch::Patch =
                serde_json::from_value(serde_json::to_value(&supplied.edits).unwrap()).unwrap();
            json_patch::patch(&mut patched, &patch).unwrap();
            prop_assert!(decoded(&patched) == subject, "{object}\n{:?}\n{patched}", supplied.edits);
            let again = supply(&engine, &standing, &mut subject.clone());
            prop_assert_eq!(again.edits, [], "twice is once: {}", &patched);
            prop_assert!(found(&engine, &subject) <= before, "what is supplied is refused: {object}\n{patched}");
        }
    }

    /// What its author wrote stays as it is: neither a template nor what `check` reads is patched.
    #[test]
    fn what_is_supplied_moves_nothing_that_is_found(object in objects()) {
        let template = json!({"metadata": {"name": "t", "namespace": "a"}, "spec": {"template": object}});
        let written = [
            Subject::from_manifest(Kind::Pod, object).unwrap(),
            Subject::decode(Kind::Deployment, template).unwrap(),
        ];
        for engine in engines() {
            let standing = governed(&engine, CLASS, None);
            for subject in &written {
                let mut supplied = subject.clone();
                supply(&engine, &standing, &mut supplied);
                let before = places(&engine, subject);
                for place in places(&engine, &supplied) {
                    prop_assert!(before.contains(&place), "{} is not in {:#?}", place, before);
                }
            }
        }
    }

    #[test]
    fn where_nothing_is_denied_nothing_is_supplied(object in objects()) {
        for engine in engines() {
            let uncapped = governed(&engine, CLASS, Some(Effect::Deny));
            prop_assert_eq!(
                supply(&engine, &uncapped, &mut decoded(&object)),
                supply(&engine, &governed(&engine, CLASS, None), &mut decoded(&object))
            );
            for standing in [
                Standing::System,
                Standing::Undeclared,
                Standing::Pending(Acceptance::default()),
                governed(&engine, CLASS, Some(Effect::Warn)),
                governed(&engine, CLASS, Some(Effect::Audit)),
            ] {
                let mut subject = decoded(&object);
                prop_assert_eq!(supply(&engine, &standing, &mut subject), Supplied::default());
                prop_assert!(subject == decoded(&object));
            }
        }
    }
}

/// What is left out of a Pod that conforms otherwise.
fn without(fields: &[&str]) -> Value {
    let mut spec = conforming_spec();
    for field in fields {
        let (parent, field) = field.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
    }
    spec
}

#[test]
fn each_supply_fills_in_what_is_left_out_and_nothing_else() {
    let label = json!({"op": "add", "path": "/metadata/labels", "value": {"amanat.dev/data-class": CLASS}});
    let profile = json!({"type": "RuntimeDefault"});
    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let mut windows = without(&["/securityContext"]);
    windows["os"] = json!({"name": "windows"});
    let mut confined = without(&["/securityContext/seccompProfile"]);
    confined["containers"][0]["securityContext"]["seccompProfile"] = profile.clone();
    let mut unconfined = conforming_spec();
    unconfined["securityContext"]["seccompProfile"] = json!({"type": "Unconfined"});
    let remove = |path: &str| json!({"op": "remove", "path": path});
    let mut mounted = without(&["/automountServiceAccountToken"]);
    let second = json!({"name": "second", "image": mounted["containers"][0]["image"]});
    mounted["containers"].as_array_mut().unwrap().push(second);
    mounted["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    mounted["initContainers"] = json!([{"name": "init"}]);
    mounted["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let mut asked_for = mounted.clone();
    asked_for["automountServiceAccountToken"] = json!(true);
    pods::mount_token(&mut mounted);
    pods::mount_token(&mut asked_for);
    let table = [
        ("placement/class-inherited", conforming_spec(), json!([label])),
        ("pod/seccomp-profile", conforming_spec(), json!([])),
        ("pod/seccomp-profile", unconfined, json!([])),
        ("pod/seccomp-profile", windows, json!([])),
        (
            "pod/seccomp-profile",
            without(&["/securityContext"]),
            json!([add("/spec/securityContext", json!({"seccompProfile": profile}))]),
        ),
        (
            "pod/seccomp-profile",
            without(&["/securityContext/seccompProfile"]),
            json!([add("/spec/securityContext/seccompProfile", profile.clone())]),
        ),
        // An ephemeral container may come later, and has none of its own.
        ("pod/seccomp-profile", confined, json!([add("/spec/securityContext/seccompProfile", profile.clone())])),
        ("pod/service-account-token", conforming_spec(), json!([])),
        (
            "pod/service-account-token",
            without(&["/automountServiceAccountToken"]),
            json!([add("/spec/automountServiceAccountToken", json!(false))]),
        ),
        (
            "pod/service-account-token",
            mounted,
            json!([
                remove("/spec/initContainers/0/volumeMounts/0"),
                remove("/spec/containers/0/volumeMounts/1"),
                remove("/spec/containers/1/volumeMounts/0"),
                remove("/spec/volumes/1"),
                add("/spec/automountServiceAccountToken", json!(false)),
            ]),
        ),
        ("pod/service-account-token", asked_for, json!([])),
    ];
    for (control, spec, edits) in table {
        let engine = only(catalogue::find(control).unwrap());
        let standing = governed(&engine, CLASS, None);
        let mut subject = decoded(&json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec}));
        let supplied = supply(&engine, &standing, &mut subject);
        assert_eq!(serde_json::to_value(&supplied.edits).unwrap(), edits, "{control} {spec}");
    }
}

#[test]
fn a_pod_that_lacks_nothing_else_passes_with_what_is_supplied() {
    for control in supplying() {
        let engine = only(control);
        let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": conforming_spec()});
        let mut subject = decoded(&pod);
        supply(&engine, &governed(&engine, CLASS, None), &mut subject);
        assert_eq!(found(&engine, &subject), 0, "{}", control.id);
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::Job, Kind::ReplicationController] {
            let template = json!({"metadata": {"name": "t", "namespace": "a"}, "spec": {"template": pod}});
            let mut subject = Subject::decode(kind, template).unwrap();
            supply(&engine, &governed(&engine, CLASS, None), &mut subject);
            assert_eq!(found(&engine, &subject), 0, "{} {kind}", control.id);
        }
    }
}
