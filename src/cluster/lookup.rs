//! Asking the API server itself, where the index may be behind and the answer could change a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use tokio::time::timeout;

use super::index::Index;
use super::shared::SharedReads;
use super::watch::strip;
use super::world::World;
use crate::api::{
    CloudServiceProvider, CloudWorkload, CloudWorkloadSpec, DATA_CLASS_LABEL, PublicSectorEntity, WORKLOAD_NAME,
};
use crate::control::Standing;

/// How long a request waits for an answer.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// The controllers of the control plane that make Pods: group, kind, plural.
const POD_OWNERS: [(&str, &str, &str); 5] = [
    ("apps", "ReplicaSet", "replicasets"),
    ("apps", "StatefulSet", "statefulsets"),
    ("apps", "DaemonSet", "daemonsets"),
    ("batch", "Job", "jobs"),
    ("", "ReplicationController", "replicationcontrollers"),
];

/// What a look-up brought: the declaration of a namespace and what it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The namespace that was asked about.
    pub namespace: String,
    /// The value of its class label, when that was asked for.
    pub label: Option<String>,
    /// Its CloudWorkload; none when it has none.
    pub declaration: Option<Arc<CloudWorkload>>,
    /// The provider that the declaration names, when it exists.
    pub providers: BTreeMap<String, Arc<CloudServiceProvider>>,
    /// The entity that the declaration names, when it exists.
    pub entities: BTreeMap<String, Arc<PublicSectorEntity>>,
}

/// Why a look-up has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailed {
    /// The API server didn't answer in time.
    #[error("the API server did not answer in time")]
    Deadline,
    /// The API server refused to answer, or couldn't be reached.
    #[error("the API server could not be asked ({0})")]
    Refused(&'static str),
}

impl LookupFailed {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Refused(why) => why,
        }
    }
}

impl From<kube::Error> for LookupFailed {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => Self::Refused("forbidden"),
            kube::Error::Api(_) => Self::Refused("server-error"),
            _ => Self::Refused("unreachable"),
        }
    }
}

/// Whether a look-up could find a namespace to stand better than the index says.
pub fn could_change(namespace: &str, standing: &Standing) -> bool {
    match standing {
        Standing::System => false,
        Standing::Undeclared => namespace != "default",
        Standing::Pending(_) => true,
        Standing::Governed(governed) => !governed.acceptance.accepted(),
    }
}

/// The questions that admission asks the API server, each bounded by a deadline.
#[derive(Clone)]
pub struct LiveLookup {
    client: Client,
    index: Arc<Index>,
    deadline: Duration,
    reads: Arc<SharedReads<Result<Arc<Found>, LookupFailed>>>,
}

impl LiveLookup {
    /// Asks by a client; what the index already knows of the registry isn't asked again.
    pub fn new(client: Client, index: Arc<Index>) -> Self {
        Self { client, index, deadline: DEADLINE, reads: Arc::default() }
    }

    /// The declaration of a namespace, as it is at an instant after the call. `labelled` says that the API server has
    /// seen the class label on the namespace; its value is brought when the index doesn't have it.
    ///
    /// Callers that wait at the same time share a read that started after each of them came; no answer is kept.
    ///
    /// # Errors
    /// When the API server doesn't answer in time, or not as it should. "Not found" is an answer.
    pub async fn declaration(&self, namespace: &str, labelled: bool) -> Result<Arc<Found>, LookupFailed> {
        let key = if labelled { format!("{namespace}/labelled") } else { namespace.to_owned() };
        let (client, index, name) = (self.client.clone(), Arc::clone(&self.index), namespace.to_owned());
        let read = move || find(client.clone(), Arc::clone(&index), name.clone(), labelled);
        self.reads.get(&key, self.deadline, read).await.unwrap_or(Err(LookupFailed::Deadline))
    }

    /// What a declaration names, as far as it exists: for one that is about to be made, and that no look-up of its
    /// namespace brings.
    ///
    /// # Errors
    /// When the API server doesn't answer in time, or not as it should. "Not found" is an answer.
    pub async fn references(&self, spec: &CloudWorkloadSpec) -> Result<Found, LookupFailed> {
        let mut found = Found::default();
        let world = self.index.world();
        match timeout(self.deadline, refer(&self.client, &world, spec, &mut found)).await {
            Ok(read) => read.map(|()| found),
            Err(_) => Err(LookupFailed::Deadline),
        }
    }

