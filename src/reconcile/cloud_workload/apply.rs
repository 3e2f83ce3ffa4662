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

/// Applies: whatever fails, the rest is tried, since each of it protects. What the API server refuses is told in the
/// status; what may go better at once is the error, the first of them.
pub async fn apply(
    writer: &Writer,
    metrics: &Metrics,
    namespace: &str,
    built: Built,
) -> (Applied, Result<(), ApplyError>) {
    let applied = Applied {
        policies: built.policies,
        bounds: built.bounds,
        unknown_class: built.unknown_class,
        ..Applied::nothing()
    };
    let mut applying = Applying { writer, metrics, namespace, applied, result: Ok(()) };
    // The label first: it closes the namespace, also for when Amanat is down.
    if let Some(labels) = built.labels {
        let changed = labels.changed;
        let result = apply_labels(writer, namespace, labels).await;
        if applying.took("labels", result) && changed {
            tracing::info!(namespace, "the namespace's labels were changed and are healed");
            metrics.healed("Namespace");
            applying.applied.healed.push("the namespace's labels".to_owned());
        }
    }
    applying.keep(built.steps).await;
    // Before the quota, which refuses Pods that have no requests.
    applying.keep(built.limit_range).await;
    applying.keep(built.quota).await;
    (applying.applied, applying.result)
}

/// What was applied so far.
struct Applying<'a> {
    writer: &'a Writer,
    metrics: &'a Metrics,
    namespace: &'a str,
    applied: Applied,
    result: Result<(), ApplyError>,
}

impl Applying<'_> {
    /// Does what is to be done about the objects of one kind.
    async fn keep<K>(&mut self, steps: Vec<Step<K>>)
    where
        K: Kept
            + k8s_openapi::Resource
            + Resource<Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Debug,
    {
        let (writer, namespace) = (self.writer, self.namespace);
        let api = Api::<K>::namespaced(writer.client().clone(), namespace);
        let kind = <K as k8s_openapi::Resource>::KIND;
        for step in steps {
            match step {
                Step::Apply { object, changed } => {
                    let name = object.meta().name.clone().unwrap_or_default();
                    let what = format!("{kind} {name}");
                    let result = write(writer, &api, &name, &*object).await;
                    if self.took(&what, result) && changed {
                        tracing::info!(namespace, kind, name, "a built object was changed and is healed");
                        self.metrics.healed(kind);
                        self.applied.healed.push(what);
                    }
                }
                Step::Delete { name, uid } => {
                    let same = Preconditions { uid: Some(uid), resource_version: None };
                    let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
                    match writer.within(api.delete(&name, &params)).await {
                        Err(ApplyError::NotFound) => {}
                        result => {
                            self.took(&format!("{kind} {name}"), result.map(drop));
                        }
                    }
                }
                Step::Conflict { name } => self.applied.conflicts.push(format!("{kind} {name}")),
            }
        }
    }

    /// Notes what the API server refuses, and what else failed; true when it took it.
    fn took(&mut self, what: &str, result: Result<(), ApplyError>) -> bool {
        match result {
            Ok(()) => return true,
            Err(error @ (ApplyError::Forbidden(_) | ApplyError::Invalid(_))) => {
                self.applied.failures.push(format!("{what}: {error}"));
            }
            Err(error) if self.result.is_ok() => self.result = Err(error),
            Err(_) => {}
        }
        false
    }
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::cluster::clock::ManualClock;
    use crate::cluster::{Clock, Fence};
    use axum::http::{Request, Response};
    use kube::Client;
    use kube::client::Body;

    fn step<K: DeserializeOwned>(name: &str) -> Step<K> {
        let object = serde_json::from_value(json!({"metadata": {"name": name, "namespace": "n"}})).unwrap();
        Step::Apply { object: Box::new(object), changed: true }
    }

    fn built() -> Built {
        let labels =
            Labels { labels: BTreeMap::new(), uid: Some("u".to_owned()), resource_version: None, changed: true };
        Built {
            labels: Some(labels),
            steps: vec![step("allow"), step("deny")],
            policies: Policies::Nobody,
            limit_range: vec![step("range")],
            quota: vec![Step::Delete { name: "old".to_owned(), uid: "o".to_owned() }, step("quota")],
            bounds: Bounds::Nobody,
            unknown_class: None,
            graced: false,
        }
    }

    const ALL: [&str; 6] = ["n", "allow", "deny", "range", "old", "quota"];

    /// Applies at an API server that answers for the object of one name with a code.
    async fn against(fails: &'static str, code: u16) -> (BTreeSet<String>, Applied, Result<(), ApplyError>) {
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let log = Arc::clone(&asked);
        let server = tower::service_fn(move |request: Request<Body>| {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let failure = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code});
            let answered = if name == fails { (code, failure) } else { (200, json!({"metadata": {"name": name}})) };
            log.lock().unwrap().insert(name);
            let body = Body::from(answered.1.to_string().into_bytes());
            async move { Ok::<_, Infallible>(Response::builder().status(answered.0).body(body).unwrap()) }
        });
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let writer = Writer::new(Client::new(server, "default"), Fence::open(clock));
        let (applied, result) = apply(&writer, &Metrics::default(), "n", built()).await;
        let asked = asked.lock().unwrap().clone();
        (asked, applied, result)
    }

    #[tokio::test]
    async fn whatever_fails_the_rest_is_applied() {
        let all: BTreeSet<String> = ALL.map(str::to_owned).into();
        for (code, category) in [(409, "conflict"), (429, "failed"), (500, "failed"), (503, "failed"), (403, "")] {
            for fails in ALL {
                let (asked, applied, result) = against(fails, code).await;
                assert_eq!(asked, all, "{code} for {fails}");
                let said = result.as_ref().map_or_else(ApplyError::category, |()| "");
                assert_eq!(said, category, "{code} for {fails}");
                assert_eq!(applied.failures.len(), usize::from(code == 403), "{code} for {fails}");
                // What is deleted is not healed.
                let healed = if fails == "old" { 5 } else { 4 };
                assert_eq!(applied.healed.len(), healed, "{code} for {fails}: {:?}", applied.healed);
            }
        }
    }

    #[tokio::test]
    async fn what_is_gone_already_needs_no_removal() {
        let (_, applied, result) = against("old", 404).await;
        assert!(result.is_ok() && applied.failures.is_empty());
    }
}
