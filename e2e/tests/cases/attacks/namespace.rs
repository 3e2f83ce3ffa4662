//! B: what governs a namespace is neither lifted, nor borrowed, nor outrun.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, patched, spec_with_image, workload};
use e2e::operator::NAMESPACE;
use e2e::tools::Tools;
use e2e::waiting::until;
use serde_json::{Map, Value, json};

use super::super::downgrade::{cluster_admin, tenant_of};
use super::super::says::{dry, refused_by, refused_by_policy, says};
use super::UNPINNED;

const HEALED: Duration = Duration::from_secs(30);

/// The collector of the control plane learns of new kinds twice a minute.
const COLLECTED: Duration = Duration::from_secs(90);

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
    let (amanat, namespace, tenant) = tenant_of(&suite, "b16").await?;
    let labels = async || labels_of(&amanat, &namespace).await;
    for (key, value) in EXEMPTING {
        tenant.kubectl(&["label", "namespace", &namespace, &format!("{key}={value}")]).await?.ok()?;
        ensure!(labels().await?[key] == value, "{key} isn't there");
        judged(&tenant, &namespace).await.with_context(|| key)?;
    }
    let exempting: Map<String, Value> =
        EXEMPTING.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let marks = json!({"metadata": {"labels": exempting, "annotations": exempting}});
    for kind in ["Pod", "Deployment"] {
        let marked = patched(workload(kind, &namespace, "bad", &spec_with_image(UNPINNED)), &marks);
        refused_by(dry(&tenant, &marked).await?, "governed", &["image/digest-pinned"])
            .with_context(|| format!("a {kind} with the labels"))?;
    }
    for name in ["kube-system", NAMESPACE] {
        let label = format!("kubernetes.io/metadata.name={name}");
        // The API server refuses it or puts its own back.
        let _answer = tenant.kubectl(&["label", "--overwrite", "namespace", &namespace, &label]).await?;
        ensure!(labels().await?["kubernetes.io/metadata.name"] == namespace.as_str(), "it is called {name}");
        judged(&tenant, &namespace).await.with_context(|| label)?;
    }
    selected_by_name_and_class(&amanat.tools()).await
}

async fn labels_of(amanat: &Amanat, namespace: &str) -> Result<Value> {
    let text = amanat.tools().kubectl(&["get", "namespace", namespace, "-o", "json"]).await?.ok()?;
    Ok(serde_json::from_str::<Value>(&text)?["metadata"]["labels"].clone())
}

/// No other label than a namespace's name and its class decides whether the webhook is asked, and none of an object.
async fn selected_by_name_and_class(tools: &Tools) -> Result<()> {
    for configuration in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let text = tools.kubectl(&["get", configuration, "amanat", "-o", "json"]).await?.ok()?;
        let found: Value = serde_json::from_str(&text)?;
        for webhook in found["webhooks"].as_array().context("it has webhooks")? {
            let (namespaces, objects) = (&webhook["namespaceSelector"], &webhook["objectSelector"]);
            ensure!(*objects == json!({}) && namespaces["matchLabels"].is_null(), "{webhook}");
            for expression in namespaces["matchExpressions"].as_array().into_iter().flatten() {
                let known = ["kubernetes.io/metadata.name", CLASS_LABEL].map(Value::from);
                ensure!(known.contains(&expression["key"]), "{expression}");
            }
        }
    }
    Ok(())
}

