//! The chart, installed with helm for an operator that runs out of the cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::manifests::merge;
use crate::operator::NAMESPACE;
use crate::tools::{Output, Tools};

/// The name of the release.
pub const RELEASE: &str = "amanat";

/// The folder of the chart.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/amanat")
}

/// Values for running out of the cluster: no replicas, and a webhook at a URL. `more` is merged over them.
pub fn values(webhook_url: &str, more: &Value) -> Value {
    let mut values = json!({"replicas": 0, "webhook": {"url": webhook_url}});
    merge(&mut values, more);
    values
}

/// Sets of values whose renders are kept in `e2e/tests/golden`, by name: what most installations are made of.
pub fn kept() -> Vec<(&'static str, Value)> {
    const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let common = json!({
        "image": {"repository": "registry.example.gov.pk/amanat/amanat", "digest": DIGEST},
        "baseline": {"registries": ["registry.example.gov.pk"]},
    });
    let sets = [
        ("default", json!({})),
        (
            "high-availability",
            json!({
                "replicas": 3,
                "resources": {"requests": {"cpu": "500m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
                "nodeSelector": {"node-role.kubernetes.io/infra": ""},
                "tolerations": [{"key": "node-role.kubernetes.io/infra", "operator": "Exists", "effect": "NoSchedule"}],
                "baseline": {"restorers": ["backup-operators"]},
            }),
        ),
        ("brought-certificate", json!({"certificate": {"secretName": "webhook-certificate"}})),
        (
            "air-gapped",
            json!({
                "replicas": 1,
                "image": {"repository": "mirror.example.gov.pk:5000/cloud/amanat", "pullPolicy": "Always"},
                "imagePullSecrets": [{"name": "mirror"}],
                "baseline": {
                    "registries": ["mirror.example.gov.pk:5000/cloud"],
                    "apiServerCIDRs": ["10.0.0.1/32"],
                    "undeclared": "Deny",
                },
                "systemNamespaces": ["storage-system"],
                "controlPlaneUsers": ["system:cloud-controller-manager"],
            }),
        ),
    ];
    let of = |(name, more): (&'static str, Value)| {
        let mut values = common.clone();
        merge(&mut values, &more);
        (name, values)
    };
    sets.map(of).into()
}

/// The folder with the renders of [`kept`].
pub fn renders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// `helm install`, with the values given and what else `arguments` say.
pub async fn install(cluster: &Cluster, tools: &Tools, values: &Value, arguments: &[&str]) -> Result<Output> {
    helm(cluster, tools, &["install", "--create-namespace"], values, arguments).await
}

/// `helm template`, with the values given.
pub async fn render(cluster: &Cluster, tools: &Tools, values: &Value) -> Result<Output> {
    helm(cluster, tools, &["template"], values, &[]).await
}

/// `helm upgrade`, with the values given and no others.
pub async fn upgrade(cluster: &Cluster, tools: &Tools, values: &Value, arguments: &[&str]) -> Result<Output> {
    helm(cluster, tools, &["upgrade", "--reset-values"], values, arguments).await
}

/// `helm uninstall`.
pub async fn uninstall(tools: &Tools, arguments: &[&str]) -> Result<Output> {
    let mut all = vec!["uninstall", RELEASE, "--namespace", NAMESPACE];
    all.extend(arguments);
    tools.helm(&all).await
}

async fn helm(cluster: &Cluster, tools: &Tools, verb: &[&str], values: &Value, arguments: &[&str]) -> Result<Output> {
    let file = cluster.fresh_path("values.yaml");
    std::fs::write(&file, values.to_string()).with_context(|| format!("write {}", file.display()))?;
    let (file, chart) = (file.to_string_lossy(), folder());
    let chart = chart.to_string_lossy();
    let mut all = verb.to_vec();
    all.extend([RELEASE, &chart, "--namespace", NAMESPACE, "--values", &file]);
    all.extend(arguments);
    tools.helm(&all).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_merged_key_by_key() {
        let values = values("https://127.0.0.1:1", &json!({"webhook": {"timeout": 5}, "baseline": {"create": false}}));
        assert_eq!(
            values,
            json!({
                "replicas": 0,
                "webhook": {"url": "https://127.0.0.1:1", "timeout": 5},
                "baseline": {"create": false},
            })
        );
    }
}
