//! A namespace and its CloudWorkload: labels, what is built, status.

mod applied;
pub mod apply;
mod bounds;
pub mod build;
pub mod kept;
pub mod labels;
mod outcome;
mod policies;
mod schedulable;
pub mod status;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ReplicationController, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use super::Reconciler;
use super::events::Happened;
use crate::api::CloudWorkload;
use crate::api::condition::READY;
use crate::catalogue::pod::resource_bounds;
use crate::cluster::{ApplyError, LiveContext};
use crate::control::Standing;
use crate::engine::governance::next_instant;
use apply::Applied;
use build::{Judged, Live};

/// How often to look whether the older controllers that keep `enforce` down and Pods unbounded are gone: nothing tells.
const GRACED: Duration = Duration::from_secs(60);
/// How often to try again what the API server refused or someone else's object stands in the way of: nothing tells.
const IN_THE_WAY: Duration = Duration::from_secs(60);
/// Controllers that are read at a time.
const PAGE: u32 = 500;
/// No timer runs longer: the wall clock may be set.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Brings a namespace to what its class requires.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler, namespace: &str) -> Result<Option<Duration>, ApplyError> {
    let now = reconciler.clock.now();
    let world = reconciler.index.world();
    let context = LiveContext::new(&world, &reconciler.settings, now);
    let Some(entry) = world.namespace(namespace) else { return Ok(None) };
    let workload = entry.declaration.as_deref();
    // Only its CloudWorkload was seen so far; the namespace's own event comes.
    if entry.metadata.is_none() || entry.terminating() {
        return Ok(None);
    }
    let Some((engine, standing)) = context.engine(namespace).zip(context.standing(namespace)) else {
        if let Some(workload) = workload {
            write_status(reconciler, namespace, workload, status::without_baseline(workload, now)).await?;
        }
        return Ok(None);
    };
    let mut graced = false;
    let (applied, result) = match &standing {
        Standing::Governed(governed) => {
            let judged = Judged {
                namespace,
                workload,
                engine,
                governed,
                context: &context,
                api_server: &world.api_server,
                server_minor: reconciler.server_minor,
            };
            let Some(live) = live(reconciler.writer.client(), &judged).await? else { return Ok(None) };
            let built = judged.build(&live);
            graced = built.graced;
            apply::apply(&reconciler.writer, &reconciler.metrics, namespace, built).await
        }
        Standing::System | Standing::Undeclared | Standing::Pending(_) => (Applied::nothing(), Ok(())),
    };
    if let Some(workload) = workload {
        for what in &applied.healed {
            let note = format!("{what}: changed by someone, and as it should be again");
            reconciler.tell(workload.object_ref(&()), Happened::Healed, "Healed", note).await;
        }
    }
    result?;
    if let Some(workload) = workload {
        let status = status::status(workload, engine, &standing, &applied, &context, now);
        write_status(reconciler, namespace, workload, status).await?;
    }
    let in_the_way = !(applied.failures.is_empty() && applied.conflicts.is_empty());
    let instant = next_instant(&standing, workload.map(|workload| &workload.spec), &context, now);
    let waits =
        [instant.map(|instant| time_to(instant, now)), graced.then_some(GRACED), in_the_way.then_some(IN_THE_WAY)];
    Ok(waits.into_iter().flatten().min())
}

/// The time to an instant, and a moment: just before it, nothing has changed yet.
pub(super) fn time_to(instant: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(instant.duration_since(now)).unwrap_or_default();
    left.saturating_add(Duration::from_millis(50)).min(LONGEST)
}

async fn write_status(
    reconciler: &Reconciler,
    namespace: &str,
    workload: &CloudWorkload,
    status: crate::api::CloudWorkloadStatus,
) -> Result<(), ApplyError> {
    let api = Api::<CloudWorkload>::namespaced(reconciler.writer.client().clone(), namespace);
    match reconciler.writer.status(&api, workload, workload.status.as_ref(), &status).await {
        // It was deleted meanwhile: there is nothing to tell.
        Err(ApplyError::NotFound) => return Ok(()),
        result => result?,
    };
    let before = workload.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    reconciler.tell_change(workload.object_ref(&()), READY, before, &status.conditions).await;
    Ok(())
}

/// What is there; nothing when the namespace is going.
async fn live(client: &Client, judged: &Judged<'_>) -> Result<Option<Live>, ApplyError> {
    let namespaces = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
    let Some(namespace) = namespaces.get_opt(judged.namespace).await? else { return Ok(None) };
    let namespace = namespace.metadata;
    if namespace.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let policies = Api::<NetworkPolicy>::namespaced(client.clone(), judged.namespace);
    let policies = policies.list(&ListParams::default()).await?.items;
    let limit_ranges = Api::<LimitRange>::namespaced(client.clone(), judged.namespace);
    let limit_range = limit_ranges.get_opt(resource_bounds::build::NAME).await?;
    let quotas = Api::<ResourceQuota>::namespaced(client.clone(), judged.namespace);
    let quota = quotas.get_opt(resource_bounds::build::NAME).await?;
    let older_controllers = match judged.grace_that_matters(&namespace) {
        Some(start) => any_older(client, judged.namespace, start).await?,
        None => false,
    };
    Ok(Some(Live { namespace, policies, limit_range, quota, older_controllers }))
}

/// Whether a controller of Pods older than an instant exists.
async fn any_older(client: &Client, namespace: &str, start: Timestamp) -> Result<bool, ApplyError> {
    Ok(older::<Deployment>(client, namespace, start).await?
        || older::<ReplicaSet>(client, namespace, start).await?
        || older::<StatefulSet>(client, namespace, start).await?
        || older::<DaemonSet>(client, namespace, start).await?
        || older::<ReplicationController>(client, namespace, start).await?
        || older::<CronJob>(client, namespace, start).await?
        || older::<Job>(client, namespace, start).await?)
}

async fn older<K>(client: &Client, namespace: &str, start: Timestamp) -> Result<bool, ApplyError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    PartialObjectMeta<K>: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api = Api::<PartialObjectMeta<K>>::namespaced(client.clone(), namespace);
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        let created = |object: &PartialObjectMeta<K>| object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        if page.items.iter().filter_map(created).any(|created| created < start) {
            return Ok(true);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(false),
        }
    }
}
