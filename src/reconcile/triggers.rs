//! What makes the reconcilers look: changes of the world, and of what they built.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::Reconciler;
use super::cloud_workload::kept::MANAGED_BY;
use super::queue::Key;
use crate::admission::rules;
use crate::api::{CloudWorkload, FIELD_MANAGER};
use crate::cluster::{Change, Settings, World};

/// Keys that wait to be taken; watches wait when it is full.
const QUEUE: usize = 1_024;

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// One object changed.
    One(Key),
    /// The watch had to start anew: what was deleted meanwhile, nobody tells.
    Everything,
}

/// Watches what was built, by metadata alone.
pub(super) fn start(client: &Client, settings: &Settings) -> (Receiver<Trigger>, JoinSet<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let built = watcher::Config::default().any_semantic().labels(&format!("{MANAGED_BY}={FIELD_MANAGER}"));
    let named = |name: &str| watcher::Config::default().any_semantic().fields(&format!("metadata.name={name}"));
    tasks.spawn(watch::<NetworkPolicy>(client.clone(), built.clone(), sender.clone(), of_namespace));
    tasks.spawn(watch::<LimitRange>(client.clone(), built.clone(), sender.clone(), of_namespace));
    tasks.spawn(watch::<ResourceQuota>(client.clone(), built, sender.clone(), of_namespace));
    tasks.spawn(watch::<ValidatingWebhookConfiguration>(client.clone(), named(rules::NAME), sender.clone(), |_| {
        Some(Key::Webhook)
    }));
    tasks.spawn(watch::<MutatingWebhookConfiguration>(client.clone(), named(rules::NAME), sender.clone(), |_| {
        Some(Key::Webhook)
    }));
    tasks.spawn(watch::<ClusterRole>(client.clone(), named(&settings.anchor), sender, |_| Some(Key::Webhook)));
    (receiver, tasks)
}

fn of_namespace(metadata: &ObjectMeta) -> Option<Key> {
    metadata.namespace.clone().map(Key::Namespace)
}

async fn watch<K>(client: Client, config: watcher::Config, sender: Sender<Trigger>, key: fn(&ObjectMeta) -> Option<Key>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::all(client);
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = false;
    while let Some(event) = events.next().await {
        let trigger = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object) | watcher::Event::InitApply(object)) => {
                key(&object.metadata).map(Trigger::One)
            }
            Ok(watcher::Event::Init) => None,
            Ok(watcher::Event::InitDone) => std::mem::replace(&mut listed, true).then_some(Trigger::Everything),
            Err(error) => {
                tracing::debug!(%error, "a watch is taken up again");
                None
            }
        };
        if let Some(trigger) = trigger
            && sender.send(trigger).await.is_err()
        {
            return;
        }
    }
}

/// What was last seen of the objects that others depend on. A change of a status alone concerns nobody else: without
/// this, each status that is written would make everything be looked at.
#[derive(Debug, Default)]
pub(super) struct Seen {
    namespaces: BTreeMap<String, Declared>,
    registry: BTreeMap<Change, Identity>,
}

/// Uid and generation.
type Identity = (Option<String>, Option<i64>);

/// What others depend on of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Declared {
    identity: Option<Identity>,
    provider: Option<String>,
    label: Option<String>,
}

fn identity(metadata: &ObjectMeta) -> Identity {
    (metadata.uid.clone(), metadata.generation)
}

impl Seen {
    /// Takes in how a namespace is now; gives how it was, when that was different.
    fn namespace(&mut self, world: &World, name: &str) -> Option<Declared> {
        let entry = world.namespace(name);
        let workload = entry.and_then(|entry| entry.declaration.as_ref());
        let now = Declared {
            identity: workload.map(|workload| identity(&workload.metadata)),
            provider: workload.map(|workload| workload.spec.provider.clone()),
            label: entry.and_then(|entry| entry.class_label()).map(str::to_owned),
        };
        let before = self.namespaces.get(name).cloned().unwrap_or_default();
        if before == now {
            return None;
        }
        self.namespaces.insert(name.to_owned(), now);
        Some(before)
    }

    /// Takes in an object of the registry; true when more than its status changed.
    fn registered(&mut self, change: &Change, metadata: Option<&ObjectMeta>) -> bool {
        match metadata {
            Some(metadata) => {
                let now = identity(metadata);
                self.registry.insert(change.clone(), now.clone()) != Some(now)
            }
            None => self.registry.remove(change).is_some(),
        }
    }
}

impl Reconciler {
    /// What changes of the world concern.
    pub(super) fn concerned(&self, changes: &BTreeSet<Change>, seen: &mut Seen) -> BTreeSet<Key> {
        let world = self.index.world();
        changes.iter().flat_map(|change| keys(&world, change, seen)).collect()
    }
}

