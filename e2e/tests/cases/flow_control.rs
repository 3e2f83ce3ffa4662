//! What Amanat asks the API server, on which verdicts wait, doesn't queue behind what others ask.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::waiting::until;
use serde_json::Value;

use super::given;

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("flow control: the operator's requests have a priority level of their own", own_level)]
}

async fn own_level(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let get = ["get", "flowschema", "amanat", "-o", "json"];
    until(SOON, "the flow schema to lead to its level", async || {
        let schema: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
        let conditions = schema["status"]["conditions"].as_array().context("it has no conditions")?;
        let dangling = conditions.iter().find(|condition| condition["type"] == "Dangling");
        ensure!(dangling.is_some_and(|condition| condition["status"] == "False"), "{conditions:?}");
        Ok(())
    })
    .await?;
    let before = dispatched(&amanat).await?;
    given::built(&amanat, "flow-control").await?;
    let after = dispatched(&amanat).await?;
    ensure!(after > before, "of what was asked for a namespace nothing was counted: {before}, then {after}");
    Ok(())
}

/// How many requests the API server has dispatched by Amanat's flow schema on Amanat's level.
async fn dispatched(amanat: &Amanat) -> Result<f64> {
    let metrics = amanat.tools().kubectl(&["get", "--raw", "/metrics"]).await?.ok()?;
    let counted = metrics.lines().filter(|line| {
        line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
            && ["flow_schema", "priority_level"].iter().all(|label| line.contains(&format!("{label}=\"amanat\"")))
    });
    let values = counted.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<f64>());
    Ok(values.collect::<Result<Vec<_>, _>>()?.into_iter().sum())
}
