//! What was built and is changed comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::tools::Tools;
use e2e::waiting::until;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::downgrade::cluster_admin;
use super::given;
use super::says::says;

/// How soon a change must be healed.
const HEALED: Duration = Duration::from_secs(30);

const SOON: Duration = Duration::from_secs(60);
const POLICY: &str = "amanat-default-deny";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("drift: a NetworkPolicy that an administrator edits or deletes is back", policies),
        Case::new("c29_built_policies_edited_and_deleted_by_a_tenant", tenants),
        Case::new("drift: the pod-security labels of a namespace are back", labels),
        Case::new("drift: a condition added to the webhook configuration is gone, and an Event tells", webhooks),
        Case::new("g53_a_webhook_configuration_weakened_or_deleted", configurations).alone(),
    ]
}

async fn policies(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "drift").await?;
    let policies = Api::<NetworkPolicy>::namespaced(amanat.cluster().client().clone(), &namespace);
    let built = policies.get(POLICY).await?;
    let tools = amanat.tools();

    let opened = r#"{"spec":{"ingress":[{"from":[{"podSelector":{}}]}],"podSelector":{"matchLabels":{"a":"b"}}}}"#;
    let edit = ["patch", "networkpolicy", POLICY, "-n", &namespace, "--type=merge", "-p", opened];
    let started = Instant::now();
    tools.kubectl(&edit).await?.ok()?;
    until(HEALED, "the edited policy to be healed", async || {
        let now = policies.get(POLICY).await?;
        ensure!(now.spec == built.spec, "it is {:?}", now.spec);
        Ok(())
    })
    .await?;
    println!("drift: an edited NetworkPolicy was healed {:?} after kubectl was started", started.elapsed());
    told(amanat.cluster(), &namespace, "CloudWorkload").await?;

    let started = Instant::now();
    tools.kubectl(&["delete", "networkpolicy", POLICY, "-n", &namespace, "--wait=false"]).await?.ok()?;
    until(HEALED, "the deleted policy to be back", async || {
        let now = policies.get(POLICY).await?;
        ensure!(now.metadata.uid != built.metadata.uid && now.spec == built.spec, "it is {:?}", now.spec);
        Ok(())
    })
    .await?;
    println!("drift: a deleted NetworkPolicy was back {:?} after kubectl was started", started.elapsed());
    Ok(())
}

async fn tenants(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = given::built(&amanat, "tenants").await?;
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().clone(), &namespace);
    let built = policies.get(POLICY).await?;
    let binding = ["create", "rolebinding", "tenants", "--clusterrole=admin", "--user=tenant", "-n", &namespace];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let tenant = cluster.tools_as(&cluster.user("tenant", &[])?);
    let can = ["auth", "can-i", "delete", "networkpolicies", "-n", &namespace];
    until(SOON, "the role to count", async || tenant.kubectl(&can).await?.ok().map(|_| ())).await?;

    let opened = r#"{"spec":{"ingress":[{"from":[{"podSelector":{}}]}]}}"#;
    let attempts: [&[&str]; 3] = [
        &["delete", "networkpolicy", POLICY, "-n", &namespace],
        &["delete", "networkpolicy", "--all", "-n", &namespace],
        &["patch", "networkpolicy", POLICY, "-n", &namespace, "--type=merge", "-p", opened],
    ];
    for attempt in attempts {
        let refusal = tenant.kubectl(attempt).await?.forbidden()?;
        says(&refusal, &["governed.webhook.amanat.dev", "built and kept by Amanat", "network/default-deny"])?;
    }
    let now = policies.get(POLICY).await?;
    ensure!(now.metadata.uid == built.metadata.uid && now.spec == built.spec, "it is {now:?}");

    // A policy that nobody built is theirs to make and to delete.
    let own = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: own, namespace: {namespace}}}, \
         spec: {{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{}}}}]}}]}}}}"
    );
    tenant.create(&own).await?.ok()?;
    tenant.kubectl(&["delete", "networkpolicy", "own", "-n", &namespace]).await?.ok().map(|_| ())
}

async fn labels(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "labelled").await?;
    let key = "pod-security.kubernetes.io/enforce";
    labelled(amanat.cluster(), &namespace, key, "restricted").await?;
    for change in [format!("{key}-"), format!("{key}=privileged")] {
        let started = Instant::now();
        amanat.tools().kubectl(&["label", "--overwrite", "namespace", &namespace, &change]).await?.ok()?;
        labelled(amanat.cluster(), &namespace, key, "restricted").await?;
        println!("drift: {change} was healed {:?} after kubectl was started", started.elapsed());
    }
    Ok(())
}

async fn webhooks(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let configurations = Api::<ValidatingWebhookConfiguration>::all(amanat.cluster().client().clone());
    let written = configurations.get("amanat").await?;
    // One that always holds: cases beside this one go on being judged.
    let added =
        r#"[{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": {"name": "added", "expression": "true"}}]"#;
    let patch = ["patch", "validatingwebhookconfiguration", "amanat", "--type=json", "-p", added];
    amanat.tools().kubectl(&patch).await?.ok()?;
    until(HEALED, "the added condition to be gone", async || {
        let now = configurations.get("amanat").await?;
        ensure!(now.webhooks == written.webhooks, "it is {:?}", now.webhooks);
        Ok(())
    })
    .await?;
    told(amanat.cluster(), "default", "ValidatingWebhookConfiguration").await
}

/// The webhook configurations that Amanat keeps: resource, kind, and the entry that the changes are tried on.
const CONFIGURATIONS: [(&str, &str, &str); 2] = [
    ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", "governed.webhook.amanat.dev"),
    ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "supply.webhook.amanat.dev"),
];

