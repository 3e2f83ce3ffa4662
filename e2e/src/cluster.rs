//! What a test sees of a cluster: its own control plane, or the cluster that `E2E_KUBECONFIG` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::controlplane::{ControlPlane, Options};
use crate::folder::Folder;
use crate::kubeconfig::{self, Credential, Endpoint};
use crate::tools::Tools;
use crate::waiting::until;
use crate::{binary, nodes};

/// How many nodes a cluster of our own has.
pub const NODES: usize = 10;

const TOKEN_SECONDS: i64 = 24 * 60 * 60;
const DEFAULT_SERVICE_ACCOUNT: Duration = Duration::from_secs(60);

/// A cluster to test on.
pub struct Cluster {
    client: Client,
    admin: PathBuf,
    endpoint: Endpoint,
    binary: PathBuf,
    plane: Option<Mutex<ControlPlane>>,
    audit: Option<PathBuf>,
    count: AtomicU32,
    folder: Folder,
}

/// Whether the tests use a cluster that someone else has started.
pub fn is_foreign() -> bool {
    std::env::var_os("E2E_KUBECONFIG").is_some_and(|path| !path.is_empty())
}

impl Cluster {
    /// The cluster of `E2E_KUBECONFIG`, else a control plane of our own with ten Ready nodes.
    ///
    /// In a foreign cluster all nodes are labelled to be in the country, none are created, and cases that need the control
    /// plane itself (its audit log, its options, a restart, nodes with labels) are left out. Its API server must reach
    /// this machine at `E2E_WEBHOOK_HOST`; of kind that is the gateway of its Docker network.
    pub async fn start() -> Result<Self> {
        if is_foreign() { Self::foreign().await } else { Self::own(&Options::default()).await }
    }

