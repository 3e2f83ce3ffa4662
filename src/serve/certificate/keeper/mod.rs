//! Doing it: reading what is there, and, for the leader, writing the next step.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::json;
use tokio::sync::watch;

use super::brought::Folder;
use super::known::Known;
use super::material::{Lifetimes, Material};
use super::plan::Plan;
use super::tracker::{Moment, Tracker};
use super::{CertificateError, SECRET, published};
use crate::api::FIELD_MANAGER;
use crate::cluster::apply::Takeover;
use crate::cluster::{ApplyError, Retry};
use crate::reconcile::{Happened, Reconciler};

/// How soon to try again what failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a folder is read.
const FILES: Duration = Duration::from_secs(10);
/// No read takes longer.
const LONGEST_READ: Duration = Duration::from_secs(8);
/// How often it is told that something ends soon, or isn't taken.
const TELL: Duration = Duration::from_secs(3_600);

/// Where the certificate comes from.
pub enum Source {
    /// Amanat makes it.
    Made,
    /// Somebody brings it.
    Brought(Folder),
}

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Api(#[from] ApplyError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Failed {
    fn category(&self) -> &'static str {
        match self {
            Self::Api(error) => error.category(),
            Self::Certificate(error) => error.category(),
        }
    }
}

/// A step that was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::serve) struct Step {
    step: &'static str,
}

/// Keeps the certificate of one replica, and when it leads, everybody's.
pub struct Keeper {
    reconciler: Reconciler,
    known: Arc<Known>,
    source: Source,
    lifetimes: Lifetimes,
    tracker: Tracker,
    steps: Family<Step, Counter>,
    /// Why what was brought is not taken.
    refused: Option<String>,
    /// Monotonic: when each was last told.
    told: BTreeMap<&'static str, Duration>,
}

impl Keeper {
    /// One that writes by that reconciler's hand and tells what it reads to `known`.
    pub fn new(
        reconciler: Reconciler,
        known: Arc<Known>,
        source: Source,
        lifetimes: Lifetimes,
        registry: &mut prometheus_client::registry::Registry,
    ) -> Self {
        let steps = Family::default();
        let help = "Steps of making, renewing and rotating the webhook's certificate that this replica wrote";
        registry.register("certificate_steps", help, steps.clone());
        let (tracker, told) = (Tracker::default(), BTreeMap::new());
        Self { reconciler, known, source, lifetimes, tracker, steps, refused: None, told }
    }

