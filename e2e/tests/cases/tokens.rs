//! Tokens for the Kubernetes API: those that nobody asked for are removed, those that the class permits stay.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::manifests::{bare_spec, cloud_workload, patched, workload};
use serde_json::{Value, json};

use super::given;
use super::says::{dry, refused_by, says};

const CONTROL: &str = "pod/service-account-token";
const DECLARED: &str = "elector";
const REMOVED: &str = "Warning: supply removes the API token kube-api-access-* from its Pods";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("supply: no token and a seccomp profile, but for a declared ServiceAccount", restricted),
        Case::new(
            "supply: a token is removed where declaring doesn't suffice, and refused where asked for",
            confidential,
        ),
    ]
}

/// A namespace of a class that declares one ServiceAccount, which is there.
async fn declaring(amanat: &Amanat, prefix: &str, class: &str) -> Result<String> {
    let namespace = amanat.cluster().namespace(prefix, &[]).await?;
    let access = json!({"spec": {"apiAccess": {"serviceAccounts": [DECLARED]}}});
    amanat.declare(&patched(cloud_workload(&namespace, class), &access)).await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    amanat.tools().kubectl(&["create", "serviceaccount", DECLARED, "-n", &namespace]).await?.ok()?;
    Ok(namespace)
}

/// A spec that leaves out all that is supplied, with some fields changed.
fn bare(changes: &Value) -> Value {
    patched(bare_spec(), changes)
}

fn elector() -> Value {
    json!({"serviceAccountName": DECLARED})
}

/// Whether a Pod has the token that Kubernetes mounts, in its volumes and in its container alike.
fn has_token(pod: &Value) -> Result<bool> {
    let named = |pointer: &str, key: &str, wanted: &str| {
        let items = pod.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().any(|item| item[key].as_str().is_some_and(|text| text.starts_with(wanted)))
    };
    let volume = named("/spec/volumes", "name", "kube-api-access-");
    let mount = named("/spec/containers/0/volumeMounts", "mountPath", "/var/run/secrets/kubernetes.io/serviceaccount");
    ensure!(volume == mount, "volume: {volume}, mount: {mount}: {pod}");
    Ok(volume)
}

/// Makes a Deployment and gives what its author is told, and its Pod.
async fn deployed(amanat: &Amanat, namespace: &str, name: &str, spec: &Value) -> Result<(String, Value)> {
    let made = amanat.tools().create(&workload("Deployment", namespace, name, spec).to_string()).await?;
    let told = made.stderr.clone();
    made.ok()?;
    given::available(amanat.cluster(), namespace, name).await?;
    Ok((told, given::one_pod(amanat.cluster(), namespace, name).await?))
}

async fn restricted(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = declaring(&amanat, "tokens", "Restricted").await?;
    let one = workload("Pod", &namespace, "one", &bare(&json!({})));
    amanat.tools().create(&one.to_string()).await?.ok()?;
    let (told, of_deployment) = deployed(&amanat, &namespace, "api", &bare(&json!({}))).await?;
    says(&told, &[REMOVED, "spec.apiAccess may declare ServiceAccount default"])?;
    for pod in [given::one_pod(amanat.cluster(), &namespace, "one").await?, of_deployment] {
        ensure!(!has_token(&pod)?, "it has a token: {pod}");
        ensure!(pod["spec"]["automountServiceAccountToken"] == false, "{pod}");
        ensure!(pod["spec"]["securityContext"]["seccompProfile"] == json!({"type": "RuntimeDefault"}), "{pod}");
    }

    let (told, of_declared) = deployed(&amanat, &namespace, DECLARED, &bare(&elector())).await?;
    ensure!(!told.contains(REMOVED), "it is warned of:\n{told}");
    ensure!(has_token(&of_declared)?, "a declared ServiceAccount lost its token: {of_declared}");

    let line = format!("[Restricted] {CONTROL}: ");
    let asked_for = bare(&json!({"automountServiceAccountToken": true}));
    for (kind, path) in [("Pod", "spec"), ("Deployment", "spec.template.spec")] {
        let refused = dry(&amanat.tools(), &workload(kind, &namespace, "asks", &asked_for)).await?;
        let path = format!("{path}.automountServiceAccountToken");
        refused_by(refused, "governed", &[&line, &path, "or declare default in spec.apiAccess.serviceAccounts"])?;
    }
    let long = json!({"volumes": [{"name": "long", "projected": {"sources":
        [{"serviceAccountToken": {"path": "token", "expirationSeconds": 7200}}]}}]});
    let long = workload("Pod", &namespace, "long", &bare(&patched(long, &elector())));
    refused_by(dry(&amanat.tools(), &long).await?, "governed", &[&line, "expirationSeconds", "7200"])
}

async fn confidential(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = declaring(&amanat, "exempted", "Confidential").await?;
    let (told, pod) = deployed(&amanat, &namespace, DECLARED, &bare(&elector())).await?;
    says(&told, &[REMOVED]).context("its author")?;
    ensure!(!has_token(&pod)?, "it has a token: {pod}");
    let asked_for = patched(bare(&elector()), &json!({"automountServiceAccountToken": true}));
    let refused = dry(&amanat.tools(), &workload("Pod", &namespace, "asks", &asked_for)).await?;
    let line = format!("[Confidential] {CONTROL}: spec.automountServiceAccountToken");
    refused_by(refused, "governed", &[&line, "by exemption only"])
}