/// What is built in a namespace, and the declaration: what ties them to Amanat, and what they say.
async fn tied(tools: &Tools, namespace: &str) -> Result<Vec<Value>> {
    let kinds = "cloudworkloads,networkpolicies,limitranges,resourcequotas";
    let found: Value =
        serde_json::from_str(&tools.kubectl(&["get", kinds, "-n", namespace, "-o", "json"]).await?.ok()?)?;
    let object = |object: &Value| {
        let metadata = &object["metadata"];
        json!({
            "kind": object["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "labels": metadata["labels"],
            "owners": metadata["ownerReferences"],
            "spec": object["spec"],
        })
    };
    Ok(found["items"].as_array().context("a list has items")?.iter().map(object).collect())
}

/// The declaration gets an owner that never was, and isn't taken away by the collector of the control plane either.
async fn declaration_is_not_collected(amanat: &Amanat, namespace: &str, tenant: &Tools, dangling: &str) -> Result<()> {
    let mark = amanat.cluster().audit_mark()?;
    let patch = |text| ["patch", "cw", "workload", "-n", namespace, "--type=merge", "-p", text];
    tenant.kubectl(&patch(dangling)).await?.ok()?;
    until(COLLECTED, "the collector to be refused", async || {
        let events = amanat.cluster().audit_since(mark)?;
        let refused = events.iter().find(|event| {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            text("/verb") == "delete"
                && text("/objectRef/resource") == "cloudworkloads"
                && text("/objectRef/namespace") == namespace
                && text("/user/username").ends_with(":generic-garbage-collector")
                && event["responseStatus"]["code"] == 403
        });
        ensure!(refused.is_some(), "it hasn't tried");
        Ok(())
    })
    .await?;
    tenant.kubectl(&patch(r#"{"metadata":{"ownerReferences":null}}"#)).await?.ok().map(|_| ())
}

async fn b19(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "b19").await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    let admin = amanat.tools();
    let before = tied(&admin, &namespace).await?;
    let owned = before.iter().filter(|object| object["owners"][0]["kind"] == "CloudWorkload").count();
    ensure!(owned >= 3 && owned + 1 == before.len(), "it is {before:?}");
    let bare = json!({"metadata": {"finalizers": null, "ownerReferences": null, "annotations": null}});
    let unlabelled = json!({"metadata": {"ownerReferences": null, "labels": null}});
    let mut counts = [0, 0];
    for (tools, who) in [(&tenant, "the tenant"), (&admin, "an administrator")] {
        for object in &before {
            let [kind, name] = ["kind", "name"].map(|key| object[key].as_str().unwrap_or_default());
            for patch in [&bare, &unlabelled] {
                let text = patch.to_string();
                let tried =
                    tools.kubectl(&["patch", kind, name, "-n", &namespace, "--type=merge", "-p", &text]).await?;
                // Refused or healed: what counts is what stands afterwards.
                counts[usize::from(tried.status.success())] += 1;
                judged(&tenant, &namespace).await.with_context(|| format!("{who}: {kind} {name}: {text}"))?;
            }
        }
    }
    // An owner that never was would have what is built collected.
    let never = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "6a2e9d6c"});
    let dangling = json!({"metadata": {"ownerReferences": [never]}}).to_string();
    for object in before.iter().filter(|object| object["kind"] != "CloudWorkload") {
        let [kind, name] = ["kind", "name"].map(|key| object[key].as_str().unwrap_or_default());
        let patch = ["patch", kind, name, "-n", &namespace, "--type=merge", "-p", &dangling];
        refused_by(tenant.kubectl(&patch).await?, "governed", &["is built and kept by Amanat"])?;
    }
    println!("b19: {} patches were refused, {} were healed", counts[0], counts[1]);
    ensure!(counts[1] > 0, "nothing had to be healed");
    until(HEALED, "everything to be as it was", async || {
        let now = tied(&admin, &namespace).await?;
        ensure!(now == before, "it is {now:?}, it was {before:?}");
        Ok(())
    })
    .await?;

    declaration_is_not_collected(&amanat, &namespace, &tenant, &dangling).await?;
    let now = tied(&admin, &namespace).await?;
    ensure!(now == before, "it is {now:?}, it was {before:?}");

    let labels = labels_of(&amanat, &namespace).await?;
    let text = bare.to_string();
    tenant.kubectl(&["patch", "namespace", &namespace, "--type=merge", "-p", &text]).await?.ok()?;
    judged(&tenant, &namespace).await.context("the namespace")?;
    let text = json!({"metadata": {"labels": null}}).to_string();
    let refused = tenant.kubectl(&["patch", "namespace", &namespace, "--type=merge", "-p", &text]).await?;
    refused_by_policy(refused, "amanat-class-label", &["only Amanat writes the class label"])?;
    let now = labels_of(&amanat, &namespace).await?;
    ensure!(now == labels, "its labels are {now}, they were {labels}");
    Ok(())
}

async fn b20(suite: Arc<Suite>) -> Result<()> {
    let (amanat, _, tenant) = tenant_of(&suite, "b20").await?;
    let admin = cluster_admin(&amanat).await?;
    let label = format!("{CLASS_LABEL}=Open");
    for namespace in ["kube-system", "kube-public", NAMESPACE] {
        tenant.kubectl(&["label", "namespace", namespace, &label]).await?.forbidden()?;
        for tools in [&admin, &amanat.tools()] {
            let refusal = tools.kubectl(&["label", "namespace", namespace, &label]).await?.forbidden()?;
            says(&refusal, &["only Amanat writes the class label"])?;
        }
    }
    // A declaration there governs nothing, and goes as freely as it came.
    const NAME: &str = "kube-public";
    admin.apply(&cloud_workload(NAME, "Open").to_string()).await?.ok()?;
    let (_, message) = amanat.wait_condition(NAME, "Accepted", "False").await?;
    says(&message, &["the cluster's own namespaces are not governed"])?;
    let label = ["get", "namespace", NAME, "-o", "jsonpath={.metadata.labels.amanat\\.dev/data-class}"];
    ensure!(admin.kubectl(&label).await?.ok()?.is_empty(), "{NAME} has a class");
    admin.kubectl(&["delete", "cloudworkload", "workload", "-n", NAME]).await?.ok().map(|_| ())
}

/// What somebody declares in a namespace with these labels is judged there, whoever brings it.
async fn declared_with(amanat: &Amanat, admin: &Tools, prefix: &str, labels: &[(&str, &str)]) -> Result<()> {
    let namespace = amanat.cluster().namespace(prefix, labels).await?;
    admin.apply(&cloud_workload(&namespace, "Restricted").to_string()).await?.ok()?;
    amanat.wait_class(&namespace, "Restricted").await?;
    judged(admin, &namespace).await
}

async fn b21(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let admin = cluster_admin(&amanat).await?;
    let exempting: Map<String, Value> =
        EXEMPTING.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let namespace = |name: &str, labels: &Map<String, Value>| {
        let metadata = json!({"name": name, "labels": labels});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    };
    dry(&admin, &namespace("b21-by-admin", &exempting)).await?.ok()?;
    let mut classed = exempting.clone();
    classed.insert(CLASS_LABEL.to_owned(), json!("Open"));
    let refused = dry(&admin, &namespace("b21-by-admin", &classed)).await?;
    refused_by_policy(refused, "amanat-class-label", &["only Amanat writes the class label"])?;
    declared_with(&amanat, &admin, "b21", &EXEMPTING).await
}

async fn b22(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let admin = cluster_admin(&amanat).await?;
    for prefix in ["kube-system", "kube-node-lease", "kube-", "amanat-system", "default"] {
        declared_with(&amanat, &admin, prefix.trim_end_matches('-'), &[]).await?;
    }
    Ok(())
}
