//! `amanat operator` as a process of its own, with the rights of its ServiceAccount and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::component::Component;
use crate::controlplane::free_ports;
use crate::forwarder::Backend;
use crate::kubeconfig::Endpoint;
use crate::net;
use crate::process::Process;
use crate::waiting::until;

/// The namespace that Amanat is installed in.
pub const NAMESPACE: &str = "amanat-system";

/// The ServiceAccount that the chart makes for the operator.
pub const SERVICE_ACCOUNT: &str = "amanat";

/// How a replica is run.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its Pod's name; the replica's name everywhere.
    pub name: String,
    /// The URL that the webhook configurations get, usually the forwarder's.
    pub webhook_url: String,
    /// What it reaches the API server by, where that isn't the cluster's own: a [`crate::delay::DelayProxy`].
    pub through: Option<Endpoint>,
    /// More arguments.
    pub arguments: Vec<String>,
}

/// A replica of the operator. It is killed when it is dropped, or when this process ends in whatever way.
pub struct Operator {
    component: Component,
    name: String,
    webhook: u16,
    health: u16,
}

impl Operator {
    /// Starts a replica with a fresh token of the chart's ServiceAccount.
    pub async fn start(cluster: &Cluster, settings: &Settings) -> Result<Self> {
        let amanat = tokio::task::spawn_blocking(amanat_binary).await??;
        Self::start_at(cluster, settings, &amanat, free_ports()?).await
    }

    /// The same of another executable, with the ports of its webhook and its health given.
    pub async fn start_at(cluster: &Cluster, settings: &Settings, amanat: &Path, ports: [u16; 2]) -> Result<Self> {
        let through = settings.through.as_ref().unwrap_or(cluster.endpoint());
        let kubeconfig = cluster.service_account(NAMESPACE, SERVICE_ACCOUNT, through).await?;
        let [webhook, health] = ports;
        let host = cluster.webhook_host();
        let bind = if host == "127.0.0.1" { "127.0.0.1" } else { "0.0.0.0" };
        let mut arguments = vec![
            "guard".to_owned(),
            amanat.to_string_lossy().into_owned(),
            "operator".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--namespace={NAMESPACE}"),
            format!("--webhook-address={bind}:{webhook}"),
            format!("--health-address=127.0.0.1:{health}"),
            format!("--webhook-url={}", settings.webhook_url),
            format!("--name={}", settings.name),
        ];
        arguments.extend(settings.arguments.iter().cloned());
        let log = cluster.fresh_path(&format!("operator-{}.log", settings.name));
        let mut component = Component::new(&settings.name, cluster.binary(), arguments, log);
        component.start()?;
        Ok(Self { component, name: settings.name.clone(), webhook, health })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process: what the guard runs, not the guard.
    pub fn process(&self) -> Result<Process> {
        Process::guarded_by(&self.component)
    }

    /// What a forwarder needs to know of it.
    pub fn backend(&self) -> Backend {
        Backend {
            name: self.name.clone(),
            webhook: format!("127.0.0.1:{}", self.webhook),
            readiness: self.health_url("readyz"),
        }
    }

    /// The `host:port` where it serves its webhook by TLS.
    pub fn webhook_address(&self) -> String {
        format!("127.0.0.1:{}", self.webhook)
    }

    /// A URL of its health port: `livez`, `readyz` or `metrics`.
    pub fn health_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.health)
    }

    /// Waits until `/readyz` answers 200. A process that ends meanwhile is an error at once.
    pub async fn wait_ready(&mut self, deadline: Duration) -> Result<()> {
        let url = self.health_url("readyz");
        let component = &mut self.component;
        let waited = until(deadline, format!("operator {} to be ready", self.name), async || {
            if let Err(ended) = component.check() {
                return Ok(Err(ended));
            }
            let (status, body) = net::get(&url).await?;
            ensure!(status == 200, "/readyz answers {status}: {body}");
            Ok(Ok(()))
        })
        .await;
        waited
            .and_then(|outcome| outcome)
            .with_context(|| format!("operator {}; the end of its log:\n{}", self.name, self.component.tail()))
    }

    /// The status and the text of `/readyz` at this moment.
    pub async fn readiness(&self) -> Result<(u16, String)> {
        net::get(&self.health_url("readyz")).await
    }

    /// Its metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = net::get(&self.health_url("metrics")).await?;
        ensure!(status == 200, "/metrics answers {status}: {body}");
        Ok(body)
    }

    /// The sum of a metric's samples whose labels all hold `labels`, a part of the text between the braces each.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let text = self.metrics().await?;
        Ok(text.lines().filter_map(|line| sample(line, name, labels)).sum())
    }

    /// Whether the process is alive.
    pub fn is_running(&mut self) -> bool {
        self.component.is_running()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.component.kill();
    }

    /// Stops the process as it stands, as a frozen machine would, until it is resumed.
    pub fn pause(&self) -> Result<()> {
        self.process()?.pause()
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.process()?.resume()
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) -> Result<()> {
        self.component.ask_to_end()
    }

    /// Waits until it has ended after it was asked to.
    pub async fn ended(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.component.ended(deadline).await
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.component.terminate(deadline).await
    }

    /// Starts it again after it was killed: the same name, ports and token.
    pub fn restart(&mut self) -> Result<()> {
        self.component.start()
    }

    /// All that it has logged.
    pub fn log(&self) -> Result<String> {
        self.component.log()
    }
}

fn sample(line: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (inside, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once('}')?,
        None => ("", rest),
    };
    let fits = value.starts_with(' ') && labels.iter().all(|label| inside.contains(label));
    fits.then(|| value.split_whitespace().next()?.parse().ok()).flatten()
}

/// The executable `amanat`: `$AMANAT_BIN`, else built with the profile of this harness.
pub fn amanat_binary() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = std::env::var_os("AMANAT_BIN").filter(|path| !path.is_empty()) {
        return Ok(std::path::absolute(path)?);
    }
    if let Some(path) = BUILT.get() {
        return Ok(path.clone());
    }
    let built = build_amanat()?;
    Ok(BUILT.get_or_init(|| built).clone())
}

fn build_amanat() -> Result<PathBuf> {
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    executable(&build(&[&["--workspace", "--bin=amanat"], profile].concat())?, "amanat")
}

/// The executable of that name among those that [`build`] made.
pub(crate) fn executable(built: &BTreeMap<String, PathBuf>, name: &str) -> Result<PathBuf> {
    built.get(name).cloned().with_context(|| format!("`cargo build` named no executable {name}"))
}

/// The executables that `cargo build` makes with those arguments, by name. It blocks, and its progress is shown.
pub(crate) fn build(arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start `cargo build`")?;
    ensure!(output.status.success(), "`cargo build {}` failed ({})", arguments.join(" "), output.status);
    let mut built = BTreeMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
        let name = message.pointer("/target/name").and_then(Value::as_str);
        if let (Some(name), Some(path)) = (name, message.get("executable").and_then(Value::as_str)) {
            built.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn a_sample_is_read_by_its_whole_name_and_its_labels() {
        let line = r#"amanat_decisions_total{entry="governed",decision="deny"} 3"#;
        assert_eq!(sample(line, "amanat_decisions_total", &[r#"decision="deny""#]), Some(3.0));
        assert_eq!(sample(line, "amanat_decisions_total", &[r#"decision="allow""#]), None);
        assert_eq!(sample(line, "amanat_decisions", &[]), None);
        assert_eq!(sample("amanat_up 1", "amanat_up", &[]), Some(1.0));
    }
}
