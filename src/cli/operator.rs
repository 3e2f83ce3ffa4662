//! `amanat operator`: the webhook and the reconcilers in one process.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use clap::Args;
use jiff::SignedDuration;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use super::{Error, Status};
use crate::admission::{self, AdmissionState};
use crate::cluster::election::Election;
use crate::cluster::{Clock, Fence, FenceLayer, Index, LiveLookup, Settings, SystemClock, Writer};
use crate::reconcile::{self, Reconciler, Serving};
use crate::serve::certificate::{self, Folder, Keeper, Lifetimes, Source};
use crate::serve::tls::Phase;
use crate::serve::{self, Known, Readiness, ServedCertificate, health, tls};

/// Name of the Lease.
const LEASE: &str = "amanat";
/// How long to wait before something that has to work at the start is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the lease may take to be given back; it runs out by itself.
const RETIRE: Duration = Duration::from_secs(5);
/// The client logs the whole text of an object that it can't read, Secrets too, one level below errors. Whatever level
/// is asked for, that stays out of the log.
const QUIET: [&str; 2] = ["kube_client=error", "kube_client::client=error"];

/// Arguments of `amanat operator`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat operator                                    in a Pod of the chart\n  \
    amanat operator --kubeconfig ~/.kube/config --webhook-address 127.0.0.1:9443 \\\n    \
    --webhook-url https://127.0.0.1:9443               outside of the cluster")]
pub struct OperatorArgs {
    /// The cluster and the credentials; those of the Pod, when left out
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Amanat's own namespace
    #[arg(long, value_name = "NAME", default_value = "amanat-system")]
    pub namespace: String,
    /// Name of this replica, its identity in the election: the Pod's
    #[arg(long, value_name = "NAME", env = "HOSTNAME", default_value = "amanat")]
    pub name: String,
    /// The ServiceAccount that the operator runs as
    #[arg(long, value_name = "NAME", default_value = "amanat")]
    pub service_account: String,
    /// Where the webhook listens
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9443")]
    pub webhook_address: SocketAddr,
    /// Where /livez, /readyz and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub health_address: SocketAddr,
    /// How the API server reaches the webhook; through the Service amanat-webhook, when left out
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<String>,
    /// A folder with tls.crt, tls.key and ca.crt, a mounted Secret for instance: that certificate is served, followed and
    /// never written; without it, Amanat makes and renews its own in the Secret amanat-webhook-tls
    #[arg(long, value_name = "DIR")]
    pub certificate_dir: Option<PathBuf>,
    /// How long a CA that Amanat makes is valid; another takes over when a third of it is left
    #[arg(long, value_name = "DURATION", default_value = "17520h", value_parser = lifetime, conflicts_with = "certificate_dir")]
    pub certificate_ca_validity: SignedDuration,
    /// How long a certificate that Amanat makes is valid; it is renewed when a third of it is left
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = lifetime, conflicts_with = "certificate_dir")]
    pub certificate_leaf_validity: SignedDuration,
    /// A namespace that is reported and never blocked, beside kube-system, kube-public, kube-node-lease and Amanat's own;
    /// repeatable
    #[arg(long = "system-namespace", value_name = "NAME")]
    pub system_namespaces: Vec<String>,
    /// A user that counts as a controller of the control plane; repeatable
    #[arg(long = "control-plane-user", value_name = "NAME")]
    pub control_plane_users: Vec<String>,
    /// The ClusterRole that owns the webhook configuration
    #[arg(long, value_name = "NAME", default_value = "amanat-anchor")]
    pub anchor: String,
    /// Seconds that the webhook takes new connections after SIGTERM at least, until the API server sends elsewhere; those
    /// that are open are served until it lets go of them, which takes 90 seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain: u64,
}

/// A duration in which a certificate can be renewed.
fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text} is no duration from 20s to 87600h, such as 2160h");
    let read: SignedDuration = text.parse().map_err(|_| wrong())?;
    let range = SignedDuration::from_secs(20)..=SignedDuration::from_hours(87_600);
    range.contains(&read).then_some(read).ok_or_else(wrong)
}

impl OperatorArgs {
    fn settings(&self) -> Settings {
        let mut settings = Settings::new(&self.namespace, &self.service_account, &self.name);
        settings.system_namespaces.extend(self.system_namespaces.iter().cloned());
        settings.control_plane_users.clone_from(&self.control_plane_users);
        settings.webhook_url.clone_from(&self.webhook_url);
        settings.anchor.clone_from(&self.anchor);
        settings
    }

