//! The labels of the built-in Pod Security admission: who may change them to what, and what a manifest may say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use amanat::api::Effect;
use amanat::control::{Actor, Kind, Operation, Standing, Subject};
use amanat::engine::{Engine, Request, Verdict};
use fixture::{Registry, engine, governed, instant};
use serde_json::{Value, json};

const PREFIX: &str = "pod-security.kubernetes.io/";
const CONTROL: &str = "pod/security-admission-labels";

fn namespace(labels: &[(&str, &str)]) -> Subject {
    let class = json!({"amanat.dev/data-class": "Restricted"});
    let mut object = json!({"metadata": {"name": "a", "labels": class}});
    for (mode, level) in labels {
        object["metadata"]["labels"][format!("{PREFIX}{mode}")] = json!(level);
    }
    Subject::from_manifest(Kind::Namespace, object).unwrap()
}

fn actor(user: &str, groups: &[&str]) -> Actor {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Actor::new(user, groups, "system:serviceaccount:amanat-system:amanat", &[])
}

fn decide(
    engine: &Engine,
    standing: &Standing,
    actor: Option<&Actor>,
    old: Option<&Subject>,
    new: &Subject,
) -> Verdict {
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let (context, now) = (&Registry::usual(), instant("06-01T00:00:00"));
    engine.decide(&Request { operation, subject: new, old, actor, standing, context, now })
}

fn refused(verdict: &Verdict) -> Vec<String> {
    verdict.with(Effect::Deny).map(|outcome| outcome.finding.path.to_string()).collect()
}

#[test]
fn a_tenant_weakens_no_label_below_what_the_class_demands() {
    let engine = engine(json!({}));
    let tenant = actor("tenant", &["system:authenticated"]);
    let all = [("enforce", "restricted"), ("audit", "restricted"), ("warn", "restricted")];
    type Labels = &'static [(&'static str, &'static str)];
    // Class, cap, the labels before and after, and the label that is refused.
    let table: &[(&str, Option<Effect>, Labels, Labels, &str)] = &[
        ("Restricted", None, &[("enforce", "restricted")], &[("enforce", "baseline")], "enforce"),
        ("Restricted", None, &[("enforce", "restricted")], &[("enforce", "none")], "enforce"),
        ("Restricted", None, &[("enforce", "restricted")], &[], "enforce"),
        ("Restricted", None, &[("warn", "restricted")], &[("warn", "privileged")], "warn"),
        ("Restricted", None, &[("audit", "restricted")], &[], "audit"),
        // What grace keeps low is lowered no further, and may be raised.
        ("Restricted", None, &[("enforce", "baseline")], &[("enforce", "privileged")], "enforce"),
        ("Restricted", None, &[("enforce", "privileged")], &[("enforce", "baseline")], ""),
        ("Restricted", None, &[("enforce", "privileged")], &[], ""),
        // Above what the class demands, levels come and go.
        ("Public", None, &[("enforce", "restricted")], &[("enforce", "baseline")], ""),
        ("Public", None, &[("enforce", "baseline")], &[("enforce", "restricted")], ""),
        ("Public", None, &[("enforce", "baseline")], &[("enforce", "privileged")], "enforce"),
        // A cap takes from `enforce` alone.
        ("Restricted", Some(Effect::Warn), &[("enforce", "restricted")], &[], ""),
        ("Restricted", Some(Effect::Warn), &[("warn", "restricted")], &[("warn", "baseline")], "warn"),
        ("Restricted", Some(Effect::Deny), &[("enforce", "restricted")], &[], "enforce"),
        // Versions: the pinned one or a later one, and later is what none means.
        ("Restricted", None, &[("enforce-version", "v1.37")], &[("enforce-version", "v1.20")], "enforce-version"),
        ("Restricted", None, &[("enforce-version", "v1.37")], &[("enforce-version", "soon")], "enforce-version"),
        ("Restricted", None, &[], &[("warn-version", "v1.1")], "warn-version"),
        ("Restricted", None, &[("enforce-version", "v1.37")], &[("enforce-version", "latest")], ""),
        ("Restricted", None, &[("enforce-version", "v1.37")], &[], ""),
        ("Restricted", None, &[("enforce-version", "latest")], &[("enforce-version", "v1.37")], ""),
        ("Restricted", None, &[("enforce-version", "v1.34")], &[("enforce-version", "v1.35")], ""),
        ("Restricted", None, &[("other", "a")], &[("other", "b")], ""),
    ];
    for (class, cap, before, after, expected) in table {
        // Whatever isn't named stays as the operator wrote it.
        let with = |named: &[(&'static str, &'static str)], both: &[(&str, &str)]| {
            let touched = |mode: &str| both.iter().any(|(named, _)| *named == mode);
            let mut labels: Vec<_> = all.iter().filter(|(mode, _)| !touched(mode)).copied().collect();
            labels.extend(named);
            namespace(&labels)
        };
        let both: Vec<_> = before.iter().chain(*after).copied().collect();
        let (old, new) = (with(before, &both), with(after, &both));
        let standing = governed(&engine, class, *cap);
        let found = refused(&decide(&engine, &standing, Some(&tenant), Some(&old), &new));
        let expected: Vec<_> =
            (!expected.is_empty()).then(|| format!("metadata.labels[{PREFIX}{expected}]")).into_iter().collect();
        assert_eq!(found, expected, "{class} {cap:?} {before:?} -> {after:?}");
    }
}

