//! What is to be looked at, and when. An object is never worked on twice at once; what fails is tried again, ever later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first wait after a failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);

/// Something to look at. Of what is due since the same moment, what is named first goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The webhook configurations.
    Webhook,
    /// A namespace and its CloudWorkload.
    Namespace(String),
    /// A CloudServiceProvider.
    Provider(String),
    /// A PublicSectorEntity.
    Entity(String),
    /// A SecurityBaseline.
    Baseline(String),
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
    /// Due at a time, or earlier when it is already; also when it is being worked on, since what that saw may be old.
    pub(super) fn add(&mut self, key: Key, at: Duration) {
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    pub(super) fn add_all(&mut self, keys: impl IntoIterator<Item = Key>, at: Duration) {
        keys.into_iter().for_each(|key| self.add(key, at));
    }

    /// At most so many that are due and not being worked on: first what every namespace is judged by, then what waits
    /// longest, so that nothing that changes all the time holds up the others.
    pub(super) fn take_due(&mut self, now: Duration, most: usize) -> Vec<Key> {
        let free = |key: &Key| !self.running.contains(key);
        let mut due: Vec<_> = self.due.iter().filter(|(key, at)| **at <= now && free(key)).collect();
        due.sort_by_key(|(key, at)| (**key != Key::Webhook, **at));
        let taken: Vec<Key> = due.into_iter().take(most).map(|(key, _)| key.clone()).collect();
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
            self.add(key, at);
        }
    }

    /// It failed, and is tried again: at once when it changed meanwhile.
    pub(super) fn failed(&mut self, key: Key, now: Duration) {
        self.running.remove(&key);
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = FIRST_RETRY.saturating_mul(1 << (*failures).min(10)).min(LAST_RETRY);
        *failures = failures.saturating_add(1);
        self.add(key, now.saturating_add(wait));
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

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_never_worked_on_twice_at_once_and_no_change_is_lost() {
        type Outcome = fn(&mut Queue);
        let outcomes: [Outcome; 2] =
            [|queue| queue.done(key("a"), Some(at(60))), |queue| queue.failed(key("a"), at(1))];
        for outcome in outcomes {
            let mut queue = Queue::default();
            queue.add(key("a"), at(0));
            assert_eq!(queue.take_due(at(0), 8), [key("a")]);
            queue.add(key("a"), at(1));
            assert_eq!(queue.take_due(at(1), 8), []);
            outcome(&mut queue);
            assert_eq!(queue.next_due(at(1)), Duration::ZERO);
            assert_eq!(queue.take_due(at(1), 8), [key("a")], "the change came while it was worked on");
        }
    }

    #[test]
    fn the_webhook_goes_first_and_then_what_waits_longest() {
        let of = |name: &str| name.to_owned();
        let mut queue = Queue::default();
        queue.add_all((0..1_000).map(|index| key(&format!("n{index:03}"))), at(0));
        queue.add_all([Key::Provider(of("p")), Key::Entity(of("e")), Key::Baseline(of("b"))], at(0));
        queue.add(Key::Webhook, at(5));
        assert_eq!(queue.take_due(at(5), 3), [Key::Webhook, key("n000"), key("n001")], "a relist of a large cluster");
        let rest = queue.take_due(at(5), usize::MAX);
        assert_eq!(rest.len(), 1_001, "each is taken once");

        let mut queue = Queue::default();
        let mut taken = Vec::new();
        for second in 0..10 {
            // Two that change all the time, and two that changed once.
            queue.add_all([key("a"), key("b")], at(second));
            queue.add_all([key("y"), key("z")].into_iter().filter(|_| second == 0), at(second));
            let one = queue.take_due(at(second), 1);
            one.iter().for_each(|key| queue.done(key.clone(), None));
            taken.extend(one);
        }
        assert!(taken.contains(&key("y")) && taken.contains(&key("z")), "{taken:?}");
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_success_forgets_them() {
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            queue.failed(key("a"), Duration::ZERO);
            let wait = queue.next_due(Duration::ZERO);
            waits.push(wait.as_millis());
            assert_eq!(queue.take_due(wait, 8), [key("a")]);
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
