//! Reads that callers share without ever getting an answer older than their question.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::index::lock;

/// Reads by key. At most one read a key is under way; who comes meanwhile shares the next one. Nothing is kept.
#[derive(Debug)]
pub(super) struct SharedReads<V> {
    lanes: Mutex<BTreeMap<String, Lane<V>>>,
}

/// The callers of one key that wait for the read that is yet to start.
type Lane<V> = Option<(watch::Sender<Option<V>>, watch::Receiver<Option<V>>)>;

impl<V> Default for SharedReads<V> {
    fn default() -> Self {
        Self { lanes: Mutex::default() }
    }
}

/// Removes a lane when its driver ends, in whatever way: a lane without a driver would never answer.
struct Driver<V> {
    reads: Arc<SharedReads<V>>,
    key: String,
    done: bool,
}

impl<V> Drop for Driver<V> {
    fn drop(&mut self) {
        if !self.done {
            lock(&self.reads.lanes).remove(&self.key);
        }
    }
}

impl<V: Clone + Send + Sync + 'static> SharedReads<V> {
    /// The result of a read that starts after this call. None when that takes longer than the deadline. The read itself
    /// is given the deadline too, and none of its results is an answer to a later call.
    pub(super) async fn get<F, R>(self: &Arc<Self>, key: &str, deadline: Duration, read: F) -> Option<V>
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = V> + Send + 'static,
    {
        let mut answer = self.join(key, deadline, read);
        let answer = timeout(deadline, answer.wait_for(Option::is_some)).await.ok()?.ok()?;
        answer.clone()
    }

    fn join<F, R>(self: &Arc<Self>, key: &str, deadline: Duration, read: F) -> watch::Receiver<Option<V>>
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = V> + Send + 'static,
    {
        let mut lanes = lock(&self.lanes);
        let is_driven = lanes.contains_key(key);
        let lane = lanes.entry(key.to_owned()).or_insert(None);
        let (_, receiver) = lane.get_or_insert_with(|| watch::channel(None));
        let receiver = receiver.clone();
        if !is_driven {
            let driver = Driver { reads: Arc::clone(self), key: key.to_owned(), done: false };
            tokio::spawn(drive(driver, deadline, read));
        }
        receiver
    }
}

/// Reads for those who wait, until nobody does.
async fn drive<V, F, R>(mut driver: Driver<V>, deadline: Duration, read: F)
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = V> + Send + 'static,
{
    while let Some(sender) = next(&mut driver) {
        if let Ok(answer) = timeout(deadline, read()).await {
            sender.send_replace(Some(answer));
        }
    }
}

/// Takes those who wait now; who comes after shares a later read. Closes the lane when there is nobody.
fn next<V>(driver: &mut Driver<V>) -> Option<watch::Sender<Option<V>>> {
    let mut lanes = lock(&driver.reads.lanes);
    match lanes.get_mut(&driver.key).and_then(Option::take) {
        Some((sender, _)) => Some(sender),
        None => {
            lanes.remove(&driver.key);
            driver.done = true;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::{Semaphore, mpsc};

    const LONG: Duration = Duration::from_secs(30);

    /// A read that reports its start, waits to be let go, and returns its number.
    struct Gate {
        started: mpsc::UnboundedSender<usize>,
        go: Semaphore,
        count: AtomicUsize,
    }

    async fn through(gate: Arc<Gate>) -> usize {
        let number = gate.count.fetch_add(1, Ordering::SeqCst) + 1;
        gate.started.send(number).unwrap();
        gate.go.acquire().await.unwrap().forget();
        number
    }

    type Asked = tokio::task::JoinHandle<Option<usize>>;

    fn ask(reads: &Arc<SharedReads<usize>>, gate: &Arc<Gate>, deadline: Duration) -> Asked {
        let (gate, reads) = (Arc::clone(gate), Arc::clone(reads));
        // Joined here, so that the order of arrival is the order of the calls.
        let mut answer = reads.join("key", deadline, move || through(Arc::clone(&gate)));
        tokio::spawn(async move {
            let answer = timeout(deadline, answer.wait_for(Option::is_some)).await.ok()?.ok()?;
            *answer
        })
    }

    fn gate() -> (Arc<Gate>, mpsc::UnboundedReceiver<usize>) {
        let (started, starts) = mpsc::unbounded_channel();
        (Arc::new(Gate { started, go: Semaphore::new(0), count: AtomicUsize::new(0) }), starts)
    }

    #[tokio::test]
    async fn who_comes_while_a_read_is_under_way_shares_the_next_one() {
        let reads = Arc::new(SharedReads::default());
        let (gate, mut starts) = gate();
        let first = ask(&reads, &gate, LONG);
        assert_eq!(starts.recv().await, Some(1));
        let late = [ask(&reads, &gate, LONG), ask(&reads, &gate, LONG), ask(&reads, &gate, LONG)];
        gate.go.add_permits(1);
        assert_eq!(first.await.unwrap(), Some(1));
        assert_eq!(starts.recv().await, Some(2));
        gate.go.add_permits(1);
        for answer in late {
            assert_eq!(answer.await.unwrap(), Some(2));
        }
        assert_eq!(gate.count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn no_answer_is_kept() {
        let reads = Arc::new(SharedReads::default());
        let (gate, _starts) = gate();
        gate.go.add_permits(2);
        assert_eq!(ask(&reads, &gate, LONG).await.unwrap(), Some(1));
        assert_eq!(ask(&reads, &gate, LONG).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn a_read_that_hangs_gives_no_answer_and_blocks_nobody() {
        let reads = Arc::new(SharedReads::default());
        let (gate, mut starts) = gate();
        assert_eq!(ask(&reads, &gate, Duration::from_millis(20)).await.unwrap(), None);
        assert_eq!(starts.recv().await, Some(1));
        gate.go.add_permits(1);
        assert!(ask(&reads, &gate, LONG).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_read_that_panics_gives_no_answer_and_blocks_nobody() {
        let reads: Arc<SharedReads<usize>> = Arc::default();
        let panics = || async { panic!("on purpose") };
        assert_eq!(reads.get("key", LONG, panics).await, None);
        assert_eq!(reads.get("key", LONG, || async { 7 }).await, Some(7));
        assert!(lock(&reads.lanes).is_empty() || lock(&reads.lanes).len() == 1);
    }
}
