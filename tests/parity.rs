//! The product's promise: webhook and command line give equal findings, paths included. The same objects go through the
//! webhook's own HTTP route and through `check`; for updates, what the webhook finds is what `check` finds in the new
//! object, less what an independent table here says that a comparison forgives.

#![cfg(feature = "operator")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "parity/examples.rs"]
mod examples;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pods.rs"]
mod pods;
#[path = "support/psa.rs"]
mod psa;
#[path = "support/sent.rs"]
mod sent;
#[path = "parity/world.rs"]
mod world;
#[path = "parity/written.rs"]
mod written;

use std::collections::BTreeMap;

use amanat::api::Effect;
use amanat::catalogue;
use amanat::cli::check::{CheckArgs, check};
use amanat::cli::inputs::Inputs;
use amanat::control::{Kind, size};
use amanat::report::Entry;
use axum::body::Body;
use http_body_util::BodyExt;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tower::ServiceExt;
use world::{NAMESPACES, registry, webhook};
use written::Written;

/// What one side finds: what refuses, and what warns.
#[derive(Debug, Default, PartialEq)]
struct Found {
    denied: Vec<(String, String)>,
    warned: Vec<String>,
}

async fn through_webhook(router: &axum::Router, operation: &str, new: &Written, old: Option<&Written>) -> Found {
    let object = match (new.kind, operation) {
        (Kind::Pod, "CREATE") => supplied(router, new).await.object,
        _ => new.sent(),
    };
    let places = written::places(&new.sent(), &object);
    let path = match new.kind {
        Kind::Namespace => "/validate/namespaces",
        Kind::CloudWorkload => "/validate/declarations",
        _ => "/validate/governed",
    };
    let response = review(router, path, operation, new, object, old).await;
    let causes = response["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| written::moved_back(value.as_str().unwrap_or_default(), &places);
    let mut denied: Vec<_> = causes.iter().map(|cause| (text(&cause["field"]), text(&cause["message"]))).collect();
    assert_eq!(response["allowed"], denied.is_empty(), "{response}");
    denied.sort();
    let mut warned: Vec<String> = response["warnings"].as_array().into_iter().flatten().map(text).collect();
    warned.sort();
    Found { denied, warned }
}

/// A Pod as the API server keeps it when it is made: with the patch of the supplying entry.
async fn supplied(router: &axum::Router, pod: &Written) -> Written {
    let mut object = pod.sent();
    let response = review(router, "/mutate/supply", "CREATE", pod, object.clone(), None).await;
    assert_eq!(response["allowed"], true, "{response}");
    if let Some(patch) = response.get("patch") {
        let patch: k8s_openapi::ByteString = serde_json::from_value(patch.clone()).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch.0).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    Written { kind: pod.kind, object }
}

async fn review(
    router: &axum::Router,
    path: &str,
    operation: &str,
    new: &Written,
    object: Value,
    old: Option<&Written>,
) -> Value {
    let kind = new.kind;
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "name": new.name(), "namespace": new.namespace(),
        "kind": {"group": kind.group(), "version": kind.version(), "kind": kind.name()},
        "resource": {"group": kind.group(), "version": kind.version(), "resource": kind.plural()},
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": object, "oldObject": old.map(Written::sent)}});
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(sent::as_sent(&review)))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{review}");
    let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    body["response"].clone()
}

/// What `check` says of an object.
#[derive(Clone, Default)]
struct Checked {
    entries: Vec<Entry>,
    notices: Vec<String>,
}

/// What `check` says of each object, by namespace and name.
fn through_check(objects: &[Written]) -> BTreeMap<(String, String), Checked> {
    let registry = registry();
    let before = registry.len();
    let documents = registry.into_iter().chain(objects.iter().map(|written| written.object.clone()));
    let text = documents.map(|object| format!("---\n{object}\n")).collect::<String>();
    let outcome = check(&CheckArgs::default(), &Inputs::of_text("all.yaml", &text)).unwrap();
    assert!(outcome.report.errors.is_empty(), "{:?}", outcome.report.errors);
    assert_eq!(outcome.report.objects, objects.len() + NAMESPACES.len());
    assert!(outcome.report.not_assessed.is_empty(), "{:?}", outcome.report.not_assessed);
    let mut found: BTreeMap<(String, String), Checked> = BTreeMap::new();
    for entry in outcome.report.findings {
        let namespace = entry.object.namespace.clone().unwrap_or_default();
        found.entry((namespace, entry.object.name.clone())).or_default().entries.push(entry);
    }
    for notice in outcome.report.notices {
        let Some(object) = notice.source.document.checked_sub(before).and_then(|place| objects.get(place)) else {
            continue;
        };
        // A Pod is supplied by an entry that tells nothing.
        assert_ne!(object.kind, Kind::Pod, "{}", notice.message);
        let key = (object.namespace().to_owned(), object.name().to_owned());
        found.entry(key).or_default().notices.push(notice.message);
    }
    found
}

