//! A provider that isn't there yet, and one that is suspended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use e2e::amanat::REPLICAS;
use e2e::case::{Case, Suite};
use e2e::manifests;
use e2e::waiting::until;

use super::given;
use super::says::{dry, says};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("suspension: a suspended provider takes nothing new, and within the grace nothing stops", suspended),
        Case::new("suspension: a provider that comes later opens the namespace", later),
    ]
}

async fn suspended(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let tools = amanat.tools();
    let namespace = cluster.namespace("suspended", &[]).await?;
    tools.apply(&manifests::provider(&namespace).to_string()).await?.ok()?;
    amanat.declare(&given::kept_by(&namespace, &namespace)).await?;
    tools.apply(&given::deployment(&namespace, "older", &given::conforming())).await?.ok()?;
    given::available(cluster, &namespace, "older").await?;
    given::aged(cluster, &namespace).await?;

    let state = |state: &str| format!(r#"{{"spec":{{"state":"{state}"}}}}"#);
    tools.kubectl(&["patch", "csp", &namespace, "--type=merge", "-p", &state("Suspended")]).await?.ok()?;
    let (_, message) = amanat.wait_condition(&namespace, "Accepted", "False").await?;
    says(&message, &["is Suspended, not Active"])?;

    let reason = ["[Restricted] placement/provider-accredited", "is Suspended, not Active"];
    let newer = manifests::deployment(&namespace, "newer");
    until(SOON, "both replicas to know of the suspension", async || {
        for _ in 0..REPLICAS {
            says(&dry(&tools, &newer).await?.forbidden()?, &reason)?;
        }
        Ok(())
    })
    .await?;
    let bare = given::pod(&namespace, "bare", &given::conforming());
    says(&tools.create(&bare).await?.forbidden()?, &reason)?;
    let up = ["scale", "deployment", "older", "--replicas=3", "-n", &namespace];
    says(&tools.kubectl(&up).await?.forbidden()?, &reason)?;
    let changed = manifests::IMAGE.replace("@sha256:2", "@sha256:3");
    let image = ["set", "image", "deployment/older", &format!("app={changed}"), "-n", &namespace];
    says(&tools.kubectl(&image).await?.forbidden()?, &reason)?;

    given::killed_pods_come_back(cluster, &namespace).await?;
    tools.kubectl(&["scale", "deployment", "older", "--replicas=0", "-n", &namespace]).await?.ok()?;

    tools.kubectl(&["patch", "csp", &namespace, "--type=merge", "-p", &state("Active")]).await?.ok()?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    until(SOON, "both replicas to know of its end", async || {
        for _ in 0..REPLICAS {
            dry(&tools, &newer).await?.ok()?;
        }
        Ok(())
    })
    .await?;
    tools.kubectl(&up).await?.ok()?;
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
