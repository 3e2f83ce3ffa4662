//! What several topics start from, and wait for.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::amanat::Amanat;
use e2e::cluster::{Cluster, NODES};
use e2e::manifests::{self, patched};
use e2e::operator::NAMESPACE;
use e2e::process::Process;
use e2e::waiting::until;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

/// The name of the baseline that the chart makes.
pub(crate) const BASELINE: &str = "pakistan-cloud-first-2022";

const SOON: Duration = Duration::from_secs(90);

/// The most memory, in MiB, that may be resident while as many of the largest bodies are read: what is resident anyhow,
/// the bodies, both rooms for what is read from them, and what the allocator keeps.
pub(crate) const fn resident_at_most(bodies: u64) -> u64 {
    32 + 7 * bodies + 2 * 48 + 32
}

/// Where the first replica's webhook listens, and its process.
pub(crate) async fn first_webhook(amanat: &Amanat) -> Result<(String, Process)> {
    let installation = amanat.installation().await;
    let operator = &installation.replicas.first().context("there is no replica")?.operator;
    Ok((operator.webhook_address(), operator.process()?))
}

/// The spec of a Pod that Restricted refuses for several reasons.
pub(crate) fn violating() -> Value {
    json!({"containers": [{"name": "app", "image": "docker.io/library/app:1", "securityContext": {"privileged": true}}]})
}

/// A Deployment of one replica with that spec.
pub(crate) fn deployment(namespace: &str, name: &str, spec: &Value) -> String {
    manifests::workload("Deployment", namespace, name, spec).to_string()
}

/// A bare Pod with that spec.
pub(crate) fn pod(namespace: &str, name: &str, spec: &Value) -> String {
    manifests::workload("Pod", namespace, name, spec).to_string()
}

/// The spec of a Pod that every class admits.
pub(crate) fn conforming() -> Value {
    manifests::pod_spec(&manifests::container())
}

/// A CloudWorkload kept by a provider of that name.
pub(crate) fn kept_by(namespace: &str, provider: &str) -> Value {
    patched(manifests::cloud_workload(namespace, "Restricted"), &json!({"spec": {"provider": provider}}))
}

/// A new Restricted namespace in which everything that the class demands is built.
pub(crate) async fn built(amanat: &Amanat, prefix: &str) -> Result<String> {
    let namespace = amanat.declared(prefix, "Restricted").await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    Ok(namespace)
}

