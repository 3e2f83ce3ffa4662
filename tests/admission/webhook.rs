//! The webhook's own router over a world that is given, and what is sent to it.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use amanat::admission::{AdmissionState, Metrics, router};
use amanat::api::SecurityBaseline;
use amanat::baseline::{ControlTerms, Effective, Mode, Terms};
use amanat::cluster::{Index, LiveLookup, NamespaceEntry, Settings, SystemClock, World};
use amanat::control::Control;
use amanat::engine::Engines;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fixture;
use crate::sent::as_sent;

/// What the API server answers to every question of the webhook.
#[derive(Clone, Copy)]
pub(crate) enum ApiServer {
    /// It has nothing more than the index.
    HasNoMore,
    /// It has the objects of some paths that the index hasn't seen.
    HasMore(fn(&str) -> Option<Value>),
    /// It is out of order.
    Fails,
}

impl ApiServer {
    fn answer(self, path: &str) -> (u16, Value) {
        let (code, reason) = match self {
            Self::HasMore(objects) => match objects(path) {
                Some(object) => return (200, object),
                None => (404, "NotFound"),
            },
            Self::HasNoMore => (404, "NotFound"),
            Self::Fails => (500, "InternalError"),
        };
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": "", "metadata": {}});
        (code, status)
    }
}

