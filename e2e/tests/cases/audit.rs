//! What the API server's own audit log tells of the decisions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::manifests::{cloud_workload, deployment, spec_with_image, workload};
use e2e::waiting::until;
use serde_json::Value;

use super::says::{dry, says};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("audit: the log has decision, class, baseline and controls", the_log_has_the_decision)
            .on_own_cluster(),
    ]
}

/// The annotation of an entry on the newest event that has it, about objects of a resource in a namespace.
pub(crate) async fn annotation(
    cluster: &Cluster,
    mark: usize,
    about: (&str, &str),
    entry: &str,
    key: &str,
) -> Result<String> {
    let (resource, namespace) = about;
    let name = format!("{entry}.webhook.amanat.dev/{key}");
    until(SOON, format!("{name} of {resource} in {namespace}"), async || {
        let events = cluster.audit_since(mark)?;
        let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let about = events.iter().rev().filter(|event| {
            text(event, "/objectRef/resource").as_deref() == Some(resource)
                && text(event, "/objectRef/namespace").as_deref() == Some(namespace)
        });
        let mut annotations = about.filter_map(|event| event.get("annotations"));
        let found = annotations.find_map(|annotations| annotations.get(&name).and_then(Value::as_str));
        found.map(str::to_owned).context("no event has it")
    })
    .await
}

async fn the_log_has_the_decision(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = amanat.declared("audit", "Restricted").await?;
    let about = ("deployments", namespace.as_str());

    let mark = cluster.audit_mark()?;
    dry(&amanat.tools(), &deployment(&namespace, "api")).await?.ok()?;
    for (key, value) in [("decision", "allowed"), ("class", "Restricted"), ("baseline", "pakistan-cloud-first-2022")] {
        let found = annotation(cluster, mark, about, "governed", key).await?;
        ensure!(found.contains(value), "{key} is {found}");
    }

    let mark = cluster.audit_mark()?;
    let unpinned = workload("Deployment", &namespace, "api", &spec_with_image("docker.io/library/nginx:1"));
    dry(&amanat.tools(), &unpinned).await?.forbidden()?;
    ensure!(annotation(cluster, mark, about, "governed", "decision").await? == "denied", "it isn't denied");
    let controls = annotation(cluster, mark, about, "governed", "controls").await?;
    says(&controls, &["image/approved-registries", "image/digest-pinned"])?;

    let mark = cluster.audit_mark()?;
    dry(&amanat.tools(), &cloud_workload(&namespace, "Open")).await?.refused()?;
    let about = ("cloudworkloads", namespace.as_str());
    ensure!(annotation(cluster, mark, about, "declarations", "decision").await? == "denied", "it isn't denied");

    let plain = cluster.namespace("audit-undeclared", &[]).await?;
    let mark = cluster.audit_mark()?;
    dry(&amanat.tools(), &deployment(&plain, "api")).await?.ok()?;
    let about = ("deployments", plain.as_str());
    let decision = annotation(cluster, mark, about, "undeclared", "decision").await?;
    ensure!(decision == "warned", "it is {decision}");
    Ok(())
}
