//! What a regime lets run out runs out at its very instant, by the clock that is given: in the webhook, in the operator
//! and in `check`, from one table.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::check::{CheckArgs, check};
use super::inputs::Inputs;
use crate::admission::{self, AdmissionState, router};
use crate::api::JURISDICTION_LABEL;
use crate::baseline::{Effective, Mode, shipped};
use crate::cluster::clock::ManualClock;
use crate::cluster::{Clock, Fence, Index, LiveLookup, NamespaceEntry, Settings, World, Writer};
use crate::engine::Engines;
use crate::reconcile::{self, Reconciler, cloud_workload};

const NAMESPACE: &str = "fbr-portal";
/// When it changes by the clock that is given.
const INSTANT: &str = "2026-06-01T00:00:00Z";
/// The instant to write so that what holds until then is over at [`INSTANT`]: clocks may differ.
const UNTIL: &str = "2026-06-01T00:00:05Z";
/// The same of what holds from then on.
const FROM: &str = "2026-05-31T23:59:55Z";
/// The start of a grace of a day that is over at [`INSTANT`].
const SINCE: &str = "2026-05-31T00:00:05Z";
/// How long before its instant everything is as before.
const BEFORE: Duration = Duration::from_millis(1);
const REPLICASETS: &str = "system:serviceaccount:kube-system:replicaset-controller";

