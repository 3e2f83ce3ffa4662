//! The arms: a control plane, Amanat with every control on, a webhook that does nothing, and a namespace for each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amanat::catalogue;
use amanat::control::{Control, Kind};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use super::load::{Ask, Expect, Peer, once};
use super::pods::{self, Shape};
use crate::amanat::{CLASS_LABEL, values};
use crate::cluster::Cluster;
use crate::component::Component;
use crate::controlplane::{Options, free_ports};
use crate::manifests::{self, manifest, patched};
use crate::operator::{Operator, Settings};
use crate::pki::Authority;
use crate::process::Process;
use crate::waiting::until;
use crate::{chart, kubeconfig, net};

/// In the copies of a configuration it stands where the class label stands, which is Amanat's alone to write.
const COPIED_LABEL: &str = "bench.amanat.dev/data-class";
/// The label of the level that the API server itself enforces.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce";
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The kinds of webhook configurations.
const CONFIGURATIONS: [&str; 2] = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];
/// How many reviews of each shape are recorded.
const RECORDED: usize = 64;
const SOON: Duration = Duration::from_secs(120);

/// Who is asked about a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arm {
    /// Nobody.
    None,
    /// A webhook that does nothing, registered as Amanat is, but for validating alone.
    Validating,
    /// The same, registered wholly as Amanat is.
    Noop,
    /// Amanat with every control on.
    Amanat,
    /// Amanat in a class for which every second of the controls that judge Pods is off.
    Half,
}

impl Arm {
    /// Its name in the tables.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "no webhook",
            Self::Validating => "no-op, validating only",
            Self::Noop => "no-op",
            Self::Amanat => "Amanat",
            Self::Half => "Amanat, half of the controls",
        }
    }

    /// Its namespace. All names are of the same length, so that a recorded review can be moved to another.
    fn namespace(self) -> &'static str {
        match self {
            Self::None => "bench-none",
            Self::Validating => "bench-vali",
            Self::Noop => "bench-noop",
            Self::Amanat => "bench-full",
            Self::Half => "bench-half",
        }
    }

    /// The class of its namespace, or, where Amanat isn't asked, of the one that it is made alike.
    fn class(self) -> &'static str {
        match self {
            Self::None | Self::Validating | Self::Noop | Self::Amanat => "Restricted",
            Self::Half => "Public",
        }
    }
}

/// A webhook that is asked, also directly.
pub(super) struct Webhook {
    pub(super) peer: Peer,
    pub(super) process: Process,
}

/// What came of recording: how a shape is called about, and the reviews themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Reviews {
    by: BTreeMap<(String, Shape), Vec<String>>,
}

impl Reviews {
    /// The paths that are called, once for each Pod of the shape.
    pub(super) fn paths(&self, shape: Shape) -> Vec<&str> {
        self.by.keys().filter(|(_, of)| *of == shape).map(|(path, _)| path.as_str()).collect()
    }

    /// The reviews, as they would be of an arm's namespace.
    pub(super) fn asks(&self, path: &str, shape: Shape, arm: Arm) -> Arc<[Ask]> {
        let reviews = self.by.get(&(path.to_owned(), shape)).into_iter().flatten();
        let moved = reviews.map(|review| {
            review.replace(Arm::Noop.namespace(), arm.namespace()).replace(Arm::Noop.class(), arm.class())
        });
        moved.map(|body| Ask { path: path.to_owned(), body: Bytes::from(body) }).collect()
    }
}

/// All arms, live.
pub(super) struct Stage {
    pub(super) api: Peer,
    pub(super) amanat: Webhook,
    pub(super) noop: Webhook,
    pub(super) reviews: Reviews,
    pods: BTreeMap<Shape, Value>,
    _noop: Component,
    _operator: Operator,
    _cluster: Cluster,
}

