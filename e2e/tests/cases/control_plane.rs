//! The control plane itself: what the other topics stand on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::case::{Case, Suite};
use e2e::cluster::NODES;
use e2e::nodes;
use e2e::waiting::until;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("control plane: ten nodes are Ready", ten_ready_nodes).on_own_cluster(),
        Case::new("control plane: a pod becomes Running", a_pod_becomes_running),
        Case::new("control plane: a Job completes", a_job_completes).on_own_cluster(),
        Case::new("control plane: a deleted pod of a Deployment comes back", a_deleted_pod_comes_back),
        Case::new("control plane: the audit log records a request", the_audit_log_records).on_own_cluster(),
        Case::new("control plane: a user has its groups' rights and no others", a_user_has_its_rights),
        Case::new("control plane: a ServiceAccount's token is accepted", a_token_is_accepted),
    ]
}

async fn ten_ready_nodes(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let ready = nodes::wait_ready(cluster.client(), NODES).await?;
    ensure!(ready.len() == NODES, "{ready:?}");
    Ok(())
}

async fn a_pod_becomes_running(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let namespace = cluster.namespace("running", &[]).await?;
    let manifest = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: one, namespace: {namespace}}}, \
         spec: {{containers: [{{name: one, image: registry.example/one}}]}}}}"
    );
    cluster.tools().apply(&manifest).await?.ok()?;
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), &namespace);
    until(SOON, "the pod to run", async || {
        let phase = pods.get("one").await?.status.and_then(|status| status.phase);
        ensure!(phase.as_deref() == Some("Running"), "its phase is {phase:?}");
        Ok(())
    })
    .await
}

async fn a_job_completes(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let namespace = cluster.namespace("job", &[]).await?;
    let tools = cluster.tools();
    tools.kubectl(&["create", "job", "one", "--image=registry.example/one", "-n", &namespace]).await?.ok()?;
    let wait = ["wait", "job/one", "--for=condition=Complete", "--timeout=60s", "-n", &namespace];
    tools.kubectl(&wait).await?.ok().map(|_| ())
}

async fn a_deleted_pod_comes_back(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let namespace = cluster.namespace("comes-back", &[]).await?;
    let tools = cluster.tools();
    tools.kubectl(&["create", "deployment", "one", "--image=registry.example/one", "-n", &namespace]).await?.ok()?;
    let rollout = ["rollout", "status", "deployment/one", "--timeout=60s", "-n", &namespace];
    tools.kubectl(&rollout).await?.ok()?;
    tools.kubectl(&["delete", "pods", "--all", "-n", &namespace]).await?.ok()?;
    tools.kubectl(&rollout).await?.ok().map(|_| ())
}

async fn the_audit_log_records(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let mark = cluster.audit_mark()?;
    let namespace = cluster.namespace("audited", &[]).await?;
    until(SOON, "the audit event of a created namespace", async || {
        let events = cluster.audit_since(mark)?;
        let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let created = events.iter().any(|event| {
            text(event, "/verb").as_deref() == Some("create")
                && text(event, "/objectRef/resource").as_deref() == Some("namespaces")
                && text(event, "/objectRef/name").as_deref() == Some(&namespace)
        });
        ensure!(created, "none of {} events is it", events.len());
        Ok(())
    })
    .await
}

async fn a_user_has_its_rights(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let namespace = cluster.namespace("tenant", &[]).await?;
    let binding = ["create", "rolebinding", "tenants", "--clusterrole=admin", "--group=tenants", "-n", &namespace];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let tenant = cluster.tools_as(&cluster.user("tenant", &["tenants"])?);
    let create = ["create", "configmap", "one", "-n", &namespace];
    until(SOON, "the role to count", async || tenant.kubectl(&create).await?.ok().map(|_| ())).await?;
    let refusal = tenant.kubectl(&["get", "nodes"]).await?.forbidden()?;
    ensure!(refusal.contains("User \"tenant\""), "{refusal}");
    Ok(())
}

async fn a_token_is_accepted(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let namespace = cluster.namespace("token", &[]).await?;
    let kubeconfig = cluster.service_account(&namespace, "default", cluster.endpoint()).await?;
    let account = cluster.tools_as(&kubeconfig);
    let who = account.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await?.ok()?;
    ensure!(who == format!("system:serviceaccount:{namespace}:default"), "we are {who}");
    Ok(())
}