    /// The names that the API server calls the webhook by.
    fn names(&self, settings: &Settings) -> Result<Vec<String>, Error> {
        let service = format!("{}.{}.svc", settings.service, settings.namespace);
        let Some(url) = &self.webhook_url else { return Ok(vec![service]) };
        let wrong = || Error::Usage(format!("--webhook-url: {url} is not of the form https://HOST[:PORT]"));
        let uri: axum::http::Uri = url.parse().map_err(|_| wrong())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(host)) => Ok(vec![host.trim_matches(['[', ']']).to_owned()]),
            _ => Err(wrong()),
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the arguments are wrong, a port can't be had, or one of the tasks has died.
pub fn run(args: &OperatorArgs) -> Result<Status, Error> {
    log();
    admission::log_panics_without_content();
    // Fails only when one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let failed = |what: &str, error: &dyn std::fmt::Display| Error::Internal(format!("{what}: {error}"));
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed("the runtime could not be started", &error))?;
    runtime.block_on(operate(args))
}

/// For people on a terminal, as JSON elsewhere; always on standard error.
#[expect(clippy::disallowed_methods, reason = "RUST_LOG is where operators look for the log's level")]
fn log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info,kube=warn".to_owned());
    let filter = QUIET.iter().filter_map(|directive| directive.parse().ok());
    let filter = filter.fold(EnvFilter::new(wanted), EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when there is a subscriber already.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}

async fn operate(args: &OperatorArgs) -> Result<Status, Error> {
    let settings = Arc::new(args.settings());
    let names = args.names(&settings)?;
    let config = config(args).await?;
    let client = client(config.clone())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let webhook = listen(args.webhook_address, "--webhook-address").await?;
    let plain = listen(args.health_address, "--health-address").await?;
    let mut signals = Signals::new()?;

    let (stop, stopping) = watch::channel(false);
    let (retire, retired) = watch::channel(false);
    let (phase, phases) = watch::channel(Phase::Serve);
    let index = Arc::new(Index::new());
    let served = Arc::new(ServedCertificate::default());
    let lifetimes = Lifetimes { ca: args.certificate_ca_validity, leaf: args.certificate_leaf_validity };
    let known = Arc::new(Known::new(names, &lifetimes, Arc::clone(&clock), Arc::clone(&served)));
    let readiness = Readiness::new(Arc::clone(&index), Arc::clone(&known), stopping.clone());
    let fence = Fence::new(Arc::clone(&clock));
    let writer = Writer::new(fenced(config, fence.clone())?, fence.clone());
    let election =
        Election::new(client.clone(), &settings.namespace, LEASE, &settings.identity, Arc::clone(&clock), fence);
    let leading = election.subscribe();

    let mut registry = Registry::with_prefix("amanat");
    let counted = Arc::new(admission::Metrics::new());
    counted.register(&mut registry);
    let reconciled = Arc::new(reconcile::Metrics::default());
    reconciled.register(&mut registry);
    serve::metrics::register(&mut registry, Arc::clone(&index), leading.clone(), Arc::clone(&known));

    let lookup = LiveLookup::new(client.clone(), Arc::clone(&index));
    let state = AdmissionState::new(Arc::clone(&index), lookup, Arc::clone(&settings), counted, Arc::clone(&clock));
    let config = tls::config(Arc::clone(&served)).map_err(|error| Error::Internal(format!("TLS: {error}")))?;

    let reconciler = Reconciler {
        index: Arc::clone(&index),
        writer,
        settings,
        clock,
        serving: serving_when(readiness.clone()),
        server_minor: 0,
        metrics: reconciled,
        events: Arc::default(),
        turned: Arc::default(),
    };
    let source = args.certificate_dir.as_deref().map_or(Source::Made, |folder| Source::Brought(Folder::new(folder)));
    let keeper = Keeper::new(reconciler.clone(), Arc::clone(&known), source, lifetimes, &mut registry);

    let mut tasks: JoinSet<&'static str> = JoinSet::new();
    let health = health::router(readiness, registry);
    tasks.spawn(async move {
        health::serve(plain, health).await;
        "health"
    });
    tasks.spawn({
        let client = client.clone();
        async move {
            index.run(client).await;
            "index"
        }
    });
    tasks.spawn(certificate::follow(client.clone(), known));
    tasks.spawn(keeper.run(leading.clone()));
    let mut serving = tokio::spawn(tls::serve(webhook, config, admission::router(Arc::new(state)), phases));
    let mut candidate = tokio::spawn(election.run(retired));
    tasks.spawn(reconcile(reconciler, client, leading, stopping, retire));
    tracing::info!(address = %args.webhook_address, "serving");

    let died = tokio::select! {
        () = signals.next() => None,
        died = tasks.join_next() => Some(died.and_then(Result::ok).unwrap_or("a task")),
        _ = &mut serving => Some("webhook"),
        _ = &mut candidate => Some("election"),
    };
    // Not ready from here on, and no writer any more; what the API server still sends is answered.
    let _ = stop.send(true);
    let _ = phase.send(Phase::Retire);
    if !candidate.is_finished() {
        let _ = tokio::time::timeout(RETIRE, candidate).await;
    }
    if died.is_none() {
        tracing::info!(seconds = args.drain, "stopping: serving on while the API server turns to others");
        tokio::select! {
            () = drain(&phase, Duration::from_secs(args.drain)) => {}
            _ = &mut serving => {}
            () = signals.next() => {}
        }
    }
    let _ = phase.send(Phase::Close);
    if !serving.is_finished() {
        let _ = serving.await;
    }
    match died {
        None => Ok(Status::Clean),
        Some(task) => Err(Error::Internal(format!("{task} has ended, which it should not: the operator ends too"))),
    }
}

