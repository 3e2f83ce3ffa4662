//! Writing: only by the leader, by server-side apply, and a status only when it changed.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::election::{Fence, NotLeader};
use crate::api::FIELD_MANAGER;

/// No write takes longer than this, however long the lease still holds.
const LONGEST_WRITE: Duration = Duration::from_secs(8);

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Another replica leads.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// Someone else owns a field, or the object was made anew.
    #[error("someone else owns the object or one of its fields")]
    Conflict,
    /// The object or its namespace isn't there.
    #[error("the object is not there")]
    NotFound,
    /// The API server says that Amanat may not, or an admission plugin refuses.
    #[error("the API server refuses: {0}")]
    Forbidden(String),
    /// The API server doesn't take the object.
    #[error("the API server does not take the object: {0}")]
    Invalid(String),
    /// No answer in time.
    #[error("the API server did not answer in time")]
    Deadline,
    /// Anything else, such as a connection that fails; to be tried again.
    #[error("the API server could not be reached or failed: {0}")]
    Failed(Box<kube::Error>),
}

impl ApplyError {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NotLeader(_) => "not-leader",
            Self::Conflict => "conflict",
            Self::NotFound => "not-found",
            Self::Forbidden(_) => "forbidden",
            Self::Invalid(_) => "invalid",
            Self::Deadline => "deadline",
            Self::Failed(_) => "failed",
        }
    }
}

impl From<kube::Error> for ApplyError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound,
                409 => Self::Conflict,
                403 => Self::Forbidden(status.message.clone()),
                400 | 422 => Self::Invalid(status.message.clone()),
                _ => Self::Failed(Box::new(error)),
            },
            _ => Self::Failed(Box::new(error)),
        }
    }
}

/// What happens when someone else has set one of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Theirs is overwritten: for objects that are Amanat's own, where that heals.
    Force,
    /// The write fails with [`ApplyError::Conflict`].
    Refuse,
}

/// Writes for the leader, and for nobody else.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Fence,
}

impl Writer {
    /// A writer behind a fence.
    pub fn new(client: Client, fence: Fence) -> Self {
        Self { client, fence }
    }

    /// The client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The fence.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Makes an object, or makes the fields that it has what they are in it. `object` serialises with its apiVersion
    /// and kind.
    ///
    /// # Errors
    /// When this replica doesn't lead or the API server doesn't take it.
    pub async fn apply<K, P>(&self, api: &Api<K>, name: &str, object: &P, takeover: Takeover) -> Result<K, ApplyError>
    where
        K: Clone + DeserializeOwned + Debug,
        P: Serialize + Debug,
    {
        let params = PatchParams { force: takeover == Takeover::Force, ..PatchParams::apply(FIELD_MANAGER) };
        self.within(api.patch(name, &params, &Patch::Apply(object))).await
    }

    /// Writes the status of an object when it differs from the one that the object has. Returns whether it was written.
    ///
    /// # Errors
    /// When this replica doesn't lead or the API server doesn't take it; [`ApplyError::Conflict`] when the object was
    /// deleted and made anew since.
    pub async fn status<K, S>(&self, api: &Api<K>, object: &K, old: Option<&S>, new: &S) -> Result<bool, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
        S: Serialize + PartialEq,
    {
        if old == Some(new) {
            return Ok(false);
        }
        let name = object.name_any();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "uid": object.meta().uid},
            "status": new,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.within(api.patch_status(&name, &params, &Patch::Apply(&patch))).await?;
        Ok(true)
    }

    /// Runs a write, when this replica leads, for no longer than it leads.
    ///
    /// # Errors
    /// When this replica doesn't lead, the lease runs out meanwhile, or the write fails.
    pub async fn within<T>(&self, write: impl Future<Output = kube::Result<T>>) -> Result<T, ApplyError> {
        let left = self.fence.check()?;
        match tokio::time::timeout(left.min(LONGEST_WRITE), write).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ApplyError::Deadline),
        }
    }
}