/// A world with the namespaces `fbr-portal`, which is declared Restricted, and `free`, which declares nothing; with
/// one more control that denies everywhere, if one is given.
pub(crate) fn world(more: Option<&'static Control>) -> World {
    let registry = fixture::Registry::usual();
    let baseline: SecurityBaseline = serde_json::from_value(json!({"apiVersion": "amanat.dev/v1alpha1",
        "kind": "SecurityBaseline", "metadata": {"name": "test", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": serde_json::to_value(fixture::baseline(json!({}))).unwrap()}))
    .unwrap();
    let mut effective = Effective::resolve("test", &baseline.spec, Mode::Cluster).unwrap();
    effective.controls.extend(more.map(|control| {
        let terms = Terms { effect: amanat::api::Effect::Deny, ..Terms::default() };
        ControlTerms { control, supply: false, by_class: vec![terms; effective.regime.classes.len()] }
    }));
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "amanat.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let provider = object("CloudServiceProvider", "ntc", serde_json::to_value(&registry.providers["ntc"]).unwrap());
    let entity = object("PublicSectorEntity", "fbr", serde_json::to_value(&registry.entities["fbr"]).unwrap());
    let mut declared =
        object("CloudWorkload", "workload", serde_json::to_value(fixture::declaration(json!({}))).unwrap());
    declared["metadata"] = json!({"name": "workload", "namespace": "fbr-portal",
        "creationTimestamp": "2026-01-01T00:00:00Z"});

    let mut world = World { engines: Some(Arc::new(Engines::compile(&effective, &[]))), ..World::default() };
    Arc::make_mut(&mut world.baselines).insert("test".to_owned(), Arc::new(baseline));
    Arc::make_mut(&mut world.providers).insert("ntc".to_owned(), Arc::new(serde_json::from_value(provider).unwrap()));
    Arc::make_mut(&mut world.entities).insert("fbr".to_owned(), Arc::new(serde_json::from_value(entity).unwrap()));
    for (name, labels, declaration) in
        [("fbr-portal", json!({"amanat.dev/data-class": "Restricted"}), Some(declared)), ("free", json!({}), None)]
    {
        let entry = NamespaceEntry {
            name: name.to_owned(),
            metadata: Some(Arc::new(serde_json::from_value(json!({"name": name, "labels": labels})).unwrap())),
            declaration: declaration.map(|object| Arc::new(serde_json::from_value(object).unwrap())),
        };
        Arc::make_mut(&mut world.namespaces).insert(name.to_owned(), Arc::new(entry));
    }
    world
}

/// A webhook, and what it counts.
pub(crate) struct Webhook {
    pub(crate) router: Router,
    metrics: Arc<Metrics>,
}

impl Webhook {
    pub(crate) fn new(world: World, api_server: ApiServer) -> Self {
        Self::over(Index::of(world), api_server)
    }

    pub(crate) fn over(index: Index, api_server: ApiServer) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = tower::service_fn(move |request: Request<kube::client::Body>| async move {
            let (code, body) = api_server.answer(request.uri().path());
            let body = kube::client::Body::from(body.to_string().into_bytes());
            Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
        });
        let index = Arc::new(index);
        let lookup = LiveLookup::new(kube::Client::new(client, "default"), Arc::clone(&index));
        let settings = Arc::new(Settings::new("amanat-system", "amanat", "test"));
        let metrics = Arc::new(Metrics::new());
        let clock = Arc::new(SystemClock::new());
        let state = AdmissionState::new(index, lookup, settings, Arc::clone(&metrics), clock);
        Self { router: router(Arc::new(state)), metrics }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&self, entry: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Sent {
        let verb = if entry.starts_with("supply") { "mutate" } else { "validate" };
        let mut request = Request::post(format!("/{verb}/{entry}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Sent { status: parts.status, headers: parts.headers, text }
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, entry: &str, body: impl Into<Body>) -> Sent {
        self.send(entry, &[("content-type", "application/json")], body).await
    }

    /// Sends a review in two orders and expects one back, with the same uid. The order of its fields, by which an object is decoded
    /// while the review is read or later, changes nothing.
    pub(crate) async fn review(&self, entry: &str, review: &Value) -> Answer {
        let sent = self.post(entry, as_sent(review)).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.text);
        assert_eq!(self.post(entry, review.to_string()).await.text, sent.text);
        let answer: Value = serde_json::from_str(&sent.text).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        Answer(answer["response"].clone())
    }

    /// Everything that is counted, as a scraper reads it.
    pub(crate) fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::with_prefix("amanat");
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

/// What came back.
pub(crate) struct Sent {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// The response of a review.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Value);

impl Answer {
    pub(crate) fn allowed(&self) -> bool {
        self.0["allowed"].as_bool().unwrap()
    }

    pub(crate) fn message(&self) -> &str {
        self.0["status"]["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn audit(&self, key: &str) -> &str {
        self.0["auditAnnotations"][key].as_str().unwrap_or_default()
    }

    /// The controls of the causes.
    pub(crate) fn controls(&self) -> Vec<&str> {
        let causes = self.0["status"]["details"]["causes"].as_array();
        causes.into_iter().flatten().map(|cause| cause["reason"].as_str().unwrap()).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.0["warnings"].as_array().into_iter().flatten().map(|warning| warning.as_str().unwrap()).collect()
    }
}

/// A review of a request in a namespace by an ordinary user, with some fields of the request changed.
pub(crate) fn review(operation: &str, kind: (&str, &str, &str), namespace: &str, changes: Value) -> Value {
    let (group, kind, resource) = kind;
    let mut request = json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation, "name": "app",
        "namespace": namespace, "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "officer", "groups": ["system:authenticated"]}, "object": null, "oldObject": null,
        "dryRun": false, "options": null});
    fixture::merge(&mut request, changes);
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

pub(crate) const POD: (&str, &str, &str) = ("", "Pod", "pods");
pub(crate) const DEPLOYMENT: (&str, &str, &str) = ("apps", "Deployment", "deployments");

/// A Pod that every control of Restricted accepts, what is supplied included.
pub(crate) fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "app", "labels": {"amanat.dev/data-class": "Restricted"}}, "spec": fixture::placed_spec()})
}

/// A Pod with an image that Restricted doesn't take.
pub(crate) fn unpinned() -> Value {
    let mut pod = pod();
    pod["spec"]["containers"][0]["image"] = json!("registry.example.gov.pk/app:1");
    pod["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    pod
}

/// Everything that is logged on this thread while the guard lives.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
