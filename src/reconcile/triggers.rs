//! What makes the reconcilers look: changes of the world, and of what they built.

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::Reconciler;
use super::cloud_workload::policies::MANAGED_BY;
use super::queue::Key;
use crate::admission::rules;
use crate::api::FIELD_MANAGER;
use crate::cluster::{Change, Settings};

/// Keys that wait to be taken; watches wait when it is full.
const QUEUE: usize = 1_024;

/// Watches what was built, by metadata alone.
pub(super) fn start(client: &Client, settings: &Settings) -> (Receiver<Key>, JoinSet<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let built = watcher::Config::default().any_semantic().labels(&format!("{MANAGED_BY}={FIELD_MANAGER}"));
    let named = |name: &str| watcher::Config::default().any_semantic().fields(&format!("metadata.name={name}"));
    tasks.spawn(watch::<NetworkPolicy>(client.clone(), built, sender.clone(), |metadata| {
        metadata.namespace.clone().map(Key::Namespace)
    }));
    tasks.spawn(watch::<ValidatingWebhookConfiguration>(client.clone(), named(rules::NAME), sender.clone(), |_| {
        Some(Key::Webhook)
    }));
    tasks.spawn(watch::<ClusterRole>(client.clone(), named(&settings.anchor), sender, |_| Some(Key::Webhook)));
    (receiver, tasks)
}

async fn watch<K>(
    client: Client,
    config: watcher::Config,
    sender: Sender<Key>,
    key: fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<Key>,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::all(client);
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object) | watcher::Event::InitApply(object)) => {
                object
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                tracing::debug!(%error, "a watch is taken up again");
                continue;
            }
        };
        if let Some(key) = key(&object.metadata)
            && sender.send(key).await.is_err()
        {
            return;
        }
    }
}

impl Reconciler {
    /// What a change of the world concerns.
    pub(super) fn keys(&self, change: &Change) -> Vec<Key> {
        let world = self.index.world();
        let workloads = |concerns: &dyn Fn(&crate::api::CloudWorkload) -> bool| -> Vec<Key> {
            let concerned = world.declarations().filter(|(_, workload)| concerns(workload));
            concerned.map(|(namespace, _)| Key::Namespace(namespace.to_owned())).collect()
        };
        let mut keys = match change {
            // A namespace's class decides which flows others are granted to it, too.
            Change::Namespace(name) => workloads(&|workload| {
                let network = workload.spec.network.as_ref();
                let mut flows =
                    network.into_iter().flat_map(|network| network.ingress_from.iter().chain(&network.egress_to));
                flows.any(|flow| flow.namespace == *name)
            }),
            Change::Provider(name) => workloads(&|workload| workload.spec.provider == *name),
            Change::Entity(name) => workloads(&|workload| workload.spec.owner == *name),
            Change::Baseline(_) => {
                let mut keys = workloads(&|_| true);
                keys.extend(world.baselines.keys().cloned().map(Key::Baseline));
                keys.push(Key::Webhook);
                keys
            }
            Change::ApiServer => workloads(&|_| true),
        };
        keys.extend(match change {
            Change::Namespace(name) => {
                let declared = world.namespace(name).and_then(|entry| entry.declaration.as_ref());
                let provider = declared.map(|workload| Key::Provider(workload.spec.provider.clone()));
                provider.into_iter().chain([Key::Namespace(name.clone())]).collect()
            }
            Change::Provider(name) => vec![Key::Provider(name.clone())],
            Change::Entity(name) => vec![Key::Entity(name.clone())],
            Change::Baseline(name) => vec![Key::Baseline(name.clone())],
            Change::ApiServer => Vec::new(),
        });
        keys
    }
}
