//! What Amanat stands on, and the class label: written by few, whether Amanat is up or not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL, RESTORERS};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::manifests::{self, manifest, patched};
use e2e::operator::NAMESPACE;
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::given;
use super::says::{dry, refused_by, refused_by_policy};

const SOON: Duration = Duration::from_secs(60);
const GUARD: &str = "amanat-guard";
const LABEL: &str = "amanat-class-label";
const RBAC: &str = "rbac.authorization.k8s.io";
const HOOKS: &str = "admissionregistration.k8s.io";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("self-protection: who may not delete the guard changes nothing that Amanat stands on", guarded),
        Case::new("self-protection: the control plane writes status and scale, collects and migrates", control_plane),
        Case::new("self-protection: who restores backups brings the class label, and changes none", restorers),
        Case::new("self-protection: what the chart renders is what the API server knows", renders),
        Case::new("self-protection: with every replica down both policies hold, and nothing else is closed", down)
            .alone(),
        Case::new("self-protection: without the policy the webhook keeps the class label", webhook_alone).alone(),
    ]
}

/// An object that is guarded.
struct Guarded {
    /// Its resource, as kubectl calls it.
    resource: &'static str,
    /// A smallest one of its kind, with its name.
    object: Value,
    /// Whether the installation of the tests has it.
    exists: bool,
}

impl Guarded {
    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn namespaced(&self) -> bool {
        self.object["metadata"]["namespace"].is_string()
    }
}

fn object(version: &str, kind: &str, name: &str, more: Value) -> Value {
    patched(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}}), &more)
}

fn guarded_objects() -> Vec<Guarded> {
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
async fn writes(tools: &Tools, guarded: &Guarded) -> Result<Vec<Output>> {
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
async fn users(cluster: &Cluster) -> Result<[Tools; 2]> {
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

/// Nothing guarded can be written by users who may not delete the guard, and what isn't guarded can.
async fn holds(amanat: &Amanat) -> Result<()> {
    let [inside, everywhere] = users(amanat.cluster()).await?;
    for guarded in guarded_objects() {
        for (tools, user) in [(&inside, "namespace-admin"), (&everywhere, "nearly-admin")] {
            if user == "namespace-admin" && !guarded.namespaced() {
                continue;
            }
            for output in writes(tools, &guarded).await? {
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
    }
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
        super::downgrade::label_stays(&amanat, &namespace, |output, key| {
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
