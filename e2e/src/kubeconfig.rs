//! Kubeconfig files for arbitrary users.

use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::pki::Identity;

/// How a user shows who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client certificate of the cluster's authority.
    Certificate(Identity),
    /// A bearer token.
    Token(String),
}

/// An API server, or what stands before it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its URL.
    pub server: String,
    /// The certificate (PEM) that has signed its own.
    pub authority: String,
}

impl Endpoint {
    /// The `host:port` in the URL.
    pub fn address(&self) -> &str {
        self.server.trim_start_matches("https://").trim_end_matches('/')
    }
}

/// Writes a kubeconfig for one user.
pub fn write(path: &Path, endpoint: &Endpoint, credential: &Credential) -> Result<()> {
    let user = match credential {
        Credential::Certificate(identity) => json!({
            "client-certificate-data": base64(&identity.certificate),
            "client-key-data": base64(&identity.key),
        }),
        Credential::Token(token) => json!({ "token": token }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {
            "server": endpoint.server,
            "certificate-authority-data": base64(&endpoint.authority),
        }}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "user"}}],
        "current-context": "e2e",
    });
    save(path, &config)
}

/// The client certificate of the only user of a kubeconfig in JSON.
pub fn client_certificate(path: &Path) -> Result<Identity> {
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let config: Value = serde_json::from_slice(&text)?;
    let read = |name: &str| {
        let value = config.pointer(&format!("/users/0/user/{name}")).cloned();
        let value = value.with_context(|| format!("{} has no {name}", path.display()))?;
        anyhow::Ok(String::from_utf8(serde_json::from_value::<ByteString>(value)?.0)?)
    };
    Ok(Identity { certificate: read("client-certificate-data")?, key: read("client-key-data")? })
}

/// Writes a copy of a kubeconfig in which every user acts as `user` with `groups`.
pub fn impersonate(from: &Value, path: &Path, user: &str, groups: &[&str]) -> Result<()> {
    let mut config = from.clone();
    let users = config.get_mut("users").and_then(Value::as_array_mut).context("the kubeconfig has no users")?;
    for entry in users {
        let entry = entry.get_mut("user").and_then(Value::as_object_mut).context("a user without credentials")?;
        entry.insert("as".to_owned(), json!(user));
        entry.insert("as-groups".to_owned(), json!(groups));
    }
    save(path, &config)
}

fn save(path: &Path, config: &Value) -> Result<()> {
    // JSON is YAML, and kubectl reads kubeconfigs as YAML.
    std::fs::write(path, serde_json::to_vec_pretty(config)?).with_context(|| format!("write {}", path.display()))
}

fn base64(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
