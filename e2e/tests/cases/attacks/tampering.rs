//! G: Amanat's own configuration and rights.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::operator::NAMESPACE;
use serde_json::Value;

use super::super::downgrade::tenant_of;
use super::super::given::BASELINE;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("g56_a_matrix_changed_by_a_tenant", g56), Case::new("g57_what_the_operator_may_do", g57)]
}

async fn g56(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "g56").await?;
    let get = ["get", "securitybaseline", BASELINE, "-o", "json"];
    let spec = async || {
        let text = amanat.tools().kubectl(&get).await?.ok()?;
        anyhow::Ok(serde_json::from_str::<Value>(&text)?["spec"].clone())
    };
    let before = spec().await?;
    let provider = ["cloudserviceprovider", e2e::manifests::PROVIDER];
    let open = r#"{"spec":{"controls":[]}}"#;
    let raised = r#"{"spec":{"maxDataClass":"TopSecret"}}"#;
    for command in [
        &["patch", "securitybaseline", BASELINE, "--type=merge", "-p", open][..],
        &["delete", "securitybaseline", BASELINE],
        &["label", "securitybaseline", BASELINE, "a=b"],
        &["patch", provider[0], provider[1], "--type=merge", "-p", raised],
        &["delete", provider[0], provider[1]],
        &["delete", "publicsectorentity", e2e::manifests::ENTITY],
        &["delete", "crd", "securitybaselines.amanat.dev"],
        &[
            "patch",
            "cw",
            "workload",
            "-n",
            &namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":{}}"#,
        ],
    ] {
        tenant.kubectl(command).await?.forbidden().with_context(|| format!("{command:?}"))?;
    }
    let after = spec().await?;
    ensure!(after == before, "it is {after}");
    Ok(())
}

async fn g57(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:amanat");
    for (verb, resource, namespace) in [
        ("create", "pods", "default"),
        ("create", "pods/exec", "default"),
        ("create", "pods/exec", NAMESPACE),
        ("create", "pods/attach", NAMESPACE),
        ("create", "deployments", "default"),
        ("get", "secrets", "default"),
        ("list", "secrets", "kube-system"),
        ("list", "secrets", NAMESPACE),
        ("create", "serviceaccounts/token", NAMESPACE),
        ("impersonate", "users", "default"),
        ("escalate", "clusterroles", "default"),
        ("bind", "clusterroles", "default"),
        ("create", "clusterrolebindings", "default"),
        ("patch", "securitybaselines", "default"),
        ("patch", "nodes", "default"),
        ("delete", "namespaces", "default"),
        ("*", "*", "default"),
    ] {
        let may = ["auth", "can-i", verb, resource, "-n", namespace, &account];
        let answer = amanat.tools().kubectl(&may).await?;
        ensure!(answer.stdout.trim() == "no", "{verb} {resource} in {namespace}: {}", answer.stdout);
    }
    let get = ["get", "clusterroles,roles", "-A", "-l", "app.kubernetes.io/name=amanat", "-o", "json"];
    let roles: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    let roles = roles["items"].as_array().context("a list has items")?;
    ensure!(!roles.is_empty(), "the chart's roles weren't found");
    for role in roles {
        let rules = role["rules"].to_string();
        ensure!(!rules.contains("\"*\""), "{} has a wildcard: {rules}", role["metadata"]["name"]);
        let broad = role["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|rule| rule["resources"].to_string().contains("\"secrets\"") && rule["resourceNames"].is_null());
        ensure!(broad.is_none(), "{} has Secrets that it doesn't name: {broad:?}", role["metadata"]["name"]);
    }
    Ok(())
}
