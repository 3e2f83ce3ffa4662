//! A live namespace is brought in under a cap, which ends by itself.

use std::sync::Arc;
use std::time::Duration;

use ::amanat::control::CLOCK_SKEW;
use anyhow::{Context, Result, ensure};
use e2e::amanat::{self, Amanat};
use e2e::case::{Case, Suite};
use e2e::chart;
use e2e::manifests::{self, patched};
use e2e::waiting::until;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use serde_json::{Value, json};

use super::given;
use super::says::says;

const SOON: Duration = Duration::from_secs(60);

/// How long the cap lasts: long enough for all that is tried under it.
const CAP: SignedDuration = SignedDuration::from_secs(30);

pub(crate) fn cases() -> Vec<Case> {
    let name = "rollout: a capped namespace loses nothing until the cap ends, and then its class applies";
    vec![Case::new(name, capped).alone()]
}

async fn capped(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let tools = amanat.tools();
    let namespace = cluster.namespace("legacy", &[]).await?;
    tools.apply(&given::deployment(&namespace, "old", &given::violating())).await?.ok()?;
    given::available(cluster, &namespace, "old").await?;
    given::aged(cluster, &namespace).await?;

    let end = Timestamp::from_second(Timestamp::now().checked_add(CAP)?.as_second())?;
    let until = end.checked_add(CLOCK_SKEW)?;
    let entry = json!({"namespaces": ["legacy-*"], "effectCap": "Warn", "until": until, "reason": "migration"});
    let values = patched(amanat::values(), &json!({"baseline": {"rollout": [entry]}}));
    upgrade(&amanat, &values).await?;
    let outcome = lapse(&amanat, &namespace, end).await;
    upgrade(&amanat, &amanat::values()).await?;
    outcome
}

async fn upgrade(amanat: &Amanat, values: &Value) -> Result<()> {
    let values = chart::values(amanat.installation().await.forwarder.url(), values);
    chart::upgrade(amanat.cluster(), &amanat.tools(), &values, &[]).await?.ok().map(|_| ())
}

async fn lapse(amanat: &Amanat, namespace: &str, end: Timestamp) -> Result<()> {
    let cluster = amanat.cluster();
    let tools = amanat.tools();
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().clone(), namespace);
    let declaration = manifests::cloud_workload(namespace, "Restricted");
    amanat.declare(&declaration).await?;
    amanat.wait_condition(namespace, "Ready", "True").await?;

    let built = policies.list(&Default::default()).await?.items;
    ensure!(built.is_empty(), "under the cap {} policies were built", built.len());
    let limit_ranges = Api::<LimitRange>::namespaced(cluster.client().clone(), namespace);
    let quotas = Api::<ResourceQuota>::namespaced(cluster.client().clone(), namespace);
    let bounds = (limit_ranges.list(&Default::default()).await?.items, quotas.list(&Default::default()).await?.items);
    ensure!(bounds.0.is_empty() && bounds.1.is_empty(), "under the cap were built {bounds:?}");
    given::killed_pods_come_back(cluster, namespace).await?;
    let admitted = tools.create(&given::pod(namespace, "capped", &given::violating())).await?;
    let warnings = admitted.stderr.clone();
    admitted.ok()?;
    says(&warnings, &["pod/privileged", &format!("denied from {end}")])?;

    let status = status_capped(amanat, namespace).await?;
    for control in ["network/default-deny", "pod/privileged", "pod/resource-bounds", "image/digest-pinned"] {
        let named = status.as_array().into_iter().flatten().find(|capped| capped["control"] == control);
        let named = named.with_context(|| format!("{control} isn't among {status}"))?;
        let until: Timestamp = named["until"].as_str().unwrap_or_default().parse()?;
        ensure!(named["effect"] == "Deny" && named["cap"] == "Warn" && until == end, "{named}");
    }
    ensure!(Timestamp::now() < end, "this machine is too slow: the cap ended meanwhile");

    until(SOON, "what the class requires to be built when the cap ends", async || {
        policies.get("amanat-default-deny").await?;
        limit_ranges.get("amanat-resource-bounds").await?;
        Ok(())
    })
    .await?;
    ensure!(Timestamp::now() >= end, "the policies were built before the cap ended");
    let refusal = tools.create(&given::pod(namespace, "late", &given::violating())).await?.forbidden()?;
    says(&refusal, &["[Restricted] pod/privileged"])?;
    // What is older than the declaration is covered by the grace of a class that is raised.
    tools.kubectl(&["delete", "pod", "capped", "-n", namespace]).await?.ok()?;
    given::killed_pods_come_back(cluster, namespace).await?;
    until(SOON, "nothing to be capped", async || {
        let status = status_capped(amanat, namespace).await?;
        ensure!(status.as_array().is_none_or(Vec::is_empty), "the status names {status}");
        Ok(())
    })
    .await
}

async fn status_capped(amanat: &Amanat, namespace: &str) -> Result<Value> {
    let get = ["get", "cloudworkload", "workload", "-n", namespace, "-o", "json"];
    let object: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    Ok(object.pointer("/status/capped").cloned().unwrap_or_default())
}
