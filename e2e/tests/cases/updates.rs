//! What was there before a class came may be touched, shrunk and removed; what is new in it is judged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::manifests::{IMAGE, cloud_workload, container, manifest, patched, pod_spec, workload};
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::downgrade::grant;
use super::says::{refused_by, replicated};

const SOON: Duration = Duration::from_secs(60);
const OLD: &str = "docker.io/library/nginx:1.26";
const NEWER: &str = "docker.io/library/nginx:1.27";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("c27_finalizers_and_metadata_of_old_violations", metadata_changes),
        Case::new("c32_an_image_change_of_an_old_violation", an_image_change_is_judged),
        Case::new("a08_scale_brings_no_other_template", scaling),
        Case::new("c28_deletion_of_old_violations", deletes),
        Case::new("updates: a status is not judged", statuses),
    ]
}

/// A Restricted namespace with a Deployment and a Pod that are older than its class and break it: images only, so that
/// nothing but Amanat is against them; and a tenant of it.
async fn violating(suite: &Suite, prefix: &str) -> Result<(Tools, String)> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace(prefix, &[]).await?;
    let spec = pod_spec(&patched(container(), &json!({"image": OLD})));
    let objects = [
        replicated("Deployment", &namespace, "api", &spec, 2),
        workload("Pod", &namespace, "one", &spec),
        workload("CronJob", &namespace, "nightly", &spec),
    ];
    amanat.tools().apply(&manifest(&objects)).await?.ok()?;
    let rollout = ["rollout", "status", "deployment/api", "--timeout=60s", "-n", &namespace];
    amanat.tools().kubectl(&rollout).await?.ok()?;
    let wait = ["wait", "pod/one", "--for=condition=Ready", "--timeout=60s", "-n", &namespace];
    amanat.tools().kubectl(&wait).await?.ok()?;
    amanat.declare(&cloud_workload(&namespace, "Restricted")).await?;
    let tenant = grant(&amanat, &namespace).await?;
    Ok((tenant, namespace))
}

async fn run(tenant: &Tools, namespace: &str, command: &[&str]) -> Result<Output> {
    tenant.kubectl(&[command, &["-n", namespace]].concat()).await
}

async fn metadata_changes(suite: Arc<Suite>) -> Result<()> {
    let (tenant, namespace) = violating(&suite, "metadata").await?;
    for object in ["deployment/api", "pod/one", "cronjob/nightly"] {
        let finalizers = |list: Value| json!({"metadata": {"finalizers": list}}).to_string();
        let (held, free) = (finalizers(json!(["e2e.example/held"])), finalizers(json!([])));
        for command in [
            &["label", object, "team=portal"][..],
            &["annotate", object, "note=seen"],
            &["patch", object, "--type=merge", "-p", &held],
            &["patch", object, "--type=merge", "-p", &free],
        ] {
            run(&tenant, &namespace, command).await?.ok().with_context(|| object.to_owned())?;
        }
    }
    // A template's metadata that no control reads makes no other template.
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}).to_string();
    run(&tenant, &namespace, &["patch", "deployment/api", "--type=merge", "-p", &patch]).await?.ok().map(|_| ())
}

async fn an_image_change_is_judged(suite: Arc<Suite>) -> Result<()> {
    let (tenant, namespace) = violating(&suite, "image").await?;
    for (object, path) in [
        ("deployment/api", "spec.template.spec.containers[0].image"),
        ("pod/one", "spec.containers[0].image"),
        ("cronjob/nightly", "spec.jobTemplate.spec.template.spec.containers[0].image"),
    ] {
        let set =
            async |image: &str| run(&tenant, &namespace, &["set", "image", object, &format!("app={image}")]).await;
        let line = format!("image/digest-pinned: {path} (container app): ");
        refused_by(set(NEWER).await?, "governed", &[&line, NEWER])?;
        set(IMAGE).await?.ok().with_context(|| format!("{object} gets a conforming image"))?;
    }
    Ok(())
}

async fn scaling(suite: Arc<Suite>) -> Result<()> {
    let (tenant, namespace) = violating(&suite, "scaling").await?;
    let template = async || {
        let get = ["get", "deployment", "api", "-o", "jsonpath={.spec.template}"];
        run(&tenant, &namespace, &get).await?.ok()
    };
    let before = template().await?;
    let patch = |spec: Value| json!({"spec": spec}).to_string();
    for replicas in [1, 3, 0] {
        run(&tenant, &namespace, &["scale", "deployment/api", &format!("--replicas={replicas}")]).await?.ok()?;
    }
    for replicas in [1, 0] {
        let whole = patch(json!({"replicas": replicas}));
        run(&tenant, &namespace, &["patch", "deployment/api", "--type=merge", "-p", &whole]).await?.ok()?;
    }
    // What is sent to the scale beside its replicas goes nowhere.
    let smuggled =
        patch(json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "app", "image": NEWER}]}}}));
    let scale = ["patch", "deployment/api", "--subresource=scale", "--type=merge", "-p", &smuggled];
    run(&tenant, &namespace, &scale).await?.ok()?;
    let after = template().await?;
    ensure!(after == before, "it was {before}, it is {after}");
    let suspend = patch(json!({"suspend": true}));
    run(&tenant, &namespace, &["patch", "cronjob/nightly", "--type=merge", "-p", &suspend]).await?.ok().map(|_| ())
}

async fn deletes(suite: Arc<Suite>) -> Result<()> {
    let (tenant, namespace) = violating(&suite, "deletes").await?;
    let delete = ["delete", "deployment/api", "pod/one", "cronjob/nightly", "--timeout=60s"];
    run(&tenant, &namespace, &delete).await?.ok()?;
    until(SOON, "the Pods to be gone", async || {
        let left = run(&tenant, &namespace, &["get", "pods", "-o", "name"]).await?.ok()?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .await
}

async fn statuses(suite: Arc<Suite>) -> Result<()> {
    let (tenant, namespace) = violating(&suite, "status").await?;
    let patch = json!({"status": {"message": "seen"}}).to_string();
    let command = ["patch", "pod/one", "--subresource=status", "--type=merge", "-p", &patch];
    run(&tenant, &namespace, &command).await?.ok().map(|_| ())
}
