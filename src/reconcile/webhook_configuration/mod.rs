//! The webhook configuration: there when, and as long as, the webhook can be called and the installation lives.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};

use super::Reconciler;
use crate::admission::rules::{self, Endpoint, Options};
use crate::cluster::apply::Takeover;
use crate::cluster::{ApplyError, Settings};

/// How often to look whether this replica can serve now.
const NOT_SERVING: Duration = Duration::from_millis(500);
/// How often to look without being told.
const REGULARLY: Duration = Duration::from_secs(60);

/// Writes the configuration, owned by the anchor. Without a live anchor there is none: it would outlive an uninstall
/// and close the cluster.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler) -> Result<Option<Duration>, ApplyError> {
    let Some(ca_bundle) = (reconciler.serving)() else { return Ok(Some(NOT_SERVING)) };
    let settings = &reconciler.settings;
    let client = reconciler.writer.client();
    let anchors = Api::<PartialObjectMeta<ClusterRole>>::all(client.clone());
    let anchor = anchors.get_opt(&settings.anchor).await?.map(|anchor| anchor.metadata);
    let live = anchor.filter(|anchor| anchor.deletion_timestamp.is_none());
    let Some(uid) = live.and_then(|anchor| anchor.uid) else { return Ok(Some(REGULARLY)) };
    let configuration = rules::webhook_configuration(&Options {
        system_namespaces: &settings.system_namespaces,
        endpoint: &endpoint(settings),
        ca_bundle: &ca_bundle,
        anchor_name: &settings.anchor,
        anchor_uid: &uid,
    });
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let applied = writer_apply(reconciler, &api, &configuration).await?;
    // Another owner would keep it alive after the anchor is gone; one of an older anchor would have it collected.
    let others = applied.metadata.owner_references.iter().flatten().any(|owner| owner.uid != uid);
    if others {
        let name = rules::NAME;
        let owners = configuration.metadata.owner_references.clone();
        let patch =
            json!({"metadata": {"ownerReferences": owners, "resourceVersion": applied.metadata.resource_version}});
        let params = kube::api::PatchParams::default();
        reconciler.writer.within(api.patch(name, &params, &kube::api::Patch::Merge(&patch))).await?;
    }
    Ok(Some(REGULARLY))
}

async fn writer_apply(
    reconciler: &Reconciler,
    api: &Api<ValidatingWebhookConfiguration>,
    configuration: &ValidatingWebhookConfiguration,
) -> Result<ValidatingWebhookConfiguration, ApplyError> {
    let mut object = serde_json::to_value(configuration).unwrap_or(Value::Null);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), json!("admissionregistration.k8s.io/v1"));
        fields.insert("kind".to_owned(), json!("ValidatingWebhookConfiguration"));
    }
    reconciler.writer.apply(api, rules::NAME, &object, Takeover::Force).await
}

fn endpoint(settings: &Settings) -> Endpoint {
    match &settings.webhook_url {
        Some(url) => Endpoint::Url(url.clone()),
        None => Endpoint::Service { namespace: settings.namespace.clone(), name: settings.service.clone() },
    }
}
