//! Whole reviews of every entry, to be damaged.

use serde_json::{Value, json};

use crate::damage::{OF_WORKLOADS, Reviewed};
use crate::declarations::baseline;
use crate::fixture;
use crate::webhook::{POD, pod, review, unpinned};

const NAMESPACE: (&str, &str, &str) = ("", "Namespace", "namespaces");
const DECLARATION: (&str, &str, &str) = ("amanat.dev", "CloudWorkload", "cloudworkloads");
const SERVICE: (&str, &str, &str) = ("", "Service", "services");

fn of(operation: &str, kind: (&str, &str, &str), object: Value, old: Value) -> Value {
    review(
        operation,
        kind,
        "fbr-portal",
        json!({"name": old["metadata"]["name"].as_str().unwrap_or("app"),
        "object": object, "oldObject": old}),
    )
}

fn violating() -> Value {
    let mut pod = unpinned();
    pod["metadata"]["labels"]["app"] = json!("app");
    pod["spec"]["hostPID"] = json!(true);
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    pod
}

fn conforming() -> Value {
    let mut pod = pod();
    pod["metadata"]["labels"]["app"] = json!("app");
    pod
}

fn declaration(class: &str, tags: Value) -> Value {
    let spec = fixture::declaration(json!({"dataClass": class, "tags": tags}));
    json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
        "metadata": {"name": "workload", "namespace": "fbr-portal", "labels": {"app": "app"}},
        "spec": serde_json::to_value(spec).unwrap()})
}

pub(crate) fn refused() -> Vec<Reviewed> {
    let namespace = |labels: Value| json!({"metadata": {"name": "fbr-portal", "labels": labels}, "spec": {}});
    let (labelled, bare) = (json!({"app": "a", "amanat.dev/data-class": "Restricted"}), json!({"app": "a"}));
    let other = json!({"metadata": {"name": "app", "labels": {"amanat.dev/data-class": "Secret"}},
        "spec": {"type": "ExternalName", "externalName": "db.elsewhere.svc.cluster.local"}});
    let wrong = json!({"controls": [{"id": "no/such", "effects": {"None": "Deny"}}, {"id": "nor/such"}],
        "placement": [{"class": "None", "models": ["Private"], "countries": ["PK"], "grade": "Registered"}]});
    let mut wrong = baseline("CREATE", wrong);
    wrong["request"]["object"]["metadata"]["labels"] = json!({"app": "app"});
    let (restricted, public) = (declaration("Restricted", json!({})), declaration("Public", json!({})));
    vec![
        Reviewed { paths: OF_WORKLOADS, review: of("CREATE", POD, violating(), Value::Null) },
        Reviewed { paths: OF_WORKLOADS, review: of("UPDATE", POD, violating(), conforming()) },
        Reviewed { paths: &["/validate/governed"], review: of("CREATE", SERVICE, other, Value::Null) },
        Reviewed {
            paths: &["/validate/namespaces"],
            review: of("UPDATE", NAMESPACE, namespace(bare), namespace(labelled)),
        },
        Reviewed { paths: &["/validate/declarations"], review: of("UPDATE", DECLARATION, public, restricted.clone()) },
        Reviewed { paths: &["/validate/declarations"], review: of("DELETE", DECLARATION, Value::Null, restricted) },
        Reviewed { paths: &["/validate/registry"], review: wrong },
    ]
}

pub(crate) fn allowed() -> Vec<Reviewed> {
    let mut sound = baseline("CREATE", json!({}));
    sound["request"]["object"]["metadata"]["labels"] = json!({"app": "app"});
    let (tagged, declared) = (declaration("Restricted", json!({"a": "b"})), declaration("Restricted", json!({})));
    vec![
        Reviewed { paths: OF_WORKLOADS, review: of("CREATE", POD, conforming(), Value::Null) },
        Reviewed { paths: &["/validate/declarations"], review: of("UPDATE", DECLARATION, tagged, declared) },
        Reviewed { paths: &["/validate/registry"], review: sound },
    ]
}
