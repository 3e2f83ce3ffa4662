//! Tokens of ServiceAccounts in Pods: which are found, which are removed, and what declaring changes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pods.rs"]
mod pods;

use amanat::api::Effect;
use amanat::control::{Context, Kind, Nothing, Operation, Standing, Subject, WORKLOADS};
use amanat::engine::{Engine, Request};
use fixture::{Registry, conforming_spec, declaration, engine, governed, instant, merge};
use proptest::prelude::*;
use serde_json::{Value, json};

const CONTROL: &str = "pod/service-account-token";
const FIELD: &str = "spec.automountServiceAccountToken";

/// What the control says of one object.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Path, value and effect.
    found: Vec<(String, Value, Effect)>,
    notices: Vec<String>,
    unknown: usize,
}

fn judged(engine: &Engine, standing: &Standing, context: &dyn Context, mut subject: Subject) -> Said {
    let supplied = engine.supply(standing, context, &mut subject);
    let now = instant("06-01T00:00:00");
    let operation = Operation::Create;
    let request = Request { operation, subject: &subject, old: None, actor: None, standing, context, now };
    let verdict = engine.decide(&request);
    let of_control = verdict.outcomes.into_iter().filter(|outcome| outcome.finding.control == CONTROL);
    Said {
        found: of_control
            .map(|outcome| (outcome.finding.path.to_string(), outcome.finding.value, outcome.effect))
            .collect(),
        notices: supplied.notices,
        unknown: verdict.not_assessed.iter().filter(|unknown| unknown.control == CONTROL).count(),
    }
}

/// A registry in which the namespace `a` declares one ServiceAccount.
fn declaring() -> Registry {
    let mut registry = Registry::usual();
    let access = json!({"apiAccess": {"serviceAccounts": [pods::DECLARED]}});
    registry.declarations.insert("a".to_owned(), declaration(access));
    registry
}

/// A conforming spec that says nothing of tokens, with some fields changed.
fn spec(changes: Value) -> Value {
    let mut spec = conforming_spec();
    spec.as_object_mut().unwrap().remove("automountServiceAccountToken");
    merge(&mut spec, changes);
    spec
}

fn pod(spec: &Value) -> Value {
    json!({"metadata": {"name": "x", "namespace": "a"}, "spec": spec})
}

/// A Pod as the API server sends it when it is made, with the token that it mounts by itself.
fn sent(spec: &Value) -> Subject {
    let mut spec = spec.clone();
    pods::mount_token(&mut spec);
    Subject::decode(Kind::Pod, pod(&spec)).unwrap()
}

fn written(spec: &Value) -> Subject {
    Subject::from_manifest(Kind::Pod, pod(spec)).unwrap()
}

fn template(kind: Kind, spec: Value) -> Subject {
    let object = kind.pod_spec_path().iter().rev().fold(spec, |inner, field| json!({*field: inner}));
    let mut object = json!({"metadata": {"name": "x", "namespace": "a"}, "spec": object["spec"],
        "template": object["template"]});
    object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    Subject::from_manifest(kind, object).unwrap()
}

fn projected(seconds: Option<i64>) -> Value {
    let mut token = json!({"path": "token", "audience": "vault"});
    if let Some(seconds) = seconds {
        token["expirationSeconds"] = json!(seconds);
    }
    json!([{"name": "v", "emptyDir": {}}, {"name": "t", "projected": {"sources":
        [{"configMap": {"name": "c"}}, {"serviceAccountToken": token}]}}])
}

