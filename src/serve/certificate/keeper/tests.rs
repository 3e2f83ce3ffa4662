//! The keeper against an API server that answers as it is told.

use std::sync::Mutex;

use axum::http;
use jiff::SignedDuration;
use kube::Client;
use kube::client::Body;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::*;
use crate::cluster::clock::ManualClock;
use crate::cluster::{Clock, Fence, Writer};
use crate::serve::{Certificate, ServedCertificate};

const OWN: &str = "/api/v1/namespaces/amanat-system/secrets/amanat-webhook-tls";

fn names() -> Vec<String> {
    vec!["amanat-webhook.amanat-system.svc".to_owned()]
}

fn material() -> Material {
    Material::make(&names(), "2026-01-01T00:00:00Z".parse().unwrap(), &Lifetimes::default()).unwrap()
}

fn secret(material: &Material, more: &Value) -> (u16, Value) {
    let mut secret = material.object();
    secret["metadata"]["uid"] = json!("u");
    secret["metadata"]["resourceVersion"] = json!("7");
    for (key, value) in more.as_object().into_iter().flatten() {
        secret[key] = value.clone();
    }
    (200, secret)
}

fn absent() -> (u16, Value) {
    (404, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}))
}

/// Takes turns against an API server that answers each request in turn; gives what it was asked, the webhook
/// configurations aside, of which there are none, and the last turn.
async fn turns(
    leads: bool,
    answers: Vec<(u16, Value)>,
    turns: usize,
) -> (Vec<(String, Value)>, Result<Plan, Failed>, Arc<Known>) {
    let (service, mut handle) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
    let fence = if leads { Fence::open(Arc::clone(&clock)) } else { Fence::new(Arc::clone(&clock)) };
    let lifetimes = Lifetimes::default();
    let served = Arc::new(ServedCertificate::default());
    let known = Arc::new(Known::new(names(), &lifetimes, Arc::clone(&clock), served));
    let reconciler = Reconciler::of(Writer::new(Client::new(service, "default"), fence), clock);
    let mut registry = Registry::default();
    let mut keeper = Keeper::new(reconciler, Arc::clone(&known), Source::Made, lifetimes, &mut registry);
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        let mut answers = answers.into_iter();
        while let Some((request, send)) = handle.next_request().await {
            let (parts, sent) = request.into_parts();
            let sent = sent.collect_bytes().await.unwrap();
            let configuration = parts.uri.path().contains("webhookconfigurations");
            let (code, body) = if configuration { absent() } else { answers.next().unwrap() };
            // Whoever has read a Secret has read a configuration that is no older.
            assert!(!configuration || !asked.is_empty(), "a configuration was read before the Secret");
            if !configuration {
                let asking = format!("{} {}", parts.method, parts.uri.path());
                asked.push((asking, serde_json::from_slice(&sent).unwrap_or(Value::Null)));
            }
            let body = serde_json::to_vec(&body).unwrap();
            send.send_response(http::Response::builder().status(code).body(Body::from(body)).unwrap());
        }
        asked
    });
    let mut last = keeper.turn().await;
    for _ in 1..turns {
        last = keeper.turn().await;
    }
    drop(keeper);
    (server.await.unwrap(), last, known)
}

fn asked(requests: &[(String, Value)]) -> Vec<&str> {
    requests.iter().map(|(request, _)| request.as_str()).collect()
}

#[tokio::test]
async fn who_does_not_lead_writes_nothing() {
    let get = format!("GET {OWN}");
    let empty = secret(&material(), &json!({"data": {}}));
    for answer in [absent(), empty, secret(&material(), &json!({"type": "Opaque"}))] {
        let (requests, plan, known) = turns(false, vec![answer], 1).await;
        assert_eq!(asked(&requests), [get.as_str()]);
        assert_eq!(plan.unwrap(), Plan::Keep);
        assert_eq!(known.reasons(), ["no certificate yet"]);
    }
    let (_, _, known) = turns(false, vec![secret(&material(), &json!({}))], 1).await;
    assert_eq!(known.reasons(), [] as [&str; 0]);
}

