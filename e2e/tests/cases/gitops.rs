//! A set of manifests that knows nothing of Amanat's labels and policies, applied again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::manifests::{self, manifest, patched};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use super::given;

const ROUNDS: usize = 5;

/// Rounds after which nothing may change any more: tools note in the second one what they did in the first.
const SETTLED: usize = 2;

const LABELS: [&str; 2] = [CLASS_LABEL, "pod-security.kubernetes.io/enforce"];

/// The label by which one of the ways finds what it once applied.
const SET: &str = "example.com/set";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "gitops: a set applied again and again is fought by nobody, and prunes nothing that was built",
            again,
        )
        .on_own_cluster(),
    ]
}

/// A way to apply a set.
struct Way {
    name: &'static str,
    arguments: Vec<String>,
    /// What is gone from the set is deleted.
    prunes: bool,
}

fn ways() -> Vec<Way> {
    let way = |name, prunes, arguments: &[&str]| Way {
        name,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        prunes,
    };
    let kinds = ["core/v1/ConfigMap", "core/v1/Namespace", "apps/v1/Deployment", "networking.k8s.io/v1/NetworkPolicy"];
    let mut pruning = way("prune", true, &["--prune", "--selector", &format!("{SET}=prune")]);
    pruning.arguments.extend(kinds.map(|kind| format!("--prune-allowlist={kind}")));
    vec![
        way("server-side", false, &["--server-side", "--field-manager=argocd-controller"]),
        way("client-side", false, &[]),
        pruning,
        way("apply-set", true, &["--server-side", "--prune", "--namespace=gitops-apply-set", "--applyset=gitops"]),
    ]
}

/// The set; `first` is what is in it in the first round only.
fn set(namespace: &str, way: &str, first: bool) -> Vec<Value> {
    let head = |version: &str, kind: &str, name: &str, more: Value| {
        let metadata = json!({"name": name, "namespace": namespace});
        patched(json!({"apiVersion": version, "kind": kind, "metadata": metadata}), &more)
    };
    let networking = "networking.k8s.io/v1";
    let mut objects = vec![
        patched(manifests::namespace(namespace), &json!({"metadata": {"labels": {"team": "portal"}}})),
        manifests::cloud_workload(namespace, "Restricted"),
        head("v1", "ConfigMap", "settings", json!({"data": {"colour": "green"}})),
        head("v1", "Service", "app", json!({"spec": {"selector": {"app": "app"}, "ports": [{"port": 80}]}})),
        head(networking, "NetworkPolicy", "own", json!({"spec": {"podSelector": {"matchLabels": {"app": "app"}}}})),
        manifests::deployment(namespace, "app"),
    ];
    if first {
        objects.push(head("v1", "ConfigMap", "passing", json!({})));
        objects.push(head(networking, "NetworkPolicy", "passing", json!({"spec": {"podSelector": {}}})));
    }
    let labelled = json!({"metadata": {"labels": {SET: way}}});
    objects.into_iter().map(|object| patched(object, &labelled)).collect()
}

async fn again(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    for way in ways() {
        let said = rounds(&amanat, &way).await.with_context(|| format!("applied {}", way.name))?;
        println!("gitops: {}: {said}", way.name);
    }
    Ok(())
}