#[test]
fn what_is_left_out_is_removed_and_what_is_asked_for_is_found() {
    const VOLUME: &str = "spec.volumes[1].projected.sources[1].serviceAccountToken";
    let lasts = format!("{VOLUME}.expirationSeconds");
    let declared = json!({"serviceAccountName": pods::DECLARED});
    let declared_and = |more: Value| {
        let mut changes = declared.clone();
        merge(&mut changes, more);
        changes
    };
    let none = json!([]);
    let automount = json!({"automountServiceAccountToken": true});
    // The spec, and what is found in a Restricted and in a Confidential namespace.
    let table = [
        (json!({}), none.clone(), none.clone()),
        (json!({"automountServiceAccountToken": false}), none.clone(), none.clone()),
        (automount.clone(), json!([[FIELD, true]]), json!([[FIELD, true]])),
        (json!({"volumes": projected(Some(600))}), json!([[VOLUME, "t"]]), json!([[VOLUME, "t"]])),
        (
            json!({"volumes": projected(Some(7200))}),
            json!([[VOLUME, "t"], [lasts, 7200]]),
            json!([[VOLUME, "t"], [lasts, 7200]]),
        ),
        (declared.clone(), none.clone(), none.clone()),
        (
            json!({"serviceAccount": pods::DECLARED, "automountServiceAccountToken": true}),
            none.clone(),
            json!([[FIELD, true]]),
        ),
        (declared_and(automount), none.clone(), json!([[FIELD, true]])),
        (declared_and(json!({"volumes": projected(None)})), none.clone(), json!([[VOLUME, "t"]])),
        (declared_and(json!({"volumes": projected(Some(3607))})), none, json!([[VOLUME, "t"]])),
        (
            declared_and(json!({"volumes": projected(Some(3608))})),
            json!([[lasts, 3608]]),
            json!([[VOLUME, "t"], [lasts, 3608]]),
        ),
    ];
    let (engine, registry) = (engine(json!({})), declaring());
    for (changes, restricted, confidential) in table {
        for (class, expected) in [("Restricted", restricted), ("Confidential", confidential)] {
            let standing = governed(&engine, class, None);
            let spec = spec(changes.clone());
            for subject in [sent(&spec), written(&spec)] {
                let said = judged(&engine, &standing, &registry, subject);
                let found: Value = said.found.iter().map(|(path, value, _)| json!([path, value])).collect();
                assert_eq!(found, expected, "{class} {changes}");
                assert!(said.found.iter().all(|(_, _, effect)| *effect == Effect::Deny), "{class} {changes}");
                assert_eq!((said.notices, said.unknown), (Vec::new(), 0), "a Pod's author is told by the Pod");
            }
            for kind in WORKLOADS.iter().copied().filter(|kind| *kind != Kind::Pod) {
                let said = judged(&engine, &standing, &registry, template(kind, spec.clone()));
                let prefix = kind.pod_spec_path().join(".");
                let strip = |path: &str| path.replacen(&prefix, "spec", 1);
                let found: Value = said.found.iter().map(|(path, value, _)| json!([strip(path), value])).collect();
                assert_eq!(found, expected, "{class} {kind} {changes}");
            }
        }
    }
}

#[test]
fn the_author_of_a_template_is_told_what_its_pods_lose() {
    let (engine, registry) = (engine(json!({})), declaring());
    let told = |class: &str, changes: Value| {
        let standing = governed(&engine, class, None);
        judged(&engine, &standing, &registry, template(Kind::Deployment, spec(changes))).notices
    };
    let restricted = "supply removes the API token kube-api-access-* from its Pods: spec.apiAccess may declare \
                      ServiceAccount default";
    let confidential = "supply removes the API token kube-api-access-* from its Pods; automountServiceAccountToken: \
                        false says the same";
    assert!([restricted, confidential].iter().all(|text| text.len() <= 120), "they would be cut");
    let elector = json!({"serviceAccountName": pods::DECLARED});
    assert_eq!(told("Restricted", json!({})), [restricted]);
    assert_eq!(told("Confidential", json!({})), [confidential]);
    assert_eq!(told("Restricted", elector.clone()), [""; 0]);
    assert_eq!(told("Confidential", elector), [confidential]);
    assert_eq!(told("Open", json!({})), [""; 0], "nothing is removed there");
    for says in [false, true] {
        assert_eq!(told("Restricted", json!({"automountServiceAccountToken": says})), [""; 0]);
    }
}