async fn configurations(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    // The guard lets it pass.
    let admin = cluster_admin(&amanat).await?;
    for (resource, kind, entry) in CONFIGURATIONS {
        let get = ["get", resource, "amanat", "-o", "json"];
        let written: Value = serde_json::from_str(&admin.kubectl(&get).await?.ok()?)?;
        let at = |key: &str| Ok::<_, anyhow::Error>(format!("/webhooks/{}/{key}", index_of(&written, entry)?));
        let one = |op: &str, path: String, value: Value| json!([{"op": op, "path": path, "value": value}]).to_string();
        let nobody = json!([{"key": "example.com/nobody", "operator": "Exists"}]);
        let changes = [
            ("rules trimmed", one("remove", at("rules/0")?, Value::Null)),
            ("operations trimmed", one("replace", at("rules/0/operations")?, json!(["DELETE"]))),
            ("no namespace selected", one("replace", at("namespaceSelector/matchExpressions")?, nobody.clone())),
            ("no object selected", one("replace", at("objectSelector")?, json!({"matchExpressions": nobody}))),
            ("opened on failure", one("replace", at("failurePolicy")?, json!("Ignore"))),
            ("bundle emptied", one("replace", at("clientConfig/caBundle")?, json!(""))),
            (
                "called elsewhere",
                one("replace", at("clientConfig/url")?, json!("https://127.0.0.1:1/validate/governed")),
            ),
            ("a moment to answer", one("replace", at("timeoutSeconds")?, json!(1))),
            ("an entry less", one("remove", format!("/webhooks/{}", index_of(&written, entry)?), Value::Null)),
            ("no owner", one("remove", "/metadata/ownerReferences".to_owned(), Value::Null)),
            ("an owner of another name", one("replace", "/metadata/ownerReferences/0/name".to_owned(), json!("other"))),
        ];
        for (what, change) in changes {
            let patch = ["patch", resource, "amanat", "--type=json", "-p", &change];
            heal(&amanat, &admin, (kind, &written), what, &patch).await?;
        }
        told(cluster, "default", kind).await?;
        let before = events_of(cluster, "default", kind).await?;
        heal(&amanat, &admin, (kind, &written), "deleted", &["delete", resource, "amanat"]).await?;
        // The one made anew is another object, so that its Event isn't held back as a repetition.
        until(SOON, "another Event", async || {
            let now = events_of(cluster, "default", kind).await?;
            ensure!(now > before, "there are {now}, before {before}");
            Ok(())
        })
        .await?;
    }
    amanat.wait_serving().await
}

/// The place of an entry among the webhooks of a configuration.
fn index_of(configuration: &Value, entry: &str) -> Result<usize> {
    let webhooks = configuration["webhooks"].as_array().context("it has no webhooks")?;
    webhooks.iter().position(|webhook| webhook["name"] == entry).with_context(|| format!("it has no {entry}"))
}

/// Runs a command that spoils a webhook configuration, and waits until it is as it was written and the healing counted.
async fn heal(
    amanat: &Amanat,
    admin: &Tools,
    (kind, written): (&str, &Value),
    what: &str,
    command: &[&str],
) -> Result<()> {
    let labels = [&*format!("kind=\"{kind}\"")];
    let counted = async || -> Result<f64> {
        let installation = amanat.installation().await;
        let mut sum = 0.0;
        for replica in &installation.replicas {
            sum += replica.operator.metric("amanat_drift_healed_total", &labels).await?;
        }
        Ok(sum)
    };
    let before = counted().await?;
    let started = Instant::now();
    admin.kubectl(command).await?.ok().with_context(|| what.to_owned())?;
    until(HEALED, format!("the {kind} to be healed: {what}"), async || {
        let now: Value = serde_json::from_str(&admin.kubectl(&["get", kind, "amanat", "-o", "json"]).await?.ok()?)?;
        let owners = |object: &Value| object["metadata"]["ownerReferences"].clone();
        ensure!(now["webhooks"] == written["webhooks"], "it is {}", now["webhooks"]);
        ensure!(owners(&now) == owners(written), "it belongs to {}", owners(&now));
        ensure!(counted().await? > before, "it isn't counted");
        Ok(())
    })
    .await?;
    println!("drift: {kind}, {what}: healed and counted {:?} after kubectl was started", started.elapsed());
    Ok(())
}

/// How many Events tell of the healing of a kind.
async fn events_of(cluster: &Cluster, namespace: &str, kind: &str) -> Result<usize> {
    let events = Api::<Event>::namespaced(cluster.client().clone(), namespace).list(&ListParams::default()).await?;
    let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.kind.as_deref()) == Some(kind);
    Ok(events.items.iter().filter(|event| event.reason.as_deref() == Some("Healed") && about(event)).count())
}

/// An Event of the healing is there.
async fn told(cluster: &Cluster, namespace: &str, kind: &str) -> Result<()> {
    until(SOON, "an Event that tells of the healing", async || {
        let told = events_of(cluster, namespace, kind).await?;
        ensure!(told > 0, "there is none");
        Ok(())
    })
    .await
}

async fn labelled(cluster: &Cluster, namespace: &str, key: &str, value: &str) -> Result<()> {
    let namespaces = Api::<Namespace>::all(cluster.client().clone());
    until(HEALED, format!("{key}={value} on namespace {namespace}"), async || {
        let labels = namespaces.get(namespace).await?.metadata.labels.unwrap_or_default();
        ensure!(labels.get(key).is_some_and(|found| found == value), "its labels are {labels:?}");
        Ok(())
    })
    .await
}
