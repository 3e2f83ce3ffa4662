//! What Amanat stands on, and the class label: written by few, whether Amanat is up or not.

mod class_label;
mod guarded;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::manifests::{manifest, patched};
use e2e::operator::NAMESPACE;
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use guarded::{Guarded, guarded_objects, object, users, writes};

use super::given;
use super::says::{dry, refused_by_policy};

const SOON: Duration = Duration::from_secs(60);
const GUARD: &str = "amanat-guard";
const LABEL: &str = "amanat-class-label";
const RBAC: &str = "rbac.authorization.k8s.io";
const HOOKS: &str = "admissionregistration.k8s.io";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("g54_what_amanat_stands_on_scaled_changed_or_deleted", guarded),
        Case::new("self-protection: the control plane writes status and scale, collects and migrates", control_plane),
        Case::new("self-protection: what the chart renders is what the API server knows", renders),
        Case::new("self-protection: with every replica down both policies hold, and nothing else is closed", down)
            .alone(),
    ];
    cases.extend(class_label::cases());
    cases
}

async fn guarded(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    holds(&amanat).await?;

    let cluster = amanat.cluster();
    let tenant_of = cluster.namespace("guard-tenant", &[]).await?;
    let binding =
        ["create", "rolebinding", "tenants", "--clusterrole=admin", "--group=guard-tenants", "-n", &tenant_of];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let tenant = cluster.tools_as(&cluster.user("tenant", &["guard-tenants"])?);
    for guarded in guarded_objects() {
        for output in writes(&tenant, &guarded).await? {
            output.forbidden().with_context(|| format!("a tenant, {}", guarded.resource))?;
        }
    }

    // Who may remove the guard, be it by name alone, isn't held up by it.
    let remover = json!({"rules": [
        {"apiGroups": [HOOKS], "resources": ["validatingadmissionpolicies"], "resourceNames": [GUARD], "verbs": ["delete"]},
    ]});
    let version = format!("{RBAC}/v1");
    let bound = json!({
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "guard-remover"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "guard-removers"}],
    });
    let objects = [
        object(&version, "ClusterRole", "guard-remover", remover),
        object(&version, "ClusterRoleBinding", "guard-remover", bound),
    ];
    cluster.tools().apply(&manifest(&objects)).await?.ok()?;
    let named = cluster.tools_as(&cluster.user("installer", &["nearly-admins", "guard-removers"])?);
    let may = ["auth", "can-i", "delete", &format!("validatingadmissionpolicies/{GUARD}")];
    until(SOON, "the role to count", async || named.kubectl(&may).await?.ok().map(|_| ())).await?;
    for guarded in guarded_objects() {
        for tools in [&named, &amanat.tools()] {
            // A patch of what is there, made from it, and nothing else that could fail.
            if guarded.exists {
                let annotate = r#"{"metadata":{"annotations":{"example.com/touched":"yes"}}}"#;
                for write in [
                    &["patch", guarded.resource, guarded.name(), "--type=merge", "-p", annotate][..],
                    &["delete", guarded.resource, guarded.name()],
                ] {
                    tools.kubectl(&[write, &["-n", NAMESPACE, "--dry-run=server"]].concat()).await?.ok()?;
                }
            } else {
                dry(tools, &guarded.object).await?.ok()?;
            }
        }
    }
    Ok(())
}

/// The budget, where there is one: it can be written by nobody who may not delete the guard.
pub(super) async fn budget(cluster: &Cluster) -> Result<()> {
    let budget = guarded_objects().into_iter().find(|guarded| guarded.resource == "poddisruptionbudgets");
    let budget = Guarded { exists: true, ..budget.context("no budget is guarded")? };
    cluster.tools().kubectl(&["get", budget.resource, budget.name(), "-n", NAMESPACE]).await?.ok()?;
    is_guarded(&users(cluster).await?, &budget).await
}

/// None of the users can write it.
async fn is_guarded([inside, everywhere]: &[Tools; 2], guarded: &Guarded) -> Result<()> {
    for (tools, user) in [(inside, "namespace-admin"), (everywhere, "nearly-admin")] {
        if user == "namespace-admin" && !guarded.namespaced() {
            continue;
        }
        for output in writes(tools, guarded).await? {
            let what = format!("{user}: {}", output.command);
            let fix = format!("kubectl auth can-i delete validatingadmissionpolicies/{GUARD}");
            let subject = format!("{} {} keeps this cluster governed", guarded.resource, guarded.name());
            let by_role = output.stderr.contains("cannot ");
            // The role admin has no right to some of these paths.
            if user == "namespace-admin" && by_role {
                output.forbidden().context(what)?;
            } else {
                refused_by_policy(output, GUARD, &[&subject, user, "; fix: ", &fix]).context(what)?;
            }
        }
    }
    Ok(())
}

/// Nothing guarded can be written by users who may not delete the guard, and what isn't guarded can.
async fn holds(amanat: &Amanat) -> Result<()> {
    let users = users(amanat.cluster()).await?;
    for guarded in guarded_objects() {
        is_guarded(&users, &guarded).await?;
    }
    let [_, everywhere] = users;
    let delete = ["delete", "namespace", NAMESPACE, "--dry-run=server"];
    refused_by_policy(everywhere.kubectl(&delete).await?, GUARD, &["namespaces amanat-system"])?;

    // Of the same kinds, what isn't Amanat's.
    for guarded in guarded_objects() {
        let renamed = patched(guarded.object.clone(), &json!({"metadata": {"name": "somebody-elses"}}));
        dry(&everywhere, &renamed).await?.ok()?;
    }
    let release = ["annotate", "secret", "-n", NAMESPACE, "-l", "owner=helm", "a=b", "--dry-run=server"];
    everywhere.kubectl(&release).await?.ok()?;
    Ok(())
}

