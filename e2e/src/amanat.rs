//! Amanat installed on a cluster, with a registry in it, ready to judge.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::chart;
use crate::cluster::Cluster;
use crate::installation::Installation;
use crate::manifests::{self, manifest};
use crate::operator::NAMESPACE;
use crate::tools::Tools;
use crate::waiting::until;

/// The label that holds a namespace's class.
pub const CLASS_LABEL: &str = "amanat.dev/data-class";

/// The group that may restore a namespace together with its class label.
pub const RESTORERS: &str = "backup-operators";

/// How many replicas an installation for tests has.
pub const REPLICAS: usize = 2;

const SOON: Duration = Duration::from_secs(60);

/// The values of the chart that tests use: the shipped baseline, the registry of [`manifests::IMAGE`], the group
/// [`RESTORERS`], and an address of the API server, since the clusters of the tests publish none.
pub fn values() -> Value {
    json!({"baseline": {
        "registries": ["registry.example.gov.pk"],
        "apiServerCIDRs": ["192.0.2.10/32"],
        "restorers": [RESTORERS],
    }})
}

/// Amanat on a cluster: two replicas behind a forwarder, and the entity and the provider of [`manifests`].
pub struct Amanat {
    cluster: Arc<Cluster>,
    installation: Mutex<Installation>,
}

impl Amanat {
    /// Installs the chart with [`values`], and waits until workloads are judged.
    pub async fn start(cluster: Arc<Cluster>) -> Result<Self> {
        Self::start_with(cluster, &values()).await
    }

    /// Installs the chart with other values, and waits until workloads are judged.
    pub async fn start_with(cluster: Arc<Cluster>, values: &Value) -> Result<Self> {
        let installer = cluster.tools();
        Self::start_as(cluster, &installer, values).await
    }

    /// Installs the chart as another user, and waits until workloads are judged.
    pub async fn start_as(cluster: Arc<Cluster>, installer: &Tools, values: &Value) -> Result<Self> {
        let amanat = Self::bare(cluster, installer, values).await?;
        amanat.register().await?;
        Ok(amanat)
    }

    /// Makes the entity and the provider of [`manifests`].
    pub async fn register(&self) -> Result<()> {
        let registry = [manifests::entity(manifests::ENTITY), manifests::provider(manifests::PROVIDER)];
        self.tools().apply(&manifest(&registry)).await?.ok().map(|_| ())
    }

    /// The same without the entity and the provider.
    pub async fn bare(cluster: Arc<Cluster>, installer: &Tools, values: &Value) -> Result<Self> {
        let installation = Installation::start_as(&cluster, installer, values, REPLICAS).await?;
        Self::of(cluster, installation).await
    }

    /// An installation that somebody has started; waits until the API server asks it.
    pub async fn of(cluster: Arc<Cluster>, installation: Installation) -> Result<Self> {
        let amanat = Self { cluster, installation: Mutex::new(installation) };
        amanat.wait_serving().await?;
        Ok(amanat)
    }

    /// The cluster.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// kubectl and helm with all rights.
    pub fn tools(&self) -> Tools {
        self.cluster.tools()
    }

