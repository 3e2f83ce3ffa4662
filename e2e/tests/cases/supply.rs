//! What is supplied to Pods that are made, and where they may run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::cluster::{Cluster, NODES};
use e2e::manifests::{deployment, patched, workload};
use e2e::nodes::{self, IN_COUNTRY};
use e2e::waiting::until;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::given::{self, BASELINE};
use super::says::{dry, refused_by, says};

const SOON: Duration = Duration::from_secs(60);
const CONTROL: &str = "residency/in-country-scheduling";
const REGION: &str = "topology.kubernetes.io/region";
const TERMS: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("supply: what is bare is supplied, and what is complete costs one call", bare_and_complete)
            .on_own_cluster()
            .alone(),
        Case::new("residency: a DaemonSet says where it runs, and its Pods are judged by their nodes", daemon_set),
        Case::new("residency: nodes that are named, and taints that are tolerated", named_and_tolerated),
        Case::new("residency: no node takes the class, until one is labelled", schedulable).alone(),
    ]
}

async fn bare_and_complete(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    let namespace = given::built(&amanat, "supplied").await?;
    let mark = cluster.audit_mark()?;
    tools.create(&deployment(&namespace, "bare").to_string()).await?.ok()?;
    given::available(cluster, &namespace, "bare").await?;
    let made = given::one_pod(cluster, &namespace, "bare").await?;
    let (label, country) = IN_COUNTRY;
    let term = json!([{"matchExpressions": [{"key": label, "operator": "In", "values": [country]}]}]);
    ensure!(made.pointer(TERMS) == Some(&term), "the Pod is {made}");
    let own = json!({"key": CLASS_LABEL, "operator": "Equal", "value": "Restricted"});
    let tolerations = made.pointer("/spec/tolerations").and_then(Value::as_array).context("no tolerations")?;
    ensure!(tolerations.contains(&own), "the Pod is {made}");
    ensure!(supplied(cluster, mark, &namespace).await?, "nobody was asked to supply the Pod");

    let labels = made.pointer("/metadata/labels").context("no labels")?;
    let mut spec = made.get("spec").cloned().context("no spec")?;
    spec.as_object_mut().context("no spec")?.remove("nodeName");
    let complete = patched(workload("Pod", &namespace, "p", &spec), &json!({"metadata": {"labels": labels}}));
    let mut unlabelled = complete.clone();
    let labels = unlabelled.pointer_mut("/metadata/labels").and_then(Value::as_object_mut);
    labels.context("no labels")?.remove(CLASS_LABEL);
    let with = |changes: &Value| patched(complete.clone(), &json!({ "spec": changes }));
    let placed_by = |selector: Value| with(&json!({"affinity": null, "nodeSelector": selector}));
    let in_a_region = placed_by(json!({label: country, REGION: "islamabad"}));
    let in_no_region = placed_by(json!({label: country}));
    // As `kubectl get` shows it of a Pod that was made elsewhere.
    let token = json!({"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]});
    let copied = json!([{"name": "kube-api-access-x", "projected": token}]);
    let table = [
        (with(&json!({})), "complete", false),
        (in_a_region.clone(), "in-a-region", false),
        (unlabelled, "unlabelled", true),
        (with(&json!({"securityContext": {"seccompProfile": null}})), "unconfined", true),
        (with(&json!({"automountServiceAccountToken": null})), "with-a-token", true),
        (with(&json!({ "volumes": copied })), "with-a-copied-token", true),
        (with(&json!({"affinity": null})), "unplaced", true),
        (in_no_region.clone(), "in-no-region", false),
        (with(&json!({"tolerations": null})), "intolerant", true),
    ];
    for (pod, name, expected) in table {
        let pod = patched(pod, &json!({"metadata": {"name": name}}));
        let mark = cluster.audit_mark()?;
        dry(&tools, &pod).await?.ok().with_context(|| name)?;
        let asked = supplied(cluster, mark, &namespace).await?;
        ensure!(asked == expected, "{name}: whether anybody was asked to supply it is {asked}");
    }

    set_regions(&amanat, Some("islamabad")).await?;
    let outcome = in_regions(&amanat, &namespace, &in_no_region, &in_a_region).await;
    set_regions(&amanat, None).await?;
    outcome
}

/// Once the baseline demands a region, a Pod that names none lacks something.
async fn in_regions(amanat: &Amanat, namespace: &str, in_none: &Value, in_one: &Value) -> Result<()> {
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    until(SOON, "a Pod in no region to be called about", async || {
        let mark = cluster.audit_mark()?;
        let made = dry(&tools, in_none).await?.ok()?;
        ensure!(supplied(cluster, mark, namespace).await?, "nobody was asked to supply it: {made}");
        Ok(())
    })
    .await?;
    let mark = cluster.audit_mark()?;
    dry(&tools, in_one).await?.ok()?;
    ensure!(!supplied(cluster, mark, namespace).await?, "a Pod that says its region was called about");
    Ok(())
}

/// Lets the baseline demand a region, or none any more.
async fn set_regions(amanat: &Amanat, region: Option<&str>) -> Result<()> {
    let tools = amanat.tools();
    let baseline = tools.kubectl(&["get", "securitybaseline", BASELINE, "-o", "json"]).await?.ok()?;
    let baseline: Value = serde_json::from_str(&baseline)?;
    let mut controls = baseline.pointer("/spec/controls").and_then(Value::as_array).into_iter().flatten();
    let place = controls.position(|control| control.get("id") == Some(&json!(CONTROL))).context("no such control")?;
    let path = format!("/spec/controls/{place}/params/regions");
    let regions = match region {
        Some(region) => json!([{"op": "add", "path": path, "value": [region]}]),
        None => json!([{"op": "remove", "path": path}]),
    };
    let patch = ["patch", "securitybaseline", BASELINE, "--type=json", "-p", &regions.to_string()];
    tools.kubectl(&patch).await?.ok().map(drop)
}

/// Whether the API server asked for a supply when it made a Pod since the mark, as its audit log has it.
async fn supplied(cluster: &Cluster, mark: usize, namespace: &str) -> Result<bool> {
    until(SOON, format!("the creation of a Pod in {namespace} to be logged"), async || {
        let events = cluster.audit_since(mark)?;
        let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let created = events.iter().find(|event| {
            text(event, "/verb").as_deref() == Some("create")
                && text(event, "/objectRef/resource").as_deref() == Some("pods")
                && text(event, "/objectRef/namespace").as_deref() == Some(namespace)
                && text(event, "/objectRef/subresource").is_none()
                && event.pointer("/responseStatus/code").and_then(Value::as_u64) == Some(201)
        });
        let annotations = created.context("it isn't")?.get("annotations").and_then(Value::as_object);
        let mutation = |(key, value): (&String, &Value)| {
            key.starts_with("mutation.webhook.admission.k8s.io/")
                && value.to_string().contains("supply.webhook.amanat.dev")
        };
        Ok(annotations.is_some_and(|annotations| annotations.iter().any(mutation)))
    })
    .await
}

async fn daemon_set(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    let namespace = given::built(&amanat, "daemons").await?;
    let says_it = workload("DaemonSet", &namespace, "collector", &given::conforming());
    let silent = patched(says_it.clone(), &json!({"spec": {"template": {"spec": {"nodeSelector": null}}}}));
    let line = format!("[Restricted] {CONTROL}: spec.template{}: ", TERMS.replace('/', "."));
    refused_by(dry(&tools, &silent).await?, "governed", &[&line, "may be scheduled to nodes outside of PK"])?;
    tools.create(&says_it.to_string()).await?.ok()?;
    let sets = Api::<DaemonSet>::namespaced(cluster.client().clone(), &namespace);
    let in_country = nodes::ready(cluster.client()).await?.len();
    until(SOON, "the DaemonSet to run on every node", async || {
        let status = sets.get("collector").await?.status.unwrap_or_default();
        let ready = usize::try_from(status.number_ready)?;
        ensure!(ready == in_country && ready >= NODES.min(in_country), "{ready} of {in_country} are ready");
        Ok(())
    })
    .await?;
    let pods = Api::<Pod>::namespaced(cluster.client().clone(), &namespace).list(&ListParams::default()).await?;
    for pod in pods {
        let pod = serde_json::to_value(pod)?;
        let expressions = pod.pointer(&format!("{TERMS}/0/matchExpressions"));
        ensure!(expressions.is_none(), "something was supplied to a Pod of a DaemonSet: {pod}");
    }
    Ok(())
}

/// A node that no kubelet keeps, in another country, while the case runs.
async fn abroad(amanat: &Amanat, name: &str) -> Result<()> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {IN_COUNTRY.0: "AE"}}});
    amanat.tools().apply(&node.to_string()).await?.ok().map(|_| ())
}

