//! From installation to removal, by someone who isn't among Amanat's administrators.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::amanat::{self, Amanat};
use e2e::case::{Case, Suite};
use e2e::chart;
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::manifests::patched;
use e2e::operator::NAMESPACE;
use e2e::tools::Tools;
use serde_json::{Value, json};

use super::baseline::configuration_is_gone;
use super::given::{self, BASELINE};
use super::says::says;

/// A control that no replica knows.
const NEWER: &str = "pod/of-tomorrow";

pub(crate) fn cases() -> Vec<Case> {
    let name = "lifecycle: a cluster-admin installs, upgrades past what replicas know, goes back, and uninstalls";
    vec![Case::new(name, lifecycle).on_own_cluster()]
}

async fn lifecycle(_: Arc<Suite>) -> Result<()> {
    let cluster = Arc::new(Cluster::own(&Options::default()).await?);
    let home = cluster.namespace("installer", &[]).await?;
    let subject = format!("--serviceaccount={home}:default");
    let binding = ["create", "clusterrolebinding", "installer", "--clusterrole=cluster-admin", &subject];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let kubeconfig = cluster.service_account(&home, "default", cluster.endpoint()).await?;
    let installer = cluster.tools_as(&kubeconfig);

    let amanat = Amanat::start_as(Arc::clone(&cluster), &installer, &amanat::values()).await?;
    let governed = given::built(&amanat, "governed").await?;
    judges(&amanat, &governed, "first").await?;

    let effects =
        json!({"Open": "Deny", "Public": "Deny", "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"});
    let newer = json!({"baseline": {"catalogue": "99.0.0", "controls": {NEWER: {"effects": effects}}}});
    upgrade(&amanat, &installer, &patched(amanat::values(), &newer)).await?;
    let get = ["get", "securitybaseline", BASELINE, "-o", "jsonpath={.spec.controls[*].id}"];
    says(&installer.kubectl(&get).await?.ok()?, &[NEWER])?;
    judges(&amanat, &governed, "second").await?;

    upgrade(&amanat, &installer, &amanat::values()).await?;
    let controls = installer.kubectl(&get).await?.ok()?;
    ensure!(!controls.contains(NEWER), "the baseline still has it: {controls}");
    judges(&amanat, &governed, "third").await?;
    let history = installer.helm(&["history", chart::RELEASE, "-n", NAMESPACE, "-o", "json"]).await?.ok()?;
    let history: Value = serde_json::from_str(&history)?;
    let revisions = history.as_array().map_or(0, Vec::len);
    ensure!(revisions == 3 && !history.to_string().contains("failed"), "{history}");

    chart::uninstall(&installer, &["--wait"]).await?.ok()?;
    configuration_is_gone(&amanat).await?;
    installer.create(&given::deployment(&governed, "afterwards", &given::conforming())).await?.ok()?;
    given::available(&cluster, &governed, "afterwards").await?;
    let open = cluster.namespace("open", &[]).await?;
    installer.create(&given::deployment(&open, "afterwards", &given::violating())).await?.ok()?;
    given::available(&cluster, &open, "afterwards").await?;
    // The replicas still run, and put nothing back.
    let mut installation = amanat.installation().await;
    for replica in &mut installation.replicas {
        ensure!(replica.operator.is_running(), "{} has ended", replica.operator.name());
    }
    drop(installation);
    configuration_is_gone(&amanat).await
}

async fn upgrade(amanat: &Amanat, installer: &Tools, values: &Value) -> Result<()> {
    let values = chart::values(amanat.installation().await.forwarder.url(), values);
    let arguments = ["--rollback-on-failure", "--timeout=60s"];
    chart::upgrade(amanat.cluster(), installer, &values, &arguments).await?.ok().map(|_| ())
}

async fn judges(amanat: &Amanat, governed: &str, name: &str) -> Result<()> {
    let tools = amanat.tools();
    let refusal = tools.create(&given::deployment(governed, "bad", &given::violating())).await?.forbidden()?;
    says(&refusal, &["[Restricted] pod/privileged"])?;
    tools.create(&given::deployment(governed, name, &given::conforming())).await?.ok()?;
    given::available(amanat.cluster(), governed, name).await
}
