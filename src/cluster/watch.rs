//! Watches: one task a kind, all into one channel.

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{self as core, Namespace};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::mirror::Event;
use super::nodes::essentials;
use crate::api::{CloudServiceProvider, CloudWorkload, PublicSectorEntity, SecurityBaseline, WORKLOAD_NAME};
use crate::control::Node;

/// The annotation in which `kubectl apply` keeps a copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An event of one of the watches.
#[derive(Debug)]
pub(super) enum Message {
    Namespace(Event<ObjectMeta>),
    Declaration(Event<CloudWorkload>),
    Provider(Event<CloudServiceProvider>),
    Entity(Event<PublicSectorEntity>),
    Baseline(Event<SecurityBaseline>),
    Endpoints(Event<EndpointSlice>),
    Node(Event<Node>),
}

/// Starts a task for each watch. None of them ends while the receiver lives.
pub(super) fn start(client: &Client, out: &Sender<Message>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let all = watcher::Config::default;
    let client = || client.clone();
    tasks.spawn(namespaces(Api::all(client()), out.clone()));
    tasks.spawn(follow(Api::all(client()), all(), declaration_key, stripped, Message::Declaration, out.clone()));
    tasks.spawn(follow(Api::all(client()), all(), name, stripped, Message::Provider, out.clone()));
    tasks.spawn(follow(Api::all(client()), all(), name, stripped, Message::Entity, out.clone()));
    tasks.spawn(follow(Api::all(client()), all(), name, stripped, Message::Baseline, out.clone()));
    let kubernetes = all().fields("metadata.name=kubernetes");
    tasks.spawn(follow(
        Api::namespaced(client(), "default"),
        kubernetes,
        name,
        stripped,
        Message::Endpoints,
        out.clone(),
    ));
    tasks.spawn(follow::<core::Node, _>(Api::all(client()), all(), name, essentials, Message::Node, out.clone()));
    tasks
}

fn name(metadata: &ObjectMeta) -> Option<String> {
    metadata.name.clone()
}

/// A namespace has one CloudWorkload, of a fixed name: it is known by its namespace.
fn declaration_key(metadata: &ObjectMeta) -> Option<String> {
    metadata.namespace.clone().filter(|_| metadata.name.as_deref() == Some(WORKLOAD_NAME))
}

/// Follows the objects of a kind; one that can't be read is logged by its name, and never stops the others.
async fn follow<K, T>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    key: fn(&ObjectMeta) -> Option<String>,
    keep: fn(K) -> T,
    wrap: fn(Event<T>) -> Message,
    out: Sender<Message>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let kind = K::kind(&()).into_owned();
    let read = |guarded: DeserializeGuard<K>| {
        let key = key(guarded.meta())?;
        let object = match guarded.0 {
            Ok(object) => Some(keep(object)),
            Err(_) => {
                tracing::warn!(kind, name = key, "an object could not be read and is passed over");
                None
            }
        };
        Some((key, object))
    };
    let mut events = watcher(api, config).backoff(Retry::default()).boxed();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(watcher::Event::Init) => Some(Event::Start),
            Ok(watcher::Event::InitDone) => Some(Event::Done),
            Ok(watcher::Event::InitApply(object)) => read(object).map(|(key, object)| Event::Listed(key, object)),
            Ok(watcher::Event::Apply(object)) => read(object).map(|(key, object)| Event::Seen(key, object)),
            Ok(watcher::Event::Delete(object)) => key(object.meta()).map(Event::Gone),
            Err(error) => {
                complain(&kind, &error);
                None
            }
        };
        if let Some(event) = event
            && out.send(wrap(event)).await.is_err()
        {
            return;
        }
    }
}

/// Follows the metadata of namespaces.
async fn namespaces(api: Api<PartialObjectMeta<Namespace>>, out: Sender<Message>) {
    let read = |object: PartialObjectMeta<Namespace>| {
        let metadata = object.metadata;
        let key = metadata.name.clone()?;
        Some((key, Some(of_namespace(metadata))))
    };
    let mut events = watcher(api, watcher::Config::default()).backoff(Retry::default()).boxed();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(watcher::Event::Init) => Some(Event::Start),
            Ok(watcher::Event::InitDone) => Some(Event::Done),
            Ok(watcher::Event::InitApply(object)) => read(object).map(|(key, object)| Event::Listed(key, object)),
            Ok(watcher::Event::Apply(object)) => read(object).map(|(key, object)| Event::Seen(key, object)),
            Ok(watcher::Event::Delete(object)) => object.metadata.name.map(Event::Gone),
            Err(error) => {
                complain("Namespace", &error);
                None
            }
        };
        if let Some(event) = event
            && out.send(Message::Namespace(event)).await.is_err()
        {
            return;
        }
    }
}

/// What is kept of Amanat's own kinds.
fn stripped<K: Resource>(mut object: K) -> K {
    strip(object.meta_mut());
    object
}

/// What is kept of a namespace: tenants can make the rest large.
fn of_namespace(metadata: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name,
        uid: metadata.uid,
        labels: metadata.labels,
        creation_timestamp: metadata.creation_timestamp,
        deletion_timestamp: metadata.deletion_timestamp,
        ..ObjectMeta::default()
    }
}

/// Drops what is large and never read.
pub(super) fn strip(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Says that a watch failed. The error's own text may quote objects, so only its sort is logged.
fn complain(kind: &str, error: &watcher::Error) {
    let (step, status) = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => ("list", status.code),
        watcher::Error::InitialListFailed(_) => ("list", 0),
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => ("watch", status.code),
        watcher::Error::WatchStartFailed(_) => ("watch", 0),
        watcher::Error::WatchError(status) => ("watch", status.code),
        watcher::Error::WatchFailed(_) => ("stream", 0),
        watcher::Error::NoResourceVersion => ("version", 0),
    };
    // The API server ends a watch whose version is too old; the list that follows is no failure.
    if status == 410 {
        return;
    }
    tracing::warn!(kind, step, status, "a watch failed and is tried again");
}

/// Tries again quickly at first, and never waits so long that a cluster that came back is served late.
#[derive(Debug)]
pub(crate) struct Retry(Duration);

impl Retry {
    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(5);
}

impl Default for Retry {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(Self::LONGEST);
        Some(wait)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
