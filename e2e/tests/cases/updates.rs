//! What was there before a class came may be touched, shrunk and removed; what is new in it is judged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::manifests::{IMAGE, cloud_workload, container, manifest, patched, pod_spec, workload};
use e2e::waiting::until;
use serde_json::{Value, json};

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
/// nothing but Amanat is against them.
async fn violating(suite: &Suite, prefix: &str) -> Result<(Arc<Amanat>, String)> {
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
    Ok((amanat, namespace))
}

async fn run(amanat: &Amanat, namespace: &str, command: &[&str]) -> Result<e2e::tools::Output> {
    let mut command = command.to_vec();
    command.extend(["-n", namespace]);
    amanat.tools().kubectl(&command).await
}

async fn metadata_changes(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = violating(&suite, "metadata").await?;
    for object in ["deployment/api", "pod/one", "cronjob/nightly"] {
        let finalizers = |list: Value| json!({"metadata": {"finalizers": list}}).to_string();
        let (held, free) = (finalizers(json!(["e2e.example/held"])), finalizers(json!([])));
        for command in [
            &["label", object, "team=portal"][..],
            &["annotate", object, "note=seen"],
            &["patch", object, "--type=merge", "-p", &held],
            &["patch", object, "--type=merge", "-p", &free],
        ] {
            run(&amanat, &namespace, command).await?.ok().with_context(|| object.to_owned())?;
        }
    }
    // A template's metadata that no control reads makes no other template.
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}).to_string();
    run(&amanat, &namespace, &["patch", "deployment/api", "--type=merge", "-p", &patch]).await?.ok().map(|_| ())
}

async fn an_image_change_is_judged(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = violating(&suite, "image").await?;
    for (object, path) in [
        ("deployment/api", "spec.template.spec.containers[0].image"),
        ("pod/one", "spec.containers[0].image"),
        ("cronjob/nightly", "spec.jobTemplate.spec.template.spec.containers[0].image"),
    ] {
        let set =
            async |image: &str| run(&amanat, &namespace, &["set", "image", object, &format!("app={image}")]).await;
        let line = format!("image/digest-pinned: {path} (container app): ");
        refused_by(set(NEWER).await?, "governed", &[&line, NEWER])?;
        set(IMAGE).await?.ok().with_context(|| format!("{object} gets a conforming image"))?;
    }
    Ok(())
}

async fn scaling(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = violating(&suite, "scaling").await?;
    for replicas in ["--replicas=1", "--replicas=3", "--replicas=0"] {
        run(&amanat, &namespace, &["scale", "deployment/api", replicas]).await?.ok()?;
    }
    let patch = json!({"spec": {"replicas": 1}}).to_string();
    run(&amanat, &namespace, &["patch", "deployment/api", "--type=merge", "-p", &patch]).await?.ok()?;
    let patch = json!({"spec": {"replicas": 0}}).to_string();
    run(&amanat, &namespace, &["patch", "deployment/api", "--type=merge", "-p", &patch]).await?.ok()?;
    let suspend = json!({"spec": {"suspend": true}}).to_string();
    run(&amanat, &namespace, &["patch", "cronjob/nightly", "--type=merge", "-p", &suspend]).await?.ok().map(|_| ())
}

async fn deletes(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = violating(&suite, "deletes").await?;
    let delete = ["delete", "deployment/api", "pod/one", "cronjob/nightly", "--timeout=60s"];
    run(&amanat, &namespace, &delete).await?.ok()?;
    until(SOON, "the Pods to be gone", async || {
        let left = run(&amanat, &namespace, &["get", "pods", "-o", "name"]).await?.ok()?;
        anyhow::ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .await
}

async fn statuses(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = violating(&suite, "status").await?;
    let patch = json!({"status": {"message": "seen"}}).to_string();
    let command = ["patch", "pod/one", "--subresource=status", "--type=merge", "-p", &patch];
    run(&amanat, &namespace, &command).await?.ok().map(|_| ())
}
