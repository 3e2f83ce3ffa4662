//! C: being old, or about to end, opens nothing.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::manifests::{IMAGE, deployment, patched, spec_with_image, workload};
use serde_json::{Value, json};

use super::super::downgrade::tenant_of;
use super::super::says::{dry, refused_by};
use super::UNPINNED;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("c26_an_object_that_is_about_to_end", c26),
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

async fn c31(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "c31").await?;
    let all = format!("/apis/amanat.dev/v1alpha1/namespaces/{namespace}/cloudworkloads");
    for tools in [&tenant, &amanat.tools()] {
        for cascade in ["orphan", "foreground", "background"] {
            let cascade = format!("--cascade={cascade}");
            let delete = ["delete", "cloudworkload", "workload", "-n", &namespace, &cascade, "--wait=false"];
            refused_by(tools.kubectl(&delete).await?, "declarations", &["placement/no-silent-downgrade: "])
                .with_context(|| cascade)?;
        }
        // The role admin has no right to it; who has is refused object by object.
        tools.kubectl(&["delete", "--raw", &all]).await?.forbidden().context("the collection")?;
    }
    let bad = workload("Pod", &namespace, "bad", &spec_with_image(UNPINNED));
    refused_by(dry(&tenant, &bad).await?, "governed", &["image/digest-pinned"])
}
