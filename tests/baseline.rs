//! Baselines: what is refused, what joining does, and what no baseline may do.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pods.rs"]
mod pods;

use std::collections::BTreeSet;

use amanat::api::{Effect, SecurityBaselineSpec};
use amanat::baseline::diff::{Direction, Side, diff};
use amanat::baseline::{Effective, Mode, Problems};
use amanat::catalogue;
use amanat::control::{Acceptance, Governed, Kind, Operation, ParamKind, Standing, Subject};
use amanat::engine::{Engine, Engines, Request};
use fixture::{Registry, baseline, instant};
use proptest::prelude::*;
use serde_json::{Value, json};

fn resolve(spec: &SecurityBaselineSpec) -> Result<Effective, Problems> {
    Effective::resolve("test", spec, Mode::Cluster)
}

/// What a Pod is denied for in each class, as control and path.
fn denials(engine: &Engine, rank: usize, spec: &Value) -> BTreeSet<(String, String)> {
    let subject = Subject::from_manifest(Kind::Pod, json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec}));
    let standing = Standing::Governed(Governed {
        rank,
        acceptance: Acceptance::default(),
        raise: None,
        suspension: None,
        cap: None,
    });
    let registry = Registry::usual();
    let verdict = engine.decide(&Request {
        operation: Operation::Create,
        subject: &subject.unwrap(),
        old: None,
        actor: None,
        standing: &standing,
        context: &registry,
        now: instant("06-01T00:00:00"),
    });
    let denied = verdict.with(Effect::Deny);
    denied.map(|outcome| (outcome.finding.control.to_owned(), outcome.finding.path.to_string())).collect()
}

