//! Where data of a class may be kept: the matrix, and the registry of providers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, patched, provider, workload};
use e2e::waiting::until;
use serde_json::{Value, json};

use super::given;
use super::says::{dry, refused_by};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("placement: what the matrix forbids is refused, with the rows and the field", a_forbidden_placement),
        Case::new("placement: a class that the baseline doesn't have is refused", an_unknown_class),
        Case::new("placement: a provider whose registration ran out is refused", an_expired_provider),
        Case::new("placement: claims and grants stay within the class, of whatever version they are", within_the_class)
            .on_own_cluster(),
    ]
}

async fn registered(amanat: &Amanat, provider: &Value) -> Result<()> {
    amanat.tools().apply(&provider.to_string()).await?.ok().map(|_| ())
}

fn kept_by(namespace: &str, provider: &str, more: &Value) -> Value {
    patched(
        patched(cloud_workload(namespace, "Restricted"), &json!({"spec": {"provider": provider}})),
        &json!({"spec": more}),
    )
}

async fn a_forbidden_placement(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("forbidden", &[]).await?;
    let sites = json!([{"name": "khi-1", "country": "PK"}, {"name": "fra-1", "country": "DE"}]);
    let everywhere = json!({"spec": {"models": ["Public", "Government"], "sites": sites}});
    registered(&amanat, &patched(provider("forbidden-cloud"), &everywhere)).await?;
    let registered_only = json!({"spec": {"grade": "Registered"}});
    registered(&amanat, &patched(provider("forbidden-registered"), &registered_only)).await?;

    let rows = "placement rows of Restricted: model Government in PK by a provider of grade Accredited";
    for (declared, field, value) in [
        (kept_by(&namespace, "forbidden-cloud", &json!({"model": "Public", "site": "khi-1"})), "spec.model", "Public"),
        (kept_by(&namespace, "forbidden-cloud", &json!({"site": "fra-1"})), "spec.site", "fra-1 (DE)"),
        (kept_by(&namespace, "forbidden-registered", &json!({})), "spec.provider", "forbidden-registered (Registered)"),
    ] {
        let line = format!("[Restricted] placement/cloud-model-permitted: {field}: ");
        refused_by(dry(&amanat.tools(), &declared).await?, "declarations", &[&line, value, rows])?;
    }
    let fitting = kept_by(&namespace, "forbidden-cloud", &json!({"site": "khi-1"}));
    dry(&amanat.tools(), &fitting).await?.ok().map(|_| ())
}

async fn an_unknown_class(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("unknown-class", &[]).await?;
    let refusal = dry(&amanat.tools(), &cloud_workload(&namespace, "Restrictd")).await?;
    refused_by(
        refusal,
        "declarations",
        &["placement/data-class-declared: spec.dataClass: ", "Restrictd", "Restricted"],
    )?;
    // A class goes by its other names, too.
    dry(&amanat.tools(), &cloud_workload(&namespace, "Sensitive")).await?.ok().map(|_| ())
}

async fn an_expired_provider(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let past = json!({"spec": {"validFrom": "2020-01-01T00:00:00Z", "validUntil": "2022-01-01T00:00:00Z"}});
    registered(&amanat, &patched(provider("expired"), &past)).await?;
    let namespace = amanat.cluster().namespace("expired", &[]).await?;
    let refusal = dry(&amanat.tools(), &kept_by(&namespace, "expired", &json!({}))).await?;
    let parts = [
        "placement/provider-accredited: spec.provider: ",
        "the registration of provider expired ran out at 2021-12-31T23:59:55Z",
    ];
    refused_by(refusal, "declarations", &parts)
}

/// The grants of the Gateway API, as far as they are judged: in which versions there are any, its installation decides.
/// A cluster that has the API itself must not get these in its place.
fn grants() -> Value {
    let version = |name: &str, storage: bool| {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "referencegrants.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced",
            "names": {"kind": "ReferenceGrant", "plural": "referencegrants"},
            "versions": [version("v1", false), version("v1beta1", true)]}})
}

async fn within_the_class(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let tools = amanat.tools();
    tools.apply(&grants().to_string()).await?.ok()?;
    let established = ["wait", "--for=condition=Established", "crd/referencegrants.gateway.networking.k8s.io"];
    tools.kubectl(&established).await?.ok()?;
    let (own, peer) = (amanat.declared("within", "Restricted").await?, amanat.declared("peer", "Restricted").await?);
    let open = amanat.declared("open", "Open").await?;
    let grant = |version: &str, from: &str| {
        let from = json!({"group": "", "kind": "PersistentVolumeClaim", "namespace": from});
        json!({"apiVersion": format!("gateway.networking.k8s.io/{version}"), "kind": "ReferenceGrant",
            "metadata": {"name": "grant", "namespace": own},
            "spec": {"from": [from], "to": [{"group": "", "kind": "PersistentVolumeClaim"}]}})
    };
    for version in ["v1", "v1beta1"] {
        let line = "[Restricted] placement/class-inherited: spec.from[0].namespace: ";
        let why = format!("namespace {open}, whose class is Open and not Restricted");
        until(SOON, "the class of the other namespace to be known", async || {
            refused_by(dry(&tools, &grant(version, &open)).await?, "governed", &[line, &why])
        })
        .await?;
        until(SOON, "the class of the peer to be known", async || {
            dry(&tools, &grant(version, &peer)).await?.ok().map(|_| ())
        })
        .await?;
    }
    let claiming = |class: &str| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        let claims = json!([{"metadata": {"name": "data", "labels": {CLASS_LABEL: class}}, "spec": spec}]);
        let set = workload("StatefulSet", &own, "claiming", &given::conforming());
        patched(set, &json!({"spec": {"volumeClaimTemplates": claims}}))
    };
    let line = "placement/class-inherited: spec.volumeClaimTemplates[0].metadata.labels[amanat.dev/data-class]: ";
    refused_by(dry(&tools, &claiming("Open")).await?, "governed", &[line])?;
    dry(&tools, &claiming("Restricted")).await?.ok().map(|_| ())
}
