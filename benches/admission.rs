//! The webhook's path, from the bytes of a review to the bytes of its answer: `cargo bench --bench admission`.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench that goes wrong ends by panicking")]

#[path = "../tests/support/sent.rs"]
mod sent;

use std::convert::Infallible;
use std::sync::Arc;

use amanat::admission::{AdmissionState, Metrics, router};
use amanat::api::{CloudWorkload, JURISDICTION_LABEL};
use amanat::baseline::{Effective, Mode, shipped};
use amanat::cluster::{Index, LiveLookup, NamespaceEntry, Settings, SystemClock, World};
use amanat::engine::Engines;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

fn main() {
    divan::main();
}

/// A Pod of a controller as the API server sends it: about 11 kB, a half of it managedFields.
fn pod() -> Value {
    let container = |name: &str| {
        let digest = "0".repeat(64);
        let env: Vec<Value> = (0..12)
            .map(|index| {
                let reference =
                    json!({"secretKeyRef": {"name": format!("{name}-credentials"), "key": format!("key-{index}")}});
                if index % 3 == 0 {
                    json!({"name": format!("SETTING_{index}"), "valueFrom": reference})
                } else {
                    json!({"name": format!("SETTING_{index}"), "value": format!("value-{index}.fbr-portal.svc")})
                }
            })
            .collect();
        let probe = |path: &str| {
            json!({"httpGet": {"path": path, "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1,
                "successThreshold": 1, "failureThreshold": 3})
        };
        json!({"name": name, "image": format!("registry.example.gov.pk/fbr/{name}@sha256:{digest}"),
            "imagePullPolicy": "IfNotPresent", "args": ["--listen=:8080", "--log-format=json"], "env": env,
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            "livenessProbe": probe("/livez"), "readinessProbe": probe("/readyz"),
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "runAsNonRoot": true, "runAsUser": 10001, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app", "readOnly": true},
                {"name": "tmp", "mountPath": "/tmp"}],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    };
    let owned: serde_json::Map<String, Value> = (0..90)
        .map(|index| {
            let key = format!("k:{{\"name\":\"SETTING_{index}\"}}");
            (key, json!({".": {}, "f:name": {}, "f:value": {}}))
        })
        .collect();
    let managed = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": owned}}}});
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "portal-6d4b75cb6d-hwq9x", "generateName": "portal-6d4b75cb6d-", "namespace": "fbr-portal",
            "uid": "0d2f4a0e-9f0c-4b6e-9b1a-3d1b6c0f7a11", "creationTimestamp": "2027-01-01T00:00:00Z",
            "labels": {"app": "portal", "pod-template-hash": "6d4b75cb6d", "amanat.dev/data-class": "Restricted"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "portal-6d4b75cb6d",
                "uid": "5b1c1a2e-3f5d-4a53-8f0e-8f1f3a0b8a21", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
                "time": "2027-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": managed}]},
        "spec": {"containers": [container("app"), container("proxy")], "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "portal",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "amanat.dev/data-class", "operator": "Equal", "value": "Restricted"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": JURISDICTION_LABEL, "operator": "In", "values": ["PK"]}]}]}}},
            "volumes": [{"name": "config", "configMap": {"name": "portal", "defaultMode": 420}},
                {"name": "tmp", "emptyDir": {}}]},
        "status": {"phase": "Pending", "qosClass": "Burstable"}})
}

/// A review about a Pod.
fn review(operation: &str, subresource: &str, object: &Value, old: &Value) -> Bytes {
    let pods = json!({"group": "", "version": "v1", "resource": "pods"});
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let mut request = json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": pods,
        "requestKind": kind, "requestResource": pods, "name": "portal-6d4b75cb6d-hwq9x", "namespace": "fbr-portal",
        "operation": operation, "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller",
            "uid": "1", "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]},
        "object": object, "oldObject": old, "dryRun": false, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}});
    if let Some(request) = request.as_object_mut().filter(|_| !subresource.is_empty()) {
        request.insert("subResource".to_owned(), json!(subresource));
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    Bytes::from(sent::as_sent(&review))
}

