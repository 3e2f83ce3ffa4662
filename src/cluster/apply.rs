//! Writing: only by the leader, by server-side apply, and a status only when it changed.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
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
            kube::Error::Service(cause) if cause.is::<NotLeader>() => Self::NotLeader(NotLeader),
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
    /// The fence is asked before every step of it. A timer alone would not do: in a process that was stopped and goes
    /// on, a connection that is there by now, or a retry that is due, may be seen before the timer is.
    ///
    /// # Errors
    /// When this replica doesn't lead, the lease runs out meanwhile, or the write fails.
    pub async fn within<T>(&self, write: impl Future<Output = kube::Result<T>>) -> Result<T, ApplyError> {
        let left = self.fence.check()?;
        let mut write = pin!(write);
        let fenced = poll_fn(|context| match self.fence.check() {
            Ok(_) => write.as_mut().poll(context).map_err(ApplyError::from),
            Err(closed) => Poll::Ready(Err(closed.into())),
        });
        tokio::time::timeout(left.min(LONGEST_WRITE), fenced).await.unwrap_or(Err(ApplyError::Deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::{Clock, ManualClock};
    use super::*;
    use crate::api::{PublicSectorEntity, PublicSectorEntityStatus};
    use hyper::{Request, Response};
    use kube::client::Body;
    use std::sync::Arc;
    use tower_test::mock::{self, Handle};

    type Server = Handle<Request<Body>, Response<Body>>;

    fn entity() -> PublicSectorEntity {
        serde_json::from_value(json!({
            "apiVersion": "amanat.dev/v1alpha1", "kind": "PublicSectorEntity", "metadata": {"name": "fbr", "uid": "1"},
            "spec": {"displayName": "FBR", "jurisdiction": "Federal"},
        }))
        .unwrap()
    }

    fn writer(leads: bool) -> (Writer, Api<PublicSectorEntity>, Arc<ManualClock>, Server) {
        let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "default");
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let fence = Fence::new(Arc::clone(&clock) as Arc<dyn Clock>);
        if leads {
            fence.open_until(Duration::from_secs(10));
        }
        (Writer::new(client.clone(), fence), Api::all(client), clock, server)
    }

    fn status(generation: i64) -> PublicSectorEntityStatus {
        PublicSectorEntityStatus { observed_generation: Some(generation), ..PublicSectorEntityStatus::default() }
    }

    async fn answer(server: &mut Server, code: u16, body: serde_json::Value) -> (String, serde_json::Value) {
        let (request, respond) = server.next_request().await.unwrap();
        let uri = request.uri().to_string();
        let sent = request.into_body().collect_bytes().await.unwrap();
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        respond.send_response(Response::builder().status(code).body(body).unwrap());
        (uri, serde_json::from_slice(&sent).unwrap())
    }

    #[tokio::test]
    async fn who_does_not_lead_sends_nothing() {
        let (writer, api, _, mut server) = writer(false);
        let entity = entity();
        let error = writer.status(&api, &entity, None, &status(1)).await.unwrap_err();
        assert_eq!(error.category(), "not-leader");
        let error =
            writer.apply(&api, "fbr", &entity, Takeover::Force).await.map(|_: PublicSectorEntity| ()).unwrap_err();
        assert_eq!(error.category(), "not-leader");
        drop((writer, api));
        assert!(server.next_request().await.is_none());
    }

    #[tokio::test]
    async fn who_led_too_long_ago_sends_nothing() {
        let (writer, api, clock, _server) = writer(true);
        clock.advance(Duration::from_secs(10));
        let error = writer.status(&api, &entity(), None, &status(1)).await.unwrap_err();
        assert_eq!(error.category(), "not-leader");
    }

    #[tokio::test]
    async fn a_write_that_was_begun_in_time_goes_no_step_further_afterwards() {
        let (writer, _, clock, _server) = writer(true);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let sent = std::cell::Cell::new(false);
        let write = async {
            let _ = gone.await;
            sent.set(true);
            Ok(())
        };
        let stopped = async {
            clock.advance(Duration::from_secs(10));
            go.send(()).unwrap();
        };
        let (written, ()) = tokio::join!(writer.within(write), stopped);
        assert_eq!(written.unwrap_err().category(), "not-leader");
        assert!(!sent.get(), "what it waited for came while the process stood still, and it went on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_waited_for_as_long_as_this_replica_leads_and_never_for_long() {
        for (passed, waits) in [(7, 3), (0, LONGEST_WRITE.as_secs())] {
            let (writer, _, clock, _server) = writer(true);
            clock.advance(Duration::from_secs(passed));
            let since = tokio::time::Instant::now();
            let written = writer.within(std::future::pending::<kube::Result<()>>()).await;
            assert_eq!(written.unwrap_err().category(), "deadline");
            assert_eq!(since.elapsed().as_secs(), waits, "with {} s left", 10 - passed);
        }
    }

    #[tokio::test]
    async fn a_status_is_written_only_when_it_changed_and_to_that_very_object() {
        let (writer, api, _, mut server) = writer(true);
        assert!(!writer.status(&api, &entity(), Some(&status(1)), &status(1)).await.unwrap());
        let (entity, old, new) = (entity(), status(1), status(2));
        let reply = serde_json::to_value(&entity).unwrap();
        let (written, (uri, sent)) =
            tokio::join!(writer.status(&api, &entity, Some(&old), &new), answer(&mut server, 200, reply));
        assert!(written.unwrap());
        assert!(uri.starts_with("/apis/amanat.dev/v1alpha1/publicsectorentities/fbr/status?"), "{uri}");
        assert!(uri.contains("fieldManager=amanat"), "{uri}");
        assert_eq!(sent["metadata"], json!({"name": "fbr", "uid": "1"}));
        assert_eq!(sent["status"]["observedGeneration"], 2);
        assert!(sent.get("spec").is_none());
    }

    #[tokio::test]
    async fn what_the_api_server_says_has_a_category() {
        let (writer, api, _, mut server) = writer(true);
        let entity = entity();
        for (code, category) in
            [(403, "forbidden"), (404, "not-found"), (409, "conflict"), (422, "invalid"), (500, "failed")]
        {
            let said = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code});
            let (result, _) = tokio::join!(
                writer.apply::<PublicSectorEntity, _>(&api, "fbr", &entity, Takeover::Refuse),
                answer(&mut server, code, said)
            );
            assert_eq!(result.unwrap_err().category(), category);
        }
    }
}
