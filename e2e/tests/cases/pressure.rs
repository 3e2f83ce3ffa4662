//! What is lost while replicas and what they stand on come and go: nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::amanat::{self, Amanat};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::forwarder::Forwarder;
use e2e::installation::{CERTIFICATE, Installation, Replica};
use e2e::load::{self, Load, Tally, Window};
use e2e::waiting::until;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::DeleteParams;

use super::certificates::{bundle, count, secrets};
use super::given;

const SOON: Duration = Duration::from_secs(60);

/// How long a replica may take to end after SIGTERM: the API server lets go of a connection after 90 seconds.
const LEAVES: Duration = Duration::from_secs(120);

/// How long a CA may take to take over from another.
const ROTATED: Duration = Duration::from_secs(150);

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(15);

/// Valid for so short a time that one CA takes over from another while the test looks on.
const CERTIFICATES: [&str; 2] = ["--certificate-ca-validity=160s", "--certificate-leaf-validity=60s"];

const WORKERS: usize = 4;

/// So many creates at once that more connections are used than the API server keeps, to every replica, and those too that
/// the workers alone would leave idle.
const MANY: usize = 48;

/// Creates that must have been begun for a state to count as tried.
const SOME: u32 = 40;

const KILLED: &str = "leader killed";
const STOPPED: &str = "leader stopped";

const POLICY: &str = "amanat-default-deny";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("pressure: nothing is lost while replicas are replaced, the CA rotated and watches cut", replaced)
            .on_own_cluster()
            .alone(),
        Case::new("f51_leader_api_server_and_etcd_killed_or_stopped", broken).on_own_cluster().alone(),
    ]
}

/// Two replicas behind a Service, and a load in three governed namespaces.
struct Stage {
    amanat: Amanat,
    namespaces: Vec<String>,
    load: Load,
    windows: Vec<Window>,
}

impl Stage {
    async fn set() -> Result<Self> {
        let cluster = Arc::new(Cluster::own(&Options::default()).await?);
        let forwarder = Forwarder::bind_connections(&cluster.webhook_host()).await?;
        let installer = cluster.tools();
        let mut installation = Installation::install_behind(&cluster, &installer, forwarder, &amanat::values()).await?;
        for name in ["amanat-0", "amanat-1"] {
            installation.add(&cluster, name, &CERTIFICATES).await?;
        }
        installation.wait_ready(&cluster).await?;
        let amanat = Amanat::of(Arc::clone(&cluster), installation).await?;
        amanat.register().await?;
        let mut namespaces = Vec::new();
        for (prefix, class) in [("tax", "Restricted"), ("health", "Confidential"), ("land", "Restricted")] {
            let namespace = amanat.declared(prefix, class).await?;
            amanat.wait_condition(&namespace, "Ready", "True").await?;
            namespaces.push(namespace);
        }
        let load = Load::start(cluster.admin(), &namespaces, WORKERS).await?;
        let stage = Self { amanat, namespaces, load, windows: Vec::new() };
        stage.goes_on().await?;
        Ok(stage)
    }

    fn cluster(&self) -> &Cluster {
        self.amanat.cluster()
    }

    /// Waits until the load has tried what is now.
    async fn goes_on(&self) -> Result<()> {
        let before = self.load.begun();
        until(SOON, "the load to go on", async || {
            let since = self.load.begun() - before;
            ensure!(since >= SOME, "{since} creates");
            Ok(())
        })
        .await
    }

    fn away(&mut self, what: &'static str, from: Instant, server: bool) {
        self.windows.push(Window { what, from, until: Instant::now(), server });
    }

