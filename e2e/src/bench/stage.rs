//! The arms: a control plane, Amanat with every control on, a webhook that does nothing, and a namespace for each.

mod registered;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amanat::catalogue;
use amanat::control::{Control, Kind};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use self::registered::{Noop, register, running};
use super::load::{Ask, Expect, Peer, once};
use super::pods::{self, Shape};
use crate::amanat::{CLASS_LABEL, values};
use crate::cluster::Cluster;
use crate::component::Component;
use crate::controlplane::{Options, free_ports};
use crate::manifests::{self, manifest, patched};
use crate::operator::{Operator, Settings};
use crate::process::Process;
use crate::waiting::until;
use crate::{chart, kubeconfig, net};

/// In the copies of a configuration it stands where the class label stands, which is Amanat's alone to write.
const COPIED_LABEL: &str = "bench.amanat.dev/data-class";
/// The label of the level that the API server itself enforces.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce";
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