async fn control_plane(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let get = ["get", "deployment", "amanat", "-n", NAMESPACE, "-o", "json"];
    let found: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/amanat");
    let put = async |controller: &str, below: &str, object: &Value| -> Result<Output> {
        let tools = amanat.tools_of_controller(controller)?;
        let path = format!("{path}{below}?dryRun=All");
        tools.kubectl_with(&["replace", "--raw", &path, "-f", "-"], &object.to_string()).await
    };
    let touched = patched(found.clone(), &json!({"metadata": {"annotations": {"example.com/touched": "yes"}}}));
    put("deployment-controller", "/status", &touched).await?.ok()?;
    refused_by_policy(put("deployment-controller", "", &touched).await?, GUARD, &["deployment-controller may not"])?;
    let scale = amanat.tools().kubectl(&["get", "--raw", &format!("{path}/scale")]).await?.ok()?;
    let scale = patched(serde_json::from_str(&scale)?, &json!({"spec": {"replicas": 3}}));
    put("horizontal-pod-autoscaler", "/scale", &scale).await?.ok()?;

    // Who rewrites every object, as a change of the storage's encryption asks for, changes nothing.
    let [_, everywhere] = users(amanat.cluster()).await?;
    for guarded in guarded_objects().iter().filter(|guarded| guarded.exists) {
        let get = ["get", guarded.resource, guarded.name(), "-n", NAMESPACE, "-o", "json"];
        let found = everywhere.kubectl(&get).await?.ok()?;
        let replace = ["replace", "--dry-run=server", "-f", "-"];
        everywhere.kubectl_with(&replace, &found).await?.ok().with_context(|| guarded.resource)?;
        let mut identity = guarded.object.clone();
        let metadata = json!({"name": guarded.name(), "namespace": identity["metadata"]["namespace"]});
        identity = json!({"apiVersion": identity["apiVersion"], "kind": identity["kind"], "metadata": metadata});
        if !guarded.namespaced() {
            identity["metadata"].as_object_mut().context("it has metadata")?.remove("namespace");
        }
        let apply = ["apply", "--server-side", "--field-manager=migrator", "--dry-run=server", "-f", "-"];
        everywhere.kubectl_with(&apply, &identity.to_string()).await?.ok().with_context(|| guarded.resource)?;
    }

    let collector = amanat.tools_of_controller("generic-garbage-collector")?;
    for guarded in guarded_objects().iter().filter(|guarded| guarded.exists) {
        for tools in [&collector, &amanat.tools_of_controller("namespace-controller")?] {
            let delete = ["delete", guarded.resource, guarded.name(), "-n", NAMESPACE, "--dry-run=server"];
            tools.kubectl(&delete).await?.ok()?;
        }
    }
    Ok(())
}

/// Every kept render, field by field, and the expressions of the policies.
async fn renders(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    for (name, values) in e2e::chart::kept() {
        let rendered = e2e::chart::render(amanat.cluster(), &amanat.tools(), &values).await?.ok()?;
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
        let applied = amanat.tools().kubectl_with(&apply, &rendered).await?;
        // Of the baseline Amanat itself says what it doesn't act upon.
        let warned = |line: &&str| line.contains("Warning") && !line.contains("is not acted upon yet");
        let warning = applied.stderr.lines().find(warned).map(str::to_owned);
        applied.ok().with_context(|| name)?;
        ensure!(warning.is_none(), "{name}: {warning:?}");
    }
    for policy in [GUARD, LABEL] {
        until(SOON, format!("the types of {policy} to be checked"), async || {
            let get = ["get", "validatingadmissionpolicy", policy, "-o", "json"];
            let found: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
            ensure!(found["status"]["observedGeneration"] == found["metadata"]["generation"], "not yet");
            let warnings = &found["status"]["typeChecking"]["expressionWarnings"];
            ensure!(warnings.is_null(), "{warnings:#}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn down(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let governed = given::built(&amanat, "guarded").await?;
    let tools = amanat.tools();
    let mut installation = amanat.installation().await;
    installation.kill();
    let outcome = async {
        holds(&amanat).await?;
        for change in [format!("{CLASS_LABEL}=Open"), format!("{CLASS_LABEL}-")] {
            let label = ["label", "--overwrite", "namespace", &governed, &change];
            refused_by_policy(tools.kubectl(&label).await?, LABEL, &["only Amanat writes the class label"])?;
        }
        for change in ["team=portal", "team-"] {
            tools.kubectl(&["label", "namespace", &governed, change]).await?.ok()?;
        }
        let plain = amanat.cluster().namespace("guarded-plain", &[]).await?;
        tools.kubectl(&["label", "namespace", &plain, "team=portal"]).await?.ok()?;
        tools.kubectl(&["delete", "namespace", &plain, "--timeout=60s"]).await?.ok()?;
        // Its end begins; what it has declared goes when Amanat is back.
        tools.kubectl(&["delete", "namespace", &governed, "--wait=false"]).await?.ok()
    }
    .await;
    installation.restart()?;
    installation.wait_ready(amanat.cluster()).await?;
    drop(installation);
    amanat.wait_serving().await?;
    outcome.map(|_| ())
}
