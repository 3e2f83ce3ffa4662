//! The supplying entries: where something is supplied a Pod is read and filled in, elsewhere it is passed on unread.

use serde_json::{Value, json};

use crate::fixture::conforming_spec;
use crate::webhook::{ApiServer, DEPLOYMENT, POD, Webhook, review, world};

fn create(namespace: &str, object: Value) -> Value {
    review("CREATE", POD, namespace, json!({ "object": object }))
}

fn bare() -> Value {
    let mut pod = json!({"metadata": {"name": "app"}, "spec": conforming_spec()});
    pod["spec"]["securityContext"].as_object_mut().unwrap().remove("seccompProfile");
    pod
}

#[tokio::test]
async fn a_pod_is_filled_in_where_its_class_supplies() {
    let webhook = Webhook::new(world(None), ApiServer::HasNoMore);
    for entry in ["supply", "supply-undeclared"] {
        let governed = webhook.review(entry, &create("fbr-portal", bare())).await;
        assert_eq!((governed.allowed(), governed.audit("decision")), (true, "supplied"), "{governed:?}");
        assert_eq!(governed.0["patchType"], "JSONPatch");
        let free = webhook.review(entry, &create("free", bare())).await;
        assert_eq!((free.allowed(), free.audit("decision")), (true, "allowed"), "{free:?}");
        assert!(free.0.get("patch").is_none_or(Value::is_null), "{free:?}");
    }
}

/// The volume of the API token is removed from the Pods, not from the template that its author wrote.
#[tokio::test]
async fn a_template_is_answered_in_its_own_places() {
    let webhook = Webhook::new(world(None), ApiServer::HasNoMore);
    let mut spec = conforming_spec();
    let token = json!({"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]});
    spec["volumes"] = json!([{"name": "kube-api-access-b", "projected": token}, {"name": "fine", "emptyDir": {}},
        {"name": "bad", "hostPath": {"path": "/etc"}}]);
    let template = json!({"metadata": {"name": "app"}, "spec": {"template": {"spec": spec}}});
    let answer =
        webhook.review("governed", &review("CREATE", DEPLOYMENT, "fbr-portal", json!({"object": template}))).await;
    let said = answer.message();
    assert!(said.contains("pod/host-path-volumes: spec.template.spec.volumes[2].hostPath"), "{said}");
    assert!(!said.contains("volumes[0]") && !said.contains("volumes[1]"), "{said}");
}

/// A Pod that can't be read is for the judging entries, which see it too; where it would be filled in, it is refused.
#[tokio::test]
async fn what_cannot_be_read_is_refused_where_it_would_be_filled_in() {
    let webhook = Webhook::new(world(None), ApiServer::HasNoMore);
    for (wrong, says) in [
        (json!({"metadata": {}, "spec": {"containers": []}}), "field spec.containers is missing"),
        (json!({"metadata": {}, "spec": {}}), "field spec.containers is missing"),
        (json!({"metadata": {}}), "field spec is missing"),
        (json!({"spec": {"containers": "x"}}), "can't be read"),
    ] {
        for entry in ["supply", "governed"] {
            let answer = webhook.review(entry, &create("fbr-portal", wrong.clone())).await;
            assert_eq!((answer.allowed(), answer.audit("decision")), (false, "undecodable"), "{entry} {wrong}");
            assert!(answer.message().contains(says), "{entry} {wrong}: {answer:?}");
        }
        let answer = webhook.review("supply-undeclared", &create("free", wrong.clone())).await;
        assert_eq!((answer.allowed(), answer.audit("decision")), (true, "allowed"), "{wrong}");
        assert!(answer.warnings().is_empty(), "{answer:?}");
    }
}
