//! Building, keeping and telling: one folder a kind. Each goes dereference, validate, build, apply, status; the two ends
//! touch the API server, everything between is pure. Only the leader works; every write asks the fence again.

pub mod cloud_service_provider;
pub mod cloud_workload;
mod conditions;
mod events;
mod metrics;
pub mod public_sector_entity;
mod queue;
pub mod security_baseline;
mod triggers;
pub mod webhook_configuration;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use events::Events;
pub(crate) use events::Happened;
pub use metrics::Metrics;
use queue::{Key, Queue};
use triggers::{Seen, Trigger};

use crate::cluster::{ApplyError, Changes, Clock, Index, Settings, Writer};

/// Objects that are worked on at a time.
const CONCURRENCY: usize = 8;

/// The CA bundle that the API server should trust, when this replica can serve; none while it can't, and from the
/// moment on that it is told to stop.
pub type Serving = Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// What the reconcilers work with.
#[derive(Clone)]
pub struct Reconciler {
    /// The world.
    pub index: Arc<Index>,
    /// The leader's hand.
    pub writer: Writer,
    /// What the installation fixes.
    pub settings: Arc<Settings>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether the webhook can be called.
    pub serving: Serving,
    /// The API server's minor version.
    pub server_minor: u32,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is told to whoever looks at an object.
    pub events: Arc<Events>,
    /// Tells that `serving` says something else than before.
    pub turned: Arc<Notify>,
}

impl Reconciler {
    /// Works until the shutdown. Returns earlier only when one of its watches has died, which is a defect.
    pub async fn run(self, mut leading: watch::Receiver<bool>, mut shutdown: watch::Receiver<bool>) {
        let mut changes: Changes = self.index.subscribe();
        let (mut triggers, mut watches) = triggers::start(self.writer.client(), &self.settings);
        let mut queue = Queue::default();
        let mut seen = Seen::default();
        let mut led = false;
        let mut running: JoinSet<(Key, Result<Option<Duration>, ApplyError>)> = JoinSet::new();
        loop {
            let leads = *leading.borrow_and_update();
            if leads && !led {
                queue.add_all(self.everything());
            }
            led = leads;
            if leads {
                let now = self.clock.monotonic();
                for key in queue.take_due(now, CONCURRENCY.saturating_sub(running.len())) {
                    let reconciler = self.clone();
                    running.spawn(async move {
                        let result = reconciler.reconcile(&key).await;
                        (key, result)
                    });
                }
            } else {
                queue.forget();
            }
            let next = queue.next_due(self.clock.monotonic());
            tokio::select! {
                _ = shutdown.wait_for(|down| *down) => return,
                changed = leading.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = changes.next() => queue.add_all(self.concerned(&changed, &mut seen)),
                () = self.turned.notified() => queue.add(Key::Webhook),
                trigger = triggers.recv() => match trigger {
                    Some(Trigger::One(key)) => queue.add(key),
                    Some(Trigger::Everything) => queue.add_all(self.everything()),
                    None => return,
                },
                _ = watches.join_next() => return,
                Some(done) = running.join_next(), if !running.is_empty() => {
                    let now = self.clock.monotonic();
                    match done {
                        Ok((key, result)) => self.settle(&mut queue, key, result, now),
                        // A panic or an abort: the key is not known any more, and the next change or leader finds it.
                        Err(error) => {
                            tracing::error!(%error, "a reconciliation died");
                            return;
                        }
                    }
                }
                () = tokio::time::sleep(next), if leads && running.len() < CONCURRENCY => {}
            }
        }
    }

    fn settle(&self, queue: &mut Queue, key: Key, result: Result<Option<Duration>, ApplyError>, now: Duration) {
        self.metrics.reconciled(key.kind(), result.as_ref().map_or_else(ApplyError::category, |_| "done"));
        match result {
            Ok(again) => queue.done(key, again.map(|delay| now.saturating_add(delay))),
            Err(ApplyError::NotLeader(_)) => queue.done(key, None),
            Err(error) => {
                tracing::warn!(kind = key.kind(), name = key.name(), category = error.category(), %error, "to be tried again");
                queue.failed(key, now);
            }
        }
    }

    /// Everything that a new leader looks at.
    fn everything(&self) -> Vec<Key> {
        let world = self.index.world();
        let namespaces = world.namespaces.keys().cloned().map(Key::Namespace);
        let providers = world.providers.keys().cloned().map(Key::Provider);
        let entities = world.entities.keys().cloned().map(Key::Entity);
        let baselines = world.baselines.keys().cloned().map(Key::Baseline);
        namespaces.chain(providers).chain(entities).chain(baselines).chain([Key::Webhook]).collect()
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, ApplyError> {
        // Half a world would heal what isn't broken.
        if !self.index.synced() {
            return Ok(Some(Duration::from_secs(1)));
        }
        match key {
            Key::Namespace(name) => cloud_workload::reconcile(self, name).await,
            Key::Provider(name) => cloud_service_provider::reconcile(self, name).await,
            Key::Entity(name) => public_sector_entity::reconcile(self, name).await,
            Key::Baseline(name) => security_baseline::reconcile(self, name).await,
            Key::Webhook => webhook_configuration::reconcile(self).await,
        }
    }
}
