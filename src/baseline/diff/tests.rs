use serde_json::{Value, json};

use super::*;
use crate::baseline::{Mode, shipped};
use crate::catalogue;

fn spec(changes: &[(&str, Value)]) -> SecurityBaselineSpec {
    let mut value = serde_json::to_value(shipped().unwrap().spec).unwrap();
    for (pointer, change) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap();
        match (parent, change) {
            (Value::Object(map), Value::Null) => drop(map.remove(key)),
            (Value::Object(map), change) => drop(map.insert(key.to_owned(), change.clone())),
            (Value::Array(list), change) => list[key.parse::<usize>().unwrap()] = change.clone(),
            _ => unreachable!("{pointer}"),
        }
    }
    serde_json::from_value(value).unwrap()
}

fn compared(old: &SecurityBaselineSpec, new: &SecurityBaselineSpec) -> Vec<String> {
    let base = Effective::resolve("test", &shipped().unwrap().spec, Mode::Offline).unwrap();
    let resolve = |spec: &SecurityBaselineSpec| match spec.overlay {
        Some(_) => base.join(&base.resolve_overlay("test", spec, Mode::Offline).unwrap()),
        None => Effective::resolve("test", spec, Mode::Offline).unwrap(),
    };
    let (before, after) = (resolve(old), resolve(new));
    let side = |spec, effective| Side { name: "test", spec, effective };
    let told = |change: Change| {
        let words = [change.class.as_deref(), change.control, Some(change.what.as_str())];
        let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let word = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        format!("{} {words}: {} -> {}", change.direction.as_str(), word(change.from), word(change.to))
    };
    diff(&side(old, &before), &side(new, &after)).into_iter().map(told).collect()
}

fn index(id: &str) -> usize {
    shipped().unwrap().spec.controls.iter().position(|control| control.id == id).unwrap()
}

#[test]
fn every_field_is_told_in_its_direction_and_turned_round_in_the_other() {
    let of = |id: &str, field: &str| format!("/controls/{}/{field}", index(id));
    let rollout = |cap: &str, until: &str| {
        json!([{"namespaces": ["old-*"], "effectCap": cap,
        "until": format!("2027-{until}T00:00:00Z"), "reason": "rollout"}])
    };
    let warn =
        json!({"Open": "Warn", "Public": "Warn", "Restricted": "Warn", "Confidential": "Deny", "Secret": "Deny"});
    let uid = of("pod/run-as-user", "params");
    let registries = of("image/approved-registries", "params");
    let gateways = of("network/default-deny", "paramsByClass");
    // A change that loosens, as it is told.
    let table: &[(&str, Value, Value, &str)] = &[
        (
            &of("pod/seccomp-profile", "effects"),
            Value::Null,
            warn,
            "Restricted pod/seccomp-profile effect: Deny -> Warn",
        ),
        (&uid, json!({"minUid": 2000}), json!({"minUid": 1000}), "Secret pod/run-as-user minUid: 2000 -> 1000"),
        (
            &registries,
            json!({"registries": ["r.io/a"]}),
            json!({"registries": ["r.io"]}),
            "Secret image/approved-registries registries: [r.io/a] -> [r.io]",
        ),
        (
            &gateways,
            json!({}),
            json!({"Secret": {"gateways": ["ingress"]}}),
            "Secret network/default-deny gateways: none -> [ingress]",
        ),
        ("/graceOnRaise", json!("168h"), json!("10d"), "spec.graceOnRaise: 168h -> 240h"),
        ("/graceOnSuspension", json!("720h"), json!("721h"), "spec.graceOnSuspension: 720h -> 721h"),
        ("/undeclared", json!("Warn"), json!("Disabled"), "spec.undeclared: Warn -> Disabled"),
        ("/clusterScoped", json!("Warn"), json!("Audit"), "spec.clusterScoped: Warn -> Audit"),
        ("/exemptions/maxDays/Secret", json!(30), json!(31), "Secret exemptions.maxDays: 30 -> 31"),
        (
            "/exemptions/nonWaivable",
            json!(["pod/privileged"]),
            json!([]),
            "spec.exemptions.nonWaivable: pod/privileged -> none",
        ),
        ("/administrators/groups", json!([]), json!(["ops"]), "spec.administrators: none -> ops"),
        ("/restorers/groups", json!([]), json!(["ops"]), "spec.restorers: none -> ops"),
        ("/approvers/groups", json!([]), json!(["ops"]), "spec.approvers: none -> ops"),
        (
            "/rollout",
            json!([]),
            rollout("Warn", "01-01"),
            "spec.rollout of old-*: none -> at most Warn until 2027-01-01T00:00:00Z (rollout)",
        ),
        (
            "/rollout",
            rollout("Warn", "01-01"),
            rollout("Audit", "01-01"),
            "spec.rollout of old-*: at most Warn until 2027-01-01T00:00:00Z (rollout) -> at most Audit until \
             2027-01-01T00:00:00Z (rollout)",
        ),
    ];
    for (pointer, strict, loose, told) in table {
        let change = |value: &Value| if value.is_null() { spec(&[]) } else { spec(&[(pointer, value.clone())]) };
        let (strict, loose) = (change(strict), change(loose));
        let forth = compared(&strict, &loose);
        assert!(forth.contains(&format!("loosened {told}")), "{pointer}: {forth:#?}");
        assert!(forth.iter().all(|line| line.starts_with("loosened ")), "{pointer}: {forth:#?}");
        let back = compared(&loose, &strict);
        assert!(back.iter().all(|line| line.starts_with("tightened ")), "{pointer}: {back:#?}");
        assert_eq!(forth.len(), back.len(), "{pointer}");
        assert_eq!(compared(&loose, &loose), [""; 0], "{pointer}");
    }
}