/// Waits until a Deployment has as many ready Pods as it asks for.
pub(crate) async fn available(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(cluster.client().clone(), namespace);
    until(SOON, format!("the Pods of Deployment {namespace}/{name}"), async || {
        let deployment = deployments.get(name).await?;
        let wanted = deployment.spec.replicas.unwrap_or(1);
        let status = deployment.status.context("it has no status")?;
        let current = status.observed_generation == deployment.metadata.generation;
        let (ready, updated) = (status.ready_replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
        let all = status.replicas.unwrap_or(0);
        let state = status.conditions;
        ensure!(current && [ready, updated, all] == [wanted; 3], "{ready} of {wanted} are ready: {state:?}");
        Ok(())
    })
    .await
}

/// Waits until every ReplicaSet of a namespace is older than two seconds: a grace covers controllers that are older
/// than its start, and creation times have whole seconds.
pub(crate) async fn aged(cluster: &Cluster, namespace: &str) -> Result<()> {
    let sets = Api::<ReplicaSet>::namespaced(cluster.client().clone(), namespace);
    until(SOON, format!("the ReplicaSets of {namespace} to be two seconds old"), async || {
        for set in sets.list(&Default::default()).await? {
            let created = set.metadata.creation_timestamp.context("it has no creation time")?.0;
            let age = Timestamp::now().duration_since(created);
            ensure!(age > SignedDuration::from_secs(2), "{:?} was created at {created}", set.metadata.name);
        }
        Ok(())
    })
    .await
}

/// Deletes all Pods of a namespace, and waits until as many others run.
pub(crate) async fn killed_pods_come_back(cluster: &Cluster, namespace: &str) -> Result<()> {
    let before = running(cluster, namespace).await?;
    ensure!(!before.is_empty(), "no Pod runs in {namespace}");
    cluster.tools().kubectl(&["delete", "pods", "--all", "-n", namespace]).await?.ok()?;
    until(SOON, format!("the Pods of {namespace} to come back"), async || {
        let now = running(cluster, namespace).await?;
        let others = now.iter().filter(|name| !before.contains(name)).count();
        ensure!(others == before.len(), "now run {now:?}, before {before:?}");
        Ok(())
    })
    .await
}

/// Waits until a Deployment's ReplicaSet says that it gets no Pod, and why.
pub(crate) async fn refused_pods(cluster: &Cluster, namespace: &str, name: &str, why: &str) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(cluster.client().clone(), namespace);
    until(SOON, format!("no Pod for Deployment {namespace}/{name}"), async || {
        let conditions = deployments.get(name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
        let failure = conditions.iter().find(|condition| condition.type_.as_deref() == Some("ReplicaFailure"));
        let message = failure.and_then(|failure| failure.message.as_deref());
        ensure!(message.is_some_and(|message| message.contains(why)), "it says {message:?}");
        let left = pods(cluster, namespace).await?;
        ensure!(left == 0, "{left} Pods are there");
        Ok(())
    })
    .await
}

/// The one Pod of an app.
pub(crate) async fn one_pod(cluster: &Cluster, namespace: &str, app: &str) -> Result<Value> {
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), namespace);
    let pods = pods.list(&ListParams::default().labels(&format!("app={app}"))).await?.items;
    let [pod] = pods.as_slice() else { bail!("there are {} Pods of {app} in {namespace}", pods.len()) };
    Ok(serde_json::to_value(pod)?)
}

/// The names of the Pods that run and stay.
async fn running(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), namespace);
    let staying = pods.list(&Default::default()).await?.into_iter().filter(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
    });
    Ok(staying.filter_map(|pod| pod.metadata.name).collect())
}

/// How many Pods of a namespace are there and stay.
pub(crate) async fn pods(cluster: &Cluster, namespace: &str) -> Result<usize> {
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), namespace).list(&Default::default()).await?;
    Ok(pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count())
}

/// The replica that leads.
pub(crate) async fn leader(cluster: &Cluster) -> Result<String> {
    let leases = Api::<Lease>::namespaced(cluster.client().clone(), NAMESPACE);
    let holder = leases.get("amanat").await?.spec.and_then(|spec| spec.holder_identity);
    holder.filter(|holder| !holder.is_empty()).context("nobody leads")
}

/// Waits until every node has renewed its lease since that instant.
pub(crate) async fn heartbeats(cluster: &Cluster, since: Timestamp) -> Result<()> {
    let leases = Api::<Lease>::namespaced(cluster.client().clone(), "kube-node-lease");
    until(SOON, "every node to renew its lease", async || {
        let renewed = leases.list(&Default::default()).await?.into_iter().filter(|lease| {
            let spec = lease.spec.as_ref();
            spec.and_then(|spec| spec.renew_time.as_ref()).is_some_and(|renewed| renewed.0 > since)
        });
        let renewed = renewed.count();
        ensure!(renewed == NODES, "{renewed} of {NODES} have");
        Ok(())
    })
    .await
}

/// What the API server's audit log has of writes by replicas since the mark: of one, or of any, by its user agent.
pub(crate) fn writes(cluster: &Cluster, mark: usize, replica: Option<&str>) -> Result<Vec<Value>> {
    let text = |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_one = |event: &Value| {
        let (agent, verb) = (text(event, "userAgent"), text(event, "verb"));
        agent.starts_with("amanat/")
            && replica.is_none_or(|replica| agent.ends_with(&format!("({replica})")))
            && ["create", "update", "patch", "delete"].contains(&verb.as_str())
    };
    Ok(cluster.audit_since(mark)?.into_iter().filter(is_one).collect())
}
