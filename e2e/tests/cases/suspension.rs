//! A provider that isn't there yet, one that is suspended, and one whose validity runs out.

use std::sync::Arc;
use std::time::Duration;

use ::amanat::control::CLOCK_SKEW;
use anyhow::{Result, ensure};
use e2e::amanat::{Amanat, REPLICAS};
use e2e::case::{Case, Suite};
use e2e::manifests;
use e2e::tools::Tools;
use e2e::waiting::until;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::given;
use super::says::{dry, says};

const SOON: Duration = Duration::from_secs(60);

/// In how many seconds a provider's validity ends, but for what clocks may differ by.
const AHEAD: i64 = 5;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("suspension: a suspended provider takes nothing new, and within the grace nothing stops", suspended),
        Case::new("suspension: so does one whose validity runs out, and after the grace nothing comes back", run_out),
        Case::new("suspension: a provider that comes later opens the namespace", later),
    ]
}

/// A namespace kept by a provider of its own name, with an older Deployment in it.
async fn kept(suite: &Suite, prefix: &str) -> Result<(Arc<Amanat>, String)> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = cluster.namespace(prefix, &[]).await?;
    amanat.tools().apply(&manifests::provider(&namespace).to_string()).await?.ok()?;
    amanat.declare(&given::kept_by(&namespace, &namespace)).await?;
    amanat.tools().apply(&given::deployment(&namespace, "older", &given::conforming())).await?.ok()?;
    given::available(cluster, &namespace, "older").await?;
    given::aged(cluster, &namespace).await?;
    Ok((amanat, namespace))
}

/// Changes the provider of that name.
async fn change(tools: &Tools, provider: &str, spec: &Value) -> Result<()> {
    let patch = json!({"spec": spec}).to_string();
    tools.kubectl(&["patch", "csp", provider, "--type=merge", "-p", &patch]).await?.ok().map(|_| ())
}

/// Waits until both replicas refuse a new Deployment, for that reason.
async fn closes(tools: &Tools, namespace: &str, reason: &[&str]) -> Result<()> {
    let newer = manifests::deployment(namespace, "newer");
    until(SOON, format!("both replicas to refuse what is new in {namespace}"), async || {
        for _ in 0..REPLICAS {
            says(&dry(tools, &newer).await?.forbidden()?, reason)?;
        }
        Ok(())
    })
    .await
}

/// Waits until both replicas take a new Deployment.
async fn opens(tools: &Tools, namespace: &str) -> Result<()> {
    let newer = manifests::deployment(namespace, "newer");
    until(SOON, format!("both replicas to take what is new in {namespace}"), async || {
        for _ in 0..REPLICAS {
            dry(tools, &newer).await?.ok()?;
        }
        Ok(())
    })
    .await
}

const UP: [&str; 4] = ["scale", "deployment", "older", "--replicas=3"];

async fn suspended(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = kept(&suite, "suspended").await?;
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    let within = async |command: &[&str]| tools.kubectl(&[command, &["-n", &namespace]].concat()).await;

    change(&tools, &namespace, &json!({"state": "Suspended"})).await?;
    let (_, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    says(&message, &["is Suspended, not Active"])?;

    let reason = ["[Restricted] placement/provider-accredited", "is Suspended, not Active"];
    closes(&tools, &namespace, &reason).await?;
    let bare = given::pod(&namespace, "bare", &given::conforming());
    says(&tools.create(&bare).await?.forbidden()?, &reason)?;
    says(&within(&UP).await?.forbidden()?, &reason)?;
    let changed = format!("app={}", manifests::IMAGE.replace("@sha256:2", "@sha256:3"));
    says(&within(&["set", "image", "deployment/older", &changed]).await?.forbidden()?, &reason)?;

    given::killed_pods_come_back(cluster, &namespace).await?;
    within(&["scale", "deployment", "older", "--replicas=0"]).await?.ok()?;

    change(&tools, &namespace, &json!({"state": "Active"})).await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    opens(&tools, &namespace).await?;
    within(&UP).await?.ok()?;
    given::available(cluster, &namespace, "older").await
}

/// The API server has its own clock, so the validity is short instead of the clock's being set.
async fn run_out(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = kept(&suite, "run-out").await?;
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    let within = async |command: &[&str]| tools.kubectl(&[command, &["-n", &namespace]].concat()).await;

    let end = Timestamp::from_second(Timestamp::now().as_second() + AHEAD)?;
    let until = end.checked_add(CLOCK_SKEW)?;
    change(&tools, &namespace, &json!({"validUntil": until.to_string()})).await?;
    let over = format!("ran out at {end} (validUntil {until})");
    let reason = ["[Restricted] placement/provider-accredited", &over];
    closes(&tools, &namespace, &reason).await?;
    ensure!(Timestamp::now() >= end, "it was refused before {end}");
    let (_, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    says(&message, &[&over])?;
    let bare = given::pod(&namespace, "bare", &given::conforming());
    says(&tools.create(&bare).await?.forbidden()?, &reason)?;
    says(&within(&UP).await?.forbidden()?, &reason)?;
    given::killed_pods_come_back(cluster, &namespace).await?;

    // Had it run out long ago, no grace would be left.
    let past = json!({"validFrom": "2019-01-01T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"});
    change(&tools, &namespace, &past).await?;
    closes(&tools, &namespace, &["(validUntil 2020-01-01T00:00:00Z)"]).await?;
    within(&["delete", "pods", "--all"]).await?.ok()?;
    given::refused_pods(cluster, &namespace, "older", "(validUntil 2020-01-01T00:00:00Z)").await?;

    change(&tools, &namespace, &manifests::provider(&namespace)["spec"]).await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    opens(&tools, &namespace).await?;
    // The controller tries again ever more rarely; a change of its own makes it try at once.
    within(&UP).await?.ok()?;
    given::available(cluster, &namespace, "older").await
}

async fn later(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let tools = amanat.tools();
    let namespace = cluster.namespace("later", &[]).await?;
    let admitted = tools.apply(&given::kept_by(&namespace, &namespace).to_string()).await?;
    let warnings = admitted.stderr.clone();
    admitted.ok()?;
    let missing = format!("no CloudServiceProvider is named {namespace}");
    says(&warnings, &["Warning: spec.provider:", &missing])?;

    let workload = given::deployment(&namespace, "app", &given::conforming());
    let reason = ["undeclared.webhook.amanat.dev", "placement/provider-accredited", &missing];
    says(&tools.create(&workload).await?.forbidden()?, &reason)?;
    let (_, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    says(&message, &[&missing])?;

    tools.apply(&manifests::provider(&namespace).to_string()).await?.ok()?;
    tools.create(&workload).await?.ok()?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    given::available(cluster, &namespace, "app").await
}
