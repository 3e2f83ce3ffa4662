//! What the API server trusts: the bundles in the webhook configurations as they are now.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::known::Known;
use crate::admission::rules;
use crate::cluster::Retry;

/// One webhook configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Published {
    /// The bundles of its entries; an entry without one has an empty one.
    pub(super) bundles: BTreeSet<Vec<u8>>,
    pub(super) reference: ObjectReference,
}

/// A kind of webhook configuration.
pub(super) trait Configuration:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static
{
    fn bundles(&self) -> BTreeSet<Vec<u8>>;
}

impl Configuration for ValidatingWebhookConfiguration {
    fn bundles(&self) -> BTreeSet<Vec<u8>> {
        of(self.webhooks.iter().flatten().map(|webhook| &webhook.client_config))
    }
}

impl Configuration for MutatingWebhookConfiguration {
    fn bundles(&self) -> BTreeSet<Vec<u8>> {
        of(self.webhooks.iter().flatten().map(|webhook| &webhook.client_config))
    }
}

fn of<'a>(configs: impl Iterator<Item = &'a WebhookClientConfig>) -> BTreeSet<Vec<u8>> {
    configs.map(|config| config.ca_bundle.clone().unwrap_or_default().0).collect()
}

fn published<K: Configuration>(configuration: &K) -> Published {
    Published { bundles: configuration.bundles(), reference: configuration.object_ref(&()) }
}

fn kind<K: Configuration>() -> &'static str {
    if K::kind(&()).starts_with("Mutating") { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" }
}

async fn read_one<K: Configuration>(client: &Client, known: &Known) -> kube::Result<()> {
    let found = Api::<K>::all(client.clone()).get_opt(rules::NAME).await?;
    known.observe(kind::<K>(), found.as_ref().map(published));
    Ok(())
}

/// Reads every webhook configuration from the API server itself.
///
/// # Errors
/// When the API server can't be asked.
pub(super) async fn read(client: &Client, known: &Known) -> kube::Result<()> {
    read_one::<MutatingWebhookConfiguration>(client, known).await?;
    read_one::<ValidatingWebhookConfiguration>(client, known).await
}

async fn follow_one<K: Configuration>(client: Client, known: Arc<Known>) {
    let mut events = watcher::watch_object(Api::<K>::all(client), rules::NAME).backoff(Retry::default()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(found) => known.observe(kind::<K>(), found.as_ref().map(published)),
            Err(_) => tracing::debug!(kind = kind::<K>(), "a watch is taken up again"),
        }
    }
}

/// Follows every webhook configuration. Returns only when a watch has died, which is a defect.
pub async fn follow(client: Client, known: Arc<Known>) -> &'static str {
    tokio::select! {
        () = follow_one::<MutatingWebhookConfiguration>(client.clone(), Arc::clone(&known)) => {}
        () = follow_one::<ValidatingWebhookConfiguration>(client, known) => {}
    }
    "webhook configurations"
}