/// What `check` says as the webhook would tell it, written out here once more.
fn told(checked: &Checked) -> Found {
    let mut found = Found { warned: checked.notices.clone(), ..Found::default() };
    for entry in &checked.entries {
        let finding = &entry.outcome.finding;
        let path = finding.path.to_string();
        match entry.outcome.effect {
            Effect::Deny => {
                let class = entry.class.as_deref().map(|class| format!("[{class}] ")).unwrap_or_default();
                let container =
                    finding.container.as_deref().map(|name| format!(" (container {name}):")).unwrap_or_default();
                let value = finding.shown_value();
                let value = if value.is_null() { String::new() } else { format!(": {value}") };
                let (control, message, fix) = (finding.control, &finding.message, &finding.fix);
                let text =
                    format!("{class}{control}:{container} {message}{value}; fix: {fix}; see: amanat explain {control}");
                found.denied.push((path, text));
            }
            Effect::Warn => found.warned.push(format!("{}: {path}: {}", finding.control, finding.message)),
            Effect::Audit | Effect::Disabled => {}
        }
    }
    found.denied.sort();
    found.warned.sort();
    found
}

/// Warnings are cut after 120 characters, and after 20 of them.
fn agree(webhook: &Found, check: &Found) -> bool {
    let starts = |shown: &String| {
        let shown = shown.trim_end_matches("...");
        check.warned.iter().any(|full| full.starts_with(shown))
    };
    let warned = webhook.warned.iter().all(|shown| starts(shown) || shown.contains("more: amanat check"));
    webhook.denied == check.denied && warned && (webhook.warned.len() == check.warned.len() || check.warned.len() > 20)
}

/// Every Pod that the catalogue, upstream's fixtures and the generator give.
fn all_pods() -> Vec<Value> {
    let mut pods: Vec<Value> = psa::fixtures()
        .into_iter()
        .filter(|fixture| fixture.minor == psa::NEWEST)
        .map(|fixture| {
            let (documents, errors) = amanat::manifest::read(&fixture.text, &amanat::manifest::Limits::default());
            assert!(errors.is_empty(), "{}: {errors:?}", fixture.name);
            documents[0].root.to_value()
        })
        .collect();
    for (_, example) in catalogue::ALL.iter().flat_map(|control| control.examples()) {
        let (documents, errors) = amanat::manifest::read(&example, &amanat::manifest::Limits::default());
        assert!(errors.is_empty());
        let objects = documents.iter().map(|document| document.root.to_value());
        pods.extend(objects.filter(|object| object["kind"] == "Pod"));
    }
    let mut runner = TestRunner::deterministic();
    let generated = (0..300).map(|_| pods::specs().new_tree(&mut runner).unwrap().current());
    pods.extend(generated.map(|spec| json!({"spec": spec})));
    pods
}

#[tokio::test]
async fn created_objects() {
    let kinds = amanat::control::WORKLOADS;
    let mut objects = Vec::new();
    for (number, pod) in all_pods().iter().enumerate() {
        for (namespace, _) in NAMESPACES {
            // Each as a Pod and in one of the eight controllers, in turn.
            let controller = kinds[1 + number % (kinds.len() - 1)];
            objects.push(Written::workload(Kind::Pod, namespace, &format!("p{number}"), pod));
            objects.push(Written::workload(controller, namespace, &format!("c{number}"), pod));
        }
    }
    let found = through_check(&objects);
    let router = webhook(&registry());
    let (mut denied, mut warned, mut passed) = (0, 0, 0);
    for object in &objects {
        let webhook = through_webhook(&router, "CREATE", object, None).await;
        let key = (object.namespace().to_owned(), object.name().to_owned());
        let check = told(&found.get(&key).cloned().unwrap_or_default());
        assert!(agree(&webhook, &check), "{}\nwebhook {webhook:#?}\ncheck {check:#?}", object.object);
        match (webhook.denied.is_empty(), webhook.warned.is_empty()) {
            (false, _) => denied += 1,
            (true, false) => warned += 1,
            (true, true) => passed += 1,
        }
    }
    assert!(denied > 500 && warned > 300 && passed > 10, "{denied} denied, {warned} warned, {passed} passed");
}

/// An object with a list of as many parts of the same kind.
fn of_many_parts(kind: Kind, count: usize) -> Written {
    if kind == Kind::NetworkPolicy {
        let peer = json!({"ipBlock": {"cidr": "10.0.0.0/8"}});
        let spec = json!({"podSelector": {}, "ingress": [{"from": vec![peer; count]}]});
        return Written::new(kind, "restricted", "app", json!({"spec": spec}));
    }
    let variable = json!({"name": "a", "value": "{\"},"});
    let container =
        json!({"name": "app", "image": "r/app:1", "imagePullPolicy": "Always", "env": vec![variable; count]});
    Written::workload(kind, "restricted", "app", &json!({"spec": {"containers": [container]}}))
}

