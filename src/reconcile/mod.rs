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
/// No look at an object takes longer: while a read is never answered, the object would not be looked at again.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

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
            let now = self.clock.monotonic();
            if leads && !led {
                queue.add_all(self.everything(), now);
            }
            led = leads;
            if leads {
                for key in queue.take_due(now, CONCURRENCY.saturating_sub(running.len())) {
                    let reconciler = self.clone();
                    running.spawn(async move {
                        let result = reconciler.look(&key).await;
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
                changed = changes.next() => {
                    queue.add_all(self.concerned(&changed, &mut seen), self.clock.monotonic());
                }
                () = self.turned.notified() => queue.add(Key::Webhook, self.clock.monotonic()),
                trigger = triggers.recv() => match trigger {
                    Some(Trigger::One(key)) => queue.add(key, self.clock.monotonic()),
                    Some(Trigger::Everything) => queue.add_all(self.everything(), self.clock.monotonic()),
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
            // When another leads, the queue is forgotten. When the lease was renewed late, nobody else will look.
            Err(ApplyError::NotLeader(_)) => queue.failed(key, now),
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
        [Key::Webhook].into_iter().chain(namespaces).chain(providers).chain(entities).chain(baselines).collect()
    }

    async fn look(&self, key: &Key) -> Result<Option<Duration>, ApplyError> {
        let look = tokio::time::timeout(LONGEST_LOOK, self.reconcile(key));
        look.await.unwrap_or(Err(ApplyError::Deadline))
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

#[cfg(test)]
impl Reconciler {
    /// One of an empty world, that can't serve.
    pub(crate) fn of(writer: Writer, clock: Arc<dyn Clock>) -> Self {
        Self {
            index: Arc::new(Index::of(crate::cluster::World::default())),
            writer,
            settings: Arc::new(Settings::new("amanat-system", "amanat", "a")),
            clock,
            serving: Arc::new(|| None),
            server_minor: 37,
            metrics: Arc::default(),
            events: Arc::default(),
            turned: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http;
    use kube::Client;
    use kube::client::Body;

    use super::*;
    use crate::cluster::Fence;
    use crate::cluster::clock::ManualClock;

    fn reconciler(server: impl Fn() + Clone + Send + 'static) -> Reconciler {
        let service = tower::service_fn(move |_: http::Request<Body>| {
            server();
            std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
        });
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let writer = Writer::new(Client::new(service, "default"), Fence::open(Arc::clone(&clock)));
        Reconciler { serving: Arc::new(|| Some(b"ca".to_vec())), ..Reconciler::of(writer, clock) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_answered_is_looked_at_again() {
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let reconciler = reconciler(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let error = reconciler.look(&Key::Webhook).await.unwrap_err();
        assert_eq!((error.category(), asked.load(std::sync::atomic::Ordering::Relaxed)), ("deadline", 1));
    }

    #[tokio::test]
    async fn only_what_was_done_is_done() {
        let reconciler = reconciler(|| {});
        let second = Duration::from_secs(1);
        let table = [
            (Ok(None), false),
            (Ok(Some(second)), true),
            (Err(ApplyError::Conflict), true),
            // The lease was renewed late, and the same replica goes on leading.
            (Err(ApplyError::NotLeader(crate::cluster::NotLeader)), true),
        ];
        for (result, again) in table {
            let mut queue = Queue::default();
            queue.add(Key::Webhook, Duration::ZERO);
            queue.take_due(Duration::ZERO, 1);
            reconciler.settle(&mut queue, Key::Webhook, result, Duration::ZERO);
            assert_eq!(queue.take_due(second, 1) == [Key::Webhook], again);
        }
    }
}
