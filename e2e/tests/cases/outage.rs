//! What is closed while Amanat can't answer, and what is not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::forwarder::Backend;
use e2e::installation::Installation;
use e2e::waiting::until;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Endpoints;
use kube::Api;

use super::given;
use super::says::{refused_by_policy, says};

const SOON: Duration = Duration::from_secs(60);

/// What the API server says of a webhook that didn't answer.
pub(crate) const CLOSED: &str = "failed calling webhook";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("outage: with every replica killed, governed namespaces are closed and nothing else is", killed)
            .on_own_cluster()
            .alone(),
        Case::new("f50_a_replica_that_has_not_seen_the_cluster", unsynced).alone(),
        Case::new("b24_a_look_up_that_fails", look_up_fails).alone(),
    ]
}

async fn killed(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let governed = given::built(&amanat, "governed").await?;
    let pending = amanat.cluster().namespace("pending", &[]).await?;
    let tools = amanat.tools();
    tools.apply(&given::kept_by(&pending, "nobody").to_string()).await?.ok()?;
    tools.create(&given::deployment(&governed, "app", &given::conforming())).await?.ok()?;
    given::available(amanat.cluster(), &governed, "app").await?;
    tools.kubectl(&["create", "service", "clusterip", "app", "--tcp=80:8080", "-n", &governed]).await?.ok()?;

    amanat.installation().await.kill();
    let since = Timestamp::now();
    let outcome = async {
        closed(&amanat, &governed).await?;
        open(&amanat, &governed, &pending).await?;
        given::heartbeats(amanat.cluster(), since).await
    }
    .await;
    // Its controller is refused a Pod until somebody answers.
    tools.kubectl(&["delete", "pods", "--all", "-n", &governed]).await?.ok()?;
    let mut installation = amanat.installation().await;
    installation.restart()?;
    installation.wait_ready(amanat.cluster()).await?;
    drop(installation);
    outcome?;

    let new = given::deployment(&governed, "new", &given::conforming());
    until(SOON, "the governed namespace to be open", async || tools.create(&new).await?.ok().map(|_| ())).await?;
    let refusal = tools.create(&given::deployment(&governed, "bad", &given::violating())).await?.forbidden()?;
    says(&refusal, &["[Restricted] pod/privileged"])?;
    for name in ["app", "new"] {
        given::available(amanat.cluster(), &governed, name).await?;
    }
    Ok(())
}

async fn closed(amanat: &Amanat, governed: &str) -> Result<()> {
    let tools = amanat.tools();
    for manifest in
        [given::deployment(governed, "new", &given::conforming()), given::pod(governed, "new", &given::conforming())]
    {
        says(&tools.create(&manifest).await?.refused()?, &[CLOSED])?;
    }
    let service = ["create", "service", "clusterip", "new", "--tcp=80:8080", "-n", governed];
    says(&tools.kubectl(&service).await?.refused()?, &[CLOSED])?;
    let up = ["scale", "deployment", "app", "--replicas=2", "-n", governed];
    says(&tools.kubectl(&up).await?.refused()?, &[CLOSED])?;
    let label = ["label", "namespace", governed, "amanat.dev/data-class-"];
    refused_by_policy(tools.kubectl(&label).await?, "amanat-class-label", &["only Amanat writes the class label"])?;
    let delete = ["delete", "cloudworkload", "workload", "-n", governed];
    says(&tools.kubectl(&delete).await?.refused()?, &["declarations.webhook.amanat.dev"])
}

