//! A namespace that has declared a class: what it admits, what it refuses, and in which words.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::manifests::{
    self, WORKLOADS, cloud_workload, container, deployment, manifest, patched, path_of_spec, pod_spec, privileged_spec,
    spec_with_image, workload,
};
use e2e::tools::Tools;
use e2e::waiting::until;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};

use super::downgrade::tenant_of;
use super::says::{dry, refused_by, says};

const SOON: Duration = Duration::from_secs(60);
const UNPINNED: &str = "registry.example.gov.pk/portal/api:1.4";
const FOREIGN: &str = "docker.io/library/nginx@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("declared: a conforming Deployment is admitted and runs", a_conforming_deployment_runs),
        Case::new("declared: a refusal names class, control, path, container, value and fix", a_refusal_in_words),
        Case::new("a05_every_workload_kind_made_directly", every_kind_is_judged),
        Case::new("a02_ephemeral_containers_by_their_subresource", ephemeral_containers),
        Case::new("a03_a_resize_reaches_the_webhook", a_resize_passes).on_own_cluster(),
        Case::new("declared: a new Restricted namespace enforces restricted at once", restricted_at_once),
        Case::new("declared: Ready says what was accepted and built", ready),
        Case::new("declared: a namespace that declares nothing gets warnings", undeclared_warns),
    ]
}

async fn restricted(suite: &Suite, prefix: &str) -> Result<(Arc<Amanat>, String)> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.declared(prefix, "Restricted").await?;
    Ok((amanat, namespace))
}

async fn a_conforming_deployment_runs(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = restricted(&suite, "conforming").await?;
    let applied = amanat.tools().apply(&deployment(&namespace, "api").to_string()).await?;
    ensure!(!applied.stderr.contains("Warning"), "it is warned of:\n{}", applied.stderr);
    applied.ok()?;
    let rollout = ["rollout", "status", "deployment/api", "--timeout=60s", "-n", &namespace];
    amanat.tools().kubectl(&rollout).await?.ok().map(|_| ())
}

async fn a_refusal_in_words(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = restricted(&suite, "refused").await?;
    for (spec, control, field, value) in [
        (privileged_spec(), "pod/privileged", "securityContext.privileged", "true"),
        (spec_with_image(UNPINNED), "image/digest-pinned", "image", UNPINNED),
        (spec_with_image(FOREIGN), "image/approved-registries", "image", FOREIGN),
    ] {
        let refusal = amanat.tools().create(&workload("Deployment", &namespace, "api", &spec).to_string()).await?;
        let line = format!("[Restricted] {control}: spec.template.spec.containers[0].{field} (container app): ");
        let explain = format!("amanat explain {control}");
        refused_by(refusal, "governed", &[&line, value, "; fix: ", &explain])
            .with_context(|| format!("refusal by {control}"))?;
    }
    // All findings of an object are told at once.
    let privileged = json!({"privileged": true, "allowPrivilegeEscalation": true});
    let both = patched(container(), &json!({"image": "docker.io/library/nginx:1", "securityContext": privileged}));
    let refusal = dry(&amanat.tools(), &workload("Deployment", &namespace, "api", &pod_spec(&both))).await?;
    refused_by(refusal, "governed", &["pod/privileged: ", "image/digest-pinned: ", "image/approved-registries: "])
}

async fn every_kind_is_judged(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "kinds").await?;
    for kind in WORKLOADS {
        let named = || format!("a {kind}");
        let conforming = workload(kind, &namespace, "one", &pod_spec(&container()));
        dry(&tenant, &conforming).await?.ok().with_context(named)?;
        let unpinned = workload(kind, &namespace, "one", &spec_with_image(UNPINNED));
        let line = format!("[Restricted] image/digest-pinned: {}.containers[0].image", path_of_spec(kind));
        refused_by(dry(&tenant, &unpinned).await?, "governed", &[&line]).with_context(named)?;
    }
    Ok(())
}