async fn rounds(amanat: &Amanat, way: &Way) -> Result<String> {
    let cluster = amanat.cluster();
    let namespace = format!("gitops-{}", way.name);
    let mut mark = cluster.audit_mark()?;
    let mut first = 0;
    let mut settled = BTreeMap::new();
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().clone(), &namespace);
    let mut built = BTreeSet::new();
    if way.arguments.iter().any(|argument| argument.starts_with("--applyset=")) {
        // It keeps its list of what it applied in there.
        let own = set(&namespace, way.name, true).into_iter().take(1).collect::<Vec<_>>();
        amanat.tools().kubectl_with(&["apply", "--server-side", "-f", "-"], &manifest(&own)).await?.ok()?;
    }
    for round in 1..=ROUNDS {
        apply(amanat, way, &set(&namespace, way.name, round == 1)).await?;
        if round == 1 {
            amanat.wait_condition(&namespace, "Ready", "True").await?;
            let there = policies.list(&Default::default()).await?;
            built = there.iter().map(ResourceExt::name_any).filter(|name| name.starts_with("amanat-")).collect();
            ensure!(built.len() > 2, "built are {built:?}");
        }
        if round == SETTLED {
            // Whatever the operator does about a round, it has done when it has seen what came later.
            given::built(amanat, "gitops-seen").await?;
            first = writes(cluster, mark, &namespace)?.len();
            (mark, settled) = (cluster.audit_mark()?, versions(cluster, &namespace).await?);
        }
        if round >= SETTLED {
            let now = versions(cluster, &namespace).await?;
            ensure!(now == settled, "round {round}: {now:?}, settled at {settled:?}");
        }
    }
    given::built(amanat, "gitops-seen").await?;
    let written = writes(cluster, mark, &namespace)?;
    ensure!(written.is_empty(), "after round {SETTLED} the operator wrote: {written:?}");
    let now = versions(cluster, &namespace).await?;
    ensure!(now == settled, "in the end {now:?}, settled at {settled:?}");

    let labels = Api::<Namespace>::all(cluster.client().clone()).get(&namespace).await?.metadata.labels;
    let labels = labels.unwrap_or_default();
    for label in LABELS {
        ensure!(labels.contains_key(label), "{label} is lost; there are {labels:?}");
    }
    let there = policies.list(&Default::default()).await?;
    let there: BTreeSet<_> = there.iter().map(ResourceExt::name_any).collect();
    ensure!(built.is_subset(&there), "there are {there:?}, built were {built:?}");
    let passing = Api::<ConfigMap>::namespaced(cluster.client().clone(), &namespace).get_opt("passing").await?;
    let left = there.contains("passing") || passing.is_some();
    ensure!(left != way.prunes, "what is gone from the set is {}there", if left { "" } else { "not " });
    given::available(cluster, &namespace, "app").await?;
    Ok(format!(
        "{ROUNDS} rounds: the operator wrote {first} times up to the second and never after it; {} built policies and {} \
         resourceVersions stayed{}",
        built.len(),
        settled.len(),
        if way.prunes { ", what had left the set was pruned" } else { "" }
    ))
}

async fn apply(amanat: &Amanat, way: &Way, objects: &[Value]) -> Result<()> {
    let mut arguments = vec!["apply", "-f", "-"];
    arguments.extend(way.arguments.iter().map(String::as_str));
    let tools = amanat.tools().with_variable("KUBECTL_APPLYSET", "true");
    tools.kubectl_with(&arguments, &manifest(objects)).await?.ok().map(|_| ())
}

/// What the operator wrote in a namespace, or of it, since the mark.
fn writes(cluster: &Cluster, mark: usize, namespace: &str) -> Result<Vec<Value>> {
    let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let concerns = |event: &Value| {
        let itself = text(event, "/objectRef/resource").as_deref() == Some("namespaces")
            && text(event, "/objectRef/name").as_deref() == Some(namespace);
        itself || text(event, "/objectRef/namespace").as_deref() == Some(namespace)
    };
    Ok(given::writes(cluster, mark, None)?.into_iter().filter(concerns).collect())
}

/// The resourceVersions of what both the set and the operator have to do with, and of what was built.
async fn versions(cluster: &Cluster, namespace: &str) -> Result<BTreeMap<String, String>> {
    let client = || cluster.client().clone();
    fn entry<K: Resource<DynamicType = ()>>(object: &K) -> (String, String) {
        (format!("{} {}", K::kind(&()), object.name_any()), object.resource_version().unwrap_or_default())
    }
    let mut versions = BTreeMap::from([entry(&Api::<Namespace>::all(client()).get(namespace).await?)]);
    let workloads = Api::<::amanat::api::CloudWorkload>::namespaced(client(), namespace);
    versions.extend(workloads.list(&Default::default()).await?.iter().map(entry));
    let policies = Api::<NetworkPolicy>::namespaced(client(), namespace);
    versions.extend(policies.list(&Default::default()).await?.iter().map(entry));
    Ok(versions)
}
