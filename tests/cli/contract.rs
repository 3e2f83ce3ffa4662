//! `check -o json`, which programs rely on.

use super::folder::{BAD, DECLARATION, Folder, REGISTRIES, REGISTRY, good};
use serde_json::{Value, json};

/// The contract, version 1, as a schema.
fn schema() -> Value {
    let text = json!({"type": "string"});
    let maybe = json!({"type": ["string", "null"]});
    let count = json!({"type": "integer", "minimum": 0});
    let maybe_number = json!({"type": ["integer", "null"], "minimum": 0});
    let strict = |properties: Value| {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
    };
    let object = strict(json!({"apiVersion": text, "kind": text, "namespace": maybe, "name": text}));
    let list = |items: Value| json!({"type": "array", "items": items});
    strict(json!({
        "version": {"const": 1},
        "baseline": strict(json!({"name": text, "version": text})),
        "summary": strict(json!({"objects": count, "denied": count, "warned": count, "audited": count, "exempt": count,
            "notAssessed": count, "skipped": count})),
        "findings": list(strict(json!({
            "control": text, "effect": {"enum": ["Deny", "Warn", "Audit"]}, "class": maybe, "object": object, "path": text,
            "container": maybe, "value": {}, "message": text, "fix": text,
            "source": strict(json!({"file": text, "document": count, "item": maybe_number,
                "line": {"type": "integer", "minimum": 1}, "column": {"type": "integer", "minimum": 1}})),
            "exemption": maybe}))),
        "notAssessed": list(strict(json!({"control": text, "object": object, "reason": text}))),
        "errors": list(strict(json!({"file": text, "document": maybe_number, "line": maybe_number,
            "column": maybe_number, "message": text}))),
    }))
}

#[test]
fn every_answer_fits_the_contract() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let folder = Folder::new(&[
        ("a.yaml", DECLARATION),
        ("bad.yaml", BAD),
        ("broken.yaml", "a: [\n"),
        ("refused.yaml", &DECLARATION.replace("fbr-portal", "other").replace("Restricted", "TopSecret")),
        ("namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"),
    ]);
    for args in [
        &["."][..],
        &["bad.yaml"],
        &["missing.yaml"],
        &["--class", "Open", "bad.yaml"],
        &["--control", "image/digest-pinned", "."],
    ] {
        let answer = folder.json(args);
        let wrong: Vec<String> = schema.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{args:?}: {wrong:?}\n{answer}");
    }
}

#[test]
fn a_finding_names_object_field_and_place() {
    let folder = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", BAD)]);
    let answer = folder.json(&["--set", REGISTRIES, "."]);
    assert_eq!(
        answer["findings"][0],
        json!({
            "control": "image/digest-pinned", "effect": "Deny", "class": "Restricted",
            "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "fbr-portal", "name": "bad"},
            "path": "spec.containers[0].image", "container": "app", "value": "registry.example.gov.pk/app:1.4",
            "message": answer["findings"][0]["message"], "fix": answer["findings"][0]["fix"],
            "source": {"file": "./b.yaml", "document": 0, "item": null, "line": 7, "column": 5}, "exemption": null
        })
    );
    assert_eq!(answer["summary"]["objects"], 2);
    assert_eq!(answer["summary"]["denied"], 1);
    // The registry isn't among the inputs: what rests on it is not assessed, never passed.
    assert_eq!(answer["summary"]["notAssessed"], answer["notAssessed"].as_array().unwrap().len());
    assert!(answer["notAssessed"].to_string().contains("the CloudServiceProvider ntc is not known"));
}

#[test]
fn items_of_a_list_are_numbered_and_absent_fields_stand_at_their_parent() {
    let pod = "    containers:\n    - name: app\n      image: x\n";
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n- apiVersion: v1\n  kind: Pod\n  metadata: {{generateName: job-}}\n  spec:\n{pod}"
    );
    let folder = Folder::new(&[("a.yaml", &list)]);
    let answer = folder.json(&["--control", "pod/run-as-non-root", "a.yaml"]);
    let finding = &answer["findings"][0];
    assert_eq!(finding["path"], "spec.containers[0].securityContext.runAsNonRoot");
    assert_eq!(finding["source"], json!({"file": "a.yaml", "document": 0, "item": 1, "line": 11, "column": 7}));
    assert_eq!((&finding["object"]["name"], &finding["class"]), (&json!("job-*"), &Value::Null));
}

/// The volume of the API token is removed from the Pods, not from what its author wrote.
#[test]
fn what_is_removed_from_pods_moves_no_place() {
    let spec = "
    automountServiceAccountToken: false
    containers: [{name: app}]
    volumes:
    - name: kube-api-access-b
      projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 3607}}]}
    - name: fine
      emptyDir: {}
    - name: bad
      hostPath: {path: /etc}
";
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: fbr-portal}}\nspec:{spec}");
    let template = format!("template:\n  spec:{spec}").replace('\n', "\n  ");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: fbr-portal}\nspec:";
    for (text, path, line, column) in [
        (pod, "spec.volumes[2].hostPath", 13, 18),
        (format!("{deployment}\n  {template}"), "spec.template.spec.volumes[2].hostPath", 15, 20),
    ] {
        let folder = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", &text)]);
        let answer = folder.json(&["."]);
        let of_volumes = |finding: &&Value| finding["control"] == "pod/host-path-volumes";
        let finding = answer["findings"].as_array().unwrap().iter().find(of_volumes).unwrap();
        assert_eq!(finding["path"], format!("{path}.path"), "{text}");
        let place = json!({"file": "./b.yaml", "document": 0, "item": null, "line": line, "column": column});
        assert_eq!(finding["source"], place, "{text}");
    }
}

#[test]
fn findings_are_sorted() {
    let two = format!("{}---\n{}", BAD.replace("name: bad", "name: first"), BAD);
    let folder = Folder::new(&[("b.yaml", &two), ("a.yaml", BAD), ("c.yaml", &good())]);
    let answer = folder.json(&["--class", "Secret", "."]);
    let key = |finding: &Value| (finding["source"]["file"].to_string(), finding["source"]["document"].as_u64());
    let keys: Vec<_> = answer["findings"].as_array().unwrap().iter().map(key).collect();
    assert!(keys.is_sorted() && keys.len() > 2, "{keys:?}");
}

#[test]
fn a_whole_set_that_conforms_has_nothing_to_say() {
    let folder = Folder::new(&[("a.yaml", &format!("{DECLARATION}---\n{REGISTRY}")), ("b.yaml", &good())]);
    let answer = folder.json(&["--set", REGISTRIES, "."]);
    for list in ["findings", "notAssessed", "errors"] {
        assert_eq!(answer[list], json!([]), "{list}");
    }
}
