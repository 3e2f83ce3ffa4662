//! What is to be looked at, and when. An object is never worked on twice at once; what fails is tried again, ever later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first wait after a failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A namespace and its CloudWorkload.
    Namespace(String),
    /// A CloudServiceProvider.
    Provider(String),
    /// A PublicSectorEntity.
    Entity(String),
    /// A SecurityBaseline.
    Baseline(String),
    /// The webhook configuration.
    Webhook,
}

impl Key {
    /// A bounded label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "CloudWorkload",
            Self::Provider(_) => "CloudServiceProvider",
            Self::Entity(_) => "PublicSectorEntity",
            Self::Baseline(_) => "SecurityBaseline",
            Self::Webhook => "ValidatingWebhookConfiguration",
        }
    }

    /// The object's name, for the log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Namespace(name) | Self::Provider(name) | Self::Entity(name) | Self::Baseline(name) => name,
            Self::Webhook => crate::admission::rules::NAME,
        }
    }
}

/// Keys with the monotonic time at which each is due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: BTreeMap<Key, Duration>,
    running: BTreeSet<Key>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    /// Due at once; also when it is being worked on, since what that saw may be old.
    pub(super) fn add(&mut self, key: Key) {
        self.due.insert(key, Duration::ZERO);
    }

    pub(super) fn add_all(&mut self, keys: impl IntoIterator<Item = Key>) {
        keys.into_iter().for_each(|key| self.add(key));
    }

    /// At most so many that are due and not being worked on.
    pub(super) fn take_due(&mut self, now: Duration, most: usize) -> Vec<Key> {
        let free = |key: &Key| !self.running.contains(key);
        let due = self.due.iter().filter(|(key, at)| **at <= now && free(key)).map(|(key, _)| key.clone());
        let taken: Vec<Key> = due.take(most).collect();
        for key in &taken {
            self.due.remove(key);
            self.running.insert(key.clone());
        }
        taken
    }

    /// How long until something is due.
    pub(super) fn next_due(&self, now: Duration) -> Duration {
        let waiting = self.due.iter().filter(|(key, _)| !self.running.contains(*key));
        waiting.map(|(_, at)| at.saturating_sub(now)).min().unwrap_or(IDLE)
    }

    /// It was worked on, and is due again at a time.
    pub(super) fn done(&mut self, key: Key, again: Option<Duration>) {
        self.running.remove(&key);
        self.failures.remove(&key);
        if let Some(at) = again {
            self.due.entry(key).or_insert(at);
        }
    }

    /// It failed, and is tried again.
    pub(super) fn failed(&mut self, key: Key, now: Duration) {
        self.running.remove(&key);
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = FIRST_RETRY.saturating_mul(1 << (*failures).min(10)).min(LAST_RETRY);
        *failures = failures.saturating_add(1);
        self.due.insert(key, now.saturating_add(wait));
    }

    /// Drops what waits: another replica leads, and a new leader looks at everything.
    pub(super) fn forget(&mut self) {
        self.due.clear();
        self.failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::Namespace(name.to_owned())
    }

    #[test]
    fn a_key_is_never_worked_on_twice_at_once_and_no_change_is_lost() {
        let mut queue = Queue::default();
        queue.add(key("a"));
        assert_eq!(queue.take_due(Duration::ZERO, 8), [key("a")]);
        queue.add(key("a"));
        assert_eq!(queue.take_due(Duration::ZERO, 8), []);
        queue.done(key("a"), Some(Duration::from_secs(60)));
        assert_eq!(queue.take_due(Duration::ZERO, 8), [key("a")], "the change came while it was worked on");
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_success_forgets_them() {
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            queue.failed(key("a"), Duration::ZERO);
            waits.push(queue.next_due(Duration::ZERO).as_millis());
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        queue.done(key("a"), None);
        queue.failed(key("a"), Duration::ZERO);
        assert_eq!(queue.next_due(Duration::ZERO), FIRST_RETRY);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut queue = Queue::default();
        queue.done(key("a"), Some(Duration::from_secs(10)));
        assert_eq!(queue.take_due(Duration::from_secs(9), 8), []);
        assert_eq!(queue.next_due(Duration::from_secs(9)), Duration::from_secs(1));
        assert_eq!(queue.take_due(Duration::from_secs(10), 8), [key("a")]);
    }
}