#[tokio::test]
async fn what_is_not_there_is_made_under_its_name() {
    let (requests, plan, known) = turns(true, vec![absent(), secret(&material(), &json!({}))], 1).await;
    assert_eq!(asked(&requests), [format!("GET {OWN}"), format!("PATCH {OWN}")]);
    assert_eq!(plan.unwrap(), Plan::Make);
    let written = &requests[1].1;
    assert_eq!((&written["type"], &written["kind"]), (&json!("kubernetes.io/tls"), &json!("Secret")));
    let written: Secret = serde_json::from_value(written.clone()).unwrap();
    assert!(Material::from_secret(&written).unwrap().signs());
    assert_eq!(known.reasons(), [] as [&str; 0]);
    assert!(known.bundle().is_some());
}

#[tokio::test]
async fn what_is_emptied_is_written_over_as_it_was_read() {
    let made = material();
    let answers = vec![
        secret(&made, &json!({})),
        secret(&made, &json!({"data": {"tls.crt": "", "tls.key": "", "next-ca.crt": "eA=="}})),
        secret(&made, &json!({})),
    ];
    let (requests, plan, _) = turns(true, answers, 2).await;
    assert_eq!(asked(&requests), [format!("GET {OWN}"), format!("GET {OWN}"), format!("PATCH {OWN}")]);
    assert_eq!(plan.unwrap(), Plan::Restore);
    let written = &requests[2].1;
    assert_eq!(written["metadata"], json!({"resourceVersion": "7"}));
    assert_eq!(written["data"]["tls.crt"], made.object()["data"]["tls.crt"], "what is served stays");
    assert!(written["data"]["next-ca.crt"].is_string(), "and another CA is to take over");
    assert_eq!(written["data"].get("previous-ca.crt"), Some(&Value::Null), "what isn't to be there is taken out");
}

#[tokio::test]
async fn what_can_not_be_changed_is_deleted_and_made_anew() {
    let made = material();
    for wrong in [json!({"type": "Opaque"}), json!({"immutable": true})] {
        let deleted = (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
        let answers = vec![secret(&made, &json!({})), secret(&made, &wrong), deleted, secret(&made, &json!({}))];
        let (requests, plan, _) = turns(true, answers, 2).await;
        assert_eq!(asked(&requests)[2..], [format!("DELETE {OWN}"), format!("PATCH {OWN}")]);
        assert_eq!(requests[2].1["preconditions"], json!({"uid": "u", "resourceVersion": "7"}));
        assert_eq!(plan.unwrap(), Plan::Restore);
    }
}

#[tokio::test]
async fn a_write_that_comes_too_late_changes_nothing_here() {
    let conflict = (409, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409}));
    let (_, result, known) = turns(true, vec![secret(&material(), &json!({"data": {}})), conflict], 1).await;
    assert_eq!(result.unwrap_err().category(), "conflict");
    assert_eq!(known.reasons(), ["no certificate yet"]);
}

#[tokio::test]
async fn who_may_not_write_still_serves() {
    let made = material();
    let mut data = made.object()["data"].clone();
    data.as_object_mut().unwrap().remove("ca.key");
    let forbidden = (403, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}));
    let (_, result, known) = turns(true, vec![secret(&made, &json!({"data": data})), forbidden], 1).await;
    assert_eq!(result.unwrap_err().category(), "forbidden");
    assert_eq!(known.reasons(), [] as [&str; 0]);
    assert_eq!(known.bundle(), Some(made.bundle()));
}

#[tokio::test]
async fn an_end_that_nobody_averts_is_told_by_the_leader_once_an_hour() {
    let (service, mut handle) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
    let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
    let lifetimes = Lifetimes { ca: SignedDuration::from_hours(1_000), leaf: SignedDuration::from_hours(100) };
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let known = Arc::new(Known::new(names(), &lifetimes, Arc::clone(&shared), Arc::new(ServedCertificate::default())));
    let certificate = Material::make(&names(), clock.now(), &lifetimes).unwrap().certificate().clone();
    let bundle = certificate.ca.clone();
    known.offer(super::super::known::Offer { certificate, bundle });
    let reference = k8s_openapi::api::core::v1::ObjectReference::default();
    known.observe("ValidatingWebhookConfiguration", Some(published::Published { bundles: [].into(), reference }));
    let writer = Writer::new(Client::new(service, "default"), Fence::open(Arc::clone(&shared)));
    let reconciler = Reconciler::of(writer, shared);
    let source = Source::Brought(Folder::new(std::path::Path::new("unread")));
    let mut keeper = Keeper::new(reconciler, known, source, lifetimes, &mut Registry::default());
    let server = tokio::spawn(async move {
        let (mut told, mut fails) = (Vec::new(), true);
        while let Some((request, send)) = handle.next_request().await {
            let sent = request.into_body().collect_bytes().await.unwrap();
            let (code, body) = match std::mem::take(&mut fails) {
                true => (500_u16, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500})),
                false => (201, serde_json::from_slice(&sent).unwrap()),
            };
            told.extend((code == 201).then(|| body.clone()));
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            send.send_response(http::Response::builder().status(code).body(body).unwrap());
        }
        told
    });
    keeper.tell().await;
    // A third is left of the leaf.
    clock.advance(Duration::from_secs(67 * 3_600));
    keeper.tell().await;
    // That was not written. What repeats is told once a minute.
    clock.advance(Duration::from_secs(60));
    keeper.tell().await;
    keeper.tell().await;
    clock.advance(TELL);
    keeper.tell().await;
    drop(keeper);
    let told = server.await.unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0]["type"], &told[0]["reason"]), (&json!("Warning"), &json!("CertificateEnding")));
    let note = told[0]["note"].as_str().unwrap();
    assert!(note.contains("leaf at 2026-01-05T04:00:00Z") && !note.contains("ca at"), "{note}");
}

