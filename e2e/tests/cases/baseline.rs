//! A baseline that doesn't compile: refused at the door, and harmless where it came in otherwise.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::given::{self, BASELINE};
use super::says::says;

const SOON: Duration = Duration::from_secs(60);

/// A control's name as a hurried hand writes it.
const MISSPELT: &str = "pod/privilegedd";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("baseline: one that doesn't compile is refused, with what is wrong and what was meant", refused),
        Case::new("baseline: written while nobody serves, it keeps replicas unready until it is mended", stopped)
            .alone(),
        Case::new("baseline: written past the webhook, it leaves the last good one in force", past_the_webhook).alone(),
    ]
}

/// A JSON patch that misspells the control `pod/privileged`, and one that mends it.
async fn patches(amanat: &Amanat) -> Result<(String, String)> {
    let get = ["get", "securitybaseline", BASELINE, "-o", "json"];
    let baseline: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    let controls = baseline.pointer("/spec/controls").and_then(Value::as_array).context("it has no controls")?;
    let index = controls.iter().position(|control| control["id"] == "pod/privileged");
    let path = format!("/spec/controls/{}/id", index.context("it hasn't the control")?);
    let patch = |id: &str| json!([{"op": "replace", "path": path, "value": id}]).to_string();
    Ok((patch(MISSPELT), patch("pod/privileged")))
}

fn patch(patch: &str) -> [&str; 6] {
    ["patch", "securitybaseline", BASELINE, "--type=json", "-p", patch]
}

async fn refused(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let tools = amanat.tools();
    let words = ["registry.webhook.amanat.dev", MISSPELT, "did you mean pod/privileged?"];
    let (spoil, _) = patches(&amanat).await?;
    says(&tools.kubectl(&patch(&spoil)).await?.forbidden()?, &words)?;
    let second = json!({
        "apiVersion": "amanat.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": "second"},
        "spec": {
            "title": "Another", "version": "1", "default": true,
            "classes": [{"name": "Only", "level": "one"}],
            "placement": [{"class": "Only", "models": ["Government"], "countries": ["PK"], "grade": "Accredited"}],
            "controls": [{"id": MISSPELT, "effects": {"Only": "Deny"}}],
        },
    });
    says(&tools.create(&second.to_string()).await?.forbidden()?, &words)
}

async fn stopped(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let governed = given::built(&amanat, "stopped").await?;
    let tools = amanat.tools();
    let (spoil, mend) = patches(&amanat).await?;
    let mut installation = amanat.installation().await;
    installation.kill();
    tools.kubectl(&patch(&spoil)).await?.ok()?;
    installation.restart()?;
    let outcome = async {
        for replica in &installation.replicas {
            let said = until(SOON, "the replica to say why it isn't ready", async || {
                let (status, why) = replica.operator.readiness().await?;
                ensure!(status == 503, "/readyz answers {status}: {why}");
                says(&why, &[BASELINE, MISSPELT])?;
                Ok(why)
            })
            .await?;
            println!("baseline: {} isn't ready: {}", replica.operator.name(), said.trim());
        }
        says_so(&amanat).await?;
        let open = amanat.cluster().namespace("open", &[]).await?;
        tools.create(&given::deployment(&open, "open", &given::violating())).await?.ok()?;
        given::available(amanat.cluster(), &open, "open").await?;
        let closed = tools.create(&given::pod(&governed, "closed", &given::conforming())).await?.refused()?;
        says(&closed, &[super::outage::CLOSED, ".webhook.amanat.dev"])
    }
    .await;
    tools.kubectl(&patch(&mend)).await?.ok()?;
    installation.wait_ready(amanat.cluster()).await?;
    drop(installation);
    outcome?;
    judges(&amanat, &governed).await
}

async fn past_the_webhook(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let governed = given::built(&amanat, "held").await?;
    let tools = amanat.tools();
    let (spoil, mend) = patches(&amanat).await?;
    let get = ["get", "clusterrole", "amanat-anchor", "-o", "json"];
    let mut anchor: Value = serde_json::from_str(&tools.kubectl(&get).await?.ok()?)?;
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        anchor["metadata"].as_object_mut().context("the anchor has no metadata")?.remove(field);
    }

    tools.kubectl(&["delete", "clusterrole", "amanat-anchor"]).await?.ok()?;
    let outcome = async {
        configuration_is_gone(&amanat).await?;
        tools.kubectl(&patch(&spoil)).await?.ok()?;
        says_so(&amanat).await
    }
    .await;
    tools.create(&anchor.to_string()).await?.ok()?;
    amanat.wait_serving().await?;
    let held = judges(&amanat, &governed).await;
    let said = says_so(&amanat).await;
    tools.kubectl(&patch(&mend)).await?.ok()?;
    outcome.and(held).and(said)?;
    until(SOON, "the mended baseline to be in force", async || {
        let (status, _) = ready(&amanat).await?;
        ensure!(status == "True", "Ready is {status}");
        Ok(())
    })
    .await
}

/// Waits until the webhook configuration is collected.
pub(super) async fn configuration_is_gone(amanat: &Amanat) -> Result<()> {
    let get = ["get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "name"];
    until(SOON, "the webhook configuration to be collected", async || {
        let found = amanat.tools().kubectl(&get).await?.ok()?;
        ensure!(!found.contains("amanat"), "there is {found}");
        Ok(())
    })
    .await
}

/// Waits until the baseline's status says that it doesn't compile, and why.
async fn says_so(amanat: &Amanat) -> Result<()> {
    until(SOON, "the status of the baseline to say what is wrong", async || {
        let (status, message) = ready(amanat).await?;
        ensure!(status == "False", "Ready is {status}: {message}");
        says(&message, &[MISSPELT])
    })
    .await
}

/// The status and the message of the condition Ready.
async fn ready(amanat: &Amanat) -> Result<(String, String)> {
    let get = ["get", "securitybaseline", BASELINE, "-o", "json"];
    let baseline: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    let conditions = baseline.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let ready = ready.context("it has no condition Ready")?;
    let current = ready["observedGeneration"] == baseline["metadata"]["generation"];
    ensure!(current, "it is of another generation: {ready}");
    let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("message")))
}

/// The namespace is judged as its class demands.
async fn judges(amanat: &Amanat, governed: &str) -> Result<()> {
    let tools = amanat.tools();
    let refusal = tools.create(&given::deployment(governed, "bad", &given::violating())).await?.forbidden()?;
    says(&refusal, &["[Restricted] pod/privileged"])?;
    tools.create(&given::deployment(governed, "good", &given::conforming())).await?.ok()?;
    given::available(amanat.cluster(), governed, "good").await
}
