//! The webhook through its own router: what is no review, what is refused, what is admitted, and what is never told.

#![cfg(feature = "operator")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/damage.rs"]
mod damage;
#[path = "admission/damaging.rs"]
mod damaging;
#[path = "admission/declarations.rs"]
mod declarations;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "admission/memory.rs"]
mod memory;
#[path = "support/random.rs"]
mod random;
#[path = "admission/secrecy.rs"]
mod secrecy;
#[path = "support/sent.rs"]
mod sent;
#[path = "admission/supplying.rs"]
mod supplying;
#[path = "admission/webhook.rs"]
mod webhook;

use std::time::Duration;

use amanat::admission::BODY_LIMIT;
use amanat::baseline::{Effective, Mode};
use amanat::cluster::{Index, World};
use amanat::engine::Engines;
use axum::body::Body;
use axum::http::StatusCode;
use declarations::baseline;
use serde_json::{Value, json};
use webhook::{ApiServer, POD, Webhook, pod, review, unpinned, world};

const ENTRIES: [&str; 5] = ["undeclared", "governed", "namespaces", "declarations", "registry"];
const CANARY: &str = "canary-7f3a";

fn usual() -> Webhook {
    Webhook::new(world(None), ApiServer::HasNoMore)
}

#[tokio::test]
async fn what_is_no_review_gets_a_4xx_and_the_next_request_an_answer() {
    let webhook = usual();
    let whole = review("CREATE", POD, "fbr-portal", json!({"object": pod()})).to_string();
    let other_version = whole.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let no_uid = review("CREATE", POD, "fbr-portal", json!({"uid": "", "object": pod()})).to_string();
    let bodies: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("blank", b" \n\t".to_vec()),
        ("garbage", b"\xff\xfe\x00nonsense".to_vec()),
        ("truncated", whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("another version", other_version.into_bytes()),
        ("another kind", whole.replace("AdmissionReview", "TokenReview").into_bytes()),
        ("no uid", no_uid.into_bytes()),
        ("a list", b"[]".to_vec()),
        ("deep", "[".repeat(20_000).into_bytes()),
    ];
    for entry in ENTRIES {
        for (name, body) in &bodies {
            let sent = webhook.post(entry, body.clone()).await;
            assert_eq!(sent.status, StatusCode::BAD_REQUEST, "{entry}: {name}: {}", sent.text);
            assert!(sent.text.len() < 200, "{entry}: {name}: {}", sent.text);
        }
    }
    assert!(webhook.review("governed", &serde_json::from_str(&whole).unwrap()).await.allowed());
}