    /// Deletes a policy in every namespace: work for whoever leads.
    async fn drift(&self) -> Result<()> {
        for namespace in &self.namespaces {
            let policies = Api::<NetworkPolicy>::namespaced(self.cluster().client().clone(), namespace);
            match policies.delete(POLICY, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error).context("delete a built NetworkPolicy"),
            }
        }
        Ok(())
    }

    /// Waits until it is back everywhere.
    async fn healed(&self) -> Result<()> {
        for namespace in &self.namespaces {
            let policies = Api::<NetworkPolicy>::namespaced(self.cluster().client().clone(), namespace);
            let what = format!("{POLICY} in {namespace} to be back");
            until(SOON, what, async || Ok(policies.get(POLICY).await.map(|_| ())?)).await?;
        }
        Ok(())
    }

    /// Waits until another replica leads; its name.
    async fn another_leads(&self, old: &str) -> Result<String> {
        until(SOON, format!("another replica than {old} to lead"), async || {
            let holder = given::leader(self.cluster()).await?;
            ensure!(holder != old, "{holder} leads");
            Ok(holder)
        })
        .await
    }

    /// Stops the load, and says what became of it.
    async fn end(self) -> Result<Tally> {
        let calls = self.load.stop().await?;
        load::judge(&calls, &self.windows)
    }
}

async fn replaced(_: Arc<Suite>) -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut leaving = Vec::new();
    for (old, new) in [("amanat-0", "amanat-2"), ("amanat-1", "amanat-3")] {
        leaving.push(replace(&mut stage, old, new).await?);
        stage.goes_on().await?;
    }
    let rotated = rotate(&stage).await?;
    for _ in 0..3 {
        for replica in &stage.amanat.installation().await.replicas {
            replica.proxy.cut();
        }
        stage.drift().await?;
        stage.healed().await?;
        stage.goes_on().await?;
    }
    let mut drained = Vec::new();
    for (mut replica, since) in leaving {
        stage.load.burst(MANY);
        let status = replica.operator.ended(LEAVES).await?;
        ensure!(status.success(), "it ended with {status}; its log:\n{}", replica.operator.log()?);
        drained.push(format!("{:.1?}", since.elapsed()));
    }
    let tally = stage.end().await?;
    println!(
        "pressure: two replicas replaced (ended within {}), the CA rotated in {rotated:.1?}, watches cut three times: {tally}",
        drained.join(" and ")
    );
    Ok(())
}

/// As a Deployment does that has no replica to spare: the new one is ready before the old one gets SIGTERM. Gives the old
/// one, which is ending since then.
async fn replace(stage: &mut Stage, old: &str, new: &str) -> Result<(Replica, Instant)> {
    let cluster = Arc::clone(stage.amanat.cluster());
    let mut installation = stage.amanat.installation().await;
    installation.add(&cluster, new, &CERTIFICATES).await?;
    installation.wait_ready(&cluster).await?;
    let place = installation.replicas.iter().position(|replica| replica.operator.name() == old);
    let replica = installation.replicas.remove(place.with_context(|| format!("no replica is called {old}"))?);
    let since = Instant::now();
    replica.operator.ask_to_end()?;
    installation.forwarder.wait_out(old, SOON).await?;
    drop(installation);
    stage.load.burst(MANY);
    Ok((replica, since))
}

/// Deletes the Secret, whereupon another CA takes over, and waits until the first one is trusted no more.
async fn rotate(stage: &Stage) -> Result<Duration> {
    let (cluster, since) = (stage.cluster(), Instant::now());
    let first = bundle(cluster).await?;
    secrets(cluster).delete(CERTIFICATE, &DeleteParams::default()).await?;
    until(ROTATED, "another CA to have taken over", async || {
        let bundle = bundle(cluster).await?;
        ensure!(count(&bundle) == 1 && bundle != first, "{} CAs are trusted", count(&bundle));
        Ok(())
    })
    .await?;
    let rotated = since.elapsed();
    stage.goes_on().await?;
    Ok(rotated)
}

async fn broken(_: Arc<Suite>) -> Result<()> {
    let mut stage = Stage::set().await?;
    killed(&mut stage).await?;
    let fenced = stopped(&mut stage).await?;
    let cluster = Arc::clone(stage.amanat.cluster());

    let from = Instant::now();
    cluster.control_plane().await?.restart_apiserver().await?;
    stage.away("API server restarted", from, true);
    stage.goes_on().await?;
    stage.drift().await?;
    stage.healed().await?;

    let from = Instant::now();
    cluster.control_plane().await?.restart_etcd().await?;
    stage.away("etcd restarted", from, true);
    stage.goes_on().await?;
    stage.drift().await?;
    stage.healed().await?;
    stage.goes_on().await?;
    let tally = stage.end().await?;
    for what in [KILLED, STOPPED] {
        ensure!(tally.failed_in(what) > 0, "no call was at the replica, so it shows nothing: {what}; {tally}");
    }
    println!("pressure: {fenced}; {tally}");
    Ok(())
}

