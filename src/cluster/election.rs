//! Which replica writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Clock;

/// This replica doesn't hold the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not lead")]
pub struct NotLeader;

/// Says whether this replica may write now. It closes by itself when the lease wasn't renewed in time, also when the
/// task that renews it hangs.
#[derive(Clone)]
pub struct Fence {
    /// Monotonic milliseconds until which writing is allowed; 0 is never.
    until: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

impl Fence {
    /// A closed fence.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { until: Arc::new(AtomicU64::new(0)), clock }
    }

    /// Whether this replica leads.
    pub fn is_leader(&self) -> bool {
        self.check().is_ok()
    }

    /// To be asked before every write; gives the time that is left for it.
    ///
    /// # Errors
    /// When this replica doesn't lead.
    pub fn check(&self) -> Result<Duration, NotLeader> {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        until.checked_sub(self.clock.monotonic()).filter(|left| !left.is_zero()).ok_or(NotLeader)
    }
}