impl Stage {
    /// Starts everything, and records what the API server asks.
    pub(super) async fn set(amanat: &Path) -> Result<Self> {
        eprintln!("e2e: starting a control plane, Amanat and a webhook that does nothing");
        let cluster = Cluster::own(&Options::default()).await?;
        let api = Peer {
            address: cluster.endpoint().address().to_owned(),
            tls: net::client_config(Some(&kubeconfig::client_certificate(cluster.admin())?))?,
        };
        let operator = install(&cluster, amanat).await?;
        declare(&cluster).await?;
        let mut pods = BTreeMap::from([(Shape::Bare, pods::bare()), (Shape::Denied, pods::denied())]);
        until(SOON, "Amanat to refuse a Pod", async || {
            once(&api, &[create(Arm::Amanat, &pods::denied())], Expect::Forbidden).await
        })
        .await?;
        let made = once(&api, &[create(Arm::Amanat, &pods::bare())], Expect::Created).await?;
        let made = made.first().context("the API server answered nothing")?;
        pods.insert(Shape::Complete, pods::complete(&serde_json::from_slice(made)?)?);

        even_out(&cluster).await?;
        let [port] = free_ports()?;
        let mut noop = Noop::new(&cluster, port)?;
        let folder = cluster.fresh_path("reviews");
        std::fs::create_dir_all(&folder)?;
        let mut component = noop.start(&cluster, Some(&folder))?;
        register(&cluster, &noop).await?;
        let reviews = record(&api, &folder, &pods).await?;
        component.kill();
        component = noop.start(&cluster, None)?;
        let plain = net::client_config(None)?;
        let webhook = |address: String, process| Webhook { peer: Peer { address, tls: Arc::clone(&plain) }, process };
        let stage = Self {
            api,
            amanat: webhook(operator.webhook_address(), operator.process()?),
            noop: webhook(noop.address(), running(&component, &noop.address()).await?),
            reviews,
            pods,
            _noop: component,
            _operator: operator,
            _cluster: cluster,
        };
        Ok(stage)
    }

    /// The making of a Pod in an arm's namespace.
    pub(super) fn ask(&self, arm: Arm, shape: Shape) -> Arc<[Ask]> {
        self.pods.get(&shape).map(|pod| create(arm, pod)).into_iter().collect()
    }

    /// The webhook that an arm asks.
    pub(super) fn webhook(&self, arm: Arm) -> Option<&Webhook> {
        match arm {
            Arm::None => None,
            Arm::Validating | Arm::Noop => Some(&self.noop),
            Arm::Amanat | Arm::Half => Some(&self.amanat),
        }
    }
}

/// The controls that judge Pods, each with whether it is on in the class with a half of them.
pub(super) fn controls() -> Vec<(&'static Control, bool)> {
    let judges_pods = |control: &&&Control| control.judges.iter().any(|judges| judges.kinds.contains(&Kind::Pod));
    let all = catalogue::ALL.iter().filter(judges_pods).enumerate();
    all.map(|(number, control)| (*control, number % 2 == 0)).collect()
}

fn create(arm: Arm, pod: &Value) -> Ask {
    let path = format!("/api/v1/namespaces/{}/pods?dryRun=All", arm.namespace());
    Ask { path, body: Bytes::from(pod.to_string()) }
}

async fn install(cluster: &Cluster, amanat: &Path) -> Result<Operator> {
    let ports: [u16; 2] = free_ports()?;
    let [webhook, _] = ports;
    let url = format!("https://127.0.0.1:{webhook}");
    let effects = |half: &str| {
        json!({"effects": {"Open": "Disabled", "Public": half, "Restricted": "Deny", "Confidential": "Deny",
            "Secret": "Deny"}})
    };
    let set =
        |(control, half): (&Control, bool)| (control.id.to_owned(), effects(if half { "Deny" } else { "Disabled" }));
    let set: serde_json::Map<String, Value> = controls().into_iter().map(set).collect();
    // To Amanat, the namespaces of the other arms are the cluster's own: it isn't asked about them.
    let others = [Arm::None, Arm::Validating, Arm::Noop].map(Arm::namespace);
    let more = json!({"baseline": {"controls": set}, "systemNamespaces": others});
    chart::install(cluster, &cluster.tools(), &chart::values(&url, &patched(values(), &more)), &[]).await?.ok()?;
    let settings = Settings {
        name: "amanat-0".to_owned(),
        webhook_url: url,
        through: None,
        arguments: others.iter().map(|namespace| format!("--system-namespace={namespace}")).collect(),
    };
    let mut operator = Operator::start_at(cluster, &settings, amanat, ports).await?;
    operator.wait_ready(SOON).await?;
    Ok(operator)
}