/// The shipped baseline with its one required parameter, a provider, an entity, and a namespace that is Restricted.
fn world() -> Result<World, Box<dyn std::error::Error>> {
    let mut baseline = shipped().map_err(|_| "the shipped baseline")?;
    for control in &mut baseline.spec.controls {
        if control.id == "image/approved-registries" {
            control.params.insert("registries".to_owned(), json!(["registry.example.gov.pk"]));
        }
    }
    let effective = Effective::resolve("shipped", &baseline.spec, Mode::Cluster)?;
    let mut world = World { engines: Some(Arc::new(Engines::compile(&effective, &[]))), ..World::default() };
    let object = |kind: &str, metadata: Value, spec: Value| json!({"apiVersion": "amanat.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    let provider = object(
        "CloudServiceProvider",
        json!({"name": "ntc"}),
        json!({"displayName": "NTC",
        "grade": "Accredited", "state": "Active", "maxDataClass": "Secret", "models": ["Government"],
        "services": ["PaaS"], "sites": [{"name": "isb-1", "country": "PK"}]}),
    );
    let entity = object(
        "PublicSectorEntity",
        json!({"name": "fbr"}),
        json!({"displayName": "FBR",
        "jurisdiction": "Federal"}),
    );
    let declared = object(
        "CloudWorkload",
        json!({"name": "workload", "namespace": "fbr-portal"}),
        json!({"owner": "fbr",
        "dataClass": "Restricted", "provider": "ntc", "model": "Government", "service": "PaaS"}),
    );
    let declared: CloudWorkload = serde_json::from_value(declared)?;
    let metadata = json!({"name": "fbr-portal", "labels": {"amanat.dev/data-class": "Restricted"}});
    let entry = NamespaceEntry {
        name: "fbr-portal".to_owned(),
        metadata: Some(Arc::new(serde_json::from_value(metadata)?)),
        declaration: Some(Arc::new(declared)),
    };
    Arc::make_mut(&mut world.providers).insert("ntc".to_owned(), Arc::new(serde_json::from_value(provider)?));
    Arc::make_mut(&mut world.entities).insert("fbr".to_owned(), Arc::new(serde_json::from_value(entity)?));
    Arc::make_mut(&mut world.namespaces).insert("fbr-portal".to_owned(), Arc::new(entry));
    Ok(world)
}

/// The webhook's router; nothing of what is measured asks the API server.
fn webhook() -> Result<Router, Box<dyn std::error::Error>> {
    let nobody = tower::service_fn(|_: Request<kube::client::Body>| async {
        Ok::<_, Infallible>(Response::new(kube::client::Body::empty()))
    });
    let index = Arc::new(Index::of(world()?));
    let lookup = LiveLookup::new(kube::Client::new(nobody, "default"), Arc::clone(&index));
    let settings = Arc::new(Settings::new("amanat-system", "amanat", "bench"));
    let clock = Arc::new(SystemClock::new());
    Ok(router(Arc::new(AdmissionState::new(index, lookup, settings, Arc::new(Metrics::new()), clock))))
}

/// Measures one review, once it was answered as expected.
fn measure(bencher: divan::Bencher<'_, '_>, body: Bytes, decision: &str) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _runtime = runtime.enter();
    let router = webhook()?;
    let ask = |body: Bytes| {
        let request = Request::post("/validate/governed")
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(Body::from(body))?;
        runtime.block_on(async {
            let response = router.clone().oneshot(request).await?;
            let status = response.status();
            Ok::<_, Box<dyn std::error::Error>>((status, response.into_body().collect().await?.to_bytes()))
        })
    };
    let (status, answer) = ask(body.clone())?;
    let answer: Value = serde_json::from_slice(&answer)?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer.pointer("/response/auditAnnotations/decision"), Some(&json!(decision)), "{answer}");
    bencher.counter(divan::counter::BytesCount::new(body.len())).bench(|| ask(divan::black_box(body.clone())).is_ok());
    Ok(())
}

/// The status of a Pod: answered by the envelope.
#[divan::bench]
fn cheap_exit(bencher: divan::Bencher<'_, '_>) {
    let pod = pod();
    let measured = measure(bencher, review("UPDATE", "status", &pod, &Value::Null), "not-judged");
    assert!(measured.is_ok(), "{measured:?}");
}

/// A new Pod that conforms to every control of its class.
#[divan::bench]
fn whole_decision(bencher: divan::Bencher<'_, '_>) {
    let measured = measure(bencher, review("CREATE", "", &pod(), &Value::Null), "allowed");
    assert!(measured.is_ok(), "{measured:?}");
}

/// The same Pod with two findings, and the text of its refusal.
#[divan::bench]
fn refusal(bencher: divan::Bencher<'_, '_>) {
    let mut pod = pod();
    if let Some(image) = pod.pointer_mut("/spec/containers/0/image") {
        *image = json!("elsewhere.example/app:1");
    }
    let measured = measure(bencher, review("CREATE", "", &pod, &Value::Null), "denied");
    assert!(measured.is_ok(), "{measured:?}");
}

/// A change of labels: both objects are read.
#[divan::bench]
fn update(bencher: divan::Bencher<'_, '_>) {
    let (old, mut new) = (pod(), pod());
    if let Some(labels) = new.pointer_mut("/metadata/labels") {
        labels["seen"] = json!("yes");
    }
    let measured = measure(bencher, review("UPDATE", "", &new, &old), "allowed");
    assert!(measured.is_ok(), "{measured:?}");
}
