//! How namespaces stand: every state of the design, by table and at its boundary instants.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use amanat::control::{Regime, Standing};
use amanat::engine::{Declaration, NamespaceFacts, governance, standing};
use fixture::{Registry, declaration, engine, instant, provider};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

struct Asked {
    name: &'static str,
    label: Option<&'static str>,
    declared: Option<Value>,
}

fn stand(regime: &Regime, registry: &Registry, asked: &Asked, now: Timestamp) -> Standing {
    let spec = asked.declared.clone().map(declaration);
    let facts = NamespaceFacts {
        name: asked.name,
        system: asked.name == "kube-system",
        label: asked.label,
        declaration: spec.as_ref().map(|spec| Declaration {
            spec,
            created: Some(instant("01-01T00:00:00")),
            recorded_class: None,
            class_since: None,
            unacceptable_since: None,
        }),
    };
    standing(regime, &facts, registry, now)
}

#[test]
fn every_state() {
    let engine = engine(json!({}));
    let registry = Registry::usual();
    let says = |name, label, declared: Option<Value>| {
        let standing = stand(&engine.regime, &registry, &Asked { name, label, declared }, instant("06-01T00:00:00"));
        match standing {
            Standing::System => "system".to_owned(),
            Standing::Undeclared => "undeclared".to_owned(),
            Standing::Pending(_) => "pending".to_owned(),
            Standing::Governed(governed) => {
                let accepted = if governed.acceptance.accepted() { "" } else { ", unacceptable" };
                format!("{}{accepted}", engine.regime.class_name(governed.rank))
            }
        }
    };
    let table = [
        ("kube-system", Some("Secret"), Some(json!({})), "system"),
        ("default", None, Some(json!({})), "undeclared"),
        ("a", None, None, "undeclared"),
        ("a", None, Some(json!({})), "Restricted"),
        ("a", Some("Restricted"), Some(json!({})), "Restricted"),
        // An alias is the class.
        ("a", None, Some(json!({"dataClass": "Sensitive"})), "Confidential"),
        // The label is the memory: a lower declaration doesn't lower, a higher one raises at once.
        ("a", Some("Confidential"), Some(json!({})), "Confidential"),
        ("a", Some("Open"), Some(json!({})), "Restricted"),
        // A label that is no class holds as the strictest.
        ("a", Some("Opne"), Some(json!({})), "Secret"),
        ("a", Some("Restricted"), None, "Restricted, unacceptable"),
        ("a", None, Some(json!({"model": "Public"})), "pending"),
        ("a", Some("Restricted"), Some(json!({"model": "Public"})), "Restricted, unacceptable"),
        ("a", None, Some(json!({"provider": "nobody"})), "pending"),
        ("a", None, Some(json!({"owner": "nobody"})), "pending"),
        ("a", None, Some(json!({"dataClass": "TopSecret"})), "pending"),
        ("a", None, Some(json!({"dataClass": "Secret"})), "pending"),
        ("a", None, Some(json!({"dataClass": "Open", "model": "Hybrid"})), "pending"),
    ];
    for (name, label, declared, expected) in table {
        assert_eq!(says(name, label, declared.clone()), expected, "{name} {label:?} {declared:?}");
    }
}