async fn running_pod(tenant: &Tools, namespace: &str) -> Result<()> {
    let requests = json!({"resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}});
    let pod = workload("Pod", namespace, "one", &pod_spec(&patched(container(), &requests)));
    tenant.apply(&pod.to_string()).await?.ok()?;
    let wait = ["wait", "pod/one", "--for=condition=Ready", "--timeout=60s", "-n", namespace];
    tenant.kubectl(&wait).await?.ok().map(|_| ())
}

async fn ephemeral_containers(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "ephemeral").await?;
    running_pod(&tenant, &namespace).await?;
    let debug = async |image: &str| {
        let image = format!("--image={image}");
        let debug = ["debug", "one", &image, "--container=debugger", "--profile=restricted", "-n", &namespace];
        tenant.kubectl(&debug).await
    };
    let line = "[Restricted] image/digest-pinned: spec.ephemeralContainers[0].image (container debugger): ";
    refused_by(debug(UNPINNED).await?, "governed", &[line, UNPINNED])?;
    debug(manifests::IMAGE).await?.ok().map(|_| ())
}

async fn a_resize_passes(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "resize").await?;
    running_pod(&tenant, &namespace).await?;
    let mark = amanat.cluster().audit_mark()?;
    let patch = json!({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "200m"}}}]}});
    let patch = ["patch", "pod", "one", "--subresource=resize", "-p", &patch.to_string(), "-n", &namespace];
    tenant.kubectl(&patch).await?.ok()?;
    until(SOON, "the webhook's decision on the resize in the audit log", async || {
        let events = amanat.cluster().audit_since(mark)?;
        let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let decision = events.iter().find_map(|event| {
            let resized = text(event, "/objectRef/subresource").as_deref() == Some("resize")
                && text(event, "/objectRef/namespace").as_deref() == Some(&namespace);
            resized.then(|| text(event, "/annotations/governed.webhook.amanat.dev~1decision")).flatten()
        });
        ensure!(decision.as_deref() == Some("allowed"), "it is {decision:?}");
        Ok(())
    })
    .await
}

async fn restricted_at_once(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let name = amanat.cluster().namespace("at-once", &[]).await?;
    let namespaces = Api::<Namespace>::all(amanat.cluster().client().clone());
    let version = namespaces.get(&name).await?.metadata.resource_version.context("an object has a version")?;
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let watch = namespaces.watch(&params, &version).await?;
    amanat.tools().apply(&cloud_workload(&name, "Restricted").to_string()).await?.ok()?;

    // Every state between is seen: none has the class without the level.
    let mut watch = std::pin::pin!(watch);
    let first = tokio::time::timeout(SOON, async {
        while let Some(event) = futures::TryStreamExt::try_next(&mut watch).await? {
            let WatchEvent::Modified(namespace) = event else { continue };
            let labels = namespace.metadata.labels.unwrap_or_default();
            if labels.contains_key("amanat.dev/data-class") {
                return anyhow::Ok(labels);
            }
        }
        anyhow::bail!("the watch ended")
    });
    let labels = first.await.context("the class never came")??;
    for (key, value) in [
        ("amanat.dev/data-class", "Restricted"),
        ("pod-security.kubernetes.io/enforce", "restricted"),
        ("pod-security.kubernetes.io/enforce-version", "v1.37"),
        ("pod-security.kubernetes.io/audit", "restricted"),
        ("pod-security.kubernetes.io/warn", "restricted"),
    ] {
        ensure!(labels.get(key).is_some_and(|found| found == value), "{key} is not {value}: {labels:?}");
    }
    let pod = workload("Pod", &name, "one", &privileged_spec());
    let refusal = dry(&amanat.tools(), &pod).await?.refused()?;
    says(&refusal, &["violates PodSecurity \"restricted:v1.37\""])
}

async fn ready(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = restricted(&suite, "ready").await?;
    for condition in ["Accepted", "ControlsApplied", "Ready"] {
        amanat.wait_condition(&namespace, condition, "True").await?;
    }
    let (reason, _) = amanat.wait_condition(&namespace, "Compliant", "Unknown").await?;
    ensure!(reason == "NotScanned", "{reason}");
    let table = amanat.tools().kubectl(&["get", "cw", "-n", &namespace]).await?.ok()?;
    says(&table, &["Restricted", "ntc", "Government"])
}

async fn undeclared_warns(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("undeclared", &[]).await?;
    let spec = spec_with_image("docker.io/library/nginx:1");
    let objects = [workload("Deployment", &namespace, "api", &spec), workload("Pod", &namespace, "one", &spec)];
    let applied = amanat.tools().apply(&manifest(&objects)).await?;
    let warned = applied.stderr.clone();
    applied.ok()?;
    says(&warned, &["Warning: ", "placement/data-class-declared"])
}