#[test]
fn what_has_no_direction_is_told_as_changed() {
    let of = |id: &str, field: &str| format!("/controls/{}/{field}", index(id));
    let table: &[(&str, Value, &str)] = &[
        ("/version", json!("2"), "spec.version: 1 -> 2"),
        ("/podSecurityVersion", json!("v1.30"), "spec.podSecurityVersion: v1.37 -> v1.30"),
        ("/catalogue", json!("0.0.9"), "spec.catalogue: 0.1.0 -> 0.0.9"),
        ("/classes/4/level", json!("high"), "Secret level: highest -> high"),
        ("/classes/4/aliases", json!(["Top"]), "Secret aliases: none -> Top"),
        ("/exemptions/maxDays/Secret", Value::Null, "Secret exemptions.maxDays: 30 -> none"),
        (&of("pod/seccomp-profile", "supply"), json!(false), "pod/seccomp-profile supply: true -> false"),
    ];
    for (pointer, change, told) in table {
        assert_eq!(compared(&spec(&[]), &spec(&[(pointer, change.clone())])), [format!("changed {told}")], "{pointer}");
    }
    for control in catalogue::ALL.iter().filter(|control| control.supply.is_none()) {
        let new = spec(&[(&of(control.id, "supply"), json!(false))]);
        assert_eq!(compared(&spec(&[]), &new), [""; 0], "{} supplies nothing", control.id);
    }
    let warn =
        json!({"Open": "Warn", "Public": "Warn", "Restricted": "Warn", "Confidential": "Warn", "Secret": "Warn"});
    let warns = |supply: bool| {
        spec(&[
            (&of("pod/seccomp-profile", "effects"), warn.clone()),
            (&of("pod/seccomp-profile", "supply"), json!(supply)),
        ])
    };
    assert_eq!(compared(&warns(true), &warns(false)), [""; 0], "nothing is supplied where nothing is denied");
}

#[test]
fn placement_is_compared_by_what_is_decided() {
    let row = |class: &str, models: Value, countries: Value, grade: &str, approval: bool| json!({"class": class, "models": models, "countries": countries, "grade": grade, "approval": approval});
    let rows = |rows: Value| spec(&[("/placement", rows)]);
    let old = rows(json!([
        row("Open", json!(["Public"]), json!(["PK"]), "Accredited", false),
        row("Open", json!(["Private"]), json!(["PK"]), "Accredited", true),
    ]));
    // The same decisions, written in another way.
    let same = rows(json!([
        row("Open", json!(["Public"]), json!(["PK"]), "Accredited", false),
        row("Open", json!(["Private"]), json!(["PK"]), "Accredited", true),
        row("Open", json!(["Public", "Private"]), json!(["PK"]), "Accredited", false),
    ]));
    assert_eq!(compared(&old, &same), [""; 0]);
    let new = rows(json!([
        row("Open", json!(["Public"]), json!(["*"]), "Registered", false),
        row("Secret", json!(["Government"]), json!(["PK", "AE"]), "Registered", true),
    ]));
    assert_eq!(
        compared(&old, &new),
        [
            "loosened Open placement Public in AE, other countries, any grade: refused -> admitted",
            "loosened Open placement Public in PK, grade Registered: refused -> admitted",
            "loosened Secret placement Government in AE, PK, any grade: refused -> admitted with an approval",
            "tightened Open placement Private in PK, grade Accredited: admitted with an approval -> refused",
        ]
    );
}

