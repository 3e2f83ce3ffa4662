//! A class is kept: no tenant lowers it or takes it away, by whatever path.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, deployment, manifest, patched};
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::says::{refused_by, refused_by_policy, says};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("b25_a_lower_class", a_lower_class),
        Case::new("downgrade: the CloudWorkload of a living namespace stays", the_declaration_stays),
        Case::new("b17_b18_the_class_label_by_status_and_finalize", the_label_stays),
        Case::new("b17_b18_pod_security_labels_by_status_and_finalize", the_levels_stay),
        Case::new("downgrade: nobody but Amanat brings the class label", the_label_is_amanats),
        Case::new("downgrade: a declaration that was never accepted goes freely", a_pending_declaration_goes),
        Case::new("downgrade: the namespace itself can be deleted, and ends", the_namespace_ends),
    ]
}

/// A Restricted namespace, and a tenant who administers it and may update the namespace by every path.
pub(crate) async fn tenant_of(suite: &Suite, prefix: &str) -> Result<(Arc<Amanat>, String, Tools)> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.declared(prefix, "Restricted").await?;
    let tenant = grant(&amanat, &namespace).await?;
    Ok((amanat, namespace, tenant))
}

/// Somebody who may do everything in the cluster, and isn't one of Amanat's administrators.
pub(crate) async fn cluster_admin(amanat: &Amanat) -> Result<Tools> {
    let cluster = amanat.cluster();
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let group = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "cluster-admins"});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-admins"},
        "roleRef": role,
        "subjects": [group],
    });
    amanat.tools().apply(&binding.to_string()).await?.ok()?;
    let admin = cluster.tools_as(&cluster.user("cluster-admin", &["cluster-admins"])?);
    let may = ["auth", "can-i", "delete", "validatingadmissionpolicies"];
    until(SOON, "the role to count", async || admin.kubectl(&may).await?.ok().map(|_| ())).await?;
    Ok(admin)
}

/// A tenant who administers a namespace, also by the paths that the role admin leaves out, and may write and delete it.
pub(crate) async fn grant(amanat: &Amanat, namespace: &str) -> Result<Tools> {
    let group = format!("tenants-of-{namespace}");
    let itself = ["namespaces", "namespaces/status", "namespaces/finalize"];
    let pods = ["pods/ephemeralcontainers", "pods/resize", "pods/status", "podtemplates"];
    let within = [&pods[..], &["limitranges", "resourcequotas"]].concat();
    let rules = json!([
        {"apiGroups": [""], "resources": itself, "verbs": ["get", "update", "patch", "delete"]},
        {"apiGroups": [""], "resources": within, "verbs": ["get", "create", "update", "patch", "delete"]},
    ]);
    let metadata = json!({"name": "namespace-editor", "namespace": namespace});
    let api = "rbac.authorization.k8s.io";
    let binding = |name: &str, kind: &str, role: &str| {
        json!({
            "apiVersion": format!("{api}/v1"),
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": api, "kind": kind, "name": role},
            "subjects": [{"apiGroup": api, "kind": "Group", "name": group}],
        })
    };
    let objects = [
        json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": metadata, "rules": rules}),
        binding("namespace-editor", "Role", "namespace-editor"),
        binding("admin", "ClusterRole", "admin"),
    ];
    amanat.tools().apply(&manifest(&objects)).await?.ok()?;
    let tenant = amanat.cluster().tools_as(&amanat.cluster().user("tenant", &[&group])?);
    until(SOON, "the tenant's roles to count", async || {
        for (verb, resource) in [("patch", "namespaces"), ("patch", "cloudworkloads.amanat.dev")] {
            tenant.kubectl(&["auth", "can-i", verb, resource, "-n", namespace]).await?.ok()?;
        }
        Ok(())
    })
    .await?;
    Ok(tenant)
}

