//! Baselines, declarations, and the class label: who may change what a namespace is judged by.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::webhook::{ApiServer, Webhook, review, world};
use crate::{fixture, usual};

pub(crate) fn baseline(operation: &str, changes: Value) -> Value {
    let spec = serde_json::to_value(fixture::baseline(changes)).unwrap();
    let object = json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": "test",
        "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec});
    let side = if operation == "DELETE" { "oldObject" } else { "object" };
    let kind = ("amanat.dev", "SecurityBaseline", "securitybaselines");
    review(operation, kind, "", json!({"name": "test", side: object}))
}

#[tokio::test]
async fn a_baseline_must_compile_and_stays_while_it_is_in_force() {
    let webhook = usual();
    let wrong = json!({"controls": [{"id": "image/digest-pined", "effects": {}}]});
    let answer = webhook.review("registry", &baseline("UPDATE", wrong.clone())).await;
    assert!(!answer.allowed());
    assert!(answer.message().contains("did you mean image/digest-pinned?"), "{}", answer.message());
    assert_eq!(answer.0["status"]["details"]["causes"][0]["field"], "spec.controls[0].id");

    let mut newer = wrong;
    newer["catalogue"] = json!("99.0.0");
    let answer = webhook.review("registry", &baseline("UPDATE", newer)).await;
    assert!(answer.allowed(), "{answer:?}");
    assert!(answer.warnings().iter().any(|warning| warning.contains("99.0.0")), "{answer:?}");

    // The anchor is gone, by this API server: Amanat is being removed.
    assert!(webhook.review("registry", &baseline("DELETE", json!({}))).await.allowed());
    let lives = Webhook::new(world(None), ApiServer::Fails);
    let refused = lives.review("registry", &baseline("DELETE", json!({}))).await;
    assert!(!refused.allowed());
    assert!(refused.message().contains("amanat-anchor"), "{}", refused.message());
    let mut by_administrator = baseline("DELETE", json!({}));
    by_administrator["request"]["userInfo"]["groups"] = json!(["system:masters"]);
    assert!(lives.review("registry", &by_administrator).await.allowed());
}

#[tokio::test]
async fn the_class_label_is_amanat_s() {
    let webhook = usual();
    let namespace = |class: Option<&str>| {
        let labels = class.map_or(json!({}), |class| json!({"amanat.dev/data-class": class}));
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fbr-portal", "labels": labels}})
    };
    let kind = ("", "Namespace", "namespaces");
    for subresource in ["", "status", "finalize"] {
        for new in [None, Some("Open"), Some("Secret")] {
            let changes = json!({"name": "fbr-portal", "subResource": subresource, "object": namespace(new),
                "oldObject": namespace(Some("Restricted"))});
            let mut review = review("UPDATE", kind, "fbr-portal", changes);
            let answer = webhook.review("namespaces", &review).await;
            assert!(!answer.allowed(), "{subresource} {new:?}");
            assert!(!answer.controls().is_empty());
            review["request"]["userInfo"]["username"] = json!("system:serviceaccount:amanat-system:amanat");
            assert!(webhook.review("namespaces", &review).await.allowed(), "{subresource} {new:?}");
        }
    }
}

#[tokio::test]
async fn a_declaration_is_neither_lowered_nor_deleted() {
    let webhook = usual();
    let kind = ("amanat.dev", "CloudWorkload", "cloudworkloads");
    let object = |class: &str| {
        json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
            "metadata": {"name": "workload", "namespace": "fbr-portal"},
            "spec": serde_json::to_value(fixture::declaration(json!({"dataClass": class}))).unwrap()})
    };
    let sides = json!({"object": object("Public"), "oldObject": object("Restricted")});
    let lowered = webhook.review("declarations", &review("UPDATE", kind, "fbr-portal", sides)).await;
    assert!(lowered.controls().contains(&"placement/no-silent-downgrade"), "{lowered:?}");
    let delete = review("DELETE", kind, "fbr-portal", json!({"oldObject": object("Restricted")}));
    let failing = Webhook::new(world(None), ApiServer::Fails);
    assert_eq!(failing.review("declarations", &delete).await.controls(), ["placement/no-silent-downgrade"]);
    // By this API server the namespace is gone: what is in it may go too.
    assert!(webhook.review("declarations", &delete).await.allowed());
}

#[tokio::test]
async fn a_declaration_is_judged_by_references_that_the_index_has_not_seen() {
    fn suspended(path: &str) -> Option<Value> {
        let spec = serde_json::to_value(fixture::provider(json!({"state": "Suspended"}))).unwrap();
        (path == "/apis/amanat.dev/v1alpha1/cloudserviceproviders/new").then(|| {
            json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudServiceProvider", "metadata": {"name": "new"},
                "spec": spec})
        })
    }
    let spec = serde_json::to_value(fixture::declaration(json!({"provider": "new"}))).unwrap();
    let object = json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
        "metadata": {"name": "workload", "namespace": "free"}, "spec": spec});
    let kind = ("amanat.dev", "CloudWorkload", "cloudworkloads");
    let made = review("CREATE", kind, "free", json!({"object": object}));
    let answer = |api_server| {
        let webhook = Webhook::new(world(None), api_server);
        let made = made.clone();
        async move { webhook.review("declarations", &made).await }
    };
    assert_eq!(answer(ApiServer::HasMore(suspended)).await.controls(), ["placement/provider-accredited"]);
    assert!(answer(ApiServer::HasNoMore).await.allowed(), "what doesn't exist yet may come");
    let failing = Webhook::new(world(None), ApiServer::Fails);
    let sent = failing.post("declarations", made.to_string()).await;
    assert_eq!(sent.status, StatusCode::SERVICE_UNAVAILABLE, "what can't be looked up is not admitted");
}