    /// Works until the end of the process.
    pub async fn run(mut self, mut leading: watch::Receiver<bool>) -> &'static str {
        let api = self.api();
        let mut changes: BoxStream<'static, _> = match self.source {
            Source::Made => watcher::watch_object(api, SECRET).backoff(Retry::default()).boxed(),
            Source::Brought(_) => futures::stream::pending().boxed(),
        };
        let regularly = (self.lifetimes.settling() / 5).max(Duration::from_millis(100));
        let regularly = match self.source {
            Source::Made => regularly,
            Source::Brought(_) => regularly.min(FILES),
        };
        let mut bundle = None;
        loop {
            let turn = self.turn().await;
            let now = self.known.bundle();
            if now != bundle {
                self.reconciler.turned.notify_one();
                bundle = now;
            }
            let pause = match turn {
                Ok(Plan::Keep) => regularly,
                // Written: what comes next may be due at once.
                Ok(_) => Duration::ZERO,
                Err(Failed::Api(ApplyError::NotLeader(_))) => regularly,
                Err(error) => {
                    tracing::warn!(%error, category = error.category(), "the certificate could not be kept; again soon");
                    AGAIN.min(regularly)
                }
            };
            self.tell().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = changes.next() => if changed.is_none() { return "certificate" },
                changed = leading.changed() => if changed.is_err() { return "certificate" },
            }
        }
    }

    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.reconciler.writer.client().clone(), &self.reconciler.settings.namespace)
    }

    /// Reads everything once, and writes one step when this replica leads.
    async fn turn(&mut self) -> Result<Plan, Failed> {
        let clock = Arc::clone(&self.reconciler.clock);
        let since = clock.monotonic();
        let client = self.reconciler.writer.client().clone();
        let keep = self.lifetimes.settling().saturating_mul(2);
        match &mut self.source {
            Source::Brought(folder) => {
                let read = folder.read().await;
                in_time(published::read(&client, &self.known)).await?;
                self.known.confirm(since);
                let vetted = read.and_then(|read| self.known.vet(&read).map(|()| read).map_err(Into::into));
                self.refused = vetted.as_ref().err().map(ToString::to_string);
                self.known.offer(folder.take(vetted?, clock.now(), since, keep));
                Ok(Plan::Keep)
            }
            Source::Made => {
                // In this order: whoever has read a Secret has read a configuration that is no older.
                let secret = in_time(self.api().get_opt(SECRET)).await?;
                in_time(published::read(&client, &self.known)).await?;
                self.advance(secret, since).await
            }
        }
    }

    async fn advance(&mut self, secret: Option<Secret>, since: Duration) -> Result<Plan, Failed> {
        let (now, monotonic) = (self.reconciler.clock.now(), self.reconciler.clock.monotonic());
        let read = secret.as_ref().map(Material::from_secret);
        let there = read.as_ref().and_then(|read| read.as_ref().ok());
        let leads = self.reconciler.writer.fence().is_leader();
        let at = Moment { since, now, monotonic };
        let Some((plan, made)) = self.tracker.step(there, leads, &self.known, &self.lifetimes, at)? else {
            return Ok(Plan::Keep);
        };
        if let Some(Err(error)) = &read {
            tracing::warn!(%error, category = error.category(), "the Secret {SECRET} is lost");
        }
        let unchangeable = matches!(read, Some(Err(CertificateError::Unchangeable)));
        self.write(secret.as_ref(), unchangeable, &made).await?;
        tracing::info!(step = plan.label(), "the Secret {SECRET} was written");
        self.steps.get_or_create(&Step { step: plan.label() }).inc();
        self.tracker.wrote(made, &self.known, at);
        Ok(plan)
    }

    /// Writes the Secret, as long as it is what was read: otherwise what was decided may be wrong.
    async fn write(&self, there: Option<&Secret>, unchangeable: bool, material: &Material) -> Result<(), ApplyError> {
        let (api, writer) = (self.api(), &self.reconciler.writer);
        let Some(metadata) = there.map(|there| &there.metadata) else {
            writer.apply(&api, SECRET, &material.object(), Takeover::Force).await?;
            return Ok(());
        };
        if unchangeable {
            let preconditions =
                Preconditions { uid: metadata.uid.clone(), resource_version: metadata.resource_version.clone() };
            let params = DeleteParams::default().preconditions(preconditions);
            writer.within(api.delete(SECRET, &params)).await?;
            writer.apply(&api, SECRET, &material.object(), Takeover::Force).await?;
            return Ok(());
        }
        // Not by apply: a key that somebody else has set as well would stay.
        let patch = json!({
            "metadata": {"resourceVersion": metadata.resource_version},
            "data": material.data(),
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        writer.within(api.patch(SECRET, &params, &Patch::Merge(&patch))).await?;
        Ok(())
    }

    /// Tells what ends soon, and what is not taken, when this replica leads.
    async fn tell(&mut self) {
        if !self.reconciler.writer.fence().is_leader() {
            return;
        }
        if let Some(note) = self.ending() {
            self.tell_one("CertificateEnding", note).await;
        }
        if let Some(why) = &self.refused {
            let note = format!("the certificate that was brought is not taken, and the one before is served: {why}");
            self.tell_one("CertificateRefused", note).await;
        }
    }

    /// What ends soon, and what is to be done about it.
    fn ending(&self) -> Option<String> {
        // Amanat's own are renewed when a third is left: less than a quarter means that it failed.
        let share = if matches!(self.source, Source::Made) { 4 } else { 3 };
        let ending = self.known.ending(share);
        let parts = ending.iter().map(|expiry| format!("{} at {}", expiry.part, expiry.validity.until));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let remedy = match self.source {
            Source::Made => format!("it should have been renewed: see the log, and the Secret {SECRET}"),
            Source::Brought(_) => "renew it where it is issued; Amanat reads it without a restart".to_owned(),
        };
        let note =
            format!("the webhook's certificate ends soon ({parts}), and governed namespaces close then; {remedy}");
        (!ending.is_empty()).then_some(note)
    }

    /// Tells it once in a while: what could not be written wasn't told.
    async fn tell_one(&mut self, reason: &'static str, note: String) {
        let monotonic = self.reconciler.clock.monotonic();
        let told = self.told.get(reason).is_some_and(|told| monotonic.saturating_sub(*told) < TELL);
        let Some(about) = self.known.reference().filter(|_| !told) else { return };
        tracing::warn!(reason, "{note}");
        if self.reconciler.tell(about, Happened::Ending, reason, note).await {
            self.told.insert(reason, monotonic);
        }
    }
}

async fn in_time<T>(read: impl Future<Output = kube::Result<T>>) -> Result<T, ApplyError> {
    match tokio::time::timeout(LONGEST_READ, read).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ApplyError::Deadline),
    }
}
