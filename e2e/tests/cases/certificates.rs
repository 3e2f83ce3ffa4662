//! The webhook's certificate: renewed, rotated, lost and brought, while the API server goes on calling.

mod brought;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::amanat::{self, Amanat, REPLICAS};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::forwarder::Backend;
use e2e::installation::{CERTIFICATE, Installation};
use e2e::net;
use e2e::operator::NAMESPACE;
use e2e::pki::Authority;
use e2e::waiting::until;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::Mutex;

use super::given;

const SOON: Duration = Duration::from_secs(90);
/// The CA takes over from another and has ended within this.
const ROTATED: Duration = Duration::from_secs(300);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "certificates: leaf and CA turn and end while workloads are created, and no handshake fails",
            rotation,
        )
        .on_own_cluster()
        .alone(),
        Case::new("certificates: a Secret that is deleted, emptied or of another type is back", lost).alone(),
        Case::new("certificates: who isn't trusted isn't ready, and is again when the bundle is healed", untrusted)
            .alone(),
        Case::new("certificates: one that is brought is followed and never written", brought::brought)
            .on_own_cluster()
            .alone(),
    ]
}

pub(crate) fn secrets(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.client().clone(), NAMESPACE)
}

fn configurations(cluster: &Cluster) -> Api<ValidatingWebhookConfiguration> {
    Api::all(cluster.client().clone())
}

/// The one bundle of all entries.
pub(crate) async fn bundle(cluster: &Cluster) -> Result<Vec<u8>> {
    let webhooks = configurations(cluster).get("amanat").await?.webhooks.unwrap_or_default();
    let bundles: BTreeSet<_> =
        webhooks.into_iter().map(|webhook| webhook.client_config.ca_bundle.unwrap_or_default().0).collect();
    ensure!(bundles.len() == 1, "there are {} bundles", bundles.len());
    bundles.into_iter().next().context("there is none")
}

/// How many certificates a PEM text holds.
pub(crate) fn count(pem: &[u8]) -> usize {
    String::from_utf8_lossy(pem).matches("BEGIN CERTIFICATE").count()
}

async fn part(cluster: &Cluster, key: &str) -> Result<Vec<u8>> {
    let data = secrets(cluster).get(CERTIFICATE).await?.data.unwrap_or_default();
    Ok(data.get(key).cloned().with_context(|| format!("it has no {key}"))?.0)
}

/// What a stream of admissions and handshakes has counted.
#[derive(Debug, Default)]
struct Counted {
    admitted: usize,
    handshakes: usize,
    /// Of a replica that was killed, and on its way back.
    unready: usize,
    failed: Vec<String>,
}