    /// Whether a namespace is being deleted or is gone. None when nobody can say.
    pub async fn namespace_going(&self, namespace: &str) -> Option<bool> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = timeout(self.deadline, api.get_metadata_opt(namespace)).await.ok()?.ok()?;
        Some(found.is_none_or(|object| object.metadata.deletion_timestamp.is_some()))
    }

    /// Whether the ClusterRole that owns the webhook configuration is gone or going. None when nobody can say.
    pub async fn anchor_is_gone(&self, anchor: &str) -> Option<bool> {
        let api: Api<ClusterRole> = Api::all(self.client.clone());
        let found = timeout(self.deadline, api.get_metadata_opt(anchor)).await.ok()?.ok()?;
        Some(found.is_none_or(|object| object.metadata.deletion_timestamp.is_some()))
    }

    /// When a controller was made. None when it isn't there, is another of the same name or of a kind that makes no
    /// Pods, or nobody can say.
    pub async fn owner_created(&self, namespace: &str, owner: &OwnerReference) -> Option<Timestamp> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let known = |(g, kind, _): &&(&str, &str, &str)| *g == group && *kind == owner.kind;
        let (_, _, plural) = POD_OWNERS.iter().find(known)?;
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            plural: (*plural).to_owned(),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = timeout(self.deadline, api.get_metadata_opt(&owner.name)).await.ok()?.ok()??;
        let same = found.metadata.uid.as_deref() == Some(owner.uid.as_str());
        found.metadata.creation_timestamp.filter(|_| same).map(|created| created.0)
    }
}

/// Reads a declaration, and of what it names that which the index doesn't know. The answer holds all of it: the caller's
/// world may be older than the index is by now.
async fn find(
    client: Client,
    index: Arc<Index>,
    namespace: String,
    labelled: bool,
) -> Result<Arc<Found>, LookupFailed> {
    let world = index.world();
    let known = world.namespace(&namespace).and_then(|entry| entry.class_label()).map(str::to_owned);
    let (declaration, label) = tokio::try_join!(
        async {
            let api: Api<CloudWorkload> = Api::namespaced(client.clone(), &namespace);
            Ok::<_, LookupFailed>(api.get_opt(WORKLOAD_NAME).await?)
        },
        async {
            if !labelled || known.is_some() {
                return Ok(known);
            }
            let api: Api<Namespace> = Api::all(client.clone());
            let found: Option<PartialObjectMeta<Namespace>> = api.get_metadata_opt(&namespace).await?;
            Ok(found.and_then(|object| object.metadata.labels?.remove(DATA_CLASS_LABEL)))
        },
    )?;
    let mut found = Found { namespace, label, ..Found::default() };
    let Some(mut declaration) = declaration else { return Ok(Arc::new(found)) };
    strip(&mut declaration.metadata);
    refer(&client, &world, &declaration.spec, &mut found).await?;
    found.declaration = Some(Arc::new(declaration));
    Ok(Arc::new(found))
}

/// Reads of what a declaration names that which the index doesn't know, and adds all of it to what was found.
async fn refer(
    client: &Client,
    world: &World,
    spec: &CloudWorkloadSpec,
    found: &mut Found,
) -> Result<(), LookupFailed> {
    let (provider, owner) = (spec.provider.as_str(), spec.owner.as_str());
    let (providers, entities) = tokio::try_join!(
        async {
            match world.providers.get(provider) {
                Some(known) => Ok::<_, LookupFailed>(Some(Arc::clone(known))),
                None => Ok(Api::all(client.clone()).get_opt(provider).await?.map(Arc::new)),
            }
        },
        async {
            match world.entities.get(owner) {
                Some(known) => Ok(Some(Arc::clone(known))),
                None => Ok(Api::all(client.clone()).get_opt(owner).await?.map(Arc::new)),
            }
        },
    )?;
    found.providers.extend(providers.map(|object| (provider.to_owned(), object)));
    found.entities.extend(entities.map(|object| (owner.to_owned(), object)));
    Ok(())
}

#[cfg(test)]
mod tests {
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
}
