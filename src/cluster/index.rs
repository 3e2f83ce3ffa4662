//! The index: watches feed one writer, the writer publishes worlds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use kube::Client;
use tokio::sync::{Notify, mpsc};

use super::watch;
use super::world::World;
use super::writer::{KINDS, Writer};

/// Events that wait for the writer; the watches wait when there are more.
const QUEUE: usize = 1_024;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A namespace or its CloudWorkload, by the namespace's name.
    Namespace(String),
    /// A CloudServiceProvider, by name.
    Provider(String),
    /// A PublicSectorEntity, by name.
    Entity(String),
    /// A SecurityBaseline, by name; what is in force may be another now.
    Baseline(String),
    /// The API server's addresses.
    ApiServer,
    /// Which sorts of nodes take Pods.
    Nodes,
}

/// The world and the changes to it.
#[derive(Debug)]
pub struct Index {
    world: ArcSwap<World>,
    unsynced: ArcSwap<Vec<&'static str>>,
    subscribers: Mutex<Vec<Weak<Subscriber>>>,
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

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new() -> Self {
        Self {
            world: ArcSwap::default(),
            unsynced: ArcSwap::from_pointee(KINDS.to_vec()),
            subscribers: Mutex::default(),
        }
    }

    /// An index that knows a world already.
    pub fn of(world: World) -> Self {
        Self { world: ArcSwap::from_pointee(world), unsynced: ArcSwap::default(), subscribers: Mutex::default() }
    }

    /// Watches the cluster and keeps the world. Returns only when one of its tasks has died, which is a defect.
    pub async fn run(self: Arc<Self>, client: Client) {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let mut watches = watch::start(&client, &sender);
        drop(sender);
        let mut writer = Writer::default();
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = watches.join_next() => return,
                taken = receiver.recv_many(&mut batch, QUEUE) => {
                    if taken == 0 {
                        return;
                    }
                    let changes = writer.take(batch.drain(..));
                    self.publish(writer.world().clone(), writer.unsynced(), &changes);
                }
            }
        }
    }

    /// The world as it is now.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Whether every watch has delivered everything once.
    pub fn synced(&self) -> bool {
        self.unsynced.load().is_empty()
    }

    /// The kinds that haven't been delivered yet, for the readiness answer.
    pub fn unsynced(&self) -> Vec<&'static str> {
        self.unsynced.load().to_vec()
    }

    /// Changes from now on, after everything that exists.
    pub fn subscribe(&self) -> Changes {
        let subscriber = Arc::new(Subscriber::default());
        lock(&self.subscribers).push(Arc::downgrade(&subscriber));
        // Read after the subscription stands, so that nothing falls between the two.
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

    /// Makes a world the one that readers see, and tells the subscribers.
    fn publish(&self, world: World, unsynced: Vec<&'static str>, changes: &BTreeSet<Change>) {
        self.world.store(Arc::new(world));
        // After the world: who sees that everything is there must see everything.
        self.unsynced.store(Arc::new(unsynced));
        if changes.is_empty() {
            return;
        }
        lock(&self.subscribers).retain(|subscriber| {
            let Some(subscriber) = subscriber.upgrade() else { return false };
            lock(&subscriber.pending).extend(changes.iter().cloned());
            subscriber.woken.notify_one();
            true
        });
    }
}

/// A panic elsewhere leaves these collections whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::mirror::Event;
    use super::super::watch::Message;
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn namespace(name: &str) -> Message {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Message::Namespace(Event::Seen(name.to_owned(), Some(metadata)))
    }

    fn step(index: &Index, writer: &mut Writer, messages: Vec<Message>) {
        let changes = writer.take(messages.into_iter());
        index.publish(writer.world().clone(), writer.unsynced(), &changes);
    }

    #[tokio::test]
    async fn a_subscriber_gets_what_exists_and_then_what_changes() {
        let (index, mut writer) = (Index::new(), Writer::default());
        step(&index, &mut writer, vec![namespace("a")]);
        let mut changes = index.subscribe();
        let first = changes.next().await;
        assert_eq!(first, BTreeSet::from([Change::Namespace("a".to_owned()), Change::ApiServer]));
        step(&index, &mut writer, vec![namespace("b")]);
        step(&index, &mut writer, vec![namespace("b")]);
        assert_eq!(changes.next().await, BTreeSet::from([Change::Namespace("b".to_owned())]));
    }

    #[test]
    fn a_subscriber_that_left_is_forgotten() {
        let (index, mut writer) = (Index::new(), Writer::default());
        drop(index.subscribe());
        step(&index, &mut writer, vec![namespace("a")]);
        assert!(lock(&index.subscribers).is_empty());
    }

    #[test]
    fn it_is_synced_when_every_kind_was_listed() {
        let (index, mut writer) = (Index::new(), Writer::default());
        assert_eq!(index.unsynced(), KINDS);
        step(&index, &mut writer, vec![Message::Provider(Event::Start), Message::Provider(Event::Done)]);
        assert!(!index.unsynced().contains(&"CloudServiceProvider"));
        assert!(!index.synced());
        step(
            &index,
            &mut writer,
            vec![
                Message::Namespace(Event::Done),
                Message::Declaration(Event::Done),
                Message::Entity(Event::Done),
                Message::Baseline(Event::Done),
                Message::Endpoints(Event::Done),
                Message::Node(Event::Done),
            ],
        );
        assert!(index.synced());
    }
}
