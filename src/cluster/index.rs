//! The index: watches feed one writer, the writer publishes worlds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::world::World;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A namespace or its CloudWorkload, by the namespace's name.
    Namespace(String),
    /// A CloudServiceProvider, by name.
    Provider(String),
    /// A PublicSectorEntity, by name.
    Entity(String),
    /// A SecurityBaseline, by name; what is in force may be another.
    Baseline(String),
    /// The API server's addresses.
    ApiServer,
}

/// The world and the changes to it.
#[derive(Debug, Default)]
pub struct Index {
    world: ArcSwap<World>,
    unsynced: ArcSwap<BTreeSet<&'static str>>,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

/// Changes that one subscriber hasn't taken yet: a set, so that it is bounded by what exists.
#[derive(Debug, Default)]
struct Subscriber {
    pending: Mutex<BTreeSet<Change>>,
    woken: Notify,
}

/// The changes as one subscriber sees them.
#[derive(Debug)]
pub struct Changes(Arc<Subscriber>);

impl Changes {
    /// The changes since the last call, at least one; the first call gives everything that exists. Cancel safe.
    pub async fn next(&mut self) -> BTreeSet<Change> {
        loop {
            let changes = std::mem::take(&mut *lock(&self.0.pending));
            if !changes.is_empty() {
                return changes;
            }
            self.0.woken.notified().await;
        }
    }
}

impl Index {
    /// An index that knows a world already.
    pub fn of(world: World) -> Self {
        Self { world: ArcSwap::from_pointee(world), ..Self::default() }
    }

    /// The world as it is now.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Whether every watch has delivered everything once.
    pub fn synced(&self) -> bool {
        self.unsynced.load().is_empty()
    }

    /// What hasn't been delivered yet, for the readiness answer.
    pub fn unsynced(&self) -> Vec<&'static str> {
        self.unsynced.load().iter().copied().collect()
    }

    /// Changes from now on, after everything that exists.
    pub fn subscribe(&self) -> Changes {
        let subscriber = Arc::new(Subscriber::default());
        lock(&self.subscribers).push(Arc::clone(&subscriber));
        let world = self.world();
        let mut pending = lock(&subscriber.pending);
        pending.extend(world.namespaces.keys().cloned().map(Change::Namespace));
        pending.extend(world.providers.keys().cloned().map(Change::Provider));
        pending.extend(world.entities.keys().cloned().map(Change::Entity));
        pending.extend(world.baselines.keys().cloned().map(Change::Baseline));
        pending.insert(Change::ApiServer);
        drop(pending);
        Changes(subscriber)
    }
}

/// A panic elsewhere leaves these sets whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