async fn declare(cluster: &Cluster) -> Result<()> {
    let tools = cluster.tools();
    let arms = [Arm::None, Arm::Validating, Arm::Noop, Arm::Amanat, Arm::Half];
    let mut objects: Vec<Value> = arms.iter().map(|arm| manifests::namespace(arm.namespace())).collect();
    objects.extend([manifests::entity(manifests::ENTITY), manifests::provider(manifests::PROVIDER)]);
    let declared = [Arm::Amanat, Arm::Half];
    objects.extend(declared.map(|arm| manifests::cloud_workload(arm.namespace(), arm.class())));
    // Until the webhook is called, declarations are refused as they are while nobody answers.
    until(SOON, "the namespaces to be declared", async || tools.apply(&manifest(&objects)).await?.ok()).await?;
    for arm in declared {
        let wait = ["wait", "cloudworkload/workload", "--for=condition=Ready", "--timeout=60s", "-n", arm.namespace()];
        tools.kubectl(&wait).await?.ok()?;
    }
    for arm in arms {
        cluster.wait_for_namespace(arm.namespace()).await?;
    }
    Ok(())
}

/// Gives the other arms' namespaces what the API server itself acts upon in Amanat's.
async fn even_out(cluster: &Cluster) -> Result<()> {
    let tools = cluster.tools();
    let read =
        async |arguments: &[&str]| anyhow::Ok(serde_json::from_str::<Value>(&tools.kubectl(arguments).await?.ok()?)?);
    let namespace = read(&["get", "namespace", Arm::Amanat.namespace(), "-o", "json"]).await?;
    let labels = namespace.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let of_class = |key: &str| key.starts_with("pod-security.kubernetes.io/") || key == CLASS_LABEL;
    let labels: Vec<String> = labels
        .filter(|(key, _)| of_class(key))
        .filter_map(|(key, value)| {
            // Nothing is supplied there, so that a bare Pod breaks what is enforced in Amanat's: it is judged as often, by
            // the level that it meets.
            let value = if key == ENFORCED { "baseline" } else { value.as_str()? };
            Some(format!("{}={value}", key.replace(CLASS_LABEL, COPIED_LABEL)))
        })
        .collect();
    let built = read(&["get", "resourcequotas,limitranges", "-n", Arm::Amanat.namespace(), "-o", "json"]).await?;
    let built: Vec<Value> = built.get("items").and_then(Value::as_array).into_iter().flatten().cloned().collect();
    for arm in [Arm::None, Arm::Validating, Arm::Noop] {
        let label = ["label", "namespace", arm.namespace(), "--overwrite"];
        let label: Vec<&str> = label.into_iter().chain(labels.iter().map(String::as_str)).collect();
        tools.kubectl(&label).await?.ok()?;
        for object in &built {
            let text = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
            let copy = json!({"apiVersion": "v1", "kind": text("/kind"), "spec": text("/spec"),
                "metadata": {"name": text("/metadata/name"), "namespace": arm.namespace()}});
            tools.apply(&copy.to_string()).await?.ok()?;
        }
    }
    Ok(())
}

/// The webhook that does nothing, as a process of its own.
struct Noop {
    port: u16,
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
}