#[tokio::test]
async fn what_is_not_read_is_told_by_its_status() {
    let webhook = usual();
    let json = ("content-type", "application/json");
    let gzip = webhook.send("governed", &[json, ("content-encoding", "gzip")], "x").await;
    assert_eq!(gzip.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let yaml = webhook.send("governed", &[("content-type", "application/yaml")], "x").await;
    assert_eq!(yaml.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let said = (BODY_LIMIT + 1).to_string();
    let over = webhook.send("governed", &[json, ("content-length", &said)], Body::empty()).await;
    assert_eq!(over.status, StatusCode::PAYLOAD_TOO_LARGE);
    let unsaid = webhook.post("governed", vec![b' '; BODY_LIMIT + 1]).await;
    assert_eq!(unsaid.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(webhook.post("nonsense", "{}").await.status, StatusCode::NOT_FOUND);
    let get = axum::http::Request::get("/validate/governed").body(Body::empty()).unwrap();
    let get = tower::ServiceExt::oneshot(webhook.router.clone(), get).await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_refusal_says_what_where_and_what_to_do() {
    let webhook = usual();
    let answer = webhook.review("governed", &review("CREATE", POD, "fbr-portal", json!({"object": unpinned()}))).await;
    assert!(!answer.allowed());
    assert_eq!(answer.0["status"]["code"], 403);
    assert_eq!(answer.0["status"]["reason"], "Forbidden");
    assert_eq!(answer.controls(), ["image/digest-pinned"]);
    assert_eq!(answer.0["status"]["details"]["causes"][0]["field"], "spec.containers[0].image");
    for part in ["[Restricted]", "image/digest-pinned", "spec.containers[0].image", "container app", "fix: "] {
        assert!(answer.message().contains(part), "{part} in {}", answer.message());
    }
    assert_eq!(answer.audit("decision"), "denied");
    assert_eq!(answer.audit("class"), "Restricted");
    assert_eq!(answer.audit("baseline"), "test@1");
    assert_eq!(answer.audit("controls"), "image/digest-pinned=Deny");

    let conforming = webhook.review("governed", &review("CREATE", POD, "fbr-portal", json!({"object": pod()}))).await;
    assert!(conforming.allowed(), "{conforming:?}");
    assert_eq!(conforming.audit("decision"), "allowed");
}

#[tokio::test]
async fn an_answer_stays_small_however_much_is_wrong() {
    let webhook = usual();
    let mut pod = unpinned();
    let container = pod["spec"]["containers"][0].clone();
    let named = |index: usize| {
        let mut container = container.clone();
        container["name"] = json!(format!("c{index}-{}", "x".repeat(50)));
        container["image"] = json!(format!("elsewhere.example/{}:{index}", "y".repeat(400)));
        container
    };
    pod["spec"]["containers"] = (0..2_000).map(named).collect();
    let answer = webhook.review("governed", &review("CREATE", POD, "fbr-portal", json!({"object": pod}))).await;
    assert!(!answer.allowed());
    assert!(answer.message().lines().count() <= 21, "{}", answer.message().lines().count());
    assert!(answer.controls().len() <= 100);
    assert!(answer.0.to_string().len() < 256 * 1_024, "{}", answer.0.to_string().len());
    assert!(answer.warnings().iter().all(|warning| warning.chars().count() <= 120));
}

#[tokio::test]
async fn subresources_of_pods_are_judged_but_for_those_that_carry_nothing() {
    let webhook = usual();
    let of = |subresource: &str, object: Value| {
        review("UPDATE", POD, "fbr-portal", json!({"subResource": subresource, "object": object, "oldObject": pod()}))
    };
    for subresource in ["ephemeralcontainers", "resize", "nova"] {
        let answer = webhook.review("governed", &of(subresource, unpinned())).await;
        assert_eq!(answer.controls(), ["image/digest-pinned"], "{subresource}");
        assert!(webhook.review("governed", &of(subresource, pod())).await.allowed(), "{subresource}");
    }
    let mut ephemeral = pod();
    ephemeral["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": "registry.example.gov.pk/debug:1"}]);
    let answer = webhook.review("governed", &of("ephemeralcontainers", ephemeral)).await;
    assert!(answer.controls().contains(&"image/digest-pinned"), "{answer:?}");

    let unknown = webhook.review("governed", &of("nova", json!({"kind": "Nova", "target": CANARY}))).await;
    assert!(!unknown.allowed());
    assert_eq!(unknown.0["status"]["code"], 422);
    assert_eq!(unknown.audit("decision"), "undecodable");
    assert!(!unknown.0.to_string().contains(CANARY));

    for subresource in ["status", "eviction", "binding", "log"] {
        let answer = webhook.review("governed", &of(subresource, json!({"anything": true}))).await;
        assert!(answer.allowed(), "{subresource}");
        assert_eq!(answer.audit("decision"), "not-judged");
    }
}

#[tokio::test]
async fn what_can_t_be_read_is_refused_wherever_something_in_it_would_be() {
    for (undeclared, refused) in [("Disabled", false), ("Warn", false), ("Deny", true)] {
        let spec = fixture::baseline(json!({"undeclared": undeclared}));
        let effective = Effective::resolve("test", &spec, Mode::Cluster).unwrap();
        let engines = Some(std::sync::Arc::new(Engines::compile(&effective, &[])));
        let webhook = Webhook::new(World { engines, ..world(None) }, ApiServer::HasNoMore);
        for object in [json!({"spec": {"containers": 7}}), json!({"spec": {"containers": vec![json!({}); 100_000]}})] {
            let made = |namespace| review("CREATE", POD, namespace, json!({"object": object}));
            let answer = webhook.review("undeclared", &made("free")).await;
            assert_eq!(answer.audit("decision"), "undecodable", "{undeclared}: {answer:?}");
            assert_eq!(answer.allowed(), !refused, "{undeclared}: {answer:?}");
            let told = if refused { vec![answer.message()] } else { answer.warnings() };
            assert!(told.len() == 1 && told[0].contains("the Pod can't be judged"), "{undeclared}: {answer:?}");
            let governed = webhook.review("governed", &made("fbr-portal")).await;
            assert!(!governed.allowed(), "{undeclared}: {governed:?}");
        }
    }
}

#[tokio::test]
async fn changes_that_add_nothing_pass() {
    let webhook = usual();
    let mut going = unpinned();
    going["metadata"]["finalizers"] = json!([]);
    going["metadata"]["labels"]["a"] = json!("b");
    let update = review("UPDATE", POD, "fbr-portal", json!({"object": going, "oldObject": unpinned()}));
    assert!(webhook.review("governed", &update).await.allowed());
    let delete = review("DELETE", POD, "fbr-portal", json!({"oldObject": unpinned()}));
    assert!(webhook.review("governed", &delete).await.allowed());

    let scale = |replicas: i32, before: i32| {
        let object =
            |replicas: i32| json!({"kind": "Scale", "metadata": {"name": "app"}, "spec": {"replicas": replicas}});
        review(
            "UPDATE",
            ("autoscaling", "Scale", "deployments"),
            "fbr-portal",
            json!({"subResource": "scale",
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "object": object(replicas), "oldObject": object(before)}),
        )
    };
    assert!(webhook.review("governed", &scale(3, 1)).await.allowed());
    // Without its provider, nothing new comes in, and everything may go.
    let mut closed = world(None);
    std::sync::Arc::make_mut(&mut closed.providers).clear();
    let closed = Webhook::new(closed, ApiServer::HasNoMore);
    assert!(!closed.review("governed", &scale(3, 1)).await.allowed());
    assert!(closed.review("governed", &scale(0, 3)).await.allowed());
}

#[tokio::test]
async fn a_dry_run_is_judged_like_any_other() {
    let webhook = usual();
    let dry = json!({"dryRun": true, "object": unpinned()});
    let answer = webhook.review("governed", &review("CREATE", POD, "fbr-portal", dry)).await;
    assert!(!answer.allowed());
    let dry = json!({"dryRun": true, "object": pod()});
    assert!(webhook.review("governed", &review("CREATE", POD, "fbr-portal", dry)).await.allowed());
}

#[tokio::test]
async fn the_cluster_s_own_namespaces_and_mirror_pods_are_not_blocked() {
    let webhook = usual();
    let system = webhook.review("governed", &review("CREATE", POD, "kube-system", json!({"object": unpinned()}))).await;
    assert!(system.allowed());
    assert_eq!(system.audit("decision"), "system");

    let mut mirror = unpinned();
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "0123"});
    let by = |username: &str, group: &str| {
        review(
            "CREATE",
            POD,
            "fbr-portal",
            json!({"object": mirror,
            "userInfo": {"username": username, "groups": [group]}}),
        )
    };
    let by_node = webhook.review("governed", &by("system:node:n1", "system:nodes")).await;
    assert!(by_node.allowed());
    assert_eq!(by_node.audit("decision"), "mirror-pod");
    assert_eq!(by_node.audit("controls"), "image/digest-pinned=Deny");
    assert!(!webhook.review("governed", &by("officer", "system:authenticated")).await.allowed());
}