async fn killed(stage: &mut Stage) -> Result<()> {
    let leader = given::leader(stage.cluster()).await?;
    let cluster = Arc::clone(stage.amanat.cluster());
    let mut installation = stage.amanat.installation().await;
    let from = Instant::now();
    installation.replica(&leader)?.operator.kill();
    stage.load.burst(MANY);
    installation.forwarder.wait_out(&leader, SOON).await?;
    drop(installation);
    stage.away(KILLED, from, false);
    // Whoever takes over has by now all connections that the API server keeps. Were the old one back before, it would
    // go on with its lease.
    stage.another_leads(&leader).await?;
    let mut installation = stage.amanat.installation().await;
    installation.restart()?;
    installation.wait_ready(&cluster).await?;
    drop(installation);
    stage.goes_on().await?;
    stage.drift().await?;
    stage.healed().await
}

/// Stops the leader for longer than its lease, and lets it go on. Says who wrote what.
async fn stopped(stage: &mut Stage) -> Result<String> {
    let cluster = Arc::clone(stage.amanat.cluster());
    let leader = given::leader(&cluster).await?;
    let mark = cluster.audit_mark()?;
    // It is stopped with work in hand.
    stage.drift().await?;
    let from = Instant::now();
    let installation = stage.amanat.installation().await;
    let is_leader = |replica: &&Replica| replica.operator.name() == leader;
    let process =
        installation.replicas.iter().find(is_leader).context("the leader is no replica")?.operator.process()?;
    process.pause()?;
    stage.load.burst(MANY);
    let taken_out = installation.forwarder.wait_out(&leader, SOON).await;
    drop(installation);
    taken_out?;
    stage.away(STOPPED, from, false);
    stage.goes_on().await?;
    stage.drift().await?;
    let successor = stage.another_leads(&leader).await?;
    stage.healed().await?;
    let lease = format!("{leader} to have stood still for longer than its lease");
    until(SOON, lease, async || {
        ensure!(from.elapsed() > LEASE, "it has for {:?}", from.elapsed());
        Ok(())
    })
    .await?;
    let told = events(&cluster, &leader).await?;
    let resumed = cluster.audit_mark()?;
    let lasted = from.elapsed();
    // There is work for it before it goes on, and after.
    stage.drift().await?;
    process.resume()?;
    stage.drift().await?;
    stage.healed().await?;
    let installation = stage.amanat.installation().await;
    installation.forwarder.wait_ready(2, SOON).await?;
    let replica = installation.replicas.iter().find(is_leader).context("the leader is no replica")?;
    until(SOON, format!("{leader} to know that it leads no more"), async || {
        let leads = replica.operator.metric("amanat_leader", &[]).await?;
        ensure!(leads == 0.0, "it says {leads}");
        Ok(())
    })
    .await?;
    drop(installation);
    stage.drift().await?;
    stage.healed().await?;
    stage.goes_on().await?;

    let of_leader = given::writes(&cluster, resumed, Some(&leader))?;
    ensure!(of_leader.is_empty(), "{leader} was resumed and wrote: {of_leader:?}");
    let telling = events(&cluster, &leader).await?;
    ensure!(telling <= told, "{leader} was resumed and told {telling} Events, {told} before");
    let before = given::writes(&cluster, mark, Some(&leader))?.len();
    let [since, after] = [mark, resumed].map(|mark| given::writes(&cluster, mark, Some(&successor)));
    let (since, after) = (since?.len(), after?.len());
    ensure!(after > 0, "{successor} leads and wrote nothing");
    Ok(format!(
        "{leader}, stopped for {lasted:.1?}, wrote {before} times at the stop and never once resumed, {successor} {since} \
         times, {after} of them since then"
    ))
}

/// How many Events a replica has told.
async fn events(cluster: &Cluster, replica: &str) -> Result<usize> {
    let events = Api::<Event>::all(cluster.client().clone()).list(&Default::default()).await?;
    Ok(events.iter().filter(|event| event.reporting_instance.as_deref() == Some(replica)).count())
}