    /// A control plane of our own with ten Ready nodes.
    pub async fn own(options: &Options) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(binary::locate).await??;
        let folder = Folder::new()?;
        let plane = ControlPlane::start(&binary, folder.path(), options).await?;
        let admin = plane.admin();
        let cluster = Self {
            client: client(&admin).await?,
            admin,
            endpoint: plane.endpoint().clone(),
            binary,
            audit: Some(plane.audit_log()),
            plane: Some(Mutex::new(plane)),
            count: AtomicU32::new(0),
            folder,
        };
        let (label, country) = nodes::IN_COUNTRY;
        let labels = BTreeMap::from([(label.to_owned(), country.to_owned())]);
        nodes::create(&cluster.client, NODES, |_| labels.clone()).await?;
        nodes::wait_ready(&cluster.client, NODES).await?;
        Ok(cluster)
    }

    async fn foreign() -> Result<Self> {
        let named = std::path::absolute(std::env::var_os("E2E_KUBECONFIG").context("E2E_KUBECONFIG is not set")?)?;
        let binary = tokio::task::spawn_blocking(binary::locate).await??;
        let folder = Folder::new()?;
        let named = Tools::new(&binary, &named, folder.path());
        let flat = named.kubectl(&["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]).await?.ok()?;
        let admin = folder.path().join("admin.kubeconfig");
        std::fs::write(&admin, &flat).with_context(|| format!("write {}", admin.display()))?;
        let (label, country) = nodes::IN_COUNTRY;
        let in_country = format!("{label}={country}");
        Tools::new(&binary, &admin, folder.path())
            .kubectl(&["label", "nodes", "--all", "--overwrite", &in_country])
            .await?
            .ok()?;
        let config: Value = serde_json::from_str(&flat)?;
        let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let server = text("/clusters/0/cluster/server").context("E2E_KUBECONFIG has no server")?;
        let authority = text("/clusters/0/cluster/certificate-authority-data");
        let authority = authority.context("E2E_KUBECONFIG has no certificate-authority-data")?;
        let authority: k8s_openapi::ByteString = serde_json::from_value(Value::String(authority))?;
        Ok(Self {
            client: client(&admin).await?,
            admin,
            endpoint: Endpoint { server, authority: String::from_utf8(authority.0)? },
            binary,
            plane: None,
            audit: None,
            count: AtomicU32::new(0),
            folder,
        })
    }

    /// A client with all rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The kubeconfig with all rights.
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// The API server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The binary of the control plane.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The throw-away folder of this cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How the API server reaches this machine: a host for webhook URLs.
    pub fn webhook_host(&self) -> String {
        std::env::var("E2E_WEBHOOK_HOST").unwrap_or_else(|_| "127.0.0.1".to_owned())
    }

    /// The control plane, where it is our own.
    pub async fn control_plane(&self) -> Result<MutexGuard<'_, ControlPlane>> {
        match &self.plane {
            Some(plane) => Ok(plane.lock().await),
            None => bail!("the cluster of E2E_KUBECONFIG is not ours to take apart"),
        }
    }

    /// Keeps the throw-away folder, with all logs, after the end, and returns it.
    pub fn keep_folder(&mut self) -> Result<PathBuf> {
        self.folder.keep()
    }

    /// kubectl and helm with all rights.
    pub fn tools(&self) -> Tools {
        self.tools_as(&self.admin)
    }

    /// kubectl and helm as the user of a kubeconfig.
    pub fn tools_as(&self, kubeconfig: &Path) -> Tools {
        Tools::new(&self.binary, kubeconfig, self.folder.path())
    }

    /// The kubeconfig of a user with the given groups, and no others but `system:authenticated`.
    ///
    /// It is the administrator's, with impersonation: admission and authorization see the user alone; the audit log
    /// has it as `impersonatedUser`.
    pub fn user(&self, name: &str, groups: &[&str]) -> Result<PathBuf> {
        let path = self.fresh_path("user");
        let text = std::fs::read(&self.admin).context("read the administrator's kubeconfig")?;
        kubeconfig::impersonate(&serde_json::from_slice(&text)?, &path, name, groups)?;
        Ok(path)
    }

    /// The kubeconfig of a ServiceAccount with a token that it was just issued.
    ///
    /// `through` is what it reaches the API server by: [`Cluster::endpoint`], or that of a proxy.
    pub async fn service_account(&self, namespace: &str, name: &str, through: &Endpoint) -> Result<PathBuf> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let issued = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let issued = issued.with_context(|| format!("a token for ServiceAccount {namespace}/{name}"))?;
        let token = issued.status.and_then(|status| status.token).context("the answer has no token")?;
        let path = self.fresh_path("service-account");
        kubeconfig::write(&path, through, &Credential::Token(token))?;
        Ok(path)
    }

    /// Creates a namespace with a name of its own that starts with `prefix`, and waits for its ServiceAccount
    /// `default`, without which no Pod can be created there.
    pub async fn namespace(&self, prefix: &str, labels: &[(&str, &str)]) -> Result<String> {
        let name = format!("{prefix}-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        namespace.metadata.labels = Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        self.wait_for_namespace(&name).await?;
        Ok(name)
    }

    /// Waits until Pods can be created in a namespace.
    pub async fn wait_for_namespace(&self, name: &str) -> Result<()> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), name);
        until(DEFAULT_SERVICE_ACCOUNT, format!("ServiceAccount {name}/default"), async || {
            Ok(accounts.get("default").await.map(|_| ())?)
        })
        .await
    }

    /// How long the audit log is at this moment, for [`Cluster::audit_since`].
    pub fn audit_mark(&self) -> Result<usize> {
        Ok(self.read_audit()?.len())
    }

    /// The events that the audit log gained since the mark, oldest first.
    pub fn audit_since(&self, mark: usize) -> Result<Vec<Value>> {
        let log = self.read_audit()?;
        let lines = log.get(mark..).unwrap_or_default().lines();
        // The last line may still be growing.
        Ok(lines.filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn read_audit(&self) -> Result<String> {
        let path = self.audit.as_ref().context("the audit log of a foreign cluster can't be read")?;
        std::fs::read_to_string(path).with_context(|| format!("read the audit log {}", path.display()))
    }

    /// A path in the throw-away folder that nobody uses yet.
    pub fn fresh_path(&self, prefix: &str) -> PathBuf {
        self.folder.path().join(format!("{prefix}-{}", self.count.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A client of the user of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
