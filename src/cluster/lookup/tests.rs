//! The look-up against an API server that answers as it is told.

use super::*;
use hyper::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::{self, Handle};

use super::super::world::World;

type Server = Handle<Request<Body>, Response<Body>>;

fn lookup(world: World) -> (LiveLookup, Server) {
    let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let mut lookup = LiveLookup::new(client, Arc::new(Index::of(world)));
    lookup.deadline = Duration::from_secs(30);
    (lookup, server)
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

fn absent() -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
        "message": "not found", "code": 404});
    answer(404, &status)
}

/// Answers by the requests' paths until the client goes; returns the paths asked.
async fn serve(mut server: Server, objects: Value) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some((request, respond)) = server.next_request().await {
        assert!(request.uri().query().unwrap_or_default().is_empty(), "no resourceVersion may be given");
        let path = request.uri().path().to_owned();
        respond.send_response(objects.get(&path).map_or_else(absent, |object| answer(200, object)));
        asked.push(path);
    }
    asked
}

fn workload() -> Value {
    json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
        "metadata": {"name": "workload", "namespace": "fbr", "managedFields": [{"manager": "kubectl"}]},
        "spec": {"owner": "fbr", "dataClass": "Open", "provider": "ntc", "model": "Public", "service": "IaaS"}})
}

fn provider() -> Value {
    json!({"apiVersion": "amanat.dev/v1alpha1", "kind": "CloudServiceProvider", "metadata": {"name": "ntc"},
        "spec": {"displayName": "NTC", "grade": "Registered", "state": "Applied", "maxDataClass": "Open",
            "models": ["Public"], "services": ["IaaS"], "sites": [{"name": "isb", "country": "PK"}]}})
}

const WORKLOAD: &str = "/apis/amanat.dev/v1alpha1/namespaces/fbr/cloudworkloads/workload";
const PROVIDER: &str = "/apis/amanat.dev/v1alpha1/cloudserviceproviders/ntc";
const ENTITY: &str = "/apis/amanat.dev/v1alpha1/publicsectorentities/fbr";

#[tokio::test]
async fn it_brings_the_declaration_and_what_the_index_does_not_know() {
    let (lookup, server) = lookup(World::default());
    let server = tokio::spawn(serve(server, json!({WORKLOAD: workload(), PROVIDER: provider()})));
    let found = lookup.declaration("fbr", false).await.unwrap();
    assert_eq!(found.declaration.as_ref().unwrap().metadata.managed_fields, None);
    assert!(found.providers.contains_key("ntc") && found.entities.is_empty());
    drop((lookup, found));
    let mut asked = server.await.unwrap();
    asked.sort();
    assert_eq!(asked, [PROVIDER, WORKLOAD, ENTITY].map(str::to_owned));
}

#[tokio::test]
async fn what_the_index_knows_is_not_asked_for() {
    let known: CloudServiceProvider = serde_json::from_value(provider()).unwrap();
    let world = World { providers: Arc::new([("ntc".to_owned(), Arc::new(known))].into()), ..World::default() };
    let (lookup, server) = lookup(world);
    let server = tokio::spawn(serve(server, json!({WORKLOAD: workload()})));
    assert!(lookup.declaration("fbr", false).await.unwrap().providers.contains_key("ntc"));
    drop(lookup);
    assert!(!server.await.unwrap().contains(&PROVIDER.to_owned()));
}

#[tokio::test]
async fn what_a_new_declaration_names_is_asked_for() {
    let (lookup, server) = lookup(World::default());
    let server = tokio::spawn(serve(server, json!({PROVIDER: provider()})));
    let spec = serde_json::from_value(workload()["spec"].clone()).unwrap();
    let found = lookup.references(&spec).await.unwrap();
    assert!(found.providers.contains_key("ntc") && found.entities.is_empty() && found.declaration.is_none());
    drop(lookup);
    let mut asked = server.await.unwrap();
    asked.sort();
    assert_eq!(asked, [PROVIDER, ENTITY].map(str::to_owned));
}

