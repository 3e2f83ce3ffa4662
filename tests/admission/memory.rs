//! What would take too much memory is refused, whatever it would be judged by.

use serde_json::{Value, json};

use crate::declarations::baseline;
use crate::usual;
use crate::webhook::{POD, pod, review};

/// As many empty objects, or as many with one field.
fn many(count: usize, one: &Value) -> Value {
    Value::Array(vec![one.clone(); count])
}

#[tokio::test]
async fn an_object_of_too_many_small_parts_is_refused_and_one_of_many_is_judged() {
    let webhook = usual();
    let with = |pointer: &str, value: Value| {
        let mut pod = pod();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[field] = value;
        pod
    };
    let deployment = |pod: Value| json!({"metadata": {"name": "app"}, "spec": {"template": pod}});
    let (empty, variable) = (json!({}), json!({"name": "a"}));
    let policy = |count: usize| {
        let from = many(count, &json!({"ipBlock": {"cidr": "10.0.0.0/8"}}));
        json!({"metadata": {"name": "app"}, "spec": {"podSelector": {}, "ingress": [{"from": from}]}})
    };
    let environment = "/spec/containers/0/env";
    let deployments = ("apps", "Deployment", "deployments");
    let policies = ("networking.k8s.io", "NetworkPolicy", "networkpolicies");
    let table = [
        ("few variables", deployments, deployment(with(environment, many(5_000, &variable))), false),
        ("variables", deployments, deployment(with(environment, many(100_000, &variable))), true),
        ("containers", POD, with("/spec/containers", many(100_000, &empty)), true),
        ("volumes", POD, with("/spec/volumes", many(100_000, &empty)), true),
        ("tolerations", POD, with("/spec/tolerations", many(100_000, &empty)), true),
        ("texts", POD, with("/metadata/finalizers", many(300_000, &json!(""))), true),
        ("managed fields", POD, with("/metadata/managedFields", many(100_000, &empty)), false),
        ("a status", POD, with("/status", json!({"conditions": many(100_000, &empty)})), false),
        ("few blocks", policies, policy(8_000), false),
        ("blocks", policies, policy(100_000), true),
    ];
    for (what, kind, object, too_many) in table {
        let answer = webhook.review("governed", &review("CREATE", kind, "fbr-portal", json!({"object": object}))).await;
        let refused = answer.audit("decision") == "undecodable" && answer.message().contains("too many parts");
        assert_eq!(refused, too_many, "{what}: {answer:?}");
    }
    let variables = deployment(with(environment, many(5_000, &variable)));
    let update = json!({"object": variables, "oldObject": variables});
    let answer = webhook.review("governed", &review("UPDATE", deployments, "fbr-portal", update)).await;
    assert!(answer.allowed(), "{answer:?}");
}

#[tokio::test]
async fn a_baseline_beyond_its_schema_is_told_so_and_nothing_of_it_is_compiled() {
    let webhook = usual();
    let answer = |change: fn(&mut Value)| {
        let mut made = baseline("CREATE", json!({}));
        change(&mut made["request"]["object"]);
        let webhook = &webhook;
        async move { webhook.review("registry", &made).await }
    };
    let parts = answer(|object| object["spec"]["controls"][0]["params"]["a"] = many(100_000, &json!({}))).await;
    assert!(!parts.allowed() && parts.message().contains("too many parts"), "{parts:?}");

    // Every row against every class, and each that is unknown against each that is known: hours.
    let pairs = answer(|object| {
        let named = |prefix: &str, index: usize| format!("{prefix}{index}-{}", "x".repeat(40));
        let class = |index| json!({"name": named("A", index), "level": "L"});
        let row = |index| json!({"class": named("B", index), "models": ["Private"], "countries": ["PK"], "grade": "Accredited"});
        object["spec"]["classes"] = (0..2_500).map(class).collect();
        object["spec"]["placement"] = (0..2_500).map(row).collect();
    })
    .await;
    assert!(!pairs.allowed(), "{pairs:?}");
    assert!(pairs.message().contains("spec.classes: has 2500 items, at most 16 are taken"), "{pairs:?}");
    assert!(!pairs.message().contains("did you mean"), "{pairs:?}");

    let unread = answer(|object| {
        object["metadata"]["managedFields"] = many(100_000, &json!({}));
        object["status"] = many(100_000, &json!({}));
    })
    .await;
    assert!(unread.allowed(), "{unread:?}");
}
