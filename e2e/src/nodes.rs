//! Nodes that kwok keeps alive.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::waiting::until;

/// The annotation by which kwok knows its nodes, as its flag wants it.
pub const SELECTOR: &str = "kwok.x-k8s.io/node=fake";

/// The label that says that a node is in the country.
pub const IN_COUNTRY: (&str, &str) = ("node-restriction.kubernetes.io/amanat-jurisdiction", "PK");

const READY: Duration = Duration::from_secs(120);

/// Creates nodes `node-0` to `node-(count-1)`, each with the labels that `labels` gives for its number.
pub async fn create(client: &Client, count: usize, labels: impl Fn(usize) -> BTreeMap<String, String>) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    for number in 0..count {
        let name = format!("node-{number}");
        let mut node: Node = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                },
            },
        }))?;
        node.metadata.labels.get_or_insert_default().extend(labels(number));
        nodes.create(&PostParams::default(), &node).await?;
    }
    Ok(())
}

/// The names of the nodes that are Ready and that a Pod can be scheduled on.
pub async fn ready(client: &Client) -> Result<Vec<String>> {
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
    Ok(nodes.into_iter().filter(is_ready).filter_map(|node| node.metadata.name).collect())
}

/// Waits for at least `count` nodes that are Ready.
pub async fn wait_ready(client: &Client, count: usize) -> Result<Vec<String>> {
    until(READY, format!("{count} Ready nodes"), async || {
        let ready = ready(client).await?;
        ensure!(ready.len() >= count, "{} are", ready.len());
        Ok(ready)
    })
    .await
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
        && taints.is_none_or(Vec::is_empty)
}
