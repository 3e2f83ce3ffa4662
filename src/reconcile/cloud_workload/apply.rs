//! Writing what a namespace should have.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use serde_json::json;

use super::build::{Built, Labels, Policies};
use super::policies::Step;
use crate::cluster::apply::Takeover;
use crate::cluster::{ApplyError, Writer};
use crate::reconcile::Metrics;

/// What was applied: a status is made from this, not from what was built.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What became of the NetworkPolicies.
    pub policies: Policies,
    /// Objects of the same name that belong to someone else.
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
    for step in built.steps {
        match step {
            Step::Apply { policy, changed } => {
                let api = Api::<NetworkPolicy>::namespaced(writer.client().clone(), namespace);
                let name = policy.metadata.name.clone().unwrap_or_default();
                let result = writer.apply(&api, &name, &*policy, Takeover::Force).await;
                let what = format!("NetworkPolicy {name}");
                if refused(&mut applied, &what, result.map(|_| ()))? && changed {
                    tracing::info!(namespace, name, "a built NetworkPolicy was changed and is healed");
                    metrics.healed("NetworkPolicy");
                    applied.healed.push(what);
                }
            }
            Step::Delete { name, uid } => {
                let api = Api::<NetworkPolicy>::namespaced(writer.client().clone(), namespace);
                let same = Preconditions { uid: Some(uid), resource_version: None };
                let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
                match writer.within(api.delete(&name, &params)).await {
                    Err(ApplyError::NotFound) => {}
                    result => {
                        refused(&mut applied, &format!("NetworkPolicy {name}"), result.map(|_| ()))?;
                    }
                }
            }
            Step::Conflict { name } => applied.conflicts.push(name),
        }
    }
    Ok(applied)
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
