//! A workload that is applied right after its declaration is judged by it, whichever replica is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::forwarder::Judged;
use e2e::installation::Installation;
use e2e::manifests::{self, manifest, patched};
use e2e::tools::Tools;
use serde_json::json;

use super::downgrade::cluster_admin;
use super::given;
use super::says::says;

/// How often each order is tried.
const ROUNDS: usize = 50;

/// How late the watches of the replica that judges the workload are, in half of the rounds.
const LATE: Duration = Duration::from_secs(2);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("order: one apply of namespace, registry, declaration and workload works, fifty of fifty", works)
            .alone(),
        Case::new("b23_a_workload_before_its_class_is_seen", refused).alone(),
    ]
}

async fn works(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespaces = rounds(&amanat, &amanat.tools(), "order", true).await?;
    // Admitted to the end: the Pods too, by whichever replica.
    for namespace in &namespaces {
        given::available(amanat.cluster(), namespace, "app").await?;
    }
    let events = amanat.tools().kubectl(&["get", "events", "--all-namespaces", "-o", "wide"]).await?.ok()?;
    let denied = events.lines().find(|line| line.contains("order-round") && line.contains("denied the request"));
    ensure!(denied.is_none(), "a Pod was refused on the way: {denied:?}");
    clean_up(amanat.cluster(), &namespaces).await
}

async fn refused(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let admin = cluster_admin(&amanat).await?;
    let namespaces = rounds(&amanat, &admin, "disorder", false).await?;
    clean_up(amanat.cluster(), &namespaces).await
}

/// Plays the rounds and returns the namespaces.
async fn rounds(amanat: &Amanat, tools: &Tools, prefix: &str, fits: bool) -> Result<Vec<String>> {
    let installation = amanat.installation().await;
    let [first, second] = installation.replicas.as_slice() else { bail!("the installation hasn't two replicas") };
    let started = Instant::now();
    let mut namespaces = Vec::new();
    // How often who judged the workload, and how many of these times late.
    let mut judges: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut round = 0;
    while round < ROUNDS || (late(&judges) < ROUNDS / 2 && round < 2 * ROUNDS) {
        // Each replica is late in every other round. The first of four requests goes to one or the other, so that the
        // late one should judge the workload, the fourth, in half of them; what controllers and the leader ask for in
        // between shifts that, so it is counted afterwards.
        let (held, other) = if round % 2 == 0 { (first, second) } else { (second, first) };
        let beginner = if round % 4 < 2 { other } else { held };
        let namespace = format!("{prefix}-round-{round}");
        held.proxy.hold_watches(LATE);
        installation.forwarder.forget();
        installation.forwarder.turn_to(beginner.operator.name())?;
        let judge = apply(tools, &installation, &namespace, fits).await;
        held.proxy.hold_watches(Duration::ZERO);
        let judge = judge.with_context(|| format!("round {round}, {} was late", held.operator.name()))?;
        let count = judges.entry(judge.clone()).or_default();
        count.0 += 1;
        count.1 += usize::from(judge == held.operator.name());
        namespaces.push(namespace);
        round += 1;
    }
    println!("order: {round} rounds in {:?}; who judged, how often, and late: {judges:?}", started.elapsed());
    ensure!(judges.len() == 2, "not both judged: {judges:?}");
    ensure!(late(&judges) >= ROUNDS / 2, "the judge was late too seldom: {judges:?}");
    Ok(namespaces)
}

fn late(judges: &BTreeMap<String, (usize, usize)>) -> usize {
    judges.values().map(|(_, late)| late).sum()
}

/// One round; returns who judged the workload.
async fn apply(tools: &Tools, installation: &Installation, name: &str, fits: bool) -> Result<String> {
    let spec = if fits { given::conforming() } else { given::violating() };
    let objects = [
        manifests::namespace(name),
        manifests::entity(name),
        manifests::provider(name),
        patched(given::kept_by(name, name), &json!({"spec": {"owner": name}})),
        manifests::workload("Deployment", name, "app", &spec),
    ];
    let output = tools.apply(&manifest(&objects)).await?;
    let created = output.stdout.matches(" created").count();
    if fits {
        output.ok()?;
        ensure!(created == objects.len(), "{created} objects were created");
    } else {
        let refusal = output.forbidden()?;
        ensure!(created == objects.len() - 1, "{created} objects were created; {refusal}");
        says(&refusal, &["[Restricted] pod/privileged", "[Restricted] image/approved-registries"])?;
    }
    let judged = installation.forwarder.judged();
    let of_workload = |one: &&Judged| one.namespace == name && one.kind == "Deployment" && one.operation == "CREATE";
    // With the label that appears in between, one request can be asked about twice: the last answer counts.
    let last = judged.iter().rfind(of_workload);
    let last = last.with_context(|| format!("nobody judged the workload; judged was {judged:?}"))?;
    ensure!(last.allowed == Some(fits), "{last:?}");
    Ok(last.backend.clone())
}

/// Deletes what the rounds made, and doesn't wait for it.
async fn clean_up(cluster: &Cluster, names: &[String]) -> Result<()> {
    for kind in ["namespace", "cloudserviceprovider", "publicsectorentity"] {
        let mut delete = vec!["delete", kind, "--wait=false"];
        delete.extend(names.iter().map(String::as_str));
        cluster.tools().kubectl(&delete).await?.ok()?;
    }
    Ok(())
}
