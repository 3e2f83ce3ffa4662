//! Amanat as it runs in production, less the Pods: the chart, replicas behind a forwarder, a proxy before each.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::chart;
use crate::cluster::Cluster;
use crate::delay::DelayProxy;
use crate::forwarder::Forwarder;
use crate::net::Certificates;
use crate::operator::{NAMESPACE, Operator, Settings};
use crate::pki::Identity;
use crate::tools::Tools;
use crate::waiting::until;

/// The Secret of type `kubernetes.io/tls` that all replicas serve with.
pub const CERTIFICATE: &str = "amanat-webhook-tls";

const READY: Duration = Duration::from_secs(120);
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// A chart that is installed, and its replicas as processes. The replicas are killed when it is dropped; the release
/// stays.
pub struct Installation {
    /// What stands where the Service would stand.
    pub forwarder: Forwarder,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// Gives the forwarder the certificate that the replicas serve with, whenever that is another.
    following: Option<Following>,
}

struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A replica, and the proxy through which alone it sees the API server.
pub struct Replica {
    /// The process.
    pub operator: Operator,
    /// Its proxy, which delays nothing at first.
    pub proxy: DelayProxy,
}

impl Installation {
    /// Installs the chart as the administrator, starts replicas `amanat-0`, `amanat-1` … and waits until all are ready
    /// behind the forwarder. `values` are merged over those of [`chart::values`].
    pub async fn start(cluster: &Cluster, values: &Value, replicas: usize) -> Result<Self> {
        Self::start_as(cluster, &cluster.tools(), values, replicas).await
    }

    /// The same, with the chart installed by another user.
    pub async fn start_as(cluster: &Cluster, installer: &Tools, values: &Value, replicas: usize) -> Result<Self> {
        Self::start_with(cluster, installer, values, replicas, &[]).await
    }

    /// The same, with more arguments for each replica.
    pub async fn start_with(
        cluster: &Cluster,
        installer: &Tools,
        values: &Value,
        replicas: usize,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut installation = Self::install(cluster, installer, values).await?;
        for number in 0..replicas {
            installation.add(cluster, &format!("amanat-{number}"), arguments).await?;
        }
        installation.wait_ready(cluster).await?;
        Ok(installation)
    }

    /// Installs the chart, and a forwarder without certificate and replicas.
    pub async fn install(cluster: &Cluster, installer: &Tools, values: &Value) -> Result<Self> {
        Self::install_behind(cluster, installer, Forwarder::bind(&cluster.webhook_host()).await?, values).await
    }

    /// Installs the chart for a forwarder of the caller's.
    pub async fn install_behind(
        cluster: &Cluster,
        installer: &Tools,
        forwarder: Forwarder,
        values: &Value,
    ) -> Result<Self> {
        let values = chart::values(forwarder.url(), values);
        chart::install(cluster, installer, &values, &[]).await?.ok()?;
        Ok(Self { forwarder, replicas: Vec::new(), following: None })
    }

    /// Starts one more replica, and doesn't wait for it.
    pub async fn add(&mut self, cluster: &Cluster, name: &str, arguments: &[&str]) -> Result<()> {
        let proxy = DelayProxy::bind(cluster.endpoint()).await?;
        let settings = Settings {
            name: name.to_owned(),
            webhook_url: self.forwarder.url().to_owned(),
            through: Some(proxy.endpoint().clone()),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        let operator = Operator::start(cluster, &settings).await?;
        self.forwarder.add(operator.backend());
        self.replicas.push(Replica { operator, proxy });
        Ok(())
    }

    /// Waits until every replica is ready, and the forwarder serves with their certificate and knows them as ready.
    pub async fn wait_ready(&mut self, cluster: &Cluster) -> Result<()> {
        self.forwarder.set_certificate(&certificate(cluster).await?)?;
        let certificates = self.forwarder.certificates();
        self.following.get_or_insert_with(|| Following(tokio::spawn(follow(secrets(cluster), certificates))));
        for replica in &mut self.replicas {
            replica.operator.wait_ready(READY).await?;
        }
        self.forwarder.wait_ready(self.replicas.len(), READY).await
    }

    /// The replica of that name.
    pub fn replica(&mut self, name: &str) -> Result<&mut Replica> {
        let found = self.replicas.iter_mut().find(|replica| replica.operator.name() == name);
        found.with_context(|| format!("no replica is called {name}"))
    }

    /// Kills every replica, as `kill -9` would.
    pub fn kill(&mut self) {
        for replica in &mut self.replicas {
            replica.operator.kill();
        }
    }

    /// Starts every replica that doesn't run, and doesn't wait for it.
    pub fn restart(&mut self) -> Result<()> {
        for replica in &mut self.replicas {
            if !replica.operator.is_running() {
                replica.operator.restart()?;
            }
        }
        Ok(())
    }
}

/// The leaf that the replicas serve with, as soon as the Secret holds it.
pub async fn certificate(cluster: &Cluster) -> Result<Identity> {
    let secrets = secrets(cluster);
    until(READY, format!("a certificate in Secret {NAMESPACE}/{CERTIFICATE}"), async || identity(&secrets).await).await
}

fn secrets(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.client().clone(), NAMESPACE)
}

async fn identity(secrets: &Api<Secret>) -> Result<Identity> {
    let data = secrets.get(CERTIFICATE).await?.data.context("it is empty")?;
    let text = |key: &str| {
        let bytes = data.get(key).with_context(|| format!("it has no {key}"))?;
        ensure!(!bytes.0.is_empty(), "its {key} is empty");
        anyhow::Ok(String::from_utf8(bytes.0.clone())?)
    };
    Ok(Identity { certificate: text("tls.crt")?, key: text("tls.key")? })
}

/// As the replicas do: what can't be served leaves what is.
async fn follow(secrets: Api<Secret>, certificates: Certificates) {
    loop {
        if let Ok(identity) = identity(&secrets).await
            && let Err(error) = certificates.set(&identity)
        {
            eprintln!("e2e: the forwarder keeps its certificate: {error:#}");
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}
