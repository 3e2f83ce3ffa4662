//! Where data of a class may be kept: the matrix, and the registry of providers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, deployment, manifest, patched, provider};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::says::{dry, refused_by, says};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("placement: what the matrix forbids is refused, with the rows and the field", a_forbidden_placement),
        Case::new("placement: a class that the baseline doesn't have is refused", an_unknown_class),
        Case::new("placement: a missing provider refuses workloads until it arrives", a_provider_arrives),
        Case::new("placement: a suspended provider gets nothing new, and old Pods come back", a_suspended_provider),
        Case::new("placement: an expired provider gets nothing new", an_expired_provider),
    ]
}

async fn registered(amanat: &Amanat, provider: &Value) -> Result<()> {
    amanat.tools().apply(&provider.to_string()).await?.ok().map(|_| ())
}

fn kept_by(namespace: &str, provider: &str, more: &Value) -> Value {
    patched(
        patched(cloud_workload(namespace, "Restricted"), &json!({"spec": {"provider": provider}})),
        &json!({"spec": more}),
    )
}

async fn a_forbidden_placement(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("forbidden", &[]).await?;
    let sites = json!([{"name": "khi-1", "country": "PK"}, {"name": "fra-1", "country": "DE"}]);
    let everywhere = json!({"spec": {"models": ["Public", "Government"], "sites": sites}});
    registered(&amanat, &patched(provider("forbidden-cloud"), &everywhere)).await?;
    let registered_only = json!({"spec": {"grade": "Registered"}});
    registered(&amanat, &patched(provider("forbidden-registered"), &registered_only)).await?;

    let rows = "placement rows of Restricted: model Government in PK by a provider of grade Accredited";
    for (declared, field, value) in [
        (kept_by(&namespace, "forbidden-cloud", &json!({"model": "Public", "site": "khi-1"})), "spec.model", "Public"),
        (kept_by(&namespace, "forbidden-cloud", &json!({"site": "fra-1"})), "spec.site", "fra-1 (DE)"),
        (kept_by(&namespace, "forbidden-registered", &json!({})), "spec.provider", "forbidden-registered (Registered)"),
    ] {
        let line = format!("[Restricted] placement/cloud-model-permitted: {field}: ");
        refused_by(dry(&amanat.tools(), &declared).await?, "declarations", &[&line, value, rows])?;
    }
    let fitting = kept_by(&namespace, "forbidden-cloud", &json!({"site": "khi-1"}));
    dry(&amanat.tools(), &fitting).await?.ok().map(|_| ())
}

async fn an_unknown_class(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("unknown-class", &[]).await?;
    let refusal = dry(&amanat.tools(), &cloud_workload(&namespace, "Restrictd")).await?;
    refused_by(
        refusal,
        "declarations",
        &["placement/data-class-declared: spec.dataClass: ", "Restrictd", "Restricted"],
    )?;
    // A class goes by its other names, too.
    dry(&amanat.tools(), &cloud_workload(&namespace, "Sensitive")).await?.ok().map(|_| ())
}

async fn a_provider_arrives(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("arrives", &[]).await?;
    let declared = amanat.tools().apply(&kept_by(&namespace, "arriving", &json!({})).to_string()).await?;
    says(&declared.stderr, &["Warning: ", "no CloudServiceProvider is named arriving", "workloads are refused"])?;
    declared.ok()?;
    let (reason, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    ensure!(reason == "ReferenceMissing", "{reason}");
    says(&message, &["arriving"])?;

    let workload = deployment(&namespace, "api");
    let refusal = amanat.tools().create(&workload.to_string()).await?;
    let line = "placement/provider-accredited: metadata.namespace: ";
    refused_by(refusal, "undeclared", &[line, "no CloudServiceProvider is named arriving", "; fix: "])?;

    let both = manifest(&[provider("arriving"), workload]);
    amanat.tools().apply(&both).await?.ok().context("at once after the provider arrived")?;
    amanat.wait_class(&namespace, "Restricted").await?;
    amanat.wait_condition(&namespace, "Accepted", "True").await.map(|_| ())
}

async fn a_suspended_provider(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    registered(&amanat, &provider("suspended")).await?;
    let namespace = amanat.cluster().namespace("suspended", &[]).await?;
    amanat.declare(&kept_by(&namespace, "suspended", &json!({}))).await?;
    let tools = amanat.tools();
    tools.apply(&deployment(&namespace, "old").to_string()).await?.ok()?;
    let rollout = ["rollout", "status", "deployment/old", "--timeout=60s", "-n", &namespace];
    tools.kubectl(&rollout).await?.ok()?;

    registered(&amanat, &patched(provider("suspended"), &json!({"spec": {"state": "Suspended"}}))).await?;
    let (reason, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    ensure!(reason == "PlacementRefused", "{reason}");
    says(&message, &["provider suspended is Suspended, not Active"])?;

    let line = "[Restricted] placement/provider-accredited: ";
    let parts = [line, "provider suspended is Suspended, not Active", "; fix: "];
    until(SOON, "both replicas to know of the suspension", async || {
        for _ in 0..e2e::amanat::REPLICAS {
            refused_by(dry(&tools, &deployment(&namespace, "new")).await?, "governed", &parts)?;
        }
        Ok(())
    })
    .await?;
    let image = "app=registry.example.gov.pk/portal/api@sha256:486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";
    let changed = tools.kubectl(&["set", "image", "deployment/old", image, "-n", &namespace]).await?;
    refused_by(changed, "governed", &parts)?;
    let upward = tools.kubectl(&["scale", "deployment/old", "--replicas=2", "-n", &namespace]).await?;
    refused_by(upward, "governed", &parts)?;

    // What ran before comes back, for the length of the grace.
    let uid = pod_uid(&amanat, &namespace).await?;
    tools.kubectl(&["delete", "pods", "--all", "-n", &namespace]).await?.ok()?;
    until(SOON, "the killed Pod to be replaced", async || {
        ensure!(pod_uid(&amanat, &namespace).await? != uid, "it is the old one");
        Ok(())
    })
    .await?;
    tools.kubectl(&rollout).await?.ok()?;
    tools.kubectl(&["scale", "deployment/old", "--replicas=0", "-n", &namespace]).await?.ok()?;

    // Restored, all is as before.
    registered(&amanat, &provider("suspended")).await?;
    amanat.wait_condition(&namespace, "Accepted", "True").await?;
    until(SOON, "both replicas to know of the end of the suspension", async || {
        for _ in 0..e2e::amanat::REPLICAS {
            dry(&tools, &deployment(&namespace, "new")).await?.ok()?;
        }
        Ok(())
    })
    .await
}

async fn pod_uid(amanat: &Amanat, namespace: &str) -> Result<String> {
    let get = ["get", "pods", "-n", namespace, "-o", "jsonpath={.items[0].metadata.uid}"];
    amanat.tools().kubectl(&get).await?.ok()
}

async fn an_expired_provider(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let past = json!({"spec": {"validFrom": "2020-01-01T00:00:00Z", "validUntil": "2022-01-01T00:00:00Z"}});
    registered(&amanat, &patched(provider("expired"), &past)).await?;
    let namespace = amanat.cluster().namespace("expired", &[]).await?;
    let refusal = dry(&amanat.tools(), &kept_by(&namespace, "expired", &json!({}))).await?;
    let parts =
        ["placement/provider-accredited: spec.provider: ", "the registration of provider expired ran out at 2022"];
    refused_by(refusal, "declarations", &parts)
}