async fn open(amanat: &Amanat, governed: &str, pending: &str) -> Result<()> {
    let tools = amanat.tools();
    let cluster = amanat.cluster();
    let open = cluster.namespace("open", &[]).await?;
    for namespace in [&open, pending, "kube-system"] {
        tools.create(&given::deployment(namespace, "during-outage", &given::violating())).await?.ok()?;
        given::available(cluster, namespace, "during-outage").await?;
    }
    tools.kubectl(&["delete", "deployment", "during-outage", "-n", "kube-system"]).await?.ok()?;

    // In the governed namespace: the endpoints of a Service, a Lease, and every status.
    tools.kubectl(&["delete", "endpoints", "app", "-n", governed]).await?.ok()?;
    let endpoints = Api::<Endpoints>::namespaced(cluster.client().clone(), governed);
    until(SOON, "the endpoints of a Service to be made again", async || {
        let found = endpoints.get("app").await?.subsets.unwrap_or_default();
        ensure!(found.iter().any(|subset| subset.addresses.as_ref().is_some_and(|all| !all.is_empty())), "{found:?}");
        Ok(())
    })
    .await?;
    let lease = format!(
        "{{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {{name: leader, namespace: {governed}}}, \
         spec: {{holderIdentity: one, leaseDurationSeconds: 15}}}}"
    );
    tools.create(&lease).await?.ok()?;
    let renew = ["patch", "lease", "leader", "-n", governed, "-p", r#"{"spec":{"holderIdentity":"two"}}"#];
    tools.kubectl(&renew).await?.ok()?;
    let condition = r#"{"status":{"conditions":[{"type":"example.com/Seen","status":"True"}]}}"#;
    let pod = ["get", "pods", "-n", governed, "-o", "jsonpath={.items[0].metadata.name}"];
    let pod = tools.kubectl(&pod).await?.ok()?;
    let node = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
    let node = tools.kubectl(&node).await?.ok()?;
    for (kind, name) in [("pod", pod.as_str()), ("deployment", "app"), ("namespace", governed), ("node", &node)] {
        let patch = ["patch", kind, name, "-n", governed, "--subresource=status", "-p", condition];
        tools.kubectl(&patch).await?.ok()?;
    }
    Ok(())
}

async fn unsynced(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let governed = given::built(&amanat, "unsynced").await?;
    let open = amanat.cluster().namespace("open", &[]).await?;
    let mut installation = amanat.installation().await;
    let [_, replica] = installation.replicas.as_mut_slice() else { anyhow::bail!("there are not two replicas") };
    replica.operator.kill();
    replica.proxy.refuse_reads(Some("/cloudserviceproviders"));
    replica.operator.restart()?;
    let outcome = answers_early(&amanat, &installation, &governed, &open).await;
    back_to_normal(&amanat, &mut installation).await?;
    drop(installation);
    outcome?;
    amanat.tools().create(&given::pod(&governed, "new", &given::conforming())).await?.ok().map(|_| ())
}

async fn answers_early(amanat: &Amanat, installation: &Installation, governed: &str, open: &str) -> Result<()> {
    let [_, replica] = installation.replicas.as_slice() else { anyhow::bail!("there are not two replicas") };
    let operator = &replica.operator;
    // A Service would leave it out; here it is asked though it isn't ready.
    let backend = operator.backend();
    alone_behind(installation, Backend { readiness: operator.health_url("livez"), ..backend }).await?;
    let (status, why) = operator.readiness().await?;
    ensure!(status == 503 && !why.is_empty(), "/readyz answers {status}: {why}");
    println!("outage: a replica that hasn't seen the cluster says: {}", why.trim());
    until(SOON, "the replica to say that it doesn't know", async || {
        closed_and_open(amanat, installation, governed, open).await
    })
    .await?;
    for entry in ["governed", "undeclared"] {
        let labels = [format!("entry=\"{entry}\""), "decision=\"unavailable\"".to_owned()];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let counted = operator.metric("amanat_admission_requests_total", &labels).await?;
        ensure!(counted >= 1.0, "{entry}: {counted} are counted");
    }
    Ok(())
}

async fn look_up_fails(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let mut installation = amanat.installation().await;
    let leader = given::leader(amanat.cluster()).await?;
    let outcome = asks_in_vain(&amanat, &installation, &leader).await;
    back_to_normal(&amanat, &mut installation).await?;
    outcome
}

async fn asks_in_vain(amanat: &Amanat, installation: &Installation, leader: &str) -> Result<()> {
    let judge = installation.replicas.iter().find(|replica| replica.operator.name() != leader);
    let judge = judge.with_context(|| format!("{leader} is every replica"))?;
    alone_behind(installation, judge.operator.backend()).await?;
    let before = counted_look_ups(installation, judge.operator.name()).await?;
    // The judge never sees the namespaces that are made now, and the leader labels what is declared.
    judge.proxy.hold_watches(Duration::MAX);
    let governed = amanat.declared("looked-up", "Restricted").await?;
    let open = amanat.cluster().namespace("open", &[]).await?;
    judge.proxy.refuse_reads(Some("/cloudworkloads"));
    closed_and_open(amanat, installation, &governed, &open).await?;
    let after = counted_look_ups(installation, judge.operator.name()).await?;
    ensure!(after[0] > before[0] && after[1] > before[1], "counted were {before:?}, are {after:?}");

    judge.proxy.refuse_reads(None);
    let tools = amanat.tools();
    tools.create(&given::pod(&governed, "later", &given::conforming())).await?.ok()?;
    let refusal = tools.create(&given::pod(&governed, "bad", &given::violating())).await?.forbidden()?;
    // The label is there, so that Pod Security refuses it first.
    says(&refusal, &["forbidden"])
}

/// How many look-ups of a replica failed: for governed namespaces, and for others.
async fn counted_look_ups(installation: &Installation, name: &str) -> Result<[f64; 2]> {
    let replica = installation.replicas.iter().find(|replica| replica.operator.name() == name);
    let operator = &replica.context("no such replica")?.operator;
    let metric = "amanat_admission_lookups_failed_total";
    Ok([
        operator.metric(metric, &["entry=\"governed\""]).await?,
        operator.metric(metric, &["entry=\"undeclared\""]).await?,
    ])
}

async fn closed_and_open(amanat: &Amanat, installation: &Installation, governed: &str, open: &str) -> Result<()> {
    let tools = amanat.tools();
    let forwarder = &installation.forwarder;
    forwarder.forget();
    let refusal = tools.create(&given::deployment(governed, "closed", &given::conforming())).await?.refused()?;
    says(&refusal, &[CLOSED])?;
    tools.apply(&given::deployment(open, "open", &given::violating())).await?.ok()?;
    given::available(amanat.cluster(), open, "open").await?;
    // It was the replica that could not say, and nothing between.
    let judged = forwarder.judged();
    for (path, namespace) in [("/validate/governed", governed), ("/validate/undeclared", open)] {
        let unanswered = judged.iter().any(|one| one.path == path && one.namespace == namespace && one.status == 503);
        ensure!(unanswered, "no 503 of {path} for {namespace}: {judged:?}");
    }
    Ok(())
}

/// Leaves that replica alone behind the forwarder.
async fn alone_behind(installation: &Installation, backend: Backend) -> Result<()> {
    for replica in &installation.replicas {
        installation.forwarder.remove(replica.operator.name());
    }
    installation.forwarder.add(backend);
    installation.forwarder.wait_ready(1, SOON).await
}

async fn back_to_normal(amanat: &Amanat, installation: &mut Installation) -> Result<()> {
    for replica in &installation.replicas {
        replica.proxy.refuse_reads(None);
        replica.proxy.hold_watches(Duration::ZERO);
        installation.forwarder.remove(replica.operator.name());
        installation.forwarder.add(replica.operator.backend());
    }
    installation.wait_ready(amanat.cluster()).await
}
