//! What values are refused, and which of two is the stricter.

use super::*;
use serde_json::json;

fn spec(kind: ParamKind) -> ParamSpec {
    ParamSpec { name: "p", kind, required: false, doc: "" }
}

#[test]
fn refuses_what_is_not_of_the_kind() {
    let table = [
        (ParamKind::Allowed, json!("a")),
        (ParamKind::Allowed, json!([1])),
        (ParamKind::Allowed, json!([""])),
        (ParamKind::Registries, json!(["https://registry.example.org"])),
        (ParamKind::Registries, json!(["registry.example.org//a"])),
        (ParamKind::Registries, json!(["registry.example.org/Team"])),
        (ParamKind::Registries, json!(["/a"])),
        (ParamKind::Registries, json!(["registry.example.org:port"])),
        (ParamKind::Networks, json!(["10.0.0.0/33"])),
        (ParamKind::Peers, json!([{"namespace": "a", "label": {}}])),
        (ParamKind::AtLeast(1, 5), json!(0)),
        (ParamKind::AtLeast(1, 5), json!("1")),
        (ParamKind::AtMost(1, 5), json!(6)),
        (ParamKind::AtMost(1, 5), json!(1.5)),
        (ParamKind::Choice(&["tag", "digest"]), json!("none")),
        (ParamKind::Ceilings(&["cpu"]), json!(["cpu"])),
        (ParamKind::Ceilings(&["cpu"]), json!({"memory": "1Gi"})),
        (ParamKind::Ceilings(&["cpu"]), json!({"cpu": "-1"})),
        (ParamKind::Ceilings(&["cpu"]), json!({"cpu": "much"})),
        (ParamKind::Ceilings(&["cpu"]), json!({"cpu": null})),
        (ParamKind::Supplies(&["cpu"]), json!({"cpu": 0})),
    ];
    for (kind, value) in table {
        assert!(spec(kind).parse(&value).is_err(), "{kind:?} {value}");
    }
}

#[test]
fn the_stricter_value_is_within_both() {
    let table = [
        (ParamKind::Allowed, json!(["a", "b"]), json!(["b", "c"]), json!(["b"])),
        (ParamKind::Registries, json!(["r.io"]), json!(["r.io/x", "s.io"]), json!(["r.io/x"])),
        (ParamKind::Registries, json!(["r.io"]), json!(["r.io.evil.com"]), json!([])),
        (
            ParamKind::Networks,
            json!(["10.0.0.0/8"]),
            json!(["10.1.0.0/16", "0.0.0.0/0"]),
            json!(["10.1.0.0/16", "10.0.0.0/8"]),
        ),
        (ParamKind::AtLeast(0, 9), json!(2), json!(7), json!(7)),
        (ParamKind::AtMost(0, 9), json!(2), json!(7), json!(2)),
        (ParamKind::Choice(&["tag", "digest"]), json!("digest"), json!("tag"), json!("digest")),
        (
            ParamKind::Ceilings(&["cpu", "memory", "pods"]),
            json!({"cpu": "1500m", "pods": 0}),
            json!({"cpu": 2, "memory": "1Gi", "pods": "10"}),
            json!({"cpu": "1500m", "memory": "1Gi", "pods": 0}),
        ),
        (
            ParamKind::Supplies(&["cpu", "memory"]),
            json!({"cpu": 0.5}),
            json!({"cpu": "400m", "memory": "1Gi"}),
            json!({"cpu": "400m"}),
        ),
    ];
    for (kind, a, b, stricter) in table {
        let spec = spec(kind);
        let parse = |value: &Value| spec.parse(value).unwrap();
        assert_eq!(spec.stricter(&parse(&a), &parse(&b)), parse(&stricter), "{kind:?}");
        assert_eq!(spec.stricter(&parse(&b), &parse(&a)), parse(&stricter), "{kind:?} turned round");
    }
}

#[test]
fn a_prefix_ends_at_a_slash() {
    assert!(is_within("registry.io/app", "registry.io"));
    assert!(is_within("registry.io/team/app", "registry.io/team"));
    assert!(!is_within("registry.io.evil.com/app", "registry.io"));
    assert!(!is_within("registry.io/teamster/app", "registry.io/team"));
}