#[test]
fn where_nothing_is_supplied_the_mounted_token_is_found() {
    let usual = engine(json!({}));
    let off = unsupplied();
    let found = |effect: Effect| vec![(FIELD.to_owned(), Value::Null, effect)];
    let registry = declaring();
    for (engine, class, cap, effect) in [
        (&usual, "Open", None, Effect::Warn),
        (&usual, "Restricted", Some(Effect::Warn), Effect::Warn),
        (&usual, "Restricted", Some(Effect::Audit), Effect::Audit),
        (&off, "Restricted", None, Effect::Deny),
    ] {
        let standing = governed(engine, class, cap);
        let say = |subject: Subject| judged(engine, &standing, &registry, subject);
        let bare = spec(json!({}));
        assert_eq!(say(sent(&bare)).found, found(effect), "{class}");
        assert_eq!(say(written(&bare)).found, found(effect), "{class}");
        let of_template = say(template(Kind::Deployment, bare.clone()));
        assert_eq!(of_template.found, [(format!("spec.template.{FIELD}"), Value::Null, effect)], "{class}");
        assert_eq!(of_template.notices, [""; 0]);
        // Its ServiceAccount says that none is mounted, which shows in the Pod that is made.
        assert_eq!(say(Subject::decode(Kind::Pod, pod(&bare)).unwrap()).found, []);
        // Every container has something else there, so that none is mounted.
        let mut full = bare.clone();
        full["containers"][0]["volumeMounts"] =
            json!([{"name": "v", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
        assert_eq!(say(sent(&full)).found, []);
        assert_eq!(say(written(&full)).found, []);
    }
}

/// An engine that supplies no Pod with less than it asks for.
fn unsupplied() -> Engine {
    let mut controls = serde_json::to_value(fixture::baseline(json!({}))).unwrap()["controls"].clone();
    let named = controls.as_array_mut().unwrap().iter_mut().find(|control| control["id"] == CONTROL).unwrap();
    named["supply"] = json!(false);
    engine(json!({ "controls": controls }))
}

/// The plugin adds none beside a volume whose name begins as its own, and what stands behind that one is somebody's.
#[test]
fn a_volume_that_only_looks_like_the_plugins_hides_no_token() {
    let token = |index: usize| format!("spec.volumes[{index}].projected.sources[0].serviceAccountToken");
    let decoy = json!({"name": "kube-api-access-a", "emptyDir": {}});
    let copy = |name: &str| pods::token_volume(&format!("kube-api-access-{name}"));
    // The volumes, and what is found beside the field where that is left out and where it is true.
    let table = [
        (json!([decoy]), vec![], false),
        (json!([decoy, copy("b")]), vec![token(1)], false),
        (json!([copy("b"), decoy]), vec![], true),
        (json!([copy("b"), copy("c")]), vec![token(1)], true),
        (json!([decoy, copy("b"), copy("c")]), vec![token(1), token(2)], false),
    ];
    let (off, registry) = (unsupplied(), declaring());
    let standing = governed(&off, "Restricted", None);
    for (volumes, found, mounted) in table {
        for automount in [None, Some(true)] {
            let mut spec = spec(json!({"volumes": volumes}));
            if let Some(automount) = automount {
                spec["automountServiceAccountToken"] = json!(automount);
            }
            let by_field = (mounted || automount == Some(true)).then(|| FIELD.to_owned());
            let expected: Vec<String> = by_field.into_iter().chain(found.clone()).collect();
            for subject in [sent(&spec), written(&spec)] {
                let said = judged(&off, &standing, &registry, subject);
                let paths: Vec<String> = said.found.into_iter().map(|(path, ..)| path).collect();
                assert_eq!(paths, expected, "{automount:?} {volumes}");
            }
        }
    }
}

proptest! {
    /// Whatever a Pod's volumes are called, and in whatever order they stand.
    #[test]
    fn no_token_is_overlooked_and_none_is_made_up(mut spec in pods::specs()) {
        let (usual, off) = (engine(json!({})), unsupplied());
        spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        pods::mount_token(&mut spec);
        for engine in [&usual, &off] {
            let standing = governed(engine, "Secret", None);
            let mut subject = Subject::decode(Kind::Pod, pod(&spec)).unwrap();
            engine.supply(&standing, &Nothing, &mut subject);
            let there = subject.pod().unwrap().spec;
            let volumes = there.volumes.iter().filter_map(|(_, volume)| volume.projected.as_ref());
            let sources = volumes.flat_map(|projected| &projected.sources);
            let has_one = there.automount_service_account_token == Some(true)
                || sources.filter_map(|source| source.service_account_token.as_ref()).next().is_some();
            let said = judged(engine, &standing, &Nothing, subject.clone());
            prop_assert_eq!(!said.found.is_empty(), has_one, "{}", spec);
        }
    }
}

/// By `--class` nobody knows what the namespace declares.
#[test]
fn a_token_that_may_be_declared_is_not_assessed() {
    let engine = engine(json!({}));
    let automount = spec(json!({"automountServiceAccountToken": true}));
    let said = |class: &str| judged(&engine, &governed(&engine, class, None), &Nothing, written(&automount));
    assert_eq!((said("Restricted").found.len(), said("Restricted").unknown), (0, 1));
    assert_eq!((said("Secret").found.len(), said("Secret").unknown), (1, 0));
}

/// A baseline may ask for shorter tokens than those that are mounted by default.
#[test]
fn the_mounted_token_lasts_3607_seconds() {
    let mut controls = serde_json::to_value(fixture::baseline(json!({}))).unwrap()["controls"].clone();
    let named = controls.as_array_mut().unwrap().iter_mut().find(|control| control["id"] == CONTROL).unwrap();
    named["params"]["maxTokenSeconds"] = json!(600);
    let engine = engine(json!({"controls": controls}));
    let standing = governed(&engine, "Restricted", None);
    let elector = spec(json!({"serviceAccountName": pods::DECLARED}));
    for subject in [sent(&elector), written(&elector)] {
        let said = judged(&engine, &standing, &declaring(), subject);
        assert_eq!(said.found, [(FIELD.to_owned(), json!(3607), Effect::Deny)]);
    }
}
