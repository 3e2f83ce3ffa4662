//! The control plane's five processes on free loopback ports, with a throw-away data folder.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::component::Component;
use crate::kubeconfig::{self, Credential, Endpoint};
use crate::net;
use crate::pki::{self, Authority, Identity};
use crate::waiting::until;

/// An address that no machine has, for an API server that publishes one.
pub const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

const START: Duration = Duration::from_secs(180);
const ATTEMPTS: usize = 3;
const AFTER_THE_APISERVER: [&str; 3] = ["controller-manager", "scheduler", "kwok"];

/// Who writes the addresses of the API server into the EndpointSlice `default/kubernetes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// Nobody: a test writes them itself.
    #[default]
    None,
    /// The API server, by its lease reconciler, with this address (it refuses loopback). Where the machine has it, the
    /// API server is reached by it too.
    Lease(IpAddr),
}

/// What differs between control planes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Admission plugins of the API server that are switched off, such as `PodSecurity`.
    pub disable_admission_plugins: Vec<String>,
    /// Who writes the EndpointSlice of the API server.
    pub endpoints: Endpoints,
    /// More arguments for the API server.
    pub apiserver_arguments: Vec<String>,
}

/// A running control plane. It ends when it is dropped, or when this process ends in whatever way.
pub struct ControlPlane {
    components: Vec<Component>,
    /// Where each says whether it is healthy.
    health: BTreeMap<String, String>,
    folder: PathBuf,
    endpoint: Endpoint,
    authority: Authority,
}

#[derive(Clone, Copy)]
struct Ports {
    etcd: u16,
    peers: u16,
    apiserver: u16,
    controller_manager: u16,
    scheduler: u16,
    kwok: u16,
}

