use serde_json::{Value, json};

use super::*;
use crate::baseline::shipped;
use crate::catalogue;
use crate::control::ParamKind;

const NOW: &str = "2026-06-01T00:00:00Z";

fn linted(value: Value, mode: Mode) -> Vec<String> {
    let shipped = shipped().unwrap();
    let effective = Effective::resolve("shipped", &shipped.spec, Mode::Offline).unwrap();
    let base = Side { name: "shipped", spec: &shipped.spec, effective: &effective };
    let spec: SecurityBaselineSpec = serde_json::from_value(value).unwrap();
    let told = |lint: Lint| format!("{} {}: {} [{}]", lint.level.as_str(), lint.path, lint.message, lint.rule);
    lint("test", &spec, &base, mode, NOW.parse().unwrap()).into_iter().map(told).collect()
}

/// The shipped baseline with registries, as a cluster takes it, and with some fields changed.
fn baseline(changes: Value) -> Value {
    let mut value = serde_json::to_value(shipped().unwrap().spec).unwrap();
    control(&mut value, "image/approved-registries")["params"] = json!({"registries": ["r.io"]});
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
    value
}

fn control<'a>(baseline: &'a mut Value, id: &str) -> &'a mut Value {
    baseline["controls"].as_array_mut().unwrap().iter_mut().find(|control| control["id"] == id).unwrap()
}

#[test]
fn what_ships_is_sound() {
    let value = serde_json::to_value(shipped().unwrap().spec).unwrap();
    insta::assert_snapshot!(linted(value.clone(), Mode::Offline).join("\n"));
    let in_a_cluster = linted(value, Mode::Cluster);
    assert!(in_a_cluster.iter().any(|line| line.starts_with("problem ") && line.contains("registries is required")));
    let worth_acting_on = |line: &&String| !line.starts_with("note ");
    assert_eq!(linted(baseline(json!({})), Mode::Cluster).iter().filter(worth_acting_on).count(), 0);
}