async fn a_lower_class(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "lower").await?;
    let lower = tenant.apply(&cloud_workload(&namespace, "Open").to_string()).await?;
    let held = format!("namespace {namespace} holds data of class Restricted, which is higher");
    refused_by(
        lower,
        "declarations",
        &["placement/no-silent-downgrade: spec.dataClass: ", &held, "\"Open\"", "; fix: "],
    )?;
    // Another placement fits none of the two classes worse: only the class is new.
    tenant.apply(&cloud_workload(&namespace, "Confidential").to_string()).await?.ok()?;
    amanat.wait_class(&namespace, "Confidential").await?;
    let back = tenant.apply(&cloud_workload(&namespace, "Restricted").to_string()).await?;
    refused_by(back, "declarations", &["holds data of class Confidential, which is higher"])
}

async fn the_declaration_stays(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "stays").await?;
    let delete = ["delete", "cloudworkload", "workload", "-n", &namespace];
    let parts =
        ["placement/no-silent-downgrade: ", "its CloudWorkload stays", "delete the namespace, or keep the class"];
    refused_by(tenant.kubectl(&delete).await?, "declarations", &parts)?;
    refused_by(amanat.tools().kubectl(&delete).await?, "declarations", &parts)?;
    refused_by(tenant.kubectl(&["delete", "cw", "--all", "-n", &namespace]).await?, "declarations", &parts)
}

/// The namespace's object, changed by `patch` and sent whole to a path below the namespace.
async fn replaced(tools: &Tools, namespace: &str, below: &str, patch: &Value) -> Result<Output> {
    let object = tools.kubectl(&["get", "namespace", namespace, "-o", "json"]).await?.ok()?;
    let object = patched(serde_json::from_str(&object)?, patch);
    let path = format!("/api/v1/namespaces/{namespace}{below}");
    tools.kubectl_with(&["replace", "--raw", &path, "-f", "-"], &object.to_string()).await
}

async fn the_label_stays(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "label").await?;
    let refused = |output, key: &str| {
        refused_by_policy(output, "amanat-class-label", &[key, "only Amanat writes the class label", "; fix: "])
    };
    label_stays(&amanat, &namespace, &tenant, refused).await
}

/// A tenant of a Restricted namespace tries to change its label by every path; `refused` gets each answer, and the path
/// of the label.
pub(super) async fn label_stays(
    amanat: &Amanat,
    namespace: &str,
    tenant: &Tools,
    refused: impl Fn(Output, &str) -> Result<()>,
) -> Result<()> {
    for value in [json!("Open"), json!("Secret"), json!("nonsense"), json!(""), Value::Null] {
        let patch = json!({"metadata": {"labels": {CLASS_LABEL: value}}});
        let text = patch.to_string();
        let mut tried = Vec::new();
        for subresource in [&[][..], &["--subresource=status"]] {
            let mut command = vec!["patch", "namespace", namespace, "--type=merge", "-p", &text];
            command.extend(subresource);
            tried.push((format!("{command:?}"), tenant.kubectl(&command).await?));
        }
        for below in ["", "/status", "/finalize"] {
            // A merge by hand keeps a null, which as a label is an empty one.
            let changed = match &value {
                Value::Null => replaced_without(tenant, namespace, below).await?,
                _ => replaced(tenant, namespace, below, &patch).await?,
            };
            tried.push((format!("PUT {below} of {value}"), changed));
        }
        for (how, output) in tried {
            refused(output, &format!("metadata.labels[{CLASS_LABEL}]")).with_context(|| how)?;
        }
    }
    // What carries no class is the tenant's: the same paths are open.
    let harmless = json!({"metadata": {"labels": {"team": "portal"}}});
    for below in ["", "/status", "/finalize"] {
        replaced(tenant, namespace, below, &harmless).await?.ok()?;
    }
    let class = format!("jsonpath={{.metadata.labels.{}}}", CLASS_LABEL.replace('.', "\\."));
    let class = amanat.tools().kubectl(&["get", "namespace", namespace, "-o", &class]).await?.ok()?;
    ensure!(class == "Restricted", "the class is {class}");
    Ok(())
}