/// An API server with one webhook configuration, which trusts these; gives the Events that were written.
fn server(trusted: &[u8]) -> (Client, Arc<Mutex<Vec<Value>>>) {
    let told: Arc<Mutex<Vec<Value>>> = Arc::default();
    let configuration = json!({
        "metadata": {"name": "amanat", "uid": "u"},
        "webhooks": [{"name": "a", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"caBundle": k8s_openapi::ByteString(trusted.to_vec())}}],
    });
    let log = Arc::clone(&told);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (log, configuration) = (Arc::clone(&log), configuration.clone());
        async move {
            let (parts, sent) = request.into_parts();
            let (code, body) = match parts.uri.path() {
                path if path.contains("/validatingwebhookconfigurations") => (200, configuration),
                path if path.ends_with("/events") => {
                    let event: Value = serde_json::from_slice(&sent.collect_bytes().await.unwrap()).unwrap();
                    log.lock().unwrap().push(event.clone());
                    (201, event)
                }
                _ => absent(),
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), told)
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the files of the folder are written here")]
async fn what_is_brought_and_does_not_verify_is_told_and_not_taken() {
    let path = std::env::temp_dir().join(format!("amanat-refused-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let write = |ca: &[u8], by: &Certificate| {
        for (name, content) in [("ca.crt", ca), ("tls.crt", by.chain()), ("tls.key", by.key())] {
            std::fs::write(path.join(name), content).unwrap();
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
    let make = |names: &[String]| Certificate::make(names, clock.now()).unwrap();
    let (first, second, misnamed) = (make(&names()), make(&names()), make(&["b.example".to_owned()]));
    let (client, told) = server(&first.ca);
    let served = Arc::new(ServedCertificate::default());
    let lifetimes = Lifetimes::default();
    let known = Arc::new(Known::new(names(), &lifetimes, Arc::clone(&clock), Arc::clone(&served)));
    let reconciler = Reconciler::of(Writer::new(client, Fence::open(Arc::clone(&clock))), clock);
    let source = Source::Brought(Folder::new(&path));
    let mut keeper = Keeper::new(reconciler, Arc::clone(&known), source, lifetimes, &mut Registry::default());
    write(&first.ca, &first);
    keeper.turn().await.unwrap();
    keeper.tell().await;
    for (ca, by) in [(&second.ca, &first), (&misnamed.ca, &misnamed)] {
        write(ca, by);
        assert_eq!(keeper.turn().await.unwrap_err().category(), "unverified");
        keeper.tell().await;
        assert!(*served.current().unwrap() == first);
        assert_eq!(known.bundle().as_ref(), Some(&first.ca), "the CA is not published");
        assert_eq!(known.reasons(), [] as [&str; 0]);
    }
    write(&second.ca, &second);
    keeper.turn().await.unwrap();
    keeper.tell().await;
    assert_eq!(known.bundle(), Some([second.ca.as_slice(), &first.ca].concat()));
    let told: Vec<Value> = told.lock().unwrap().clone();
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(event["reason"], "CertificateRefused");
    assert!(event["note"].as_str().unwrap().contains("does not verify by its own ca.crt"), "{event}");
    std::fs::remove_dir_all(&path).unwrap();
}