async fn named_and_tolerated(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "named").await?;
    let node = format!("{namespace}-abroad");
    abroad(&amanat, &node).await?;
    let tried = placed(&amanat, &namespace, &node).await;
    amanat.tools().kubectl(&["delete", "node", &node]).await?.ok()?;
    tried
}

async fn placed(amanat: &Amanat, namespace: &str, node: &str) -> Result<()> {
    let tools = amanat.tools();
    let with = |kind: &str, more: &Value| workload(kind, namespace, "one", &patched(given::conforming(), more));
    let direct = json!({"nodeName": node});
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
    let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true});
    let by_term = patched(
        with("Pod", &json!({"affinity": {"nodeAffinity": required}})),
        &json!({"metadata": {"ownerReferences": [owner]}}),
    );
    let foreign = "amanat-jurisdiction is AE, and only PK is allowed";
    until(SOON, "the node to be known", async || {
        refused_by(dry(&tools, &with("Pod", &direct)).await?, "governed", &["spec.nodeName: ", foreign])
    })
    .await?;
    let of_template = ["spec.template.spec.nodeName: ", foreign];
    refused_by(dry(&tools, &with("Deployment", &direct)).await?, "governed", &of_template)?;
    refused_by(dry(&tools, &by_term).await?, "governed", &["nodeSelectorTerms[0].matchFields[0]: ", foreign])?;
    let ready = nodes::ready(amanat.cluster().client()).await?;
    let home = json!({"nodeName": ready.first().context("no node is Ready")?});
    dry(&tools, &with("Pod", &home)).await?.ok()?;

    let (label, _) = IN_COUNTRY;
    let elsewhere = json!({"nodeSelector": {label: "AE"}});
    let every = json!({"tolerations": [{"operator": "Exists"}]});
    let other = json!({"tolerations": [{"key": CLASS_LABEL, "value": "Secret", "effect": "NoSchedule"}]});
    for kind in ["Pod", "Deployment", "CronJob"] {
        for (more, said) in
            [(&elsewhere, "only PK is allowed"), (&every, "tolerates every taint"), (&other, "another class")]
        {
            let tried = dry(&tools, &with(kind, more)).await?;
            refused_by(tried, "governed", &[CONTROL, said]).with_context(|| format!("a {kind} with {more}"))?;
        }
    }
    Ok(())
}

