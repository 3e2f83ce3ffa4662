//! What is never told of an object, be it refused, unreadable, or one that a control panics with.

use amanat::control::{Check, Point, Severity};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::webhook::{ApiServer, Log, POD, Webhook, pod, review, unpinned, world};
use crate::{CANARY, ENTRIES, usual};

amanat::control! {
    /// Panics with what it judges.
    pub static PANICS = {
        id: "test/panics",
        title: "Panics",
        severity: Severity::Low,
        since: "0.1.0",
        points: &[Point::Admission],
        judges: amanat::control::POD_SPECS,
        reads: &[],
        maps: &[],
        params: &[],
        check: Check::Case(|case, _, _| {
            let name = &case.subject.metadata.annotations;
            assert!(!name.contains_key("panic"), "judged {name:?}");
        }),
    }
}

#[tokio::test]
async fn f49_a_control_that_panics_refuses_that_request_only() {
    let webhook = Webhook::new(world(Some(&PANICS)), ApiServer::HasNoMore);
    let (log, guard) = Log::start();
    amanat::admission::log_panics_without_content();
    let mut panicking = pod();
    panicking["metadata"]["annotations"] = json!({"panic": CANARY});
    let review_of = |object: &Value| review("CREATE", POD, "fbr-portal", json!({"object": object}));
    let refused = webhook.review("governed", &review_of(&panicking)).await;
    // On an entry that fails open, it is a failure like any other.
    let open = webhook.post("undeclared", review_of(&panicking).to_string()).await;
    let _ = std::panic::take_hook();
    drop(guard);
    assert!(!refused.allowed());
    assert_eq!(refused.0["status"]["code"], 500);
    assert_eq!(open.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(webhook.review("governed", &review_of(&pod())).await.allowed(), "the process serves on");

    let metrics = webhook.metrics();
    assert!(metrics.contains(r#"amanat_admission_panics_total{entry="governed"} 2"#), "{metrics}");
    let log = log.text();
    assert!(log.contains("panicked"), "{log}");
    for told in [log, metrics, refused.0.to_string(), open.text] {
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[tokio::test]
async fn nothing_of_an_object_is_logged_or_counted() {
    let webhook = usual();
    let (log, guard) = Log::start();
    let mut told = Vec::new();

    let mut refused = unpinned();
    refused["metadata"]["annotations"] = json!({"note": CANARY});
    refused["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": CANARY}]);
    let refused = review("CREATE", POD, "fbr-portal", json!({"object": refused}));
    told.push(webhook.review("governed", &refused).await.0.to_string());

    for wrong in [
        json!({"metadata": {"name": "app"}, "spec": {"containers": [], "hostNetwork": CANARY}}),
        json!({"metadata": {"name": "app", "labels": CANARY}, "spec": {"containers": []}}),
        json!({"metadata": {"name": "app"}, "spec": {"containers": [{"name": "a", "resources": {"limits": CANARY}}]}}),
        json!({CANARY: CANARY}),
    ] {
        let wrong = review("CREATE", POD, "fbr-portal", json!({"object": wrong}));
        let answer = webhook.review("governed", &wrong).await;
        assert!(!answer.allowed());
        assert_eq!(answer.audit("decision"), "undecodable");
        told.push(answer.0.to_string());
    }
    for entry in ENTRIES {
        for body in
            [CANARY.to_owned(), format!("{{\"apiVersion\": \"{CANARY}\"}}"), format!("{{\"kind\": [\"{CANARY}\"]}}")]
        {
            told.push(webhook.post(entry, body).await.text);
        }
    }
    let registry = ("amanat.dev", "CloudServiceProvider", "cloudserviceproviders");
    let wrong = review("CREATE", registry, "", json!({"object": {"metadata": {}, "spec": {"grade": CANARY}}}));
    told.push(webhook.review("registry", &wrong).await.0.to_string());

    drop(guard);
    let log = log.text();
    assert!(log.contains("not admitted") && log.contains("image/digest-pinned=Deny"), "{log}");
    told.extend([log, webhook.metrics()]);
    for told in told {
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[tokio::test]
async fn g58_names_and_users_move_no_cursor() {
    const STEERS: &str = "st33r\u{1b}[2J\u{9b}2J\u{202e}\r\nforged";
    let webhook = usual();
    let (log, guard) = Log::start();
    let mut object = unpinned();
    object["metadata"]["name"] = json!(STEERS);
    let changes = json!({"uid": STEERS, "name": STEERS, "userInfo": {"username": STEERS}, "object": object});
    let refused = webhook.review("governed", &review("CREATE", POD, "fbr-portal", changes)).await;
    drop(guard);
    assert!(!refused.allowed());
    let log = log.text();
    assert!(!log.is_empty());
    for line in log.lines() {
        assert_eq!(line.matches(r"=st33r\u{1b}[2J\u{9b}2J\u{202e}\r\nforged").count(), 3, "{log}");
    }
    assert!(!log.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{log}");
}

#[tokio::test]
async fn what_is_counted_has_bounded_labels() {
    let webhook = usual();
    webhook.review("governed", &review("CREATE", POD, "fbr-portal", json!({"object": pod()}))).await;
    webhook.review("governed", &review("CREATE", POD, "fbr-portal", json!({"object": unpinned()}))).await;
    webhook.post("governed", "nonsense").await;
    let metrics = webhook.metrics();
    // Each review is sent in two orders.
    for line in [
        r#"amanat_admission_requests_total{entry="governed",decision="allowed"} 2"#,
        r#"amanat_admission_requests_total{entry="governed",decision="denied"} 2"#,
        r#"amanat_admission_duration_seconds_count{entry="governed"} 4"#,
        r#"amanat_admission_rejected_bodies_total{category="unreadable"} 1"#,
        "amanat_admission_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("fbr-portal") && !metrics.contains("officer"), "{metrics}");
}
