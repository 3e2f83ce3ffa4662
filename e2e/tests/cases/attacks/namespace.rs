//! B: what governs a namespace is neither lifted, nor borrowed, nor outrun.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, spec_with_image, workload};
use e2e::operator::NAMESPACE;
use e2e::tools::Tools;
use e2e::waiting::until;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use serde_json::json;

use super::super::downgrade::tenant_of;
use super::super::says::{dry, refused_by, says};
use super::UNPINNED;

const HEALED: Duration = Duration::from_secs(30);
const POLICY: &str = "amanat-default-deny";

/// Labels by which some cluster or some policy engine leaves a namespace alone.
const EXEMPTING: [(&str, &str); 6] = [
    ("control-plane", "controller-manager"),
    ("kubernetes.azure.com/managedby", "aks"),
    ("openshift.io/run-level", "0"),
    ("admission.gatekeeper.sh/ignore", "true"),
    ("amanat.dev/exempt", "true"),
    ("amanat.dev/system", "true"),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("b16_labels_that_exempt_elsewhere", b16),
        Case::new("b19_owners_finalizers_and_annotations_removed", b19),
        Case::new("b20_a_class_for_a_system_namespace", b20),
        Case::new("b21_a_namespace_made_with_exempting_labels", b21),
        Case::new("b22_names_like_those_of_system_namespaces", b22),
    ]
}

/// Workloads of a namespace are judged.
async fn judged(tools: &Tools, namespace: &str) -> Result<()> {
    for kind in ["Pod", "Deployment"] {
        let bad = workload(kind, namespace, "bad", &spec_with_image(UNPINNED));
        refused_by(dry(tools, &bad).await?, "governed", &["image/digest-pinned"])
            .with_context(|| format!("a {kind} in {namespace}"))?;
    }
    Ok(())
}

async fn b16(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "b16").await?;
    for (key, value) in EXEMPTING {
        let label = format!("{key}={value}");
        tenant.kubectl(&["label", "namespace", &namespace, &label]).await?.ok()?;
        judged(&tenant, &namespace).await.with_context(|| label)?;
    }
    for name in ["kube-system", NAMESPACE] {
        let label = format!("kubernetes.io/metadata.name={name}");
        // The API server refuses it or puts its own back; either way it counts for nothing.
        let _answer = tenant.kubectl(&["label", "--overwrite", "namespace", &namespace, &label]).await?;
        judged(&tenant, &namespace).await.with_context(|| label)?;
    }
    Ok(())
}

async fn b19(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "b19").await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    let policies = Api::<NetworkPolicy>::namespaced(amanat.cluster().client().clone(), &namespace);
    let built = policies.get(POLICY).await?;
    let bare = json!({"metadata": {"finalizers": null, "ownerReferences": null, "annotations": null}});
    let unlabelled = json!({"metadata": {"ownerReferences": null, "labels": null}});
    for (resource, name, patch) in [
        ("namespace", namespace.as_str(), &bare),
        ("cloudworkload", "workload", &bare),
        ("cloudworkload", "workload", &unlabelled),
        ("networkpolicy", POLICY, &bare),
        ("networkpolicy", POLICY, &unlabelled),
    ] {
        let text = patch.to_string();
        // Refused or healed: what counts is what stands afterwards.
        let _answer = tenant.kubectl(&["patch", resource, name, "-n", &namespace, "--type=merge", "-p", &text]).await?;
        judged(&tenant, &namespace).await.with_context(|| format!("{resource}: {text}"))?;
    }
    until(HEALED, "the built policy to be as it was", async || {
        let now = policies.get(POLICY).await?;
        let same = now.spec == built.spec
            && now.metadata.owner_references == built.metadata.owner_references
            && now.metadata.labels == built.metadata.labels;
        ensure!(same, "it is {now:?}");
        Ok(())
    })
    .await?;
    amanat.wait_class(&namespace, "Restricted").await.map(|_| ())
}

async fn b20(suite: Arc<Suite>) -> Result<()> {
    let (amanat, _, tenant) = tenant_of(&suite, "b20").await?;
    let label = format!("{CLASS_LABEL}=Open");
    for namespace in ["kube-system", "kube-public", NAMESPACE] {
        tenant.kubectl(&["label", "namespace", namespace, &label]).await?.forbidden()?;
        let refusal = amanat.tools().kubectl(&["label", "namespace", namespace, &label]).await?.forbidden()?;
        says(&refusal, &["only Amanat writes the class label"])?;
    }
    // A declaration there governs nothing, and goes as freely as it came.
    const NAME: &str = "kube-public";
    amanat.tools().apply(&cloud_workload(NAME, "Open").to_string()).await?.ok()?;
    let (_, message) = amanat.wait_condition(NAME, "Accepted", "False").await?;
    says(&message, &["the cluster's own namespaces are not governed"])?;
    let label = ["get", "namespace", NAME, "-o", "jsonpath={.metadata.labels.amanat\\.dev/data-class}"];
    ensure!(amanat.tools().kubectl(&label).await?.ok()?.is_empty(), "{NAME} has a class");
    amanat.tools().kubectl(&["delete", "cloudworkload", "workload", "-n", NAME]).await?.ok().map(|_| ())
}

async fn declared_with(amanat: &Amanat, prefix: &str, labels: &[(&str, &str)]) -> Result<()> {
    let namespace = amanat.cluster().namespace(prefix, labels).await?;
    amanat.declare(&cloud_workload(&namespace, "Restricted")).await?;
    judged(&amanat.tools(), &namespace).await
}

async fn b21(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    declared_with(&amanat, "b21", &EXEMPTING).await
}

async fn b22(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    for prefix in ["kube-system", "kube-node-lease", "kube-", "amanat-system", "default"] {
        declared_with(&amanat, prefix.trim_end_matches('-'), &[]).await?;
    }
    Ok(())
}