#[tokio::test]
async fn objects_of_as_many_parts_as_are_read_and_of_one_more() {
    let router = webhook(&registry());
    for kind in [Kind::Deployment, Kind::NetworkPolicy] {
        let (mut fitting, mut beyond) = (0_usize, 100_000_usize);
        while beyond - fitting > 1 {
            let middle = fitting.midpoint(beyond);
            let fits = size::value_fits(&of_many_parts(kind, middle).object, size::structure(kind));
            if fits { fitting = middle } else { beyond = middle }
        }
        let reason = size::too_large(kind);
        for (count, is_read) in [(fitting, true), (beyond, false)] {
            let written = of_many_parts(kind, count);
            let response =
                review(&router, "/validate/governed", "CREATE", &written, written.object.clone(), None).await;
            let refused = response["status"]["message"].as_str().is_some_and(|message| message.contains(&reason));
            assert_eq!(refused, !is_read, "the webhook of {count} parts of a {kind}: {response}");
            let documents = registry().into_iter().chain([written.object]);
            let text = documents.map(|object| format!("---\n{object}\n")).collect::<String>();
            let report = check(&CheckArgs::default(), &Inputs::of_text("all.yaml", &text)).unwrap().report;
            let errors: Vec<_> = report.errors.iter().map(|error| error.message.as_str()).collect();
            assert_eq!(errors, if is_read { vec![] } else { vec![reason.as_str()] }, "{count} parts of a {kind}");
        }
    }
}

/// What a comparison forgives, by a table of its own: a template is forgiven whole when nothing of it changed, and judged
/// whole otherwise; of a Pod, each finding of the old one forgives one of the same control, container, field and value.
fn forgiven(new: &Written, old: &Written, of_new: &Checked, of_old: &Checked) -> Checked {
    if new.sent() == old.sent() {
        return Checked::default();
    }
    let notices = of_new.notices.iter().filter(|notice| !of_old.notices.contains(notice)).cloned().collect();
    if new.kind != Kind::Pod {
        return Checked { notices, ..of_new.clone() };
    }
    let key = |entry: &Entry| {
        let finding = &entry.outcome.finding;
        let path: String = finding
            .path
            .to_string()
            .split(['[', ']'])
            .enumerate()
            .filter(|(place, part)| place % 2 == 0 || part.parse::<usize>().is_err())
            .map(|(_, part)| part)
            .collect();
        (finding.control, finding.container.clone(), path, finding.value.to_string())
    };
    let mut left: Vec<_> = of_old.entries.iter().map(key).collect();
    let mut kept = Vec::new();
    // The node of a Pod that is there is the scheduler's.
    for entry in of_new.entries.iter().filter(|entry| entry.outcome.finding.path.to_string() != "spec.nodeName") {
        match left.iter().position(|known| *known == key(entry)) {
            Some(place) => {
                left.remove(place);
            }
            None => kept.push(entry.clone()),
        }
    }
    Checked { entries: kept, notices }
}

#[tokio::test]
async fn updated_objects() {
    let mut runner = TestRunner::deterministic();
    let mut spec = || pods::specs().new_tree(&mut runner).unwrap().current();
    let mut pairs = Vec::new();
    for number in 0..200 {
        let (old, new) = (spec(), if number % 10 == 0 { None } else { Some(spec()) });
        let new = new.unwrap_or_else(|| old.clone());
        for kind in [Kind::Pod, Kind::Deployment] {
            let written = |side: &str, spec: &Value| {
                Written::workload(
                    kind,
                    "restricted",
                    &format!("{side}{number}-{}", kind.plural()),
                    &json!({"spec": spec}),
                )
            };
            pairs.push((written("old", &old), written("new", &new)));
        }
    }
    let router = webhook(&registry());
    // A Pod that is changed was supplied when it was made, and isn't when it is changed.
    for (old, new) in pairs.iter_mut().filter(|(old, _)| old.kind == Kind::Pod) {
        (*old, *new) = (supplied(&router, old).await, supplied(&router, new).await);
    }
    let all: Vec<Written> = pairs.iter().flat_map(|(old, new)| [old.clone(), new.clone()]).collect();
    let found = through_check(&all);
    let of = |object: &Written| {
        let key = (object.namespace().to_owned(), object.name().to_owned());
        found.get(&key).cloned().unwrap_or_default()
    };
    let mut forgave = 0;
    for (old, new) in &pairs {
        // The name is the object's; the two sides have different ones only for `check`'s sake.
        let mut same = old.clone();
        same.object["metadata"]["name"] = json!(new.name());
        let webhook = through_webhook(&router, "UPDATE", new, Some(&same)).await;
        let kept = forgiven(new, &same, &of(new), &of(old));
        forgave += of(new).entries.len() - kept.entries.len();
        let check = told(&kept);
        assert!(
            agree(&webhook, &check),
            "old {}\nnew {}\nwebhook {webhook:#?}\ncheck {check:#?}",
            old.object,
            new.object
        );
    }
    assert!(forgave > 20, "only {forgave} findings were forgiven: the table is not tried");
}
