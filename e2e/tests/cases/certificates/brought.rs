//! A certificate that somebody brings: followed, and never written.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use e2e::amanat::{self, Amanat, REPLICAS};
use e2e::case::Suite;
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::installation::{CERTIFICATE, Installation};
use e2e::net;
use e2e::operator::NAMESPACE;
use e2e::pki::{Authority, Identity};
use e2e::waiting::until;
use serde_json::json;

use super::super::given;
use super::{SOON, bundle, count, secrets};

fn write(folder: &Path, authority: &Authority, leaf: &Identity) -> Result<()> {
    for (name, text) in [("ca.crt", authority.certificate()), ("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)] {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn issue(cluster: &Cluster) -> Result<(Authority, Identity)> {
    let authority = Authority::new("somebody's own")?;
    let leaf = authority.server("webhook", &[&cluster.webhook_host()])?;
    Ok((authority, leaf))
}

/// A CA that didn't issue what it comes with takes nothing away: it is told.
async fn not_taken(amanat: &Amanat, folder: &Path, served: &Authority, leaf: &Identity) -> Result<()> {
    let (stranger, _) = issue(amanat.cluster())?;
    write(folder, &stranger, leaf)?;
    let events = ["get", "events", "-n", "default", "--field-selector=reason=CertificateRefused", "-o", "name"];
    until(SOON, "an Event that tells that it isn't taken", async || {
        let told = amanat.tools().kubectl(&events).await?.ok()?;
        ensure!(!told.is_empty(), "there is none");
        Ok(())
    })
    .await?;
    let published = String::from_utf8(bundle(amanat.cluster()).await?)?;
    ensure!(published.starts_with(served.certificate()), "another CA is published");
    ensure!(!published.contains(stranger.certificate()), "the stranger's CA is published");
    let installation = amanat.installation().await;
    for replica in &installation.replicas {
        net::verified(&replica.operator.webhook_address(), served.certificate().as_bytes()).await?;
        let (status, why) = replica.operator.readiness().await?;
        ensure!(status == 200, "{status}: {why}");
    }
    Ok(())
}

pub(super) async fn brought(_: Arc<Suite>) -> Result<()> {
    let cluster = Arc::new(Cluster::own(&Options::default()).await?);
    let folder = cluster.fresh_path("certificate");
    std::fs::create_dir_all(&folder)?;
    let (first, leaf) = issue(&cluster)?;
    write(&folder, &first, &leaf)?;
    let mut values = amanat::values();
    values["certificate"] = json!({"secretName": "brought"});
    let mut installation = Installation::install(&cluster, &cluster.tools(), &values).await?;
    installation.forwarder.close_each();
    installation.forwarder.set_certificate(&leaf)?;
    let argument = format!("--certificate-dir={}", folder.display());
    for name in ["amanat-0", "amanat-1"] {
        installation.add(&cluster, name, &[&argument]).await?;
    }
    for replica in &mut installation.replicas {
        replica.operator.wait_ready(SOON).await?;
    }
    installation.forwarder.wait_ready(REPLICAS, SOON).await?;
    let amanat = Amanat::of(Arc::clone(&cluster), installation).await?;
    amanat.register().await?;
    let namespace = given::built(&amanat, "brought").await?;
    ensure!(bundle(&cluster).await? == first.certificate().as_bytes(), "the bundle is not the one that was brought");

    let (second, leaf) = issue(&cluster)?;
    write(&folder, &second, &leaf)?;
    let installation = amanat.installation().await;
    until(SOON, "both CAs to be published, and the new leaf to be served", async || {
        let bundle = bundle(&cluster).await?;
        ensure!(bundle.starts_with(second.certificate().as_bytes()) && count(&bundle) == 2, "it is another bundle");
        for replica in &installation.replicas {
            net::verified(&replica.operator.webhook_address(), second.certificate().as_bytes()).await?;
            let (status, why) = replica.operator.readiness().await?;
            ensure!(status == 200, "{status}: {why}");
        }
        Ok(())
    })
    .await?;
    installation.forwarder.set_certificate(&leaf)?;
    drop(installation);
    amanat.tools().create(&given::pod(&namespace, "later", &given::conforming())).await?.ok()?;
    for (name, text) in [("ca.crt", second.certificate()), ("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)] {
        ensure!(std::fs::read_to_string(folder.join(name))? == text, "{name} was written");
    }
    not_taken(&amanat, &folder, &second, &leaf).await?;
    amanat.tools().create(&given::pod(&namespace, "last", &given::conforming())).await?.ok()?;
    ensure!(secrets(&cluster).get_opt(CERTIFICATE).await?.is_none(), "{CERTIFICATE} was made");
    for verb in ["get", "create", "patch", "update", "delete"] {
        let secret = format!("secret/{CERTIFICATE}");
        let user = format!("--as=system:serviceaccount:{NAMESPACE}:amanat");
        let can = cluster.tools().kubectl(&["auth", "can-i", verb, &secret, "-n", NAMESPACE, &user]).await?;
        if can.status.success() {
            bail!("the operator may {verb} {secret}");
        }
    }
    Ok(())
}