impl Noop {
    fn new(cluster: &Cluster, port: u16) -> Result<Self> {
        let authority = Authority::new("noop")?;
        let identity = authority.server("noop", &["127.0.0.1"])?;
        let (certificate, key) = (cluster.fresh_path("noop.crt"), cluster.fresh_path("noop.key"));
        std::fs::write(&certificate, identity.certificate)?;
        std::fs::write(&key, identity.key)?;
        Ok(Self { port, authority, certificate, key })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn start(&mut self, cluster: &Cluster, record: Option<&Path>) -> Result<Component> {
        let own = std::env::current_exe().context("find the executable of this process")?;
        let mut arguments = vec!["guard".to_owned(), own.to_string_lossy().into_owned(), "noop-webhook".to_owned()];
        arguments.extend([
            format!("--address={}", self.address()),
            format!("--certificate={}", self.certificate.display()),
            format!("--key={}", self.key.display()),
        ]);
        arguments.extend(record.map(|folder| format!("--record={}", folder.display())));
        let mut component = Component::new("noop", cluster.binary(), arguments, cluster.fresh_path("noop.log"));
        component.start()?;
        Ok(component)
    }
}

/// The process that a component guards, once it listens.
async fn running(component: &Component, address: &str) -> Result<Process> {
    until(SOON, "the webhook that does nothing to listen", async || net::connect(address).await.map(|_| ())).await?;
    Process::guarded_by(component)
}

/// Registers the webhook that does nothing as Amanat is, for the namespaces of its two arms.
async fn register(cluster: &Cluster, noop: &Noop) -> Result<()> {
    let tools = cluster.tools();
    for kind in CONFIGURATIONS {
        let found = tools.kubectl(&["get", kind, "amanat", "--ignore-not-found", "-o", "json"]).await?.ok()?;
        if found.is_empty() {
            continue;
        }
        let found: Value = serde_json::from_str(&found)?;
        for arm in [Arm::Noop, Arm::Validating] {
            if arm == Arm::Noop || kind == "ValidatingWebhookConfiguration" {
                tools.apply(&copied(&found, arm, noop).to_string()).await?.ok()?;
            }
        }
    }
    Ok(())
}

/// A configuration of Amanat with another place to call, and other namespaces. Of what isn't in a namespace, or is in
/// any, Pods aren't: those webhooks are left out.
fn copied(configuration: &Value, arm: Arm, noop: &Noop) -> Value {
    let webhooks = configuration.get("webhooks").and_then(Value::as_array).into_iter().flatten();
    let webhooks: Vec<Value> = webhooks.filter_map(|webhook| moved(webhook.clone(), arm, noop)).collect();
    json!({
        "apiVersion": configuration.get("apiVersion"),
        "kind": configuration.get("kind"),
        "metadata": {"name": arm.namespace()},
        "webhooks": webhooks,
    })
}

fn moved(mut webhook: Value, arm: Arm, noop: &Noop) -> Option<Value> {
    let mut of_namespaces = false;
    for requirement in webhook.pointer_mut("/namespaceSelector/matchExpressions")?.as_array_mut()? {
        match requirement.get("key")?.as_str()? {
            NAME_LABEL => {
                *requirement = json!({"key": NAME_LABEL, "operator": "In", "values": [arm.namespace()]});
                of_namespaces = true;
            }
            CLASS_LABEL => *requirement.get_mut("key")? = json!(COPIED_LABEL),
            _ => {}
        }
    }
    let url = webhook.pointer("/clientConfig/url")?.as_str()?;
    let (_, path) = url.trim_start_matches("https://").split_once('/')?;
    let authority = k8s_openapi::ByteString(noop.authority.certificate().as_bytes().to_vec());
    let client = json!({"url": format!("https://{}/{path}", noop.address()), "caBundle": authority});
    *webhook.get_mut("clientConfig")? = client;
    of_namespaces.then_some(webhook)
}

/// Makes Pods where the webhook that does nothing is asked, and takes what it was asked.
async fn record(api: &Peer, folder: &Path, pods: &BTreeMap<Shape, Value>) -> Result<Reviews> {
    let taken = || -> Result<BTreeMap<String, String>> {
        let mut taken = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            taken.insert(name, std::fs::read_to_string(&path)?);
            std::fs::remove_file(&path)?;
        }
        Ok(taken)
    };
    for arm in [Arm::Validating, Arm::Noop] {
        until(SOON, format!("the webhook that does nothing to be asked of {}", arm.namespace()), async || {
            once(api, &[create(arm, &pods::bare())], Expect::Created).await?;
            ensure!(!taken()?.is_empty(), "it isn't");
            Ok(())
        })
        .await?;
    }
    let mut reviews = Reviews::default();
    for shape in [Shape::Complete, Shape::Bare] {
        let pod = pods.get(&shape).context("a shape without a Pod")?;
        once(api, &vec![create(Arm::Noop, pod); RECORDED], Expect::Created).await?;
        for (name, review) in taken()? {
            let (_, path) = name.split_once('-').context("a record without a path")?;
            reviews.by.entry((format!("/{}", path.replace('-', "/")), shape)).or_default().push(review);
        }
        for path in reviews.paths(shape) {
            eprintln!("e2e: a {} Pod is asked about at {path}", shape.as_str());
        }
    }
    Ok(reviews)
}