/// Goes on until the webhook has ended by itself.
async fn drain(phase: &watch::Sender<Phase>, least: Duration) {
    tokio::time::sleep(least).await;
    let _ = phase.send(Phase::Leave);
    std::future::pending::<()>().await;
}

fn serving_when(readiness: Readiness) -> Serving {
    Arc::new(move || readiness.bundle())
}

/// Asks for the API server's version, then reconciles until the shutdown. Only when nothing writes any more is the lease
/// given back, also when this ends otherwise.
async fn reconcile(
    reconciler: Reconciler,
    client: Client,
    leading: watch::Receiver<bool>,
    mut stopping: watch::Receiver<bool>,
    retire: watch::Sender<bool>,
) -> &'static str {
    let minor = async {
        loop {
            match client.apiserver_version().await {
                Ok(version) => {
                    let digits: String = version.minor.chars().take_while(char::is_ascii_digit).collect();
                    if let Ok(minor) = digits.parse() {
                        return minor;
                    }
                    tracing::warn!("the API server's version could not be read");
                }
                Err(error) => tracing::warn!(%error, "the API server could not be asked for its version"),
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    let server_minor = tokio::select! {
        minor = minor => minor,
        _ = stopping.wait_for(|stop| *stop) => 0,
    };
    if !*stopping.borrow() {
        Reconciler { server_minor, ..reconciler }.run(leading, stopping.clone()).await;
    }
    let _ = retire.send(true);
    if *stopping.borrow() {
        // The end was asked for: the others decide when it comes.
        std::future::pending::<()>().await;
    }
    "reconcile"
}

async fn config(args: &OperatorArgs) -> Result<Config, Error> {
    let mut config = match &args.kubeconfig {
        Some(file) => {
            let wrong = |error: kube::config::KubeconfigError| {
                Error::Usage(format!("--kubeconfig {}: {error}", file.display()))
            };
            let read = Kubeconfig::read_from(file).map_err(wrong)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(wrong)?
        }
        None => Config::incluster()
            .map_err(|error| Error::Usage(format!("not in a Pod ({error}): pass --kubeconfig FILE")))?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // By it the API server's audit log tells the replicas apart.
    let agent = HeaderValue::from_str(&format!("amanat/{} ({})", env!("CARGO_PKG_VERSION"), args.name))
        .map_err(|_| Error::Usage("--name: not fit for a header".to_owned()))?;
    config.headers.push((USER_AGENT, agent));
    Ok(config)
}

fn client(config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(unusable)
}

/// A client whose writes pass the fence. It repeats nothing by itself: what failed is looked at anew.
fn fenced(mut config: Config, fence: Fence) -> Result<Client, Error> {
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).map_err(unusable)?;
    Ok(builder.with_layer(&FenceLayer::new(fence)).build())
}

fn unusable(error: kube::Error) -> Error {
    Error::Usage(format!("the API server's address or credentials: {error}"))
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Usage(format!("{flag} {address}: {error}")))
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error: std::io::Error| Error::Internal(format!("signals: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use kube::api::PostParams;

    use super::*;
    use crate::cluster::ApplyError;
    use crate::cluster::clock::ManualClock;

    #[tokio::test]
    async fn the_client_for_writing_sends_no_write_of_who_does_not_lead() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Nobody listens there: what is sent fails otherwise.
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let fence = Fence::new(Arc::new(ManualClock::at("2026-01-01T00:00:00Z")));
        let namespaces = Api::<Namespace>::all(fenced(config, fence).unwrap());
        let written = namespaces.create(&PostParams::default(), &Namespace::default()).await;
        assert_eq!(ApplyError::from(written.unwrap_err()).category(), "not-leader");
        let read = namespaces.get("a").await;
        assert_eq!(ApplyError::from(read.unwrap_err()).category(), "failed");
    }
}