async fn the_levels_stay(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "levels").await?;
    let level = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    until(SOON, "the levels to be written", async || {
        let text = amanat.tools().kubectl(&["get", "namespace", &namespace, "-o", "json"]).await?.ok()?;
        let object: Value = serde_json::from_str(&text)?;
        let labels = &object["metadata"]["labels"];
        ensure!(labels[level("enforce")] == "restricted" && labels[level("warn")] == "restricted", "{labels}");
        Ok(())
    })
    .await?;
    for (key, value) in [
        (level("enforce"), json!("privileged")),
        (level("enforce"), Value::Null),
        (level("warn"), json!("baseline")),
        (level("enforce-version"), json!("v1.2")),
    ] {
        let patch = json!({"metadata": {"labels": {&key: value}}}).to_string();
        let path = format!("metadata.labels[{key}]");
        let parts = ["pod/security-admission-labels: ", path.as_str(), "; fix: "];
        for subresource in [&[][..], &["--subresource=status"]] {
            let mut command = vec!["patch", "namespace", &namespace, "--type=merge", "-p", &patch];
            command.extend(subresource);
            refused_by(tenant.kubectl(&command).await?, "namespaces", &parts)
                .with_context(|| format!("{command:?}"))?;
        }
        if !value.is_null() {
            let patch = json!({"metadata": {"labels": {&key: value}}});
            let finalized = replaced(&tenant, &namespace, "/finalize", &patch).await?;
            refused_by(finalized, "namespaces", &parts).with_context(|| format!("{patch} through finalize"))?;
        }
    }
    // More than the class demands is anyone's to ask for.
    let latest = format!("{}=latest", level("enforce-version"));
    tenant.kubectl(&["label", "--overwrite", "namespace", &namespace, &latest]).await?.ok().map(|_| ())
}

async fn replaced_without(tools: &Tools, namespace: &str, below: &str) -> Result<Output> {
    let object = tools.kubectl(&["get", "namespace", namespace, "-o", "json"]).await?.ok()?;
    let mut object: Value = serde_json::from_str(&object)?;
    let labels = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut).context("it has labels")?;
    labels.remove(CLASS_LABEL).context("it has the class")?;
    let path = format!("/api/v1/namespaces/{namespace}{below}");
    tools.kubectl_with(&["replace", "--raw", &path, "-f", "-"], &object.to_string()).await
}

async fn the_label_is_amanats(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let label = json!({"metadata": {"labels": {CLASS_LABEL: "Restricted"}}});
    let labelled = patched(e2e::manifests::namespace("brought-label"), &label);
    let parts = ["only Amanat writes the class label", "; fix: "];
    let created = super::says::dry(&amanat.tools(), &labelled).await?;
    refused_by_policy(created, "amanat-class-label", &parts)?;
    let plain = amanat.cluster().namespace("plain", &[]).await?;
    let set = format!("{CLASS_LABEL}=Open");
    let set = amanat.tools().kubectl(&["label", "namespace", &plain, &set]).await?;
    refused_by_policy(set, "amanat-class-label", &parts)
}

async fn a_pending_declaration_goes(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("pending", &[]).await?;
    let provider = json!({"spec": {"provider": "nobody"}});
    let declared = |class: &str| patched(cloud_workload(&namespace, class), &provider).to_string();
    amanat.tools().apply(&declared("Restricted")).await?.ok()?;
    amanat.tools().apply(&declared("Open")).await?.ok()?;
    amanat.tools().kubectl(&["delete", "cw", "workload", "-n", &namespace]).await?.ok().map(|_| ())
}

async fn the_namespace_ends(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, _) = tenant_of(&suite, "ends").await?;
    amanat.tools().apply(&deployment(&namespace, "api").to_string()).await?.ok()?;
    let rollout = ["rollout", "status", "deployment/api", "--timeout=60s", "-n", &namespace];
    amanat.tools().kubectl(&rollout).await?.ok()?;
    let delete = ["delete", "namespace", &namespace, "--wait=true", "--timeout=90s"];
    says(&amanat.tools().kubectl(&delete).await?.ok()?, &["deleted"])
}