fn keys(world: &World, change: &Change, seen: &mut Seen) -> Vec<Key> {
    let workloads = |concerns: &dyn Fn(&CloudWorkload) -> bool| -> Vec<Key> {
        let concerned = world.declarations().filter(|(_, workload)| concerns(workload));
        concerned.map(|(namespace, _)| Key::Namespace(namespace.to_owned())).collect()
    };
    let baselines = || world.baselines.keys().cloned().map(Key::Baseline);
    match change {
        Change::Namespace(name) => {
            let mut keys = vec![Key::Namespace(name.clone())];
            if let Some(before) = seen.namespace(world, name) {
                // A namespace's class decides which flows others are granted to it.
                keys.extend(workloads(&|workload| {
                    let network = workload.spec.network.as_ref();
                    let mut flows =
                        network.into_iter().flat_map(|network| network.ingress_from.iter().chain(&network.egress_to));
                    flows.any(|flow| flow.namespace == *name)
                }));
                // Those that count their workloads.
                let declared = world.namespace(name).and_then(|entry| entry.declaration.as_ref());
                let now = declared.map(|workload| workload.spec.provider.clone());
                keys.extend([before.provider, now].into_iter().flatten().map(Key::Provider));
                keys.extend(baselines());
            }
            keys
        }
        Change::Provider(name) => {
            let mut keys = vec![Key::Provider(name.clone())];
            if seen.registered(change, world.providers.get(name).map(|provider| &provider.metadata)) {
                keys.extend(workloads(&|workload| workload.spec.provider == *name));
            }
            keys
        }
        Change::Entity(name) => {
            let mut keys = vec![Key::Entity(name.clone())];
            if seen.registered(change, world.entities.get(name).map(|entity| &entity.metadata)) {
                keys.extend(workloads(&|workload| workload.spec.owner == *name));
                keys.extend(baselines());
            }
            keys
        }
        Change::Baseline(name) => {
            let mut keys = vec![Key::Baseline(name.clone())];
            if seen.registered(change, world.baselines.get(name).map(|baseline| &baseline.metadata)) {
                let governed = world.namespaces.values();
                let governed = governed.filter(|entry| entry.declaration.is_some() || entry.class_label().is_some());
                keys.extend(governed.map(|entry| Key::Namespace(entry.name.clone())));
                keys.extend(baselines());
                keys.push(Key::Webhook);
            }
            keys
        }
        Change::ApiServer | Change::Nodes => workloads(&|_| true),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::cluster::NamespaceEntry;

    fn workload(namespace: &str, provider: &str, generation: i64, flow: &str) -> CloudWorkload {
        serde_json::from_value(json!({
            "apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
            "metadata": {"name": "workload", "namespace": namespace, "uid": namespace, "generation": generation},
            "spec": {"owner": "fbr", "dataClass": "Restricted", "provider": provider, "model": "Government",
                "service": "PaaS", "network": {"egressTo": [{"namespace": flow}]}}}))
        .unwrap()
    }

    fn world(workloads: Vec<CloudWorkload>) -> World {
        let entry = |workload: CloudWorkload| {
            let name = workload.metadata.namespace.clone().unwrap();
            let declaration = Some(Arc::new(workload));
            (name.clone(), Arc::new(NamespaceEntry { name, metadata: None, declaration }))
        };
        World { namespaces: Arc::new(workloads.into_iter().map(entry).collect()), ..World::default() }
    }

    fn names(keys: &[Key]) -> Vec<String> {
        keys.iter().map(|key| format!("{} {}", key.kind(), key.name())).collect()
    }

    #[test]
    fn a_status_alone_concerns_nobody_else() {
        let mut seen = Seen::default();
        let change = Change::Namespace("a".to_owned());
        let first = world(vec![workload("a", "ntc", 1, "x"), workload("b", "ntc", 1, "a")]);
        let all = ["CloudWorkload a", "CloudWorkload b", "CloudServiceProvider ntc"];
        assert_eq!(names(&keys(&first, &change, &mut seen)), all);
        let mut told = workload("a", "ntc", 1, "x");
        told.status = Some(crate::api::CloudWorkloadStatus::default());
        let told = world(vec![told, workload("b", "ntc", 1, "a")]);
        assert_eq!(names(&keys(&told, &change, &mut seen)), ["CloudWorkload a"]);
    }

    #[test]
    fn nodes_concern_every_declaration() {
        let world = world(vec![workload("a", "ntc", 1, "x"), workload("b", "pta", 1, "x")]);
        let concerned = keys(&world, &Change::Nodes, &mut Seen::default());
        assert_eq!(names(&concerned), ["CloudWorkload a", "CloudWorkload b"]);
    }

    #[test]
    fn a_provider_that_lost_a_workload_counts_again() {
        let mut seen = Seen::default();
        let change = Change::Namespace("a".to_owned());
        keys(&world(vec![workload("a", "ntc", 1, "x")]), &change, &mut seen);
        let moved = keys(&world(vec![workload("a", "pta", 2, "x")]), &change, &mut seen);
        assert_eq!(names(&moved), ["CloudWorkload a", "CloudServiceProvider ntc", "CloudServiceProvider pta"]);
        let gone = keys(&world(Vec::new()), &change, &mut seen);
        assert_eq!(names(&gone), ["CloudWorkload a", "CloudServiceProvider pta"]);
    }
}
