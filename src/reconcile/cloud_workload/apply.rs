//! Writing what a namespace should have.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::build::{Bounds, Built, Labels, Policies};
use super::kept::{Kept, Step};
use crate::api::FIELD_MANAGER;
use crate::cluster::apply::Takeover;
use crate::cluster::{ApplyError, Writer};
use crate::reconcile::Metrics;

/// What was applied: a status is made from this, not from what was built.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What became of the NetworkPolicies.
    pub policies: Policies,
    /// What became of the LimitRange and the ResourceQuota.
    pub bounds: Bounds,
    /// Objects of the same name that belong to someone else, by kind and name.
    pub conflicts: Vec<String>,
    /// What could not be written, and why.
    pub failures: Vec<String>,
    /// A class label that the baseline doesn't know.
    pub unknown_class: Option<String>,
    /// What someone had changed and is as it should be again.
    pub healed: Vec<String>,
}

impl Applied {
    /// Nothing, where nothing is to be built.
    pub fn nothing() -> Self {
        Self {
            policies: Policies::Nobody,
            bounds: Bounds::Nobody,
            conflicts: Vec::new(),
            failures: Vec::new(),
            unknown_class: None,
            healed: Vec::new(),
        }
    }
}

/// Applies. What the API server refuses is told in the status; what may go better at once is an error.
///
/// # Errors
/// When this replica doesn't lead, or the API server can't be reached.
pub async fn apply(writer: &Writer, metrics: &Metrics, namespace: &str, built: Built) -> Result<Applied, ApplyError> {
    let mut applied = Applied {
        policies: built.policies,
        bounds: built.bounds,
        conflicts: Vec::new(),
        failures: Vec::new(),
        unknown_class: built.unknown_class,
        healed: Vec::new(),
    };
    // The label first: it closes the namespace, also for when Amanat is down.
    if let Some(labels) = built.labels {
        let changed = labels.changed;
        if refused(&mut applied, "labels", apply_labels(writer, namespace, labels).await)? && changed {
            tracing::info!(namespace, "the namespace's labels were changed and are healed");
            metrics.healed("Namespace");
            applied.healed.push("the namespace's labels".to_owned());
        }
    }
    keep(writer, metrics, namespace, built.steps, &mut applied).await?;
    // Before the quota, which refuses Pods that have no requests.
    keep(writer, metrics, namespace, built.limit_range, &mut applied).await?;
    keep(writer, metrics, namespace, built.quota, &mut applied).await?;
    Ok(applied)
}

/// Does what is to be done about the objects of one kind.
async fn keep<K>(
    writer: &Writer,
    metrics: &Metrics,
    namespace: &str,
    steps: Vec<Step<K>>,
    applied: &mut Applied,
) -> Result<(), ApplyError>
where
    K: Kept + k8s_openapi::Resource + Resource<Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Debug,
{
    let api = Api::<K>::namespaced(writer.client().clone(), namespace);
    let kind = <K as k8s_openapi::Resource>::KIND;
    for step in steps {
        match step {
            Step::Apply { object, changed } => {
                let name = object.meta().name.clone().unwrap_or_default();
                let what = format!("{kind} {name}");
                let result = write(writer, &api, &name, &*object).await;
                if refused(applied, &what, result)? && changed {
                    tracing::info!(namespace, kind, name, "a built object was changed and is healed");
                    metrics.healed(kind);
                    applied.healed.push(what);
                }
            }
            Step::Delete { name, uid } => {
                let same = Preconditions { uid: Some(uid), resource_version: None };
                let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
                match writer.within(api.delete(&name, &params)).await {
                    Err(ApplyError::NotFound) => {}
                    result => {
                        refused(applied, &format!("{kind} {name}"), result.map(|_| ()))?;
                    }
                }
            }
            Step::Conflict { name } => applied.conflicts.push(format!("{kind} {name}")),
        }
    }
    Ok(())
}

async fn write<K>(writer: &Writer, api: &Api<K>, name: &str, object: &K) -> Result<(), ApplyError>
where
    K: Kept + Serialize + DeserializeOwned + Debug,
{
    let there = writer.apply(api, name, object, Takeover::Force).await?;
    if let Some(patch) = object.remove_others(&there) {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        writer.within(api.patch(name, &params, &Patch::Merge(&patch))).await?;
    }
    Ok(())
}

async fn apply_labels(writer: &Writer, namespace: &str, labels: Labels) -> Result<(), ApplyError> {
    let api = Api::<Namespace>::all(writer.client().clone());
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace,
            "uid": labels.uid,
            "resourceVersion": labels.resource_version,
            "labels": labels.labels,
        },
    });
    writer.apply(&api, namespace, &object, Takeover::Force).await.map(|_| ())
}

/// Notes what the API server refuses; true when it took it.
fn refused(applied: &mut Applied, what: &str, result: Result<(), ApplyError>) -> Result<bool, ApplyError> {
    match result {
        Err(error @ (ApplyError::Forbidden(_) | ApplyError::Invalid(_))) => {
            applied.failures.push(format!("{what}: {error}"));
            Ok(false)
        }
        other => other.map(|()| true),
    }
}
