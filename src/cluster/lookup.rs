//! Asking the API server itself, where the index may be behind and the answer could change a verdict.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, ReplicationController};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::index::Index;
use crate::api::{CloudServiceProvider, CloudWorkload, DATA_CLASS_LABEL, PublicSectorEntity, WORKLOAD_NAME};
use crate::control::Standing;

/// How long a request waits for an answer.
pub const DEADLINE: Duration = Duration::from_secs(1);

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

/// Whether a look-up could find a namespace to stand better than the index says.
pub fn could_change(namespace: &str, standing: &Standing) -> bool {
    match standing {
        Standing::System => false,
        Standing::Undeclared => namespace != "default",
        Standing::Pending(_) => true,
        Standing::Governed(governed) => !governed.acceptance.accepted(),
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

type Reply = oneshot::Sender<Result<Arc<Found>, LookupFailed>>;

/// Those who wait for a read of one namespace that hasn't started yet. While the entry is there, a task reads.
#[derive(Default)]
struct Waiting {
    labelled: bool,
    replies: Vec<Reply>,
}

/// The questions that admission asks the API server, each bounded by a deadline.
#[derive(Clone)]
pub struct LiveLookup {
    client: Client,
    index: Arc<Index>,
    deadline: Duration,
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
}

impl LiveLookup {
    /// Asks by a client; what the index already knows of the registry isn't asked again.
    pub fn new(client: Client, index: Arc<Index>) -> Self {
        Self { client, index, deadline: DEADLINE, waiting: Arc::default() }
    }

    /// The declaration of a namespace, as it is at an instant after the call. `labelled` says that the API server has
    /// seen the class label on the namespace; its value is brought when the index doesn't have it.
    ///
    /// Callers that wait at the same time share a read that started after each of them came; no answer is kept.
    ///
    /// # Errors
    /// When the API server doesn't answer in time, or not as it should. "Not found" is an answer.
    pub async fn declaration(&self, namespace: &str, labelled: bool) -> Result<Arc<Found>, LookupFailed> {
        let (reply, answer) = oneshot::channel();
        let reads = {
            let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let reads = all.contains_key(namespace);
            let waiting = all.entry(namespace.to_owned()).or_default();
            waiting.labelled |= labelled;
            waiting.replies.push(reply);
            reads
        };
        if !reads {
            tokio::spawn(self.clone().serve(namespace.to_owned()));
        }
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(result)) => result,
            // The task that reads doesn't end without an answer, but with the runtime.
            Ok(Err(_)) => Err(LookupFailed::Refused("shutdown")),
            Err(_) => Err(LookupFailed::Deadline),
        }
    }

    /// Reads for those who wait, until nobody does.
    async fn serve(self, namespace: String) {
        loop {
            let taken = {
                let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                match all.get_mut(&namespace) {
                    Some(waiting) if !waiting.replies.is_empty() => std::mem::take(waiting),
                    _ => {
                        all.remove(&namespace);
                        return;
                    }
                }
            };
            let read = tokio::time::timeout(self.deadline, self.read(&namespace, taken.labelled)).await;
            let result = read.unwrap_or(Err(LookupFailed::Deadline));
            for reply in taken.replies {
                // Whoever stopped waiting has been answered otherwise.
                let _ = reply.send(result.clone());
            }
        }
    }

    async fn read(&self, namespace: &str, labelled: bool) -> Result<Arc<Found>, LookupFailed> {
        let world = self.index.world();
        let known = world.namespace(namespace).is_some_and(|entry| entry.class_label().is_some());
        let api = Api::<CloudWorkload>::namespaced(self.client.clone(), namespace);
        let declaration = async { Ok::<_, LookupFailed>(api.get_opt(WORKLOAD_NAME).await?.map(Arc::new)) };
        let label = async {
            if !labelled || known {
                return Ok(None);
            }
            let api = Api::<PartialObjectMeta<Namespace>>::all(self.client.clone());
            let metadata = api.get_opt(namespace).await?;
            let labels = metadata.and_then(|object| object.metadata.labels);
            Ok(labels.and_then(|mut labels| labels.remove(DATA_CLASS_LABEL)))
        };
        let (declaration, label) = tokio::try_join!(declaration, label)?;
        let mut found = Found { namespace: namespace.to_owned(), label, declaration, ..Found::default() };
        let Some(spec) = found.declaration.as_ref().map(|declaration| declaration.spec.clone()) else {
            return Ok(Arc::new(found));
        };
        let (provider, entity) = tokio::try_join!(
            self.registered::<CloudServiceProvider>(&spec.provider, world.providers.contains_key(&spec.provider)),
            self.registered::<PublicSectorEntity>(&spec.owner, world.entities.contains_key(&spec.owner)),
        )?;
        found.providers.extend(provider.map(|provider| (spec.provider, provider)));
        found.entities.extend(entity.map(|entity| (spec.owner, entity)));
        Ok(Arc::new(found))
    }

    /// An object of the registry that the index doesn't know.
    async fn registered<K>(&self, name: &str, known: bool) -> Result<Option<Arc<K>>, LookupFailed>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        if known {
            return Ok(None);
        }
        Ok(Api::<K>::all(self.client.clone()).get_opt(name).await?.map(Arc::new))
    }

    /// Whether a namespace is being deleted or is gone. None when nobody can say.
    pub async fn namespace_going(&self, namespace: &str) -> Option<bool> {
        let api = Api::<PartialObjectMeta<Namespace>>::all(self.client.clone());
        let answer = tokio::time::timeout(self.deadline, api.get_opt(namespace)).await.ok()?.ok()?;
        Some(answer.is_none_or(|object| object.metadata.deletion_timestamp.is_some()))
    }

    /// Whether the ClusterRole that owns the webhook configuration is gone or going. None when nobody can say.
    pub async fn anchor_is_gone(&self, anchor: &str) -> Option<bool> {
        let api = Api::<PartialObjectMeta<ClusterRole>>::all(self.client.clone());
        let answer = tokio::time::timeout(self.deadline, api.get_opt(anchor)).await.ok()?.ok()?;
        Some(answer.is_none_or(|object| object.metadata.deletion_timestamp.is_some()))
    }

    /// When a controller was made. None when it isn't there, is another of the same name, or nobody can say.
    pub async fn owner_created(&self, namespace: &str, owner: &OwnerReference) -> Option<Timestamp> {
        match owner.kind.as_str() {
            "ReplicaSet" => self.created::<ReplicaSet>(namespace, owner).await,
            "StatefulSet" => self.created::<StatefulSet>(namespace, owner).await,
            "DaemonSet" => self.created::<DaemonSet>(namespace, owner).await,
            "ReplicationController" => self.created::<ReplicationController>(namespace, owner).await,
            "Job" => self.created::<Job>(namespace, owner).await,
            _ => None,
        }
    }

    async fn created<K>(&self, namespace: &str, owner: &OwnerReference) -> Option<Timestamp>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        PartialObjectMeta<K>: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let api = Api::<PartialObjectMeta<K>>::namespaced(self.client.clone(), namespace);
        let object = tokio::time::timeout(self.deadline, api.get_opt(&owner.name)).await.ok()?.ok()??;
        let same = object.metadata.uid.as_deref() == Some(&owner.uid);
        object.metadata.creation_timestamp.filter(|_| same).map(|time| time.0)
    }
}