    /// The replicas and what stands before them.
    pub async fn installation(&self) -> MutexGuard<'_, Installation> {
        self.installation.lock().await
    }

    /// A new namespace, with a name of its own that starts with `prefix`, that has declared a class and carries it.
    pub async fn declared(&self, prefix: &str, class: &str) -> Result<String> {
        let namespace = self.cluster.namespace(prefix, &[]).await?;
        self.declare(&manifests::cloud_workload(&namespace, class)).await?;
        Ok(namespace)
    }

    /// Applies a CloudWorkload, and waits until its namespace carries its class.
    pub async fn declare(&self, cloud_workload: &Value) -> Result<()> {
        let text = |pointer: &str| cloud_workload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        self.tools().apply(&cloud_workload.to_string()).await?.ok()?;
        self.wait_class(text("/metadata/namespace"), text("/spec/dataClass")).await.map(|_| ())
    }

    /// Waits until a namespace carries a class, and returns it as it is then.
    pub async fn wait_class(&self, namespace: &str, class: &str) -> Result<Namespace> {
        let namespaces = Api::<Namespace>::all(self.cluster.client().clone());
        until(SOON, format!("namespace {namespace} to carry the class {class}"), async || {
            let found = namespaces.get(namespace).await?;
            let carried = found.metadata.labels.as_ref().and_then(|labels| labels.get(CLASS_LABEL));
            ensure!(carried.is_some_and(|carried| carried == class), "it carries {carried:?}");
            Ok(found)
        })
        .await
    }

    /// Waits until a condition of a CloudWorkload has that status, and returns its reason and message.
    pub async fn wait_condition(&self, namespace: &str, kind: &str, status: &str) -> Result<(String, String)> {
        let get = ["get", "cloudworkload", "workload", "-n", namespace, "-o", "json"];
        until(SOON, format!("{kind}={status} of the CloudWorkload in {namespace}"), async || {
            let object: Value = serde_json::from_str(&self.tools().kubectl(&get).await?.ok()?)?;
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            let is_asked = |condition: &&Value| condition.get("type").and_then(Value::as_str) == Some(kind);
            let found = conditions.into_iter().flatten().find(is_asked).context("there is no such condition")?;
            let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let generations = [object.pointer("/metadata/generation"), found.get("observedGeneration")];
            ensure!(generations.first() == generations.last(), "it is of another generation: {found}");
            ensure!(text("status") == status, "it is {found}");
            Ok((text("reason"), text("message")))
        })
        .await
    }

    /// Waits until the API server asks the webhook and the chart's policies: they are there, and known to the API server.
    ///
    /// A CloudWorkload in `default` is refused in every baseline, and tried without effect.
    pub async fn wait_serving(&self) -> Result<()> {
        self.wait_guarded().await?;
        let canary = manifests::cloud_workload("default", "Open").to_string();
        let tools = self.tools();
        until(SOON, "the webhook to be called", async || {
            let tried = tools.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &canary).await?;
            let refusal = tried.refused()?;
            ensure!(refusal.contains("denied the request"), "kubectl says: {refusal}");
            Ok(())
        })
        .await
    }

    /// Waits until the API server asks the chart's policies: a class label is brought, and a guarded object changed, by
    /// users who may not, without effect.
    pub async fn wait_guarded(&self) -> Result<()> {
        let labelled = json!({"metadata": {"labels": {CLASS_LABEL: "Open"}}});
        let labelled = manifests::patched(manifests::namespace("labelled"), &labelled).to_string();
        let (everyone, controller) = (self.tools(), self.tools_of_controller("deployment-controller")?);
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/amanat");
        let touched: Value = serde_json::from_str(&everyone.kubectl(&["get", "--raw", &path]).await?.ok()?)?;
        let touched =
            manifests::patched(touched, &json!({"metadata": {"annotations": {"touched": "yes"}}})).to_string();
        let replace = ["replace", "--raw", &format!("{path}?dryRun=All"), "-f", "-"];
        until(SOON, "the chart's policies to be asked", async || {
            let brought = everyone.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &labelled).await?;
            let replaced = controller.kubectl_with(&replace, &touched).await?;
            for (output, policy) in [(brought, "amanat-class-label"), (replaced, "amanat-guard")] {
                let refusal = output.refused()?;
                ensure!(refusal.contains(&format!("ValidatingAdmissionPolicy '{policy}'")), "kubectl says: {refusal}");
            }
            Ok(())
        })
        .await
    }

    /// kubectl as one of the controllers of the control plane.
    pub fn tools_of_controller(&self, name: &str) -> Result<Tools> {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
        let user = format!("system:serviceaccount:kube-system:{name}");
        Ok(self.cluster.tools_as(&self.cluster.user(&user, &groups)?))
    }

    /// Ends the replicas and uninstalls the chart.
    pub async fn uninstall(self) -> Result<()> {
        chart::uninstall(&self.tools(), &["--wait"]).await?.ok()?;
        Ok(())
    }
}