/// One thing that runs out, or begins, at [`INSTANT`].
struct Row {
    what: &'static str,
    /// Fields of the baseline's spec.
    baseline: Value,
    /// Fields of the provider's spec.
    provider: Value,
    /// When the CloudWorkload was made.
    created: &'static str,
    /// What the leader recorded.
    status: Value,
    /// Whether the Pod is one that the class refuses.
    violating: bool,
    /// Whether it is made again for a ReplicaSet that is older than anything, and not by a user.
    recreated: bool,
    /// Whether the webhook admits it before and at the instant.
    admitted: [bool; 2],
    /// The same of `check`, which knows no owner's age.
    passes: [bool; 2],
    /// A field of the CloudWorkload's status or a label of the namespace, and its value before and at the instant.
    operator: (&'static str, [Value; 2]),
}

impl Row {
    fn plain() -> Self {
        Self {
            what: "",
            baseline: json!({}),
            provider: json!({}),
            created: "2026-01-01T00:00:00Z",
            status: json!({"class": "Restricted", "classSince": "2026-01-01T00:00:00Z"}),
            violating: false,
            recreated: false,
            admitted: [true, false],
            passes: [true, false],
            operator: (ACCEPTED, [json!("True"), json!("False")]),
        }
    }
}

const ACCEPTED: &str = "Accepted";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

fn table() -> Vec<Row> {
    let cap = json!([{"namespaces": ["fbr-*"], "effectCap": "Warn", "until": UNTIL, "reason": "rollout"}]);
    let grace = json!({"graceOnRaise": "24h", "graceOnSuspension": "24h"});
    let of_raise = || Row {
        baseline: grace.clone(),
        violating: true,
        recreated: true,
        passes: [false, false],
        operator: (ENFORCE, [json!("privileged"), json!("restricted")]),
        ..Row::plain()
    };
    vec![
        Row { what: "the provider's registration runs out", provider: json!({"validUntil": UNTIL}), ..Row::plain() },
        Row {
            what: "the provider's registration begins",
            provider: json!({"validFrom": FROM}),
            admitted: [false, true],
            passes: [false, true],
            operator: (ACCEPTED, [json!("False"), json!("True")]),
            ..Row::plain()
        },
        Row {
            what: "a rollout cap ends",
            baseline: json!({"rollout": cap}),
            violating: true,
            operator: (ENFORCE, [json!("privileged"), json!("restricted")]),
            ..Row::plain()
        },
        Row { what: "the grace of a first declaration ends", created: SINCE, status: json!({}), ..of_raise() },
        Row {
            what: "the grace of a raised class ends",
            status: json!({"class": "Restricted", "classSince": SINCE}),
            ..of_raise()
        },
        Row {
            what: "the grace of a suspension ends",
            baseline: grace.clone(),
            provider: json!({"state": "Suspended"}),
            status: json!({"class": "Restricted", "classSince": "2026-01-01T00:00:00Z",
                "unacceptableSince": SINCE}),
            recreated: true,
            passes: [false, false],
            operator: (ACCEPTED, [json!("False"), json!("False")]),
            ..Row::plain()
        },
        Row {
            what: "the grace of an expired registration ends",
            baseline: grace,
            // It runs from the instant at which the registration counts as over.
            provider: json!({"validUntil": "2026-05-31T00:00:10Z"}),
            recreated: true,
            passes: [false, false],
            operator: (ACCEPTED, [json!("False"), json!("False")]),
            ..Row::plain()
        },
    ]
}

/// What exists, as the API server has it.
struct Cluster {
    objects: BTreeMap<&'static str, Value>,
    pod: Value,
}

impl Cluster {
    fn new(row: &Row) -> Self {
        let merged = |mut spec: Value, changes: &Value| {
            spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            spec
        };
        let object = |kind: &str, name: &str, spec: Value| {
            json!({"apiVersion": "amanat.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "uid": "1", "generation": 1}, "spec": spec})
        };
        let mut regime = serde_json::to_value(shipped().unwrap().spec).unwrap();
        for control in regime["controls"].as_array_mut().unwrap() {
            if control["id"] == "image/approved-registries" {
                control["params"] = json!({"registries": ["registry.example.gov.pk"]});
            }
        }
        let provider = json!({"displayName": "NTC", "grade": "Accredited", "state": "Active", "maxDataClass": "Secret",
            "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
            "models": ["Government"], "services": ["PaaS"], "sites": [{"name": "isb-1", "country": "PK"}]});
        let declared = json!({"owner": "fbr", "dataClass": "Restricted", "provider": "ntc", "model": "Government",
            "service": "PaaS"});
        let mut workload = object("CloudWorkload", "workload", declared);
        workload["metadata"]["namespace"] = json!(NAMESPACE);
        workload["metadata"]["creationTimestamp"] = json!(row.created);
        workload["status"] = row.status.clone();
        let mut baseline = object("SecurityBaseline", "test", merged(regime, &row.baseline));
        baseline["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "uid": "1",
            "labels": {"amanat.dev/data-class": "Restricted"}}});
        let entity = object("PublicSectorEntity", "fbr", json!({"displayName": "FBR", "jurisdiction": "Federal"}));
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "app", "uid": "1",
            "namespace": NAMESPACE, "creationTimestamp": "2025-01-01T00:00:00Z"}});
        let mut spec = json!({"nodeSelector": {JURISDICTION_LABEL: "PK"},
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "app",
                "image": format!("registry.example.gov.pk/app@sha256:{}", "0".repeat(64)),
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]}}}]});
        if row.violating {
            spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        }
        let metadata =
            json!({"name": "app", "namespace": NAMESPACE, "labels": {"amanat.dev/data-class": "Restricted"}});
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        if row.recreated {
            pod["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "1", "controller": true}]);
        }
        let objects = [
            ("/apis/amanat.dev/v1alpha1/securitybaselines/test", baseline),
            (
                "/apis/amanat.dev/v1alpha1/cloudserviceproviders/ntc",
                object("CloudServiceProvider", "ntc", merged(provider, &row.provider)),
            ),
            ("/apis/amanat.dev/v1alpha1/publicsectorentities/fbr", entity),
            ("/apis/amanat.dev/v1alpha1/namespaces/fbr-portal/cloudworkloads/workload", workload),
            ("/api/v1/namespaces/fbr-portal", namespace),
            ("/apis/apps/v1/namespaces/fbr-portal/replicasets/app", owner),
        ];
        Self { objects: objects.into(), pod }
    }

    fn of_kind(&self, kind: &str) -> Value {
        self.objects.values().find(|object| object["kind"] == kind).unwrap().clone()
    }

    fn world(&self) -> World {
        let object = |kind: &str| self.of_kind(kind);
        let baseline: crate::api::SecurityBaseline = serde_json::from_value(object("SecurityBaseline")).unwrap();
        let effective = Effective::resolve("test", &baseline.spec, Mode::Cluster).unwrap();
        let mut world = World { engines: Some(Arc::new(Engines::compile(&effective, &[]))), ..World::default() };
        let provider = serde_json::from_value(object("CloudServiceProvider")).unwrap();
        let entity = serde_json::from_value(object("PublicSectorEntity")).unwrap();
        Arc::make_mut(&mut world.baselines).insert("test".to_owned(), Arc::new(baseline));
        Arc::make_mut(&mut world.providers).insert("ntc".to_owned(), Arc::new(provider));
        Arc::make_mut(&mut world.entities).insert("fbr".to_owned(), Arc::new(entity));
        let entry = NamespaceEntry {
            name: NAMESPACE.to_owned(),
            metadata: Some(Arc::new(serde_json::from_value(object("Namespace")["metadata"].clone()).unwrap())),
            declaration: Some(Arc::new(serde_json::from_value(object("CloudWorkload")).unwrap())),
        };
        Arc::make_mut(&mut world.namespaces).insert(NAMESPACE.to_owned(), Arc::new(entry));
        world
    }

    /// An API server that has these objects, takes every write, and keeps what was written to the namespace and to the
    /// CloudWorkload's status.
    fn server(&self) -> (Client, Arc<Mutex<Vec<Value>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (objects, log) = (self.objects.clone(), Arc::clone(&written));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (objects, log) = (objects.clone(), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let path = parts.uri.path();
                let (code, answer) = if parts.method == Method::GET {
                    match objects.get(path) {
                        Some(object) => (StatusCode::OK, object.clone()),
                        // Below the namespace, what has no name behind it is a list.
                        None => match path.split_once("/namespaces/fbr-portal/") {
                            Some((_, "replicasets")) => (StatusCode::OK, list(&objects, "ReplicaSet")),
                            Some((_, plural)) if !plural.contains('/') => (StatusCode::OK, list(&objects, "none")),
                            _ => absent(),
                        },
                    }
                } else {
                    let sent: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap_or_default();
                    log.lock().unwrap().push(sent.clone());
                    let object = path.strip_suffix("/status").and_then(|path| objects.get(path)).cloned();
                    (StatusCode::OK, object.unwrap_or(sent))
                };
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        (Client::new(service, "default"), written)
    }
}

