//! What several topics ask of an answer.

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::manifests::{patched, workload};
use e2e::tools::{Output, Tools};
use kube::api::PostParams;
use kube::core::{Request, Status};
use serde_json::{Value, json};

/// Fails unless the text has every part.
pub(crate) fn says(text: &str, parts: &[&str]) -> Result<()> {
    let missing: Vec<_> = parts.iter().filter(|part| !text.contains(**part)).collect();
    ensure!(missing.is_empty(), "{missing:?} is not in:\n{text}");
    Ok(())
}

/// Fails unless the tool was refused by the named entry of the webhook, with every part in its words.
pub(crate) fn refused_by(output: Output, entry: &str, parts: &[&str]) -> Result<()> {
    let refusal = output.refused()?;
    says(&refusal, &[&format!("admission webhook \"{entry}.webhook.amanat.dev\" denied the request")])?;
    says(&refusal, parts)
}

/// Fails unless the tool was refused by the chart's policy of that name, with every part in its words.
pub(crate) fn refused_by_policy(output: Output, policy: &str, parts: &[&str]) -> Result<()> {
    let refusal = output.refused()?;
    says(&refusal, &["(Forbidden)", &format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied")])?;
    says(&refusal, parts)
}

/// `kubectl create -f -`, without effect.
pub(crate) async fn dry(tools: &Tools, object: &Value) -> Result<Output> {
    tools.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &object.to_string()).await
}

/// A workload that may have any number of replicas, with that number.
pub(crate) fn replicated(kind: &str, namespace: &str, name: &str, spec: &Value, replicas: u32) -> Value {
    patched(workload(kind, namespace, name, spec), &json!({"spec": {"replicas": replicas}}))
}

/// The API server's answer to the creation of an object at a path, without effect.
pub(crate) async fn created_dry(cluster: &Cluster, path: &str, object: &Value) -> Result<Result<(), Status>> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let request = Request::new(path).create(&params, serde_json::to_vec(object)?).context("build a request")?;
    match cluster.client().request::<Value>(request).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) => Ok(Err(*status)),
        Err(error) => Err(error).with_context(|| format!("create at {path}")),
    }
}
