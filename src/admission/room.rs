//! How much memory may be taken at a time by what is read from requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::entry::Entry;
use crate::control::size::{self, OBJECT, STRUCTURE};

/// What all requests of one room may take at a time, in KiB.
const ALL: u32 = 48 * 1_024;
/// What one request takes of it at most, in KiB: two objects.
const MOST: usize = 2 * OBJECT / 1_024;

/// How long a request waits for its turn. In the order in which they came, so that large ones keep nobody out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Limits what is read at a time. Entries that fail open have a room of their own: what is done in namespaces that
/// nobody governs, and waits for the API server there, keeps nobody out of governed ones.
pub(super) struct Rooms {
    closed: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = || Arc::new(Semaphore::new(usize::try_from(ALL).unwrap_or(usize::MAX)));
        Self { closed: room(), open: room() }
    }
}

/// Room that was taken for a request.
pub(super) struct Taken {
    /// Whether all of the body may be read, whatever it is. Otherwise, each object has to fit by itself.
    pub(super) is_for_all: bool,
    _permit: OwnedSemaphorePermit,
}

impl Rooms {
    /// Takes as much as what is read from a body may need; none when there isn't as much left in time.
    pub(super) async fn take(&self, entry: Entry, body: &[u8]) -> Option<Taken> {
        let room = if entry.fails_closed() { &self.closed } else { &self.open };
        let cost = size::at_most(body, STRUCTURE);
        let kib = u32::try_from(cost.div_ceil(1_024).min(MOST)).unwrap_or(ALL);
        let permit = Arc::clone(room).acquire_many_owned(kib);
        let permit = tokio::time::timeout(PATIENCE, permit).await.ok()?.ok()?;
        Some(Taken { is_for_all: cost <= OBJECT, _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_waited_for_and_given_back() {
        let rooms = Rooms::default();
        let take = |body| rooms.take(Entry::Governed, body);
        let usual = br#"{"request":{"object":{"spec":{"containers":[{}]}}}}"#;
        let large = "{},".repeat(5_000).into_bytes();
        let endless = "{},".repeat(2_000_000).into_bytes();
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(take(&large).await.unwrap());
        }
        assert!(take(&large).await.is_none() && take(&endless).await.is_none());
        assert!(take(usual).await.is_some());
        for entry in Entry::VALIDATING.into_iter().chain(Entry::MUTATING) {
            assert_eq!(rooms.take(entry, &large).await.is_some(), !entry.fails_closed(), "{entry}");
        }
        let (waited, ()) = tokio::join!(take(&endless), async { held.clear() });
        assert!(waited.is_some(), "however much it is, it is answered");
    }
}
