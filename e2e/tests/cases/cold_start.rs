//! Everything is down, and comes up again without help.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::amanat::{self, Amanat};
use e2e::case::{Case, Suite};
use e2e::cluster::{Cluster, NODES};
use e2e::controlplane::Options;
use e2e::manifests::{patched, workload};
use e2e::nodes;
use e2e::operator::NAMESPACE;
use e2e::waiting::until;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use serde_json::json;

use super::given;
use super::outage::CLOSED;
use super::says::says;

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "cold start: the cluster comes up unaided, kube-system first, then Amanat, then what is governed",
            cold,
        )
        .on_own_cluster()
        .alone(),
    ]
}

async fn cold(_: Arc<Suite>) -> Result<()> {
    let cluster = Arc::new(Cluster::own(&Options::default()).await?);
    // Here the Deployment has Pods too: what comes up first is Pods in Amanat's own namespace, then the replicas.
    let values = patched(amanat::values(), &json!({"replicas": 2}));
    let amanat = Amanat::start_with(Arc::clone(&cluster), &values).await?;
    let tools = amanat.tools();
    let governed = given::built(&amanat, "governed").await?;
    tools.create(&given::deployment(&governed, "app", &given::conforming())).await?.ok()?;
    tools.create(&given::deployment("kube-system", "dns", &given::violating())).await?.ok()?;
    tools.create(&workload("DaemonSet", "kube-system", "network", &given::violating()).to_string()).await?.ok()?;
    for (namespace, name) in [(governed.as_str(), "app"), ("kube-system", "dns"), (NAMESPACE, "amanat")] {
        given::available(&cluster, namespace, name).await?;
    }
    on_every_node(&cluster, "network").await?;

    amanat.installation().await.kill();
    cluster.control_plane().await?.kill();
    let (began, since) = (Instant::now(), Timestamp::now());
    cluster.control_plane().await?.start_again().await?;
    let plane = began.elapsed();
    let configured = ["get", "validatingwebhookconfiguration", "amanat", "-o", "jsonpath={..failurePolicy}"];
    says(&tools.kubectl(&configured).await?.ok()?, &["Fail"])?;

    nodes::wait_ready(cluster.client(), NODES).await?;
    given::heartbeats(&cluster, since).await?;
    for namespace in ["kube-system", NAMESPACE] {
        given::killed_pods_come_back(&cluster, namespace).await?;
    }
    on_every_node(&cluster, "network").await?;
    let newer = workload("DaemonSet", "kube-system", "storage", &given::violating());
    tools.create(&newer.to_string()).await?.ok()?;
    on_every_node(&cluster, "storage").await?;
    let system = began.elapsed();

    // All of that without Amanat: what is governed is closed.
    says(&tools.create(&given::pod(&governed, "early", &given::conforming())).await?.refused()?, &[CLOSED])?;
    tools.kubectl(&["delete", "pods", "--all", "-n", &governed]).await?.ok()?;
    ensure!(given::pods(&cluster, &governed).await? == 0, "a Pod came up in a governed namespace");

    let started = Instant::now();
    let mut installation = amanat.installation().await;
    installation.restart()?;
    installation.wait_ready(&cluster).await?;
    drop(installation);
    let new = given::pod(&governed, "new", &given::conforming());
    until(SOON, "the governed namespace to be open", async || tools.create(&new).await?.ok().map(|_| ())).await?;
    let open = started.elapsed();
    says(&tools.create(&given::pod(&governed, "bad", &given::violating())).await?.forbidden()?, &["forbidden"])?;
    given::available(&cluster, &governed, "app").await?;
    println!(
        "cold start: the control plane was healthy after {plane:.1?}, kube-system and Amanat's own Pods ran after \
         {system:.1?}; governed namespaces were open {open:.1?} after the replicas were started, and had all their Pods \
         after {:.1?}",
        started.elapsed()
    );
    Ok(())
}

/// Waits until a DaemonSet of kube-system runs on every node.
async fn on_every_node(cluster: &Cluster, name: &str) -> Result<()> {
    let sets = Api::<DaemonSet>::namespaced(cluster.client().clone(), "kube-system");
    until(SOON, format!("DaemonSet {name} to run on every node"), async || {
        let status = sets.get(name).await?.status.unwrap_or_default();
        let ready = usize::try_from(status.number_ready)?;
        ensure!(ready == NODES, "{ready} of {NODES} are ready");
        Ok(())
    })
    .await
}
