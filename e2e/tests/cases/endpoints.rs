//! The API server's own addresses, which built NetworkPolicies follow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::controlplane::{Endpoints, NOBODYS, Options};
use e2e::net;
use e2e::waiting::until;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use serde_json::json;

use super::given;

/// How long an address may stay published that an API server has given up: its lease runs out.
const SOON: Duration = Duration::from_secs(90);

const POLICY: &str = "amanat-allow-api-server";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("endpoints: built NetworkPolicies follow the addresses that the API server publishes", followed)
            .on_own_cluster()
            .alone(),
    ]
}

async fn followed(_: Arc<Suite>) -> Result<()> {
    let own = net::own_address();
    if own.is_none() {
        println!("endpoints: this machine has no address but loopback: the API server publishes one that nobody has");
    }
    let first = own.unwrap_or(IpAddr::from([192, 0, 2, 11]));
    let options = Options { endpoints: Endpoints::Lease(first), ..Options::default() };
    let cluster = Arc::new(Cluster::own(&options).await?);
    let port = cluster.endpoint().address().rsplit_once(':').context("the API server has no port")?.1.to_owned();
    let port: i32 = port.parse()?;
    // Nothing but what the API server publishes.
    let values = json!({"baseline": {"registries": ["registry.example.gov.pk"]}});
    let amanat = Amanat::start_with(Arc::clone(&cluster), &values).await?;
    let namespace = given::built(&amanat, "followed").await?;
    reaches(&cluster, &namespace, first, port).await?;

    let mut plane = cluster.control_plane().await?;
    plane.set_argument("apiserver", "--advertise-address", &NOBODYS.to_string())?;
    plane.restart_apiserver().await?;
    drop(plane);
    let restarted = Instant::now();
    reaches(&cluster, &namespace, NOBODYS, port).await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    println!(
        "endpoints: the API server at {} published {first}, then {NOBODYS}; the policy named the new one alone {:.1?} \
         after its restart",
        cluster.endpoint().address(),
        restarted.elapsed()
    );
    Ok(())
}

/// Waits until the policy lets Pods reach that address alone.
async fn reaches(cluster: &Cluster, namespace: &str, address: IpAddr, port: i32) -> Result<()> {
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().clone(), namespace);
    until(SOON, format!("{POLICY} in {namespace} to name {address} alone"), async || {
        let spec = policies.get(POLICY).await?.spec.context("it has no spec")?;
        let rules = spec.egress.unwrap_or_default();
        let peers = rules.iter().flat_map(|rule| rule.to.iter().flatten());
        let blocks: Vec<_> = peers.filter_map(|peer| peer.ip_block.as_ref().map(|block| block.cidr.clone())).collect();
        let ports: Vec<_> = rules.iter().flat_map(|rule| rule.ports.iter().flatten()).collect();
        let port_fits = ports.iter().all(|one| one.port == Some(IntOrString::Int(port)));
        ensure!(blocks == [format!("{address}/32")] && ports.len() == 1 && port_fits, "it names {rules:?}");
        Ok(())
    })
    .await
}
