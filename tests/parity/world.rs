//! What is known of a cluster, as objects for `check` and as the world of a webhook.

use std::collections::BTreeMap;
use std::sync::Arc;

use amanat::admission::{AdmissionState, Metrics, router};
use amanat::api::{CloudServiceProvider, CloudWorkload, PublicSectorEntity, SecurityBaseline};
use amanat::baseline::{Effective, Mode};
use amanat::cluster::{Index, LiveLookup, NamespaceEntry, Settings, SystemClock, World};
use amanat::engine::Engines;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{fixture, pods};

/// One namespace for each class; of the lowest, most findings warn.
pub(crate) const NAMESPACES: [(&str, &str); 3] =
    [("open", "Open"), ("restricted", "Restricted"), ("confidential", "Confidential")];

/// The registry and the declarations, as objects.
pub(crate) fn registry() -> Vec<Value> {
    let registry = fixture::Registry::usual();
    let mut provider = json!(registry.providers["ntc"]);
    provider["validFrom"] = json!("2020-01-01T00:00:00Z");
    provider["validUntil"] = json!("2099-01-01T00:00:00Z");
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "amanat.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let mut objects = vec![
        object("SecurityBaseline", "test", json!(fixture::baseline(json!({})))),
        object("PublicSectorEntity", "fbr", json!(registry.entities["fbr"])),
        object("CloudServiceProvider", "ntc", provider),
    ];
    for (namespace, class) in NAMESPACES {
        let declared = json!({"dataClass": class, "apiAccess": {"serviceAccounts": [pods::DECLARED]}});
        let mut declared = object("CloudWorkload", "workload", json!(fixture::declaration(declared)));
        declared["metadata"]["namespace"] = json!(namespace);
        objects.push(declared);
    }
    objects
}

fn read<T: DeserializeOwned>(object: &Value) -> Arc<T> {
    Arc::new(serde_json::from_value(object.clone()).unwrap())
}

/// What an index holds that has seen these objects; kinds that aren't watched are passed over.
fn world(objects: &[Value]) -> World {
    let mut world = World::default();
    Arc::make_mut(&mut world.nodes).extend(fixture::Registry::usual().nodes);
    let mut namespaces: BTreeMap<String, NamespaceEntry> = BTreeMap::new();
    let mut namespace = |name: &str, change: &mut dyn FnMut(&mut NamespaceEntry)| {
        let entry = namespaces.entry(name.to_owned()).or_insert_with(|| NamespaceEntry {
            name: name.to_owned(),
            metadata: Some(Arc::new(ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() })),
            declaration: None,
        });
        change(entry);
    };
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name").to_owned();
        match text("/kind") {
            "SecurityBaseline" => {
                let baseline = read::<SecurityBaseline>(object);
                let effective = Effective::resolve(&name, &baseline.spec, Mode::Cluster).unwrap();
                world.engines = Some(Arc::new(Engines::compile(&effective, &[])));
            }
            "PublicSectorEntity" => {
                Arc::make_mut(&mut world.entities).insert(name, read::<PublicSectorEntity>(object));
            }
            "CloudServiceProvider" => {
                Arc::make_mut(&mut world.providers).insert(name, read::<CloudServiceProvider>(object));
            }
            "Namespace" => {
                let read = read::<Namespace>(object);
                namespace(&name, &mut |entry| entry.metadata = Some(Arc::new(read.metadata.clone())));
            }
            "CloudWorkload" => {
                let workload = read::<CloudWorkload>(object);
                namespace(text("/metadata/namespace"), &mut |entry| entry.declaration = Some(Arc::clone(&workload)));
            }
            _ => {}
        }
    }
    world.namespaces = Arc::new(namespaces.into_iter().map(|(name, entry)| (name, Arc::new(entry))).collect());
    world
}

/// What an API server that holds these objects says to a read of one.
fn answer(objects: &[Value], path: &str) -> (u16, Value) {
    let mut parts = path.rsplit('/');
    let (name, plural) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kind = match plural {
        "namespaces" => "Namespace",
        "cloudworkloads" => "CloudWorkload",
        "cloudserviceproviders" => "CloudServiceProvider",
        _ => "PublicSectorEntity",
    };
    let is_asked = |object: &&Value| {
        let namespace = object["metadata"]["namespace"].as_str();
        let inside = namespace.is_none_or(|namespace| path.contains(&format!("/namespaces/{namespace}/")));
        object["kind"] == kind && object["metadata"]["name"] == name && inside
    };
    match objects.iter().find(is_asked) {
        Some(found) => (200, found.clone()),
        None if kind == "Namespace" => (200, json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})),
        None => {
            (404, json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}))
        }
    }
}

/// The webhook, with an index that has seen these objects, and an API server that has nothing more.
pub(crate) fn webhook(objects: &[Value]) -> axum::Router {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let held = Arc::new(objects.to_vec());
    let server = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (code, body) = answer(&held, request.uri().path());
        let body = kube::client::Body::from(body.to_string().into_bytes());
        std::future::ready(Ok::<_, std::convert::Infallible>(
            http::Response::builder().status(code).body(body).unwrap(),
        ))
    });
    let index = Arc::new(Index::of(world(objects)));
    let lookup = LiveLookup::new(kube::Client::new(server, "default"), Arc::clone(&index));
    let settings = Arc::new(Settings::new("amanat-system", "amanat", "test"));
    let clock = Arc::new(SystemClock::new());
    router(Arc::new(AdmissionState::new(index, lookup, settings, Arc::new(Metrics::new()), clock)))
}
