//! The class label: who brings it, and that policy and webhook each keep it alone.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{CLASS_LABEL, RESTORERS};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::manifests::{self, manifest, patched};
use e2e::tools::Tools;
use e2e::waiting::until;
use serde_json::{Value, json};

use super::super::downgrade;
use super::super::says::{dry, refused_by, refused_by_policy};
use super::guarded::object;
use super::{LABEL, RBAC, SOON};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("self-protection: who restores backups brings the class label, and changes none", restorers),
        Case::new("self-protection: without the policy the webhook keeps the class label", webhook_alone).alone(),
    ]
}

/// A user who may create and change namespaces, in these groups.
async fn namespace_maker(cluster: &Cluster, name: &str, groups: &[&str]) -> Result<Tools> {
    let rules = json!({"rules": [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
    ]});
    let version = format!("{RBAC}/v1");
    let bound = json!({
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "namespace-maker"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "namespace-makers"}],
    });
    let objects = [
        object(&version, "ClusterRole", "namespace-maker", rules),
        object(&version, "ClusterRoleBinding", "namespace-maker", bound),
    ];
    cluster.tools().apply(&manifest(&objects)).await?.ok()?;
    let tools = cluster.tools_as(&cluster.user(name, &[groups, &["namespace-makers"]].concat())?);
    let may = ["auth", "can-i", "create", "namespaces"];
    until(SOON, "the role to count", async || tools.kubectl(&may).await?.ok().map(|_| ())).await?;
    Ok(tools)
}

async fn restorers(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let restorer = namespace_maker(amanat.cluster(), "velero", &[RESTORERS]).await?;
    let stranger = namespace_maker(amanat.cluster(), "stranger", &["operators"]).await?;
    let labelled =
        |name: &str| patched(manifests::namespace(name), &json!({"metadata": {"labels": {CLASS_LABEL: "Restricted"}}}));
    let parts = ["only Amanat writes the class label", "; fix: leave the label out", RESTORERS];
    for tools in [&stranger, &amanat.tools()] {
        refused_by_policy(dry(tools, &labelled("restored")).await?, LABEL, &parts)?;
    }
    restorer.create(&labelled("restored").to_string()).await?.ok()?;
    let outcome = async {
        let parts = ["only Amanat writes the class label", "; fix: leave the label as it is"];
        for change in [format!("{CLASS_LABEL}=Secret"), format!("{CLASS_LABEL}-")] {
            let label = ["label", "--overwrite", "namespace", "restored", &change];
            for tools in [&restorer, &stranger, &amanat.tools()] {
                refused_by_policy(tools.kubectl(&label).await?, LABEL, &parts)?;
            }
        }
        // Anything else of it, its end too, is whoever's it was.
        stranger.kubectl(&["label", "namespace", "restored", "team=portal"]).await?.ok()
    }
    .await;
    stranger.kubectl(&["delete", "namespace", "restored", "--timeout=60s"]).await?.ok()?;
    outcome.map(|_| ())
}

async fn webhook_alone(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.declared("unguarded", "Restricted").await?;
    let tools = amanat.tools();
    let get = ["get", "validatingadmissionpolicybinding", LABEL, "-o", "json"];
    let mut binding: Value = serde_json::from_str(&tools.kubectl(&get).await?.ok()?)?;
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        binding["metadata"].as_object_mut().context("it has metadata")?.remove(field);
    }
    tools.kubectl(&["delete", "validatingadmissionpolicybinding", LABEL]).await?.ok()?;
    let outcome = async {
        let set = format!("{CLASS_LABEL}=Open");
        let label = ["label", "--overwrite", "namespace", &namespace, &set, "--dry-run=server"];
        until(SOON, "the policy to be forgotten", async || {
            let refusal = tools.kubectl(&label).await?.refused()?;
            ensure!(!refusal.contains(LABEL), "{refusal}");
            Ok(())
        })
        .await?;
        let tenant = downgrade::grant(&amanat, &namespace).await?;
        downgrade::label_stays(&amanat, &namespace, &tenant, |output, key| {
            refused_by(output, "namespaces", &["placement/", key, "; fix: "])
        })
        .await?;
        let brought = patched(manifests::namespace("brought"), &json!({"metadata": {"labels": {CLASS_LABEL: "Open"}}}));
        let parts = ["placement/data-class-declared: ", "only Amanat writes the class label", "; fix: "];
        refused_by(dry(&tools, &brought).await?, "namespaces", &parts)
    }
    .await;
    tools.create(&binding.to_string()).await?.ok()?;
    amanat.wait_serving().await?;
    outcome
}