fn list(objects: &BTreeMap<&'static str, Value>, kind: &str) -> Value {
    let items: Vec<&Value> = objects.values().filter(|object| object["kind"] == kind).collect();
    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
}

fn absent() -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
        "message": "", "metadata": {}});
    (StatusCode::NOT_FOUND, status)
}

fn just_before() -> Arc<ManualClock> {
    let before = INSTANT.parse::<Timestamp>().unwrap() - BEFORE;
    Arc::new(ManualClock::at(&before.to_string()))
}

/// Whether the webhook admits the Pod just before the instant and at it.
async fn webhook(row: &Row) -> [bool; 2] {
    let cluster = Cluster::new(row);
    let index = Arc::new(Index::of(cluster.world()));
    let lookup = LiveLookup::new(cluster.server().0, Arc::clone(&index));
    let settings = Arc::new(Settings::new("amanat-system", "amanat", "test"));
    let clock = just_before();
    let metrics = Arc::new(admission::Metrics::new());
    let state = AdmissionState::new(index, lookup, settings, metrics, Arc::clone(&clock) as Arc<dyn Clock>);
    let router = router(Arc::new(state));
    let user = if row.recreated { REPLICASETS } else { "officer" };
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "name": "app", "namespace": NAMESPACE,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": cluster.pod, "oldObject": null, "dryRun": false, "options": null}});
    let ask = async || {
        let request = Request::post("/validate/governed").header("content-type", "application/json");
        let request = request.body(axum::body::Body::from(review.to_string())).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        answer["response"]["allowed"].as_bool().unwrap()
    };
    let before = ask().await;
    clock.advance(BEFORE);
    [before, ask().await]
}

/// What the operator writes of the row's field just before the instant, and when it looks again by itself.
async fn operator(row: &Row) -> [Value; 2] {
    let cluster = Cluster::new(row);
    let clock = just_before();
    let (client, written) = cluster.server();
    let reconciler = Reconciler {
        index: Arc::new(Index::of(cluster.world())),
        writer: Writer::new(client, Fence::open(Arc::clone(&clock) as Arc<dyn Clock>)),
        settings: Arc::new(Settings::new("amanat-system", "amanat", "test")),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        serving: Arc::new(|| None),
        server_minor: 37,
        metrics: Arc::<reconcile::Metrics>::default(),
        turned: Arc::default(),
        events: Arc::default(),
    };
    let look = async || {
        written.lock().unwrap().clear();
        let again = cloud_workload::reconcile(&reconciler, NAMESPACE).await.unwrap();
        (found(&written.lock().unwrap(), row.operator.0), again)
    };
    let (before, again) = look().await;
    let again = again.unwrap_or_else(|| panic!("{}: nothing wakes the operator", row.what));
    assert!((BEFORE..Duration::from_secs(1)).contains(&again), "{}: it looks again in {again:?}", row.what);
    clock.advance(again);
    [before, look().await.0]
}

fn found(written: &[Value], field: &str) -> Value {
    let of = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array();
        let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == field);
        condition
            .map(|condition| condition["status"].clone())
            .or_else(|| object["metadata"]["labels"].get(field).cloned())
    };
    written.iter().find_map(of).unwrap_or_else(|| panic!("{field} is in none of {written:?}"))
}

/// Whether `check` has nothing against the Pod and what it stands on.
fn offline(row: &Row) -> [bool; 2] {
    let cluster = Cluster::new(row);
    let kinds = ["SecurityBaseline", "CloudServiceProvider", "PublicSectorEntity", "CloudWorkload"];
    let documents = kinds.iter().map(|kind| cluster.of_kind(kind)).chain([cluster.pod.clone()]);
    let text = documents.map(|object| object.to_string()).collect::<Vec<_>>().join("\n---\n");
    let at: Timestamp = INSTANT.parse().unwrap();
    [at - BEFORE, at].map(|now| {
        let args = CheckArgs { now: Some(now), ..CheckArgs::default() };
        let report = check(&args, &Inputs::of_text("all.yaml", &text)).unwrap().report;
        assert_eq!(report.errors, [], "{}", row.what);
        report.counts().denied == 0
    })
}

#[tokio::test]
async fn every_front_crosses_an_instant_at_once() {
    for row in table() {
        assert_eq!(webhook(&row).await, row.admitted, "{}: the webhook", row.what);
        assert_eq!(offline(&row), row.passes, "{}: check", row.what);
        assert_eq!(operator(&row).await, row.operator.1, "{}: the operator", row.what);
    }
}