/// Asks for Pods in a governed namespace, and shakes hands with every replica as the API server would, until the end.
/// While it asks, it holds `asking`.
async fn stream(
    cluster: &Cluster,
    namespace: &str,
    replicas: &[Backend],
    asking: &Mutex<()>,
    end: &AtomicBool,
) -> Result<Counted> {
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), namespace);
    let pod: Pod = serde_json::from_str(&given::pod(namespace, "streamed", &given::conforming()))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut counted = Counted::default();
    while !end.load(Ordering::Relaxed) {
        let held = asking.lock().await;
        let bundle = bundle(cluster).await?;
        match pods.create(&dry_run, &pod).await {
            Ok(_) => counted.admitted += 1,
            Err(error) => counted.failed.push(format!("a Pod: {error}")),
        }
        for Backend { webhook: address, readiness, .. } in replicas {
            // Nobody is sent to one that isn't ready.
            if !matches!(net::get(readiness).await, Ok((200, _))) {
                counted.unready += 1;
                continue;
            }
            match net::verified(address, &bundle).await {
                Ok(()) => counted.handshakes += 1,
                Err(error) if error.to_string().starts_with("connect to") => counted.unready += 1,
                Err(error) => counted.failed.push(format!("{address}: {error:#}")),
            }
        }
        drop(held);
        ensure!(counted.failed.len() < 20, "{:?}", counted.failed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(counted)
}

async fn rotation(_: Arc<Suite>) -> Result<()> {
    let cluster = Arc::new(Cluster::own(&Options::default()).await?);
    let arguments = ["--certificate-ca-validity=160s", "--certificate-leaf-validity=60s"];
    let started = Instant::now();
    let installer = cluster.tools();
    let installation = Installation::start_with(&cluster, &installer, &amanat::values(), REPLICAS, &arguments).await?;
    installation.forwarder.close_each();
    let replicas: Vec<Backend> = installation.replicas.iter().map(|replica| replica.operator.backend()).collect();
    let amanat = Amanat::of(Arc::clone(&cluster), installation).await?;
    amanat.register().await?;
    let namespace = given::built(&amanat, "rotated").await?;

    let first = (part(&cluster, "ca.crt").await?, part(&cluster, "tls.crt").await?);
    let (asking, end) = (Mutex::new(()), AtomicBool::new(false));
    let turns = async {
        let outcome = async {
            until(ROTATED, "another leaf", async || {
                ensure!(part(&cluster, "tls.crt").await? != first.1, "it is the first");
                Ok(())
            })
            .await?;
            ensure!(part(&cluster, "ca.crt").await? == first.0, "the CA turned before the leaf was renewed");
            println!("certificates: the leaf was renewed {:?} after the start", started.elapsed());
            until(ROTATED, "two CAs in the bundle", async || {
                let bundle = bundle(&cluster).await?;
                ensure!(count(&bundle) == 2 && bundle.starts_with(&first.0), "it has {}", count(&bundle));
                Ok(())
            })
            .await?;
            println!("certificates: both CAs were published {:?} after the start", started.elapsed());
            replace_leader(&amanat, &asking).await?;
            println!("certificates: who led was killed and is back {:?} after the start", started.elapsed());
            until(ROTATED, "the first CA to be gone", async || {
                let bundle = bundle(&cluster).await?;
                ensure!(count(&bundle) == 1 && bundle != first.0, "it has {}", count(&bundle));
                Ok(())
            })
            .await?;
            println!("certificates: the first CA was gone {:?} after the start", started.elapsed());
            // Past the instant at which the first CA has ended, by the clock that the API server uses too.
            until(ROTATED, "the first CA to have ended", async || {
                ensure!(started.elapsed() > Duration::from_secs(170), "{:?} have passed", started.elapsed());
                Ok(())
            })
            .await
        }
        .await;
        end.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, counted) = tokio::join!(turns, stream(&cluster, &namespace, &replicas, &asking, &end));
    let counted = counted?;
    println!(
        "certificates: {} admissions, {} handshakes, {} times not ready",
        counted.admitted, counted.handshakes, counted.unready
    );
    outcome?;
    ensure!(counted.failed.is_empty(), "{:?}", counted.failed);
    ensure!(counted.admitted > 100 && counted.handshakes > 100, "{counted:?}");
    let installation = amanat.installation().await;
    let metrics = installation.replicas.iter().map(|replica| replica.operator.metrics());
    for text in futures::future::try_join_all(metrics).await? {
        for part in ["ca", "leaf", "bundle"] {
            let line = format!("amanat_certificate_expiry_timestamp_seconds{{part=\"{part}\"}}");
            ensure!(text.contains(&line), "no {line} in {text}");
        }
    }
    Ok(())
}

/// Kills whoever leads, once nobody is sent there any more, and waits until another leads and it is back. A call that is
/// answered just then would be lost, whatever certificates do: it is killed while nobody asks.
async fn replace_leader(amanat: &Amanat, asking: &Mutex<()>) -> Result<()> {
    let leases = Api::<Lease>::namespaced(amanat.cluster().client().clone(), NAMESPACE);
    let leader = async || anyhow::Ok(leases.get("amanat").await?.spec.and_then(|spec| spec.holder_identity));
    let before = leader().await?.context("nobody leads")?;
    let mut installation = amanat.installation().await;
    {
        let _nobody_asks = asking.lock().await;
        installation.forwarder.remove(&before);
        installation.replica(&before)?.operator.kill();
    }
    until(SOON, "another to lead", async || {
        let now = leader().await?;
        ensure!(now.as_ref().is_some_and(|now| *now != before), "{now:?} leads");
        Ok(())
    })
    .await?;
    let operator = &mut installation.replica(&before)?.operator;
    operator.restart()?;
    operator.wait_ready(SOON).await?;
    let backend = operator.backend();
    installation.forwarder.add(backend);
    Ok(())
}

async fn lost(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = given::built(&amanat, "lost").await?;
    let mut installation = amanat.installation().await;
    let replicas: Vec<Backend> = installation.replicas.iter().map(|replica| replica.operator.backend()).collect();
    let (asking, end) = (Mutex::new(()), AtomicBool::new(false));
    let ways = async {
        let outcome = async {
            for way in ["deleted", "emptied", "of another type"] {
                let leaf = part(cluster, "tls.crt").await?;
                lose(cluster, &installation, way).await?;
                let started = Instant::now();
                until(SOON, format!("the Secret to be back after it was {way}"), async || {
                    let secret = secrets(cluster).get(CERTIFICATE).await?;
                    ensure!(secret.type_.as_deref() == Some("kubernetes.io/tls"), "it is {:?}", secret.type_);
                    ensure!(part(cluster, "tls.crt").await? == leaf, "it has another leaf");
                    // A CA of its own is to take over from one that somebody may have taken.
                    let next = part(cluster, "next-ca.crt").await?;
                    let bundle = bundle(cluster).await?;
                    ensure!(
                        String::from_utf8_lossy(&bundle).contains(&*String::from_utf8_lossy(&next)),
                        "not published"
                    );
                    Ok(())
                })
                .await?;
                println!("certificates: one that was {way} was back after {:?}", started.elapsed());
            }
            anyhow::Ok(())
        }
        .await;
        end.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, counted) = tokio::join!(ways, stream(cluster, &namespace, &replicas, &asking, &end));
    let counted = counted?;
    installation.wait_ready(cluster).await?;
    outcome?;
    ensure!(counted.failed.is_empty(), "{:?}", counted.failed);
    Ok(())
}

async fn lose(cluster: &Cluster, installation: &Installation, way: &str) -> Result<()> {
    let secrets = secrets(cluster);
    match way {
        "deleted" => drop(secrets.delete(CERTIFICATE, &DeleteParams::default()).await?),
        "emptied" => {
            let nothing = json!({"data": {"tls.crt": "", "tls.key": "", "ca.crt": null, "ca.key": null}});
            secrets.patch(CERTIFICATE, &PatchParams::default(), &Patch::Merge(&nothing)).await?;
        }
        _ => {
            // Nobody makes it between the two.
            installation.replicas.iter().for_each(|replica| replica.proxy.refuse_reads(Some("/secrets")));
            let changed = async {
                secrets.delete(CERTIFICATE, &DeleteParams::default()).await?;
                let data = Some([("tls.crt".to_owned(), ByteString(b"x".to_vec()))].into());
                let opaque = Secret { data, type_: Some("Opaque".to_owned()), ..Secret::default() };
                let metadata = kube::core::ObjectMeta { name: Some(CERTIFICATE.to_owned()), ..opaque.metadata.clone() };
                until(SOON, "the Secret to be made", async || {
                    let opaque = Secret { metadata: metadata.clone(), ..opaque.clone() };
                    Ok(secrets.create(&PostParams::default(), &opaque).await.map(|_| ())?)
                })
                .await
            }
            .await;
            installation.replicas.iter().for_each(|replica| replica.proxy.refuse_reads(None));
            changed?;
        }
    }
    Ok(())
}

async fn untrusted(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let mut installation = amanat.installation().await;
    let right = bundle(cluster).await?;
    let of_another = Authority::new("another")?.certificate().to_owned();
    // Without the anchor nobody heals it.
    installation.replicas.iter().for_each(|replica| replica.proxy.refuse_reads(Some("/clusterroles/")));
    let outcome = async {
        let configuration = configurations(cluster).get("amanat").await?;
        let mut first = configuration.webhooks.unwrap_or_default();
        let webhook = first.first_mut().context("it has no entries")?;
        webhook.client_config.ca_bundle = Some(ByteString(of_another.into_bytes()));
        let patch = json!({"webhooks": first});
        configurations(cluster).patch("amanat", &PatchParams::default(), &Patch::Merge(&patch)).await?;
        for replica in &installation.replicas {
            until(SOON, format!("{} not to be ready", replica.operator.name()), async || {
                let (status, why) = replica.operator.readiness().await?;
                ensure!(status == 503 && why.contains("does not verify by the bundle of"), "{status}: {why}");
                Ok(())
            })
            .await?;
        }
        anyhow::Ok(())
    }
    .await;
    installation.replicas.iter().for_each(|replica| replica.proxy.refuse_reads(None));
    until(SOON, "the bundle to be healed", async || {
        ensure!(bundle(cluster).await? == right, "it is another");
        Ok(())
    })
    .await?;
    installation.wait_ready(cluster).await?;
    outcome
}