async fn schedulable(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "unplaced").await?;
    amanat.wait_condition(&namespace, "Schedulable", "True").await?;
    let (label, country) = IN_COUNTRY;
    let tools = amanat.tools();
    tools.kubectl(&["label", "nodes", "--all", &format!("{label}-")]).await?.ok()?;
    let tried = without_a_node(&amanat, &namespace).await;
    tools.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{label}={country}")]).await?.ok()?;
    tried
}

async fn without_a_node(amanat: &Amanat, namespace: &str) -> Result<()> {
    let (cluster, tools) = (amanat.cluster(), amanat.tools());
    let (reason, message) = amanat.wait_condition(namespace, "Schedulable", "False").await?;
    ensure!(reason == "NoNodeFits", "it is {reason}");
    amanat.wait_condition(namespace, "Ready", "True").await?;
    let applied = tools.apply(&deployment(namespace, "waiting").to_string()).await?;
    says(&applied.stderr, &["Warning: no node takes class Restricted: kubectl label node NAME ", "=PK"])?;
    applied.ok()?;

    // The command is run as it is told.
    let (_, command) = message.split_once("kubectl ").with_context(|| message.clone())?;
    let ready = nodes::ready(cluster.client()).await?;
    let command = command.replace("NAME", ready.first().context("no node is Ready")?);
    tools.kubectl(&command.split_whitespace().collect::<Vec<_>>()).await?.ok()?;
    amanat.wait_condition(namespace, "Schedulable", "True").await?;
    given::available(cluster, namespace, "waiting").await?;
    let again = dry(&tools, &deployment(namespace, "another")).await?;
    ensure!(!again.stderr.contains("no node takes"), "it is still warned of: {}", again.stderr);
    again.ok().map(|_| ())
}