#[test]
fn a_refused_placement_names_the_rows_and_the_field_that_fits_none() {
    let engine = engine(json!({}));
    let mut registry = Registry::usual();
    registry.providers.insert("abroad".to_owned(), provider(json!({"sites": [{"name": "x", "country": "AE"}]})));
    registry.providers.insert("registered".to_owned(), provider(json!({"grade": "Registered"})));
    let reasons = |changes| {
        let asked = Asked { name: "a", label: None, declared: Some(changes) };
        let standing = stand(&engine.regime, &registry, &asked, instant("06-01T00:00:00"));
        let against: Vec<String> = standing
            .acceptance()
            .unwrap()
            .against()
            .map(|finding| format!("{} {}: {}; {}", finding.control, finding.path, finding.message, finding.fix))
            .collect();
        against.join("\n")
    };
    let cases = [
        json!({"model": "Public"}),
        json!({"provider": "abroad"}),
        json!({"provider": "registered"}),
        json!({"dataClass": "Secret"}),
        json!({"dataClass": "Open", "model": "Hybrid"}),
        json!({"service": "SaaS"}),
        json!({"site": "khi-1"}),
        json!({"dataClass": "Restrictd"}),
    ];
    let told: Vec<String> = cases.into_iter().map(|case| format!("{case}\n{}", reasons(case.clone()))).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn a_provider_is_judged_at_the_instant() {
    let engine = engine(json!({}));
    let table = [
        (json!({"state": "Suspended"}), "06-01T00:00:00", false),
        (json!({"state": "Revoked"}), "06-01T00:00:00", false),
        // Clocks may differ by five seconds: it begins that much late, and ends that much early.
        (json!({"validFrom": "2026-06-01T00:00:00Z"}), "06-01T00:00:04", false),
        (json!({"validFrom": "2026-06-01T00:00:00Z"}), "06-01T00:00:05", true),
        (json!({"validUntil": "2026-06-01T00:00:00Z"}), "05-31T23:59:54", true),
        // The boundary instant counts as expired.
        (json!({"validUntil": "2026-06-01T00:00:00Z"}), "05-31T23:59:55", false),
        (json!({"maxDataClass": "Public"}), "06-01T00:00:00", false),
        (json!({"maxDataClass": "Restricted"}), "06-01T00:00:00", true),
        (json!({"maxDataClass": "Everything"}), "06-01T00:00:00", false),
        (json!({"models": ["Private"]}), "06-01T00:00:00", false),
        (json!({"sites": []}), "06-01T00:00:00", false),
    ];
    for (changes, now, accepted) in table {
        let mut registry = Registry::usual();
        registry.providers.insert("ntc".to_owned(), provider(changes.clone()));
        let asked = Asked { name: "a", label: None, declared: Some(json!({})) };
        let standing = stand(&engine.regime, &registry, &asked, instant(now));
        assert_eq!(standing.acceptance().unwrap().accepted(), accepted, "{changes} at {now}");
    }
}

#[test]
fn grace_begins_where_it_was_recorded_and_ends_before_its_boundary() {
    let engine = engine(json!({"graceOnRaise": "24h", "graceOnSuspension": "48h"}));
    let mut registry = Registry::usual();
    let spec = declaration(json!({}));
    let facts = |recorded, since, unacceptable| NamespaceFacts {
        name: "a",
        system: false,
        label: Some("Restricted"),
        declaration: Some(Declaration {
            spec: &spec,
            created: Some(instant("01-01T00:00:00")),
            recorded_class: recorded,
            class_since: since,
            unacceptable_since: unacceptable,
        }),
    };
    let raise = |recorded, since, now: &str| {
        let standing = standing(&engine.regime, &facts(recorded, since, None), &Registry::usual(), instant(now));
        standing.governed().unwrap().raise.map(|grace| grace.from)
    };
    let created = instant("01-01T00:00:00");
    assert_eq!(raise(None, None, "01-01T12:00:00"), Some(created), "a first declaration");
    assert_eq!(raise(None, None, "01-01T23:59:54"), Some(created));
    assert_eq!(raise(None, None, "01-01T23:59:55"), None, "the boundary is over, and clocks may differ");
    assert_eq!(
        raise(Some("Open"), Some(created), "03-01T00:00:00"),
        Some(instant("03-01T00:00:00")),
        "not recorded yet"
    );
    let since = instant("02-01T00:00:00");
    assert_eq!(raise(Some("Restricted"), Some(since), "02-01T23:59:54"), Some(since));
    assert_eq!(raise(Some("Restricted"), Some(since), "02-01T23:59:55"), None);

    registry.providers.insert("ntc".to_owned(), provider(json!({"state": "Suspended"})));
    let suspended = |unacceptable, now: &str| {
        let standing = standing(&engine.regime, &facts(None, None, unacceptable), &registry, instant(now));
        standing.governed().unwrap().suspension.map(|grace| grace.from)
    };
    assert_eq!(suspended(None, "05-01T00:00:00"), Some(instant("05-01T00:00:00")), "not recorded yet counts as now");
    assert_eq!(suspended(Some(instant("05-01T00:00:00")), "05-02T23:59:54"), Some(instant("05-01T00:00:00")));
    assert_eq!(suspended(Some(instant("05-01T00:00:00")), "05-02T23:59:55"), None);
}

#[test]
fn a_cap_holds_in_its_namespaces_until_its_instant() {
    let engine = engine(json!({"rollout": [
        {"namespaces": ["legacy-*", "old", "*-lab", "a*b*c"], "effectCap": "Warn", "until": "2026-06-01T00:00:00Z", "reason": "rollout"}]}));
    let registry = Registry::usual();
    let table = [
        ("legacy-a", "05-31T23:59:54", true),
        ("legacy-a", "05-31T23:59:55", false),
        ("legacy-", "05-01T00:00:00", true),
        ("legacy", "05-01T00:00:00", false),
        ("a-legacy-a", "05-01T00:00:00", false),
        ("x-lab", "05-01T00:00:00", true),
        ("x-lab-y", "05-01T00:00:00", false),
        ("a-b-b-c", "05-01T00:00:00", true),
        ("abc", "05-01T00:00:00", true),
        ("a-c", "05-01T00:00:00", false),
        ("ab-c-d", "05-01T00:00:00", false),
        ("old", "05-01T00:00:00", true),
        ("older", "05-01T00:00:00", false),
    ];
    for (name, now, capped) in table {
        let asked = Asked { name, label: None, declared: Some(json!({})) };
        let standing = stand(&engine.regime, &registry, &asked, instant(now));
        assert_eq!(standing.governed().unwrap().cap.is_some(), capped, "{name} at {now}");
    }
    let asked = Asked { name: "old", label: None, declared: Some(json!({})) };
    let now = instant("05-01T00:00:00");
    let capped = stand(&engine.regime, &registry, &asked, now);
    let next = governance::next_instant(&capped, Some(&declaration(json!({}))), &registry, now);
    assert_eq!(next, Some(instant("05-31T23:59:55")), "the nearest instant at which it may stand otherwise");
}

#[test]
fn what_runs_out_ends_once_and_at_the_instant_that_is_told() {
    let engine = engine(json!({"graceOnRaise": "60s", "graceOnSuspension": "60s", "rollout": [
        {"namespaces": ["a"], "effectCap": "Warn", "until": "2026-06-01T00:00:00Z", "reason": "rollout"}]}));
    let spec = declaration(json!({}));
    let since = instant("05-31T23:59:00");
    let declaration = Declaration {
        spec: &spec,
        created: Some(instant("01-01T00:00:00")),
        recorded_class: Some("Restricted"),
        class_since: Some(since),
        unacceptable_since: Some(since),
    };
    let facts = NamespaceFacts { name: "a", system: false, label: Some("Restricted"), declaration: Some(declaration) };
    let mut registry = Registry::usual();
    registry.providers.insert("ntc".to_owned(), provider(json!({"state": "Suspended"})));
    let at = |now| {
        let standing = standing(&engine.regime, &facts, &registry, now);
        let next = governance::next_instant(&standing, Some(&spec), &registry, now);
        let governed = standing.governed().unwrap();
        let graces = [governed.raise, governed.suspension].map(|grace| grace.map(|grace| grace.until));
        ([graces[0], graces[1], governed.cap.as_ref().map(|cap| cap.until)], next)
    };
    let end = instant("05-31T23:59:55");
    assert_eq!(at(since), ([Some(end); 3], Some(end)));
    assert_eq!(at(end - SignedDuration::from_millis(1)), ([Some(end); 3], Some(end)));
    assert_eq!(at(end), ([None; 3], None));
}

#[test]
fn a_grace_shorter_than_clocks_may_differ_is_over_at_once() {
    for (length, holds) in [("5s", false), ("6s", true)] {
        let engine = engine(json!({"graceOnRaise": length}));
        let asked = Asked { name: "a", label: None, declared: Some(json!({})) };
        let standing = stand(&engine.regime, &Registry::usual(), &asked, instant("01-01T00:00:00"));
        assert_eq!(standing.governed().unwrap().raise.is_some(), holds, "{length}");
    }
}

proptest! {
    /// The leader's clock and that of the replica that decides are off by some seconds each, and differ by no more than
    /// five. `passed` is the time since the change, by neither of them.
    #[test]
    fn skewed_clocks_loosen_nothing(leader in -5_i64..=5, apart in -5_i64..=5, passed in -90_i64..90) {
        const LENGTH: i64 = 60;
        let replica = (leader + apart).clamp(-5, 5);
        let engine = engine(json!({"graceOnRaise": "60s", "graceOnSuspension": "60s", "rollout": [
            {"namespaces": ["a"], "effectCap": "Warn", "until": "2026-06-01T00:00:00Z", "reason": "rollout"}]}));
        let change = instant("06-01T00:00:00");
        let after = |seconds: i64| change + SignedDuration::from_secs(seconds);
        let spec = declaration(json!({}));
        let mut registry = Registry::usual();
        registry.providers.insert("ntc".to_owned(), provider(json!({"state": "Suspended"})));
        let stand = |registry: &Registry, recorded: Option<Timestamp>, now: Timestamp| {
            let declaration = Declaration {
                spec: &spec,
                created: Some(instant("01-01T00:00:00")),
                recorded_class: Some("Restricted"),
                class_since: recorded,
                unacceptable_since: recorded,
            };
            let facts = NamespaceFacts {
                name: "a", system: false, label: Some("Restricted"), declaration: Some(declaration) };
            standing(&engine.regime, &facts, registry, now).governed().unwrap().clone()
        };
        let (recorded, now) = (after(leader), after(passed + replica));
        let governed = stand(&registry, Some(recorded), now);
        for grace in [governed.raise, governed.suspension].into_iter().flatten() {
            prop_assert!(passed < LENGTH, "whoever recorded it and whoever asks, it is over in time");
            prop_assert!(grace.from <= recorded && grace.from <= now, "nothing made since is older: {:?}", grace);
        }
        // The other way it is bounded too: no sooner than by both clocks' error and the allowance.
        prop_assert!(!(0..LENGTH - 10).contains(&passed) || governed.raise.is_some());
        // What is recorded decides no acceptance and no class.
        let unrecorded = stand(&registry, None, now);
        prop_assert_eq!((&governed.acceptance, governed.rank), (&unrecorded.acceptance, unrecorded.rank));
        // A cap is over everywhere when it ends.
        prop_assert!(passed < 0 || governed.cap.is_none());
        prop_assert!(passed >= -10 || governed.cap.is_some());
        // So is a registration, and the grace that follows it; one that begins has begun nowhere before.
        registry.providers.insert("ntc".to_owned(), provider(json!({"validUntil": change.to_string()})));
        let ended = stand(&registry, None, now);
        prop_assert!(passed < 0 || !ended.acceptance.accepted());
        prop_assert!(passed >= -10 || ended.acceptance.accepted());
        prop_assert!(passed < LENGTH || ended.suspension.is_none());
        registry.providers.insert("ntc".to_owned(), provider(json!({"validFrom": change.to_string()})));
        let begun = stand(&registry, None, now).acceptance.accepted();
        prop_assert!(passed >= 0 || !begun);
        prop_assert!(passed < 10 || begun);
    }
}