#[test]
fn classes_and_controls_come_and_go() {
    let mut value = serde_json::to_value(spec(&[])).unwrap();
    value["classes"].as_array_mut().unwrap().retain(|class| class["name"] != "Public");
    value["placement"].as_array_mut().unwrap().retain(|row| row["class"] != "Public");
    value["exemptions"] = Value::Null;
    for control in value["controls"].as_array_mut().unwrap() {
        control["effects"].as_object_mut().unwrap().remove("Public");
        control.as_object_mut().unwrap().remove("paramsByClass");
    }
    value["controls"].as_array_mut().unwrap().retain(|control| control["id"] != "pod/privileged");
    let told = compared(&spec(&[]), &serde_json::from_value(value).unwrap());
    for line in [
        "changed spec.classes: Public -> none",
        "loosened Open pod/privileged effect: Deny -> Disabled",
        "tightened Open image/digest-pinned demand: tag -> none",
        "loosened spec.exemptions.nonWaivable: pod/privileged -> none",
    ] {
        assert!(told.iter().any(|told| told == line), "{line}: {told:#?}");
    }
    let compared = told.iter().any(|line| line.contains(" Public pod/") || line.contains(" Public placement"));
    assert!(!compared, "what only one of them has is told once: {told:#?}");
}

#[test]
fn overlays_are_compared_by_what_is_decided_with_them() {
    let overlay = |changes: Value| -> SecurityBaselineSpec {
        let mut value =
            json!({"title": "Punjab", "version": "1", "overlay": {"jurisdictions": ["Punjab"]}, "controls": []});
        for (key, change) in changes.as_object().unwrap() {
            value[key] = change.clone();
        }
        serde_json::from_value(value).unwrap()
    };
    let control = |id: &str, fields: Value| {
        let mut control = fields;
        control["id"] = json!(id);
        overlay(json!({"controls": [control]}))
    };
    let registries =
        |registries: Value| control("image/approved-registries", json!({"params": {"registries": registries}}));
    let of_secret = |id: &str, effect: &str| control(id, json!({"effects": {"Secret": effect}}));
    let gateways = |gateways: Value| control("network/default-deny", json!({"params": {"gateways": gateways}}));
    let placement = |countries: Value| {
        let row = json!({"class": "Open", "models": ["Public", "Government", "Private", "Hybrid"], "countries": countries, "grade": "Registered"});
        overlay(json!({"placement": [row]}))
    };
    let none = || overlay(json!({}));
    // The strict overlay, the loose one, and the words that tell of the way from the first to the second.
    let table = [
        (
            registries(json!(["r.io/a"])),
            registries(json!(["r.io"])),
            "Secret image/approved-registries registries: [r.io/a] -> [r.io]",
        ),
        (registries(json!(["r.io"])), none(), "Secret image/approved-registries registries: [r.io] -> none"),
        (of_secret("pod/seccomp-profile", "Deny"), none(), ""),
        (of_secret("pod/seccomp-profile", "Deny"), of_secret("pod/seccomp-profile", "Warn"), ""),
        (gateways(json!([])), gateways(json!(["ingress"])), ""),
        (overlay(json!({"graceOnRaise": "24h"})), none(), "spec.graceOnRaise: 24h -> 168h"),
        (overlay(json!({"graceOnRaise": "1000h"})), none(), ""),
        (
            overlay(json!({"administrators": {"groups": []}, "podSecurityVersion": "v1.30"})),
            overlay(json!({"administrators": {"groups": ["ops"]}})),
            "",
        ),
        (placement(json!(["AE"])), none(), "Open placement "),
        (placement(json!(["*"])), placement(json!(["*", "AE"])), ""),
    ];
    for (strict, loose, told) in table {
        let (forth, back) = (compared(&strict, &loose), compared(&loose, &strict));
        assert_eq!(forth.len(), back.len());
        assert_eq!(forth.is_empty(), told.is_empty(), "{forth:#?}");
        assert!(
            told.is_empty() || forth.iter().any(|line| line.starts_with(&format!("loosened {told}"))),
            "{forth:#?}"
        );
        assert!(forth.iter().all(|line| line.starts_with("loosened ")), "{forth:#?}");
        assert!(back.iter().all(|line| line.starts_with("tightened ")), "{back:#?}");
    }
}
