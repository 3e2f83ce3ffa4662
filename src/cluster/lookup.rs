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
mod tests;
