//! From installation to removal, by someone who isn't among Amanat's administrators.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::amanat::{self, Amanat};
use e2e::case::{Case, Suite};
use e2e::chart;
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::manifests::patched;
use e2e::operator::NAMESPACE;
use e2e::tools::{Output, Tools};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::baseline::configuration_is_gone;
use super::given::{self, BASELINE};
use super::says::says;
use super::self_protection;

const SOON: Duration = Duration::from_secs(60);

/// A control that no replica knows.
const NEWER: &str = "pod/of-tomorrow";

pub(crate) fn cases() -> Vec<Case> {
    let name = "lifecycle: a cluster-admin installs, upgrades past what replicas know, goes back, and uninstalls";
    let pods = "lifecycle: with Pods in the cluster the chart rolls out, goes back, and goes by every way";
    vec![Case::new(name, lifecycle).on_own_cluster(), Case::new(pods, with_pods).on_own_cluster()]
}

/// The Deployment is the cluster's own business here: its Pods are nobody's processes, and no webhook is configured.
async fn with_pods(_: Arc<Suite>) -> Result<()> {
    let cluster = Arc::new(Cluster::own(&Options::default()).await?);
    let binding = ["create", "clusterrolebinding", "installer", "--clusterrole=cluster-admin", "--user=installer"];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let installer = cluster.tools_as(&cluster.user("installer", &[])?);
    let values = |replicas: u32| patched(amanat::values(), &json!({"replicas": replicas}));
    // The baseline has no status without an operator: helm waits for what it knows of itself.
    let waiting = ["--wait=legacy", "--timeout=60s"];

    chart::install(&cluster, &installer, &values(2), &waiting).await?.ok()?;
    given::available(&cluster, NAMESPACE, "amanat").await?;
    let binding = ["create", "rolebinding", "inside", "--clusterrole=admin", "--user=inside", "-n", NAMESPACE];
    cluster.tools().kubectl(&binding).await?.ok()?;
    guards(&cluster).await?;
    self_protection::budget(&cluster).await?;
    chart::upgrade(&cluster, &installer, &values(3), &waiting).await?.ok()?;
    given::available(&cluster, NAMESPACE, "amanat").await?;
    let back = ["rollback", chart::RELEASE, "1", "--namespace", NAMESPACE, "--wait=legacy", "--timeout=60s"];
    installer.helm(&back).await?.ok()?;
    given::available(&cluster, NAMESPACE, "amanat").await?;
    let restart = ["rollout", "restart", "deployment/amanat", "-n", NAMESPACE];
    installer.kubectl(&restart).await?.ok()?;
    given::available(&cluster, NAMESPACE, "amanat").await?;

    // The foreground's deletion ends by the collector's hand.
    let delete = ["delete", "deployment", "amanat", "-n", NAMESPACE, "--cascade=foreground", "--timeout=60s"];
    installer.kubectl(&delete).await?.ok()?;
    chart::upgrade(&cluster, &installer, &values(1), &waiting).await?.ok()?;
    given::available(&cluster, NAMESPACE, "amanat").await?;
    chart::uninstall(&installer, &["--cascade=foreground"]).await?.ok()?;
    let kinds = "deployments,services,poddisruptionbudgets,clusterroles,validatingadmissionpolicies,\
                 validatingadmissionpolicybindings";
    let get = ["get", kinds, "-A", "-l", "app.kubernetes.io/name=amanat", "-o", "name"];
    until(SOON, "all that the chart made to be gone", async || {
        let left = installer.kubectl(&get).await?.ok()?;
        ensure!(left.is_empty(), "there is {left}");
        Ok(())
    })
    .await?;

    // The end of the whole namespace isn't held up by what is guarded in it.
    chart::install(&cluster, &installer, &values(2), &waiting).await?.ok()?;
    guards(&cluster).await?;
    installer.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=90s"]).await?.ok().map(|_| ())
}

/// Waits until the guard is asked, and refuses the namespace's own admin.
async fn guards(cluster: &Cluster) -> Result<()> {
    let inside = cluster.tools_as(&cluster.user("inside", &[])?);
    until(SOON, "the guard to be asked", async || {
        let scale = ["scale", "deployment", "amanat", "--replicas=0", "-n", NAMESPACE, "--dry-run=server"];
        says(&inside.kubectl(&scale).await?.refused()?, &["ValidatingAdmissionPolicy 'amanat-guard'"])
    })
    .await
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

    let classes = ["Open", "Public", "Restricted", "Confidential", "Secret"];
    let effects: Value = classes.map(|class| (class.to_owned(), json!("Deny"))).into_iter().collect();
    let newer = json!({"baseline": {"catalogue": "99.0.0", "controls": {NEWER: {"effects": effects}}}});
    let newer = patched(amanat::values(), &newer);
    // As it comes, helm waits until the baseline is Ready, which takes replicas that know the control: here none come,
    // and it goes back by itself.
    let waiting = ["--rollback-on-failure", "--timeout=15s"];
    let failed = upgrade(&amanat, &installer, &newer, &waiting).await?.refused()?;
    says(&failed, &["SecurityBaseline", BASELINE, "not ready"])?;
    ensure!(!failed.contains("while rolling back"), "it didn't come back: {failed}");
    ensure!(!controls(&installer).await?.contains(NEWER), "the baseline still has the newer control");
    judges(&amanat, &governed, "second").await?;

    let not_waiting = ["--rollback-on-failure", "--wait=legacy", "--timeout=60s"];
    upgrade(&amanat, &installer, &newer, &not_waiting).await?.ok()?;
    says(&controls(&installer).await?, &[NEWER])?;
    judges(&amanat, &governed, "third").await?;
    let back = ["--rollback-on-failure", "--timeout=60s"];
    upgrade(&amanat, &installer, &amanat::values(), &back).await?.ok()?;
    ensure!(!controls(&installer).await?.contains(NEWER), "the baseline still has the newer control");
    judges(&amanat, &governed, "fourth").await?;

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

async fn upgrade(amanat: &Amanat, installer: &Tools, values: &Value, arguments: &[&str]) -> Result<Output> {
    let values = chart::values(amanat.installation().await.forwarder.url(), values);
    chart::upgrade(amanat.cluster(), installer, &values, arguments).await
}

/// The controls of the baseline.
async fn controls(installer: &Tools) -> Result<String> {
    let get = ["get", "securitybaseline", BASELINE, "-o", "jsonpath={.spec.controls[*].id}"];
    installer.kubectl(&get).await?.ok()
}

async fn judges(amanat: &Amanat, governed: &str, name: &str) -> Result<()> {
    let tools = amanat.tools();
    let refusal = tools.create(&given::deployment(governed, "bad", &given::violating())).await?.forbidden()?;
    says(&refusal, &["[Restricted] pod/privileged"])?;
    tools.create(&given::deployment(governed, name, &given::conforming())).await?.ok()?;
    given::available(amanat.cluster(), governed, name).await
}