#[tokio::test]
async fn what_can_t_be_looked_up_is_a_503_without_retry_after() {
    let failing = Webhook::new(world(None), ApiServer::Fails);
    let create = |namespace: &str| review("CREATE", POD, namespace, json!({"object": pod()}));
    for namespace in ["free", "never-seen"] {
        let sent = failing.post("undeclared", create(namespace).to_string()).await;
        assert_eq!(sent.status, StatusCode::SERVICE_UNAVAILABLE, "{namespace}");
        assert!(!sent.headers.contains_key("retry-after"));
    }
    assert!(failing.metrics().contains(r#"amanat_admission_lookups_failed_total{entry="undeclared"} 2"#));
    // What the index knows needs no question, and neither does what is never judged.
    assert!(failing.review("governed", &create("fbr-portal")).await.allowed());
    assert!(failing.review("governed", &create("kube-system")).await.allowed());

    let answering = usual();
    let answer = answering.review("undeclared", &create("free")).await;
    assert!(answer.allowed());
    assert_eq!(answer.audit("decision"), "warned");
    assert!(answer.warnings()[0].contains("placement/data-class-declared"), "{answer:?}");
}

#[tokio::test]
async fn before_everything_is_seen_nobody_is_answered_but_the_registry() {
    for webhook in
        [Webhook::over(Index::new(), ApiServer::HasNoMore), Webhook::new(World::default(), ApiServer::HasNoMore)]
    {
        let create = review("CREATE", POD, "fbr-portal", json!({"object": pod()})).to_string();
        let sent = webhook.post("governed", create).await;
        assert_eq!(sent.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!sent.headers.contains_key("retry-after"));
        let answer = webhook.review("registry", &baseline("CREATE", json!({}))).await;
        assert!(answer.allowed(), "a baseline must get in while there is none: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for_without_end() {
    tokio::time::pause();
    let webhook = usual();
    let never = futures::stream::pending::<Result<Vec<u8>, std::convert::Infallible>>();
    let waited =
        tokio::time::timeout(Duration::from_secs(60), webhook.post("governed", Body::from_stream(never))).await;
    assert_eq!(waited.unwrap().status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn damage_never_makes_a_review_allowed() {
    let webhook = Webhook::new(world(None), ApiServer::Fails);
    let whole = damage::Whole { refused: damaging::refused(), allowed: damaging::allowed(), limit: BODY_LIMIT };
    for (reviews, allowed) in [(&whole.refused, false), (&whole.allowed, true)] {
        for damage::Reviewed { paths, review } in reviews {
            for path in *paths {
                let answer = webhook.review(path.trim_start_matches("/validate/"), review).await;
                assert_eq!(answer.allowed(), allowed, "{path}: {answer:?}");
            }
        }
    }
    let mut random = random::Random(0x0a3a_4a75);
    for number in 0..3_600 {
        let damaged = damage::damaged(&whole, number, &mut random);
        let request = axum::http::Request::post(damaged.path).header("content-type", "application/json");
        let request = request.body(Body::from(damaged.body.clone())).unwrap();
        let response = tower::ServiceExt::oneshot(webhook.router.clone(), request).await.unwrap();
        let status = response.status().as_u16();
        let answer = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        let wrong = damaged.wrong(status, &String::from_utf8_lossy(&answer));
        let shown = String::from_utf8_lossy(&damaged.body[..damaged.body.len().min(3_000)]);
        assert!(wrong.is_none(), "{number}, {}, at {}: {wrong:?} to {shown}", damaged.what, damaged.path);
    }
    assert!(!webhook.metrics().contains("amanat_admission_panics_total{"), "{}", webhook.metrics());
}