#[test]
fn administrators_amanat_and_the_control_plane_pass() {
    let engine = engine(json!({"administrators": {"groups": ["ops"]}}));
    let (old, new) = (namespace(&[("enforce", "restricted")]), namespace(&[]));
    let standing = governed(&engine, "Restricted", None);
    for (user, groups, passes) in [
        ("tenant", &["system:authenticated"][..], false),
        ("root", &["system:masters"], false),
        ("admin", &["ops"], true),
        ("system:serviceaccount:amanat-system:amanat", &[], true),
        ("system:serviceaccount:kube-system:namespace-controller", &[], true),
    ] {
        let verdict = decide(&engine, &standing, Some(&actor(user, groups)), Some(&old), &new);
        assert_eq!(refused(&verdict).is_empty(), passes, "{user}");
    }
}

#[test]
fn a_namespace_that_is_made_or_not_governed_is_let_be() {
    let engine = engine(json!({}));
    let tenant = actor("tenant", &[]);
    let (strict, weak) = (namespace(&[("enforce", "restricted")]), namespace(&[("enforce", "privileged")]));
    let of_control = |verdict: Verdict| verdict.outcomes.iter().any(|outcome| outcome.finding.control == CONTROL);
    let governed = governed(&engine, "Restricted", None);
    assert!(!of_control(decide(&engine, &governed, Some(&tenant), None, &weak)));
    for standing in [Standing::Undeclared, Standing::System, Standing::Pending(Default::default())] {
        assert!(!of_control(decide(&engine, &standing, Some(&tenant), Some(&strict), &weak)), "{standing:?}");
    }
    assert!(of_control(decide(&engine, &governed, Some(&tenant), Some(&strict), &weak)));
}

#[test]
fn a_manifest_may_leave_labels_out_and_say_no_less() {
    let engine = engine(json!({}));
    let found = |class: &str, labels: &[(&str, &str)]| {
        refused(&decide(&engine, &governed(&engine, class, None), None, None, &namespace(labels)))
    };
    assert_eq!(found("Restricted", &[]), [""; 0]);
    assert_eq!(found("Restricted", &[("enforce", "restricted"), ("enforce-version", "latest")]), [""; 0]);
    assert_eq!(found("Restricted", &[("enforce", "baseline")]), [format!("metadata.labels[{PREFIX}enforce]")]);
    assert_eq!(found("Restricted", &[("warn-version", "v1.2")]), [format!("metadata.labels[{PREFIX}warn-version]")]);
    assert_eq!(found("Public", &[("enforce", "baseline")]), [""; 0]);
}

#[test]
fn the_effect_is_that_of_the_namespaces_class() {
    let mut controls = serde_json::to_value(fixture::baseline(json!({})).controls).unwrap();
    let labels = |control: &&mut Value| control["id"] == CONTROL;
    controls.as_array_mut().unwrap().iter_mut().find(labels).unwrap()["effects"]["Open"] = json!("Warn");
    let engine = engine(json!({"controls": controls}));
    let tenant = actor("tenant", &[]);
    let (old, new) = (namespace(&[("enforce", "restricted")]), namespace(&[("enforce", "privileged")]));
    for (class, effect) in [("Open", Effect::Warn), ("Public", Effect::Deny)] {
        let verdict = decide(&engine, &governed(&engine, class, None), Some(&tenant), Some(&old), &new);
        let found = verdict.outcomes.iter().find(|outcome| outcome.finding.control == CONTROL).unwrap();
        assert_eq!(found.effect, effect, "{class}");
    }
}
