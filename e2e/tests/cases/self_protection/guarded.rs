//! What is guarded, every way of writing it, and who tries.

use anyhow::Result;
use e2e::cluster::Cluster;
use e2e::manifests::{self, manifest, patched};
use e2e::operator::NAMESPACE;
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::super::says::dry;
use super::{GUARD, HOOKS, RBAC, SOON};

/// An object that is guarded.
pub(super) struct Guarded {
    /// Its resource, as kubectl calls it.
    pub(super) resource: &'static str,
    /// A smallest one of its kind, with its name.
    pub(super) object: Value,
    /// Whether the installation of the tests has it.
    pub(super) exists: bool,
}

impl Guarded {
    pub(super) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn namespaced(&self) -> bool {
        self.object["metadata"]["namespace"].is_string()
    }
}

pub(super) fn object(version: &str, kind: &str, name: &str, more: Value) -> Value {
    patched(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}}), &more)
}

pub(super) fn guarded_objects() -> Vec<Guarded> {
    let within = json!({"metadata": {"namespace": NAMESPACE}});
    let hooks = format!("{HOOKS}/v1");
    let ports = json!({"spec": {"ports": [{"port": 443}]}});
    let budget = json!({"spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "amanat"}}}});
    let of = |resource, object, exists| Guarded { resource, object, exists };
    vec![
        of("deployments", manifests::deployment(NAMESPACE, "amanat"), true),
        of("services", object("v1", "Service", "amanat-webhook", patched(ports, &within)), true),
        of("secrets", object("v1", "Secret", "amanat-webhook-tls", within.clone()), true),
        of(
            "poddisruptionbudgets",
            object("policy/v1", "PodDisruptionBudget", "amanat", patched(budget, &within)),
            // Where the replicas are no Pods, there is none: see [`super::budget`].
            false,
        ),
        of("clusterroles", object(&format!("{RBAC}/v1"), "ClusterRole", "amanat-anchor", json!({"rules": []})), true),
        of(
            "validatingwebhookconfigurations",
            object(&hooks, "ValidatingWebhookConfiguration", "amanat", json!({})),
            true,
        ),
        of("mutatingwebhookconfigurations", object(&hooks, "MutatingWebhookConfiguration", "amanat", json!({})), true),
    ]
}

/// Every way of writing a guarded object, tried without effect.
pub(super) async fn writes(tools: &Tools, guarded: &Guarded) -> Result<Vec<Output>> {
    let Guarded { resource, object, exists } = guarded;
    let place = ["-n", NAMESPACE, "--dry-run=server"];
    let run = async |arguments: &[&str]| tools.kubectl(&[arguments, &place].concat()).await;
    let mut outputs = vec![dry(tools, object).await?];
    if !exists {
        return Ok(outputs);
    }
    let annotate = r#"{"metadata":{"annotations":{"example.com/touched":"yes"}}}"#;
    let owned = format!(
        r#"{{"metadata":{{"ownerReferences":[{{"apiVersion":"v1","kind":"Namespace","name":"{NAMESPACE}","uid":"0"}}]}}}}"#
    );
    for patch in [annotate, &owned] {
        outputs.push(run(&["patch", resource, guarded.name(), "--type=merge", "-p", patch]).await?);
    }
    outputs.push(run(&["delete", resource, guarded.name()]).await?);
    if ["deployments", "services"].contains(resource) {
        let status = ["patch", resource, guarded.name(), "--subresource=status", "--type=merge", "-p", annotate];
        outputs.push(run(&status).await?);
    }
    if *resource == "deployments" {
        outputs.push(run(&["scale", resource, guarded.name(), "--replicas=7"]).await?);
    }
    // The whole collection: the request names no object.
    let group = match object["apiVersion"].as_str() {
        Some("v1") | None => "/api/v1".to_owned(),
        Some(version) => format!("/apis/{version}"),
    };
    let within = if guarded.namespaced() { format!("/namespaces/{NAMESPACE}") } else { String::new() };
    let collection = format!("{group}{within}/{resource}?dryRun=All");
    outputs.push(tools.kubectl(&["delete", "--raw", &collection]).await?);
    Ok(outputs)
}

/// Users who may write what is guarded as far as roles go, and may not delete the guard: one in Amanat's own namespace,
/// one everywhere.
pub(super) async fn users(cluster: &Cluster) -> Result<[Tools; 2]> {
    let all = |groups: &[&str]| json!({"apiGroups": groups, "resources": ["*"], "verbs": ["*"]});
    let hooks = ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"];
    let rules = json!([
        all(&["", "apps", "autoscaling", "policy", RBAC]),
        {"apiGroups": [HOOKS], "resources": hooks, "verbs": ["*"]},
    ]);
    let subject = |name: &str| json!([{"apiGroup": RBAC, "kind": "Group", "name": name}]);
    let version = format!("{RBAC}/v1");
    let binding = |role: &str, group: &str| json!({"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}, "subjects": subject(group)});
    let within = json!({"metadata": {"namespace": NAMESPACE}});
    let objects = [
        object(&version, "ClusterRole", "nearly-everything", json!({"rules": rules})),
        object(&version, "ClusterRoleBinding", "nearly-everything", binding("nearly-everything", "nearly-admins")),
        object(&version, "RoleBinding", "namespace-admins", patched(binding("admin", "namespace-admins"), &within)),
    ];
    cluster.tools().apply(&manifest(&objects)).await?.ok()?;
    let [inside, everywhere] = [
        cluster.tools_as(&cluster.user("namespace-admin", &["namespace-admins"])?),
        cluster.tools_as(&cluster.user("nearly-admin", &["nearly-admins"])?),
    ];
    until(SOON, "the users' roles to count", async || {
        inside.kubectl(&["auth", "can-i", "delete", "secrets", "-n", NAMESPACE]).await?.ok()?;
        everywhere.kubectl(&["auth", "can-i", "delete", "clusterroles"]).await?.ok()?;
        Ok(())
    })
    .await?;
    everywhere
        .kubectl(&["auth", "can-i", "delete", &format!("validatingadmissionpolicies/{GUARD}")])
        .await?
        .refused()?;
    Ok([inside, everywhere])
}
