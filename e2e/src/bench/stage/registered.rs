//! The webhook that does nothing, started as a process of its own and registered as Amanat is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Arm, COPIED_LABEL, SOON};
use crate::amanat::CLASS_LABEL;
use crate::cluster::Cluster;
use crate::component::Component;
use crate::net;
use crate::pki::Authority;
use crate::process::Process;
use crate::waiting::until;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The kinds of webhook configurations.
const CONFIGURATIONS: [&str; 2] = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];

/// The webhook that does nothing, as a process of its own.
pub(super) struct Noop {
    port: u16,
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
}

impl Noop {
    pub(super) fn new(cluster: &Cluster, port: u16) -> Result<Self> {
        let authority = Authority::new("noop")?;
        let identity = authority.server("noop", &["127.0.0.1"])?;
        let (certificate, key) = (cluster.fresh_path("noop.crt"), cluster.fresh_path("noop.key"));
        std::fs::write(&certificate, identity.certificate)?;
        std::fs::write(&key, identity.key)?;
        Ok(Self { port, authority, certificate, key })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn start(&mut self, cluster: &Cluster, record: Option<&Path>) -> Result<Component> {
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
pub(super) async fn running(component: &Component, address: &str) -> Result<Process> {
    until(SOON, "the webhook that does nothing to listen", async || net::connect(address).await.map(|_| ())).await?;
    Process::guarded_by(component)
}

/// Registers the webhook that does nothing as Amanat is, for the namespaces of its two arms.
pub(super) async fn register(cluster: &Cluster, noop: &Noop) -> Result<()> {
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