#[test]
fn every_rule_has_a_baseline_that_breaks_it() {
    let until = |instant: &str, cap: &str, namespace: &str| {
        json!([{"namespaces": [namespace], "effectCap": cap,
        "until": instant, "reason": "rollout"}])
    };
    let mut broken: Vec<Value> = vec![
        baseline(json!({"rollout": until("2026-06-01T00:00:05Z", "Warn", "a")})),
        baseline(json!({"rollout": until("2026-06-01T00:00:06Z", "Warn", "*")})),
        baseline(json!({"administrators": {"groups": []}, "undeclared": "Disabled", "podSecurityVersion": "v1.30"})),
        baseline(json!({"catalogue": "99.0.0"})),
        baseline(json!({"podSecurityVersion": "v1.99", "catalogue": "99.0.0"})),
        baseline(json!({"exemptions": {"maxDays": {"Open": 10, "Public": 20}, "nonWaivable": ["pod/privilegd"]}})),
        baseline(json!({"placement": [
            {"class": "Open", "models": ["Public"], "countries": ["*"], "grade": "Accredited"},
            {"class": "Open", "models": ["Public"], "countries": ["PK"], "grade": "Accredited"},
            {"class": "Public", "models": ["Public"], "countries": ["PK"], "grade": "Registered"},
            {"class": "Restricted", "models": ["Hybrid"], "countries": ["PK"], "grade": "Accredited"},
            {"class": "Secret", "models": ["Private"], "countries": ["PK"], "grade": "Accredited", "approval": true},
        ]})),
        json!({"title": "nothing", "version": "1", "overlay": {"jurisdictions": ["Punjab"]},
            "administrators": {"groups": ["x"]}, "controls": []}),
    ];
    let mut gentle = baseline(json!({"rollout": until("2027-01-01T00:00:00Z", "Warn", "a")}));
    for control in gentle["controls"].as_array_mut().unwrap() {
        control["effects"].as_object_mut().unwrap().values_mut().for_each(|effect| *effect = json!("Warn"));
    }
    gentle["controls"].as_array_mut().unwrap().retain(|control| control["id"] != "pod/privileged");
    broken.push(gentle);
    let mut effects = baseline(json!({"allowNonMonotone": true}));
    control(&mut effects, "pod/privileged")["effects"]["Secret"] = json!("Warn");
    broken.push(effects);
    let mut params = baseline(json!({}));
    control(&mut params, "image/digest-pinned")["paramsByClass"] = json!({"Secret": {"demand": "tag"}});
    control(&mut params, "image/approved-registries")["paramsByClass"] = json!({"Secret": {"registries": []}});
    broken.push(params);
    // Where a control stands among the others is no matter of this test.
    let anywhere = |line: String| match line.split_once("spec.controls[") {
        Some((before, rest)) => {
            format!("{before}spec.controls[{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line,
    };
    let mut told: Vec<String> =
        broken.into_iter().flat_map(|value| linted(value, Mode::Cluster)).map(anywhere).collect();
    told.sort();
    told.dedup();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_boundary_instant_of_a_cap_counts_as_over() {
    let capped = |until: &str| {
        let rollout = json!([{"namespaces": ["a"], "effectCap": "Warn", "until": until, "reason": "rollout"}]);
        linted(baseline(json!({"rollout": rollout})), Mode::Cluster).iter().any(|line| line.contains("[rollout-over]"))
    };
    assert!(capped(NOW) && capped("2026-06-01T00:00:05Z") && !capped("2026-06-01T00:00:06Z"));
}

#[test]
fn an_overlay_that_tightens_is_let_be() {
    let effects =
        json!({"Open": "Deny", "Public": "Deny", "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"});
    let overlay = json!({"title": "Punjab", "version": "1", "overlay": {"jurisdictions": ["Punjab"]},
        "controls": [{"id": "image/digest-pinned", "effects": effects}]});
    assert_eq!(linted(overlay, Mode::Cluster), [""; 0]);
}

#[test]
fn what_allows_nothing_is_told_of_every_such_list_joined_or_not() {
    let of_rule = |value: Value| -> Vec<String> {
        let lines = linted(value, Mode::Cluster).into_iter();
        lines.filter(|line| line.ends_with("[denies-everything]")).collect()
    };
    let lists = catalogue::ALL.iter().flat_map(|control| control.params.iter().map(move |spec| (control, spec)));
    let lists = lists.filter(|(_, spec)| matches!(spec.kind, ParamKind::Allowed | ParamKind::Registries));
    let lists: Vec<_> = lists.collect();
    assert!(lists.len() > 3);
    for (named, spec) in lists {
        let effects = |effect: &str| json!({"Open": effect, "Public": effect, "Restricted": effect, "Confidential": effect, "Secret": effect});
        let set = |value: &mut Value, effect: &str, list: &[&str]| {
            let control = control(value, named.id);
            control["effects"] = effects(effect);
            control["params"][spec.name] = json!(list);
        };
        let mut own = baseline(json!({}));
        set(&mut own, "Deny", &[]);
        assert_eq!(of_rule(own).len(), 5, "{} {}", named.id, spec.name);
        let mut own = baseline(json!({}));
        set(&mut own, "Warn", &[]);
        assert_eq!(of_rule(own), [""; 0], "{} {}: it refuses nothing", named.id, spec.name);
        // An overlay alone is sound; what it has in common with the base is nothing.
        let overlay = |list: &[&str]| {
            json!({"title": "Punjab", "version": "1", "overlay": {"jurisdictions": ["Punjab"]},
                "controls": [{"id": named.id, "effects": effects("Deny"), "params": {spec.name: list}}]})
        };
        let mut base = baseline(json!({}));
        set(&mut base, "Deny", &["r.io"]);
        let (empty, same) = (of_rule_on(&base, overlay(&["else.io"])), of_rule_on(&base, overlay(&["r.io"])));
        assert_eq!((empty.len(), same.len()), (5, 0), "{} {}: {empty:?}", named.id, spec.name);
        assert!(empty.iter().all(|line| line.contains("when it is joined to base")), "{empty:?}");
        // What the base refuses already is told of the base.
        set(&mut base, "Deny", &[]);
        assert_eq!(of_rule_on(&base, overlay(&["else.io"])), [""; 0], "{} {}", named.id, spec.name);
    }
}

/// What the rule says of an overlay on a base.
fn of_rule_on(base: &Value, overlay: Value) -> Vec<String> {
    let base: SecurityBaselineSpec = serde_json::from_value(base.clone()).unwrap();
    let effective = Effective::resolve("base", &base, Mode::Offline).unwrap();
    let base = Side { name: "base", spec: &base, effective: &effective };
    let overlay: SecurityBaselineSpec = serde_json::from_value(overlay).unwrap();
    let lints = lint("test", &overlay, &base, Mode::Cluster, NOW.parse().unwrap()).into_iter();
    lints.filter(|lint| lint.rule == "denies-everything").map(|lint| lint.message).collect()
}