/// An overlay that sets any effects and parameters.
fn overlays() -> impl Strategy<Value = Value> {
    let effects = || prop::sample::select(vec!["Disabled", "Audit", "Warn", "Deny"]);
    let registries = prop::sample::select(vec![
        json!(["registry.example.gov.pk"]),
        json!(["registry.example.gov.pk/app", "other.example.gov.pk"]),
        json!(["docker.io"]),
        json!([]),
    ]);
    let drivers = prop::sample::select(vec![json!(["d"]), json!([])]);
    let control = (0..catalogue::ALL.len(), prop::collection::vec(effects(), 5), registries, any::<bool>(), drivers);
    let row = (0..5_usize, prop::sample::subsequence(vec!["Public", "Government", "Private"], 1..3), any::<bool>());
    let rows = prop::collection::vec(row, 0..4);
    (prop::collection::vec(control, 0..8), rows, 1..400).prop_map(|(controls, rows, hours)| {
        let classes = ["Open", "Public", "Restricted", "Confidential", "Secret"];
        let row = |(class, models, approval): (usize, Vec<&str>, bool)| {
            json!({"class": classes[class], "models": models, "countries": ["PK"], "grade": "Accredited",
                "approval": approval})
        };
        let rows: Vec<Value> = rows.into_iter().map(row).collect();
        let mut seen = BTreeSet::new();
        let named: Vec<Value> = controls
            .into_iter()
            .filter(|(index, ..)| seen.insert(*index))
            .map(|(index, effects, registries, strict, drivers)| {
                let control = catalogue::ALL[index];
                let effects: serde_json::Map<String, Value> =
                    classes.iter().zip(effects).map(|(class, effect)| ((*class).to_owned(), json!(effect))).collect();
                let mut params = json!({});
                for spec in control.params {
                    match spec.kind {
                        ParamKind::Registries | ParamKind::Images => params[spec.name] = registries.clone(),
                        ParamKind::Choice(words) => {
                            params[spec.name] = json!(if strict { words.last() } else { words.first() });
                        }
                        ParamKind::AtMost(low, high) => params[spec.name] = json!(if strict { low } else { high }),
                        ParamKind::Allowed => params[spec.name] = drivers.clone(),
                        _ => {}
                    }
                }
                json!({"id": control.id, "effects": effects, "params": params})
            })
            .collect();
        json!({"title": "overlay", "version": "1", "overlay": {"jurisdictions": ["Punjab"]},
            "allowNonMonotone": true, "controls": named, "placement": rows, "graceOnRaise": format!("{hours}h")})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn joining_never_loosens(overlay in overlays(), spec in pods::specs()) {
        let base = resolve(&baseline(json!({}))).unwrap();
        let overlay = base.resolve_overlay("overlay", &serde_json::from_value(overlay).unwrap(), Mode::Cluster).unwrap();
        let before = Engine::compile(&base);
        let after = Engine::compile(&base.join(&overlay));
        for rank in 0..5 {
            let (before, after) = (denials(&before, rank, &spec), denials(&after, rank, &spec));
            prop_assert!(before.is_subset(&after), "rank {rank}: {before:?} {after:?}");
        }
    }

    #[test]
    fn joining_is_told_as_tightening(overlay in overlays()) {
        let spec = baseline(json!({}));
        let base = resolve(&spec).unwrap();
        let overlay = base.resolve_overlay("overlay", &serde_json::from_value(overlay).unwrap(), Mode::Cluster).unwrap();
        let joined = base.join(&overlay);
        let old = Side { name: "test", spec: &spec, effective: &base };
        let new = Side { effective: &joined, ..old };
        prop_assert_eq!(diff(&old, &old), []);
        prop_assert_eq!(diff(&new, &new), []);
        for change in diff(&old, &new) {
            prop_assert_eq!(change.direction, Direction::Tightened, "{:?}", change);
        }
        for change in diff(&new, &old) {
            prop_assert_eq!(change.direction, Direction::Loosened, "{:?}", change);
        }
    }

    #[test]
    fn raising_the_class_never_removes_a_denial(spec in pods::specs()) {
        let engine = Engine::compile(&resolve(&baseline(json!({}))).unwrap());
        for rank in 1..5 {
            let (lower, higher) = (denials(&engine, rank - 1, &spec), denials(&engine, rank, &spec));
            prop_assert!(lower.is_subset(&higher), "rank {rank}: {lower:?} {higher:?}");
        }
    }
}

#[test]
fn what_is_unknown_or_wrong_is_refused_and_what_was_meant_is_named() {
    let one = |control: Value| json!({"controls": [control]});
    let all = json!({"Open": "Warn", "Public": "Warn", "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"});
    let table = [
        (one(json!({"id": "pod/priviliged", "effects": all})), "did you mean pod/privileged?"),
        (one(json!({"id": "image/digest-pinned", "effects": all, "params": {"demnd": "tag"}})), "did you mean demand?"),
        (one(json!({"id": "image/digest-pinned", "effects": all, "params": {"demand": "none"}})), "one of tag, digest"),
        (one(json!({"id": "pod/privileged", "effects": {"Open": "Deny"}})), "say what class Public has"),
        (one(json!({"id": "image/approved-registries", "effects": all})), "registries is required"),
        (
            one(json!({"id": "image/digest-pinned", "effects": all, "paramsByClass": {"Opne": {"demand": "tag"}}})),
            "did you mean Open?",
        ),
        (
            one(json!({"id": "pod/privileged", "effects":
                {"Open": "Deny", "Public": "Warn", "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"}})),
            "a higher class has a weaker effect",
        ),
        (json!({"podSecurityVersion": "v1.99"}), "v1.99 is not known"),
        (
            json!({"placement": [{"class": "Restrictd", "models": ["Government"], "countries": ["PK"], "grade": "Accredited"}]}),
            "did you mean Restricted?",
        ),
    ];
    for (changes, expected) in table {
        let problems = resolve(&baseline(changes.clone())).unwrap_err();
        assert_eq!(problems.category(), "Invalid", "{changes}");
        assert!(problems.to_string().contains(expected), "{changes}: {problems}");
    }
}

#[test]
fn a_newer_baseline_is_told_from_a_wrong_one() {
    let control = json!({"id": "pod/of-tomorrow", "effects": {}});
    let newer = resolve(&baseline(json!({"catalogue": "99.0.0", "controls": [control]}))).unwrap_err();
    assert_eq!(newer.category(), "NewerCatalogue");
    let wrong = json!([{"id": "pod/privileged", "effects": {"Open": "Deny"}}, control]);
    let both = resolve(&baseline(json!({"catalogue": "99.0.0", "controls": wrong}))).unwrap_err();
    assert_eq!(both.category(), "Invalid", "newer and wrong is wrong");
}

#[test]
fn an_overlay_holds_for_owners_of_its_jurisdictions() {
    let base = resolve(&baseline(json!({}))).unwrap();
    let overlay = json!({"title": "Punjab", "version": "1", "overlay": {"jurisdictions": ["Punjab"]}, "controls": [
        {"id": "image/digest-pinned", "effects": {"Open": "Deny", "Public": "Deny", "Restricted": "Deny",
            "Confidential": "Deny", "Secret": "Deny"}}]});
    let overlay = base.resolve_overlay("punjab", &serde_json::from_value(overlay).unwrap(), Mode::Cluster).unwrap();
    let engines = Engines::compile(&base, &[(vec!["Punjab".to_owned()], overlay)]);
    let mut registry = Registry::usual();
    let lahore = json!({"displayName": "Lahore", "jurisdiction": "Punjab"});
    registry.entities.insert("lahore".to_owned(), serde_json::from_value(lahore).unwrap());
    let effect = |owner| engines.for_owner(Some(owner), &registry).effect(0, "image/digest-pinned");
    assert_eq!([effect("fbr"), effect("lahore"), effect("nobody")], [Effect::Warn, Effect::Deny, Effect::Warn]);
    assert_eq!(engines.for_owner(Some("lahore"), &registry).regime.overlays, ["punjab"]);
}

#[test]
fn an_overlay_keeps_the_parameters_that_it_leaves_out() {
    let spec = baseline(json!({}));
    let base = resolve(&spec).unwrap();
    let params = |effective: &Effective, id: &str, rank: usize, name: &str| {
        let terms = effective.controls.iter().find(|terms| terms.control.id == id).unwrap();
        terms.by_class[rank].params.get(name).cloned()
    };
    let joined = |named: &Value| {
        let overlay = json!({"title": "Punjab", "version": "1", "overlay": {"jurisdictions": ["Punjab"]},
            "controls": [named]});
        let overlay = base.resolve_overlay("punjab", &serde_json::from_value(overlay).unwrap(), Mode::Cluster);
        base.join(&overlay.unwrap())
    };
    let (pinned, deny, token) = ("image/digest-pinned", "network/default-deny", "pod/service-account-token");
    let effects =
        json!({"Open": "Deny", "Public": "Deny", "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"});
    for id in [pinned, deny, token, "pod/resource-bounds", "image/approved-registries"] {
        let joined = joined(&json!({"id": id, "effects": effects}));
        let (old, new) = (Side { name: "test", spec: &spec, effective: &base }, &joined);
        for change in diff(&old, &Side { effective: new, ..old }) {
            assert_eq!((change.control, change.what.as_str()), (Some(id), "effect"), "{change:?}");
        }
    }
    // The classes are by rank, from Open on.
    let table = [
        (pinned, json!({"params": {"demand": "digest"}}), 0, "demand", Some(json!("digest"))),
        (pinned, json!({"paramsByClass": {"Public": {"demand": "digest"}}}), 0, "demand", Some(json!("tag"))),
        (pinned, json!({"paramsByClass": {"Public": {"demand": "digest"}}}), 1, "demand", Some(json!("digest"))),
        (pinned, json!({"params": {"demand": "tag"}}), 2, "demand", None),
        (deny, json!({"params": {"dns": []}}), 2, "dns", Some(json!([]))),
        (deny, json!({"params": {"gateways": ["ingress"]}}), 2, "gateways", None),
        (token, json!({"params": {"maxTokenSeconds": 600}}), 0, "apiAccess", Some(json!("Declared"))),
        (token, json!({"params": {"maxTokenSeconds": 600}}), 0, "maxTokenSeconds", Some(json!(600))),
        (token, json!({"params": {"maxTokenSeconds": 3607}}), 3, "apiAccess", None),
    ];
    for (id, mut named, rank, name, expected) in table {
        named["id"] = json!(id);
        let declared = catalogue::find(id).unwrap().params.iter().find(|spec| spec.name == name).unwrap();
        let expected = expected.map(|value| declared.parse(&value).unwrap());
        assert_eq!(params(&joined(&named), id, rank, name), expected, "{name} of {rank} by {named}");
    }
    let dns = params(&base, deny, 2, "dns");
    assert!(dns.is_some());
    assert_eq!(params(&joined(&json!({"id": deny, "params": {"gateways": []}})), deny, 2, "dns"), dns);
}

#[test]
fn a_control_that_is_switched_off_is_missed_by_some_generated_pod() {
    // Each fault of the generator is found by some control, and every control of Pods finds some fault: a control whose
    // check became a no-op would be told here.
    let engine = Engine::compile(&resolve(&baseline(json!({}))).unwrap());
    let mut found = BTreeSet::new();
    for (pointer, value) in pods::faults() {
        let mut spec = fixture::conforming_spec();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[field] = value;
        found.extend(denials(&engine, 4, &spec).into_iter().map(|(control, _)| control));
    }
    let of_pods = catalogue::ALL.iter().filter(|control| matches!(control.check, amanat::control::Check::Pod(_)));
    let missed: Vec<_> = of_pods.map(|control| control.id).filter(|id| !found.contains(*id)).collect();
    assert_eq!(missed, [""; 0]);
}
