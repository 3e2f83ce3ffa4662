//! The demo: the main job on real input, in one command.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::stage::Stage;
use crate::amanat::Amanat;
use crate::cluster::{self, Cluster};
use crate::controlplane::{Endpoints, NOBODYS, Options};
use crate::manifests;
use crate::nodes;
use crate::operator::amanat_binary;
use crate::waiting::until;

mod files;
mod stage;

const NAMESPACE: &str = "fbr-portal";
const SOON: Duration = Duration::from_secs(60);

/// Installs Amanat on a cluster and tells its story; with `keep` all stays until Ctrl-C.
pub async fn run(keep: bool) -> Result<()> {
    tokio::task::spawn_blocking(amanat_binary).await??;
    let cluster = start().await?;
    eprintln!("e2e: installing Amanat with helm, two replicas");
    let mut values = crate::amanat::values();
    if !cluster::is_foreign() {
        // This API server publishes its address, as those of real clusters do.
        patch_out(&mut values, "/baseline/apiServerCIDRs");
    }
    let installer = cluster.tools();
    let amanat = Amanat::bare(Arc::new(cluster), &installer, &values).await?;
    let told = tell(&amanat).await;
    if told.is_ok() && keep {
        stay(amanat.cluster()).await?;
    }
    if cluster::is_foreign() {
        clean_up(amanat).await?;
    }
    told
}

/// Starts a cluster and nothing in it, and stays until Ctrl-C.
pub async fn up() -> Result<()> {
    let cluster = start().await?;
    stay(&cluster).await
}

async fn start() -> Result<Cluster> {
    eprintln!("e2e: starting a control plane on this machine");
    let options = Options { endpoints: Endpoints::Lease(NOBODYS), ..Options::default() };
    let cluster = if cluster::is_foreign() { Cluster::start().await? } else { Cluster::own(&options).await? };
    let ready = nodes::ready(cluster.client()).await?.len();
    eprintln!("e2e: {ready} nodes are Ready at {}", cluster.endpoint().server);
    Ok(cluster)
}

fn patch_out(values: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(parent) = values.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(key);
    }
}

async fn tell(amanat: &Amanat) -> Result<()> {
    let stage = Stage::new(amanat.cluster())?;
    stage.title("Amanat on a real Kubernetes API server: declare, refuse, build, heal");

    stage.chapter(1, "Declared: what class of data a namespace holds, and who keeps it");
    stage.write("registry.yaml", files::REGISTRY)?;
    stage.write("portal.yaml", files::PORTAL)?;
    stage.kubectl("apply -f registry.yaml").await?.ok()?;
    stage.show("portal.yaml")?;
    stage.kubectl("apply -f portal.yaml").await?.ok()?;
    amanat.wait_class(NAMESPACE, "Restricted").await?;
    amanat.wait_condition(NAMESPACE, "Ready", "True").await?;
    stage.kubectl(&format!("get cloudworkload -n {NAMESPACE}")).await?.ok()?;

    stage.chapter(2, "Refused: what the baseline of class Restricted forbids");
    stage.write("debug.yaml", files::DEBUG)?;
    stage.show("debug.yaml")?;
    stage.kubectl("apply -f debug.yaml").await?.forbidden()?;
    stage.say("A cloud that the placement matrix doesn't permit for the class, and a lower class, are refused too:");
    let model = r#"patch cloudworkload workload -n fbr-portal --type=merge -p {"spec":{"model":"Public"}}"#;
    stage.kubectl(model).await?.forbidden()?;
    let class = r#"patch cloudworkload workload -n fbr-portal --type=merge -p {"spec":{"dataClass":"Open"}}"#;
    stage.kubectl(class).await?.forbidden()?;
    stage.say("What conforms comes in and runs:");
    stage.write("api.yaml", &manifests::manifest(&[manifests::deployment(NAMESPACE, "api")]))?;
    stage.kubectl("apply -f api.yaml").await?.ok()?;
    stage.kubectl(&format!("rollout status deployment/api -n {NAMESPACE} --timeout=60s")).await?.ok()?;

    stage.chapter(3, "The same answer in a pull request, without a cluster");
    stage.amanat("check portal.yaml registry.yaml debug.yaml --set image/approved-registries.registries=[registry.example.gov.pk]").await?;

    stage.chapter(4, "Built: what the class requires");
    stage.kubectl(&format!("get networkpolicies,limitranges,resourcequotas -n {NAMESPACE}")).await?.ok()?;
    let columns = "CLASS:.metadata.labels.amanat\\.dev/data-class,\
                   ENFORCED:.metadata.labels.pod-security\\.kubernetes\\.io/enforce,\
                   VERSION:.metadata.labels.pod-security\\.kubernetes\\.io/enforce-version";
    stage.kubectl(&format!("get namespace {NAMESPACE} -o custom-columns=NAME:.metadata.name,{columns}")).await?.ok()?;

    stage.chapter(5, "Healed: what an administrator takes away");
    let before = policies(amanat).await?;
    ensure!(!before.is_empty(), "no policy was built");
    stage.kubectl(&format!("delete networkpolicies --all -n {NAMESPACE}")).await?.ok()?;
    let start = Instant::now();
    until(SOON, "the policies to come back", async || {
        let now = policies(amanat).await?;
        ensure!(now.len() == before.len() && now.iter().all(|uid| !before.contains(uid)), "there are {}", now.len());
        Ok(())
    })
    .await?;
    stage.say(&format!("All {} are back after {} ms:", before.len(), start.elapsed().as_millis()));
    stage.kubectl(&format!("get networkpolicies -n {NAMESPACE}")).await?.ok()?;
    stage.say("The class itself nobody takes away, an administrator neither:");
    stage.kubectl(&format!("label namespace {NAMESPACE} amanat.dev/data-class-")).await?.forbidden()?;
    stage.end();
    Ok(())
}

async fn policies(amanat: &Amanat) -> Result<Vec<String>> {
    let get = ["get", "networkpolicies", "-n", NAMESPACE, "-o", "jsonpath={.items[*].metadata.uid}"];
    let uids = amanat.tools().kubectl(&get).await?.ok()?;
    Ok(uids.split_whitespace().map(str::to_owned).collect())
}

async fn clean_up(amanat: Amanat) -> Result<()> {
    let tools = amanat.tools();
    tools.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"]).await?.ok()?;
    tools.kubectl(&["delete", "pse/fbr", "csp/ntc", "--ignore-not-found"]).await?.ok()?;
    amanat.uninstall().await
}

async fn stay(cluster: &Cluster) -> Result<()> {
    let tools = link_tools(cluster)?;
    println!(
        "\nThe cluster stays up until Ctrl-C. In another terminal:\n  export KUBECONFIG={}\n  {}/kubectl get namespaces",
        cluster.admin().display(),
        tools.display()
    );
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}

/// A folder with `kubectl` and `helm`, for readers who have neither.
fn link_tools(cluster: &Cluster) -> Result<PathBuf> {
    let folder = cluster.folder().join("bin");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for tool in ["kubectl", "helm"] {
        let path = folder.join(tool);
        std::os::unix::fs::symlink(cluster.binary(), &path).with_context(|| format!("link {}", path.display()))?;
    }
    Ok(folder)
}
