use super::*;
use serde_json::{Value, json};

#[test]
fn nulls_are_nothing() {
    let pod = json!({"metadata": {"name": "a", "labels": null, "ownerReferences": null},
        "spec": {"securityContext": null, "containers": [{"name": "c", "securityContext": null}]}});
    let subject = Subject::decode(Kind::Pod, pod).unwrap();
    assert_eq!(subject.pod().unwrap().containers().count(), 1);
}

#[test]
fn a_judged_kind_without_its_judged_part_does_not_decode() {
    for kind in super::super::WORKLOADS {
        for object in [json!({"metadata": {}}), json!({"metadata": {}, "spec": {}}), json!({"Spec": {}})] {
            assert!(Subject::decode(*kind, object.clone()).is_err(), "{kind} {object}");
        }
        for (containers, decodes) in [(json!([]), false), (Value::Null, false), (json!([{"name": "c"}]), true)] {
            let path = kind.pod_spec_path().iter().rev();
            let spec = json!({"initContainers": [{"name": "i"}], "containers": containers});
            let object = path.fold(spec, |inner, field| json!({*field: inner}));
            let decoded = Subject::decode(*kind, object.clone());
            let missing = format!("missing field `{}.containers`", kind.pod_spec_path().join("."));
            assert_eq!(decoded.is_ok(), decodes, "{object}");
            assert!(decoded.err().is_none_or(|error| error.to_string() == missing), "{object}");
        }
    }
}

#[test]
fn what_nobody_judges_is_passed_over_and_still_has_its_type_in_a_manifest() {
    let spec = |container: &Value, more: &Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        json_patch::merge(&mut spec, more);
        json_patch::merge(&mut spec["containers"][0], container);
        spec
    };
    let nothing = json!({});
    let (environment, grace) = (json!({"env": {"A": "b"}}), json!({"terminationGracePeriodSeconds": "5"}));
    for kind in super::super::WORKLOADS {
        for (spec, fits) in
            [(spec(&nothing, &nothing), true), (spec(&environment, &nothing), false), (spec(&nothing, &grace), false)]
        {
            let object = kind.pod_spec_path().iter().rev().fold(spec, |inner, field| json!({*field: inner}));
            assert!(Subject::decode(*kind, object.clone()).is_ok(), "{object}");
            assert_eq!(Subject::from_manifest(*kind, object.clone()).is_ok(), fits, "{object}");
        }
    }
}

#[test]
fn debug_shows_no_content() {
    let pod = json!({"metadata": {"name": "a", "annotations": {"k": "canary"}},
        "spec": {"containers": [{"name": "c", "env": [{"name": "X", "value": "canary"}]}]}});
    let shown = format!("{:?}", Subject::decode(Kind::Pod, pod).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_list_is_no_object() {
    for kind in Kind::ALL {
        for list in [json!([]), json!([{}]), json!([{}, {}])] {
            assert!(Subject::decode(*kind, list.clone()).is_err(), "{kind} {list}");
        }
    }
}