impl ControlPlane {
    /// Starts a control plane from the binary, and waits until every component is healthy.
    ///
    /// `folder` holds keys, data, logs and kubeconfigs afterwards.
    pub async fn start(binary: &Path, folder: &Path, options: &Options) -> Result<Self> {
        let mut attempt = 1;
        loop {
            // A free port can be taken by someone else before the component binds it.
            match Self::start_once(binary, &folder.join(format!("attempt-{attempt}")), options).await {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn start_once(binary: &Path, folder: &Path, options: &Options) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let ports = Ports::free()?;
        let host = match options.endpoints {
            Endpoints::Lease(address) if is_ours(address) => address.to_string(),
            _ => "127.0.0.1".to_owned(),
        };
        let server = format!("https://{host}:{}", ports.apiserver);
        let authority = Authority::new("e2e")?;
        let service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"];
        let hosts = [&["127.0.0.1", "localhost", host.as_str()], service.as_slice()].concat();
        let serving = authority.server("kube-apiserver", &hosts)?;
        let health = [
            ("etcd", format!("http://127.0.0.1:{}/health", ports.etcd)),
            ("apiserver", format!("{server}/readyz")),
            ("controller-manager", format!("https://127.0.0.1:{}/healthz", ports.controller_manager)),
            ("scheduler", format!("https://127.0.0.1:{}/healthz", ports.scheduler)),
            ("kwok", format!("http://127.0.0.1:{}/healthz", ports.kwok)),
        ];
        let health = health.into_iter().map(|(name, url)| (name.to_owned(), url)).collect();
        let endpoint = Endpoint { server, authority: authority.certificate().to_owned() };
        let mut plane = Self { components: Vec::new(), health, folder: folder.to_owned(), endpoint, authority };
        plane.write_files(&serving)?;

        plane.run(binary, "etcd", plane.etcd(&ports))?;
        plane.healthy("etcd").await?;
        plane.run(binary, "apiserver", plane.apiserver(&ports, options))?;
        plane.healthy("apiserver").await?;
        plane.grant_kwok(binary).await?;
        plane.run(binary, "controller-manager", plane.controller_manager(&ports))?;
        plane.run(binary, "scheduler", plane.scheduler(&ports))?;
        plane.run(binary, "kwok", plane.kwok(&ports))?;
        for name in AFTER_THE_APISERVER {
            plane.healthy(name).await?;
        }
        Ok(plane)
    }

    /// The API server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The kubeconfig of a user of the group `system:masters`.
    pub fn admin(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// The folder with data and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The API server's audit log: one JSON event a line.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// A component by its name: `etcd`, `apiserver`, `controller-manager`, `scheduler` or `kwok`.
    pub fn component(&mut self, name: &str) -> Result<&mut Component> {
        let found = self.components.iter_mut().find(|component| component.name() == name);
        found.with_context(|| format!("no component of the control plane is called {name}"))
    }

    /// Kills the API server, starts it again and waits until it is ready.
    pub async fn restart_apiserver(&mut self) -> Result<()> {
        let apiserver = self.component("apiserver")?;
        apiserver.kill();
        apiserver.start()?;
        self.healthy("apiserver").await
    }

    /// Kills etcd, starts it again on its data, and waits until the API server is ready again.
    pub async fn restart_etcd(&mut self) -> Result<()> {
        let etcd = self.component("etcd")?;
        etcd.kill();
        etcd.start()?;
        self.healthy("etcd").await?;
        self.healthy("apiserver").await
    }

    /// Kills every component.
    pub fn kill(&mut self) {
        for component in self.components.iter_mut().rev() {
            component.kill();
        }
    }

    /// Starts every component again, on the same ports and data, and waits until all are healthy.
    pub async fn start_again(&mut self) -> Result<()> {
        for name in ["etcd", "apiserver"] {
            self.component(name)?.start()?;
            self.healthy(name).await?;
        }
        for name in AFTER_THE_APISERVER {
            self.component(name)?.start()?;
        }
        for name in AFTER_THE_APISERVER {
            self.healthy(name).await?;
        }
        Ok(())
    }

    /// Changes an argument of a component, as from its next start. It must have one with that name.
    pub fn set_argument(&mut self, component: &str, name: &str, value: &str) -> Result<()> {
        self.component(component)?.set_argument(name, value)
    }

    fn write_files(&self, serving: &Identity) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        let (private, public) = pki::token_key()?;
        write("ca.crt", &self.endpoint.authority)?;
        write("serving.crt", &serving.certificate)?;
        write("serving.key", &serving.key)?;
        write("token.key", &private)?;
        write("token.pub", &public)?;
        write("audit-policy.yaml", include_str!("../assets/audit-policy.yaml"))?;
        write("stages.yaml", include_str!("../assets/stages.yaml"))?;
        for (name, user, group) in [
            ("admin", "kubernetes-admin", Some("system:masters")),
            ("controller-manager", "system:kube-controller-manager", None),
            ("scheduler", "system:kube-scheduler", None),
            ("kwok", "system:kwok", None),
        ] {
            let credential = Credential::Certificate(self.authority.client(user, group)?);
            let path = self.folder.join(format!("{name}.kubeconfig"));
            kubeconfig::write(&path, &self.endpoint, &credential)?;
        }
        Ok(())
    }

    fn run(&mut self, binary: &Path, name: &str, mut arguments: Vec<String>) -> Result<()> {
        arguments.insert(0, name.to_owned());
        let mut component = Component::new(name, binary, arguments, self.folder.join(format!("{name}.log")));
        // Nothing of the user's own configuration, ~/.kwok for one, may have a part in this.
        component.environment("HOME", &self.file("home"));
        component.start()?;
        self.components.push(component);
        Ok(())
    }

    async fn healthy(&mut self, name: &str) -> Result<()> {
        let url = self.health.get(name).with_context(|| format!("no component is called {name}"))?.clone();
        let waited = until(START, format!("{name} to be healthy at {url}"), async || {
            // An ended process is no state that passes: the error is handed out as a value.
            if let Err(ended) = self.component(name)?.check() {
                return Ok(Err(ended));
            }
            let (status, body) = net::get(&url).await?;
            ensure!(status == 200, "{status} {body}");
            Ok(Ok(()))
        });
        waited.await.and_then(|outcome| outcome)
    }

    async fn grant_kwok(&self, binary: &Path) -> Result<()> {
        let path = self.folder.join("kwok-rbac.json");
        let objects: serde_json::Value = serde_json::from_str(include_str!("../assets/kwok-rbac.json"))?;
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        std::fs::write(&path, list.to_string())?;
        let tools = crate::tools::Tools::new(binary, &self.admin(), &self.folder);
        tools.kubectl(&["create", "-f", &path.to_string_lossy()]).await?.ok()?;
        Ok(())
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn etcd(&self, ports: &Ports) -> Vec<String> {
        let (clients, peers) =
            (format!("http://127.0.0.1:{}", ports.etcd), format!("http://127.0.0.1:{}", ports.peers));
        vec![
            format!("--data-dir={}", self.file("etcd")),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ]
    }

    fn apiserver(&self, ports: &Ports, options: &Options) -> Vec<String> {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let (reconciler, address) = match options.endpoints {
            Endpoints::None => ("none", loopback),
            Endpoints::Lease(address) => ("lease", address),
        };
        let bind = if is_ours(address) && address != loopback { IpAddr::from([0, 0, 0, 0]) } else { loopback };
        let mut arguments = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            format!("--bind-address={bind}"),
            format!("--advertise-address={address}"),
            format!("--endpoint-reconciler-type={reconciler}"),
            format!("--secure-port={}", ports.apiserver),
            format!("--tls-cert-file={}", self.file("serving.crt")),
            format!("--tls-private-key-file={}", self.file("serving.key")),
            format!("--client-ca-file={}", self.file("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-signing-key-file={}", self.file("token.key")),
            format!("--service-account-key-file={}", self.file("token.pub")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement".to_owned(),
            format!("--audit-policy-file={}", self.file("audit-policy.yaml")),
            format!("--audit-log-path={}", self.audit_log().to_string_lossy()),
            "--audit-log-mode=blocking".to_owned(),
            "--profiling=false".to_owned(),
        ];
        if !options.disable_admission_plugins.is_empty() {
            arguments.push(format!("--disable-admission-plugins={}", options.disable_admission_plugins.join(",")));
        }
        arguments.extend(options.apiserver_arguments.iter().cloned());
        arguments
    }

    fn controller_manager(&self, ports: &Ports) -> Vec<String> {
        let mut arguments = self.controller("controller-manager", ports.controller_manager);
        arguments.extend([
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", self.file("token.key")),
            format!("--root-ca-file={}", self.file("ca.crt")),
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ]);
        arguments
    }

    fn scheduler(&self, ports: &Ports) -> Vec<String> {
        self.controller("scheduler", ports.scheduler)
    }

    fn controller(&self, name: &str, port: u16) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.file(&format!("{name}.kubeconfig"))),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", self.file("serving.crt")),
            format!("--tls-private-key-file={}", self.file("serving.key")),
            "--leader-elect=false".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn kwok(&self, ports: &Ports) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.file("kwok.kubeconfig")),
            format!("--config={}", self.file("stages.yaml")),
            format!("--manage-nodes-with-annotation-selector={}", crate::nodes::SELECTOR),
            "--node-lease-duration-seconds=40".to_owned(),
            "--node-ip=10.0.0.1".to_owned(),
            "--cidr=10.244.0.0/16".to_owned(),
            format!("--server-address=127.0.0.1:{}", ports.kwok),
        ]
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // In reverse, so that nothing fills its log with the loss of what it needs.
        while let Some(component) = self.components.pop() {
            drop(component);
        }
    }
}

impl Ports {
    fn free() -> Result<Self> {
        let [etcd, peers, apiserver, controller_manager, scheduler, kwok] = free_ports()?;
        Ok(Self { etcd, peers, apiserver, controller_manager, scheduler, kwok })
    }
}

/// Whether the machine itself has the address.
fn is_ours(address: IpAddr) -> bool {
    TcpListener::bind((address, 0)).is_ok()
}

/// Where ports are looked for: below the range that outgoing connections take theirs from, one of which would be faster
/// than the server that a port is meant for.
const PORTS: RangeInclusive<u16> = 10_000..=29_999;

/// Loopback ports that nobody listens on. Each is given once, since a server may be stopped for a while.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end() - PORTS.start()) + 1;
    // Other processes of these tests look elsewhere first.
    let first = std::process::id().wrapping_mul(997);
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..count)
            .map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count)
            .filter_map(|place| PORTS.start().checked_add(u16::try_from(place).ok()?))
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .context("find a free port")?;
    }
    Ok(ports)
}