#[tokio::test]
async fn that_there_is_none_is_an_answer_and_is_not_kept() {
    let (lookup, server) = lookup(World::default());
    let server = tokio::spawn(serve(server, json!({})));
    for _ in 0..2 {
        assert_eq!(lookup.declaration("fbr", false).await.unwrap().declaration, None);
    }
    drop(lookup);
    assert_eq!(server.await.unwrap(), [WORKLOAD, WORKLOAD].map(str::to_owned));
}

#[tokio::test]
async fn the_label_is_brought_when_the_index_does_not_have_it() {
    let (lookup, server) = lookup(World::default());
    let namespace = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "fbr", "labels": {"amanat.dev/data-class": "Secret"}}});
    tokio::spawn(serve(server, json!({"/api/v1/namespaces/fbr": namespace})));
    assert_eq!(lookup.declaration("fbr", true).await.unwrap().label.as_deref(), Some("Secret"));
    assert_eq!(lookup.declaration("fbr", false).await.unwrap().label, None);
}

#[tokio::test]
async fn an_error_is_no_answer() {
    let (lookup, mut server) = lookup(World::default());
    tokio::spawn(async move {
        let (_, respond) = server.next_request().await.unwrap();
        respond.send_response(answer(500, &json!({"kind": "Status", "code": 500, "message": "no"})));
        let (_, respond) = server.next_request().await.unwrap();
        respond.send_error("connection refused");
        let (_, respond) = server.next_request().await.unwrap();
        respond.send_response(answer(200, &json!({"metadata": {}, "spec": {"owner": 7}})));
    });
    assert_eq!(lookup.declaration("fbr", false).await, Err(LookupFailed::Refused("server-error")));
    assert_eq!(lookup.declaration("fbr", false).await, Err(LookupFailed::Refused("unreachable")));
    assert_eq!(lookup.declaration("fbr", false).await, Err(LookupFailed::Refused("unreachable")));
}

#[tokio::test]
async fn who_gets_no_answer_in_time_is_told_so() {
    let (mut lookup, _server) = lookup(World::default());
    lookup.deadline = Duration::from_millis(20);
    assert_eq!(lookup.declaration("fbr", false).await, Err(LookupFailed::Deadline));
    assert_eq!(lookup.namespace_going("fbr").await, None);
}

#[tokio::test]
async fn a_namespace_that_is_gone_is_going() {
    let (lookup, server) = lookup(World::default());
    let metadata = |going: Value| {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "n", "deletionTimestamp": going}})
    };
    let objects = json!({"/api/v1/namespaces/stays": metadata(Value::Null),
        "/api/v1/namespaces/goes": metadata(json!("2026-01-01T00:00:00Z"))});
    tokio::spawn(serve(server, objects));
    assert_eq!(lookup.namespace_going("stays").await, Some(false));
    assert_eq!(lookup.namespace_going("goes").await, Some(true));
    assert_eq!(lookup.namespace_going("gone").await, Some(true));
}

#[tokio::test]
async fn an_owner_is_known_by_its_uid() {
    let (lookup, server) = lookup(World::default());
    let object = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "web", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}});
    tokio::spawn(serve(server, json!({"/apis/apps/v1/namespaces/fbr/replicasets/web": object})));
    let owner = |kind: &str, uid: &str| OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        name: "web".to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    };
    let created = "2026-01-01T00:00:00Z".parse().ok();
    assert_eq!(lookup.owner_created("fbr", &owner("ReplicaSet", "1")).await, created);
    assert_eq!(lookup.owner_created("fbr", &owner("ReplicaSet", "2")).await, None);
    assert_eq!(lookup.owner_created("fbr", &owner("StatefulSet", "1")).await, None);
    assert_eq!(lookup.owner_created("fbr", &owner("Widget", "1")).await, None);
}
