//! C: being old, or about to end, opens nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::manifests::{IMAGE, deployment, patched, spec_with_image, workload};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::super::downgrade::{grant, tenant_of};
use super::super::given;
use super::super::says::{dry, refused_by};
use super::UNPINNED;

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("c26_an_object_that_is_about_to_end", c26),
        Case::new("c30_network_policies_outlive_pods", c30),
        Case::new("c31_a_declaration_deleted_by_every_cascade", c31),
    ]
}

async fn c26(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "c26").await?;
    let held = json!({"metadata": {"finalizers": ["e2e.example/held"]}});
    let pod = workload("Pod", &namespace, "one", &spec_with_image(IMAGE));
    let idle = patched(deployment(&namespace, "api"), &json!({"spec": {"replicas": 0}}));
    for (object, what) in [(pod, "pod/one"), (idle, "deployment/api")] {
        tenant.create(&patched(object, &held).to_string()).await?.ok()?;
        let run = async |command: &[&str]| tenant.kubectl(&[command, &["-n", &namespace]].concat()).await;
        run(&["delete", what, "--wait=false"]).await?.ok()?;
        let found: Value = serde_json::from_str(&run(&["get", what, "-o", "json"]).await?.ok()?)?;
        ensure!(found["metadata"]["deletionTimestamp"].is_string(), "{what} isn't about to end");
        let set = run(&["set", "image", what, &format!("app={UNPINNED}")]).await?;
        refused_by(set, "governed", &["image/digest-pinned", UNPINNED]).with_context(|| what)?;
        run(&["label", what, "team=portal"]).await?.ok()?;
        let free = json!({"metadata": {"finalizers": null}}).to_string();
        run(&["patch", what, "--type=merge", "-p", &free]).await?.ok()?;
    }
    Ok(())
}

async fn c30(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "c30").await?;
    let tenant = grant(&amanat, &namespace).await?;
    let tools = amanat.tools();
    let run = async |command: &[&str]| tools.kubectl(&[command, &["-n", &namespace]].concat()).await?.ok();
    let held = json!({"metadata": {"finalizers": ["e2e.example/held"]}});
    let pod = patched(workload("Pod", &namespace, "one", &spec_with_image(IMAGE)), &held);
    tenant.create(&pod.to_string()).await?.ok()?;
    let built = run(&["get", "networkpolicies", "-o", "jsonpath={.items[*].metadata.uid}"]).await?;
    ensure!(!built.is_empty(), "no NetworkPolicy was built");

    tenant.kubectl(&["delete", "namespace", &namespace, "--wait=false"]).await?.ok()?;
    // The tenant's roles go with the rest. The control plane tells how it went when it has been through what it deletes.
    until(SOON, format!("the control plane to have begun with {namespace}"), async || {
        let text = tools.kubectl(&["get", "namespace", &namespace, "-o", "json"]).await?.ok()?;
        let object: Value = serde_json::from_str(&text)?;
        let conditions = object["status"]["conditions"].as_array().context("it has no conditions")?;
        ensure!(conditions.iter().any(|one| one["type"] == "NamespaceDeletionContentFailure"), "it has {conditions:?}");
        let deleted = run(&["get", "pod", "one", "-o", "jsonpath={.metadata.deletionTimestamp}"]).await?;
        ensure!(!deleted.is_empty(), "the Pod isn't deleted");
        Ok(())
    })
    .await?;
    let left: Value = serde_json::from_str(&run(&["get", "networkpolicies", "-o", "json"]).await?)?;
    let left = left["items"].as_array().context("a list has items")?;
    let uids = left.iter().filter(|policy| policy["metadata"]["deletionTimestamp"].is_null());
    let uids = uids.filter_map(|policy| policy["metadata"]["uid"].as_str()).collect::<Vec<_>>().join(" ");
    ensure!(uids == built, "of {built} {uids} are left while a Pod is");

    let free = json!({"metadata": {"finalizers": null}}).to_string();
    run(&["patch", "pod", "one", "--type=merge", "-p", &free]).await?;
    tools.kubectl(&["wait", "namespace", &namespace, "--for=delete", "--timeout=60s"]).await?.ok().map(|_| ())
}

async fn c31(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "c31").await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    let admin = amanat.tools();
    // The role admin has no right to delete all at once; this tenant has been given it.
    let run = async |command: &[&str]| admin.kubectl(&[command, &["-n", &namespace]].concat()).await?.ok();
    run(&["create", "role", "collector", "--verb=deletecollection", "--resource=cloudworkloads.amanat.dev"]).await?;
    let group = format!("--group=tenants-of-{namespace}");
    run(&["create", "rolebinding", "collector", "--role=collector", &group]).await?;
    until(SOON, "the tenant's role to count", async || {
        let may = ["auth", "can-i", "deletecollection", "cloudworkloads.amanat.dev", "-n", &namespace];
        tenant.kubectl(&may).await?.ok().map(|_| ())
    })
    .await?;
    let kept = ["get", "cw,networkpolicies,limitranges,resourcequotas", "-o", "jsonpath={.items[*].metadata.uid}"];
    let before = run(&kept).await?;

    let all = format!("/apis/amanat.dev/v1alpha1/namespaces/{namespace}/cloudworkloads");
    let reason = ["placement/no-silent-downgrade: "];
    for tools in [&tenant, &admin] {
        for cascade in ["orphan", "foreground", "background"] {
            let flag = format!("--cascade={cascade}");
            let delete = ["delete", "cloudworkload", "workload", "-n", &namespace, &flag, "--wait=false"];
            refused_by(tools.kubectl(&delete).await?, "declarations", &reason).context(cascade)?;
        }
        refused_by(tools.kubectl(&["delete", "--raw", &all]).await?, "declarations", &reason)
            .context("the collection")?;
    }
    let after = run(&kept).await?;
    ensure!(after == before, "there was {before}, there is {after}");
    let deleted = run(&["get", "cw", "-o", "jsonpath={.items[*].metadata.deletionTimestamp}"]).await?;
    ensure!(deleted.is_empty(), "the declaration is about to end since {deleted}");
    let bad = workload("Pod", &namespace, "bad", &spec_with_image(UNPINNED));
    refused_by(dry(&tenant, &bad).await?, "governed", &["image/digest-pinned"])
}
