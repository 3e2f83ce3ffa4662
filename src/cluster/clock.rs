//! Where time comes from: the only place that reads a clock, so that everything else can be given one.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// The instant by the wall clock.
    fn now(&self) -> Timestamp;
    /// Time passed since some fixed moment; it never goes back and no administrator sets it.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the source of time that everything else is given")]
impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "the source of time that everything else is given")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock(std::sync::Mutex<(Timestamp, Duration)>);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn at(now: &str) -> Self {
        Self(std::sync::Mutex::new((now.parse().unwrap(), Duration::ZERO)))
    }

    /// Somebody sets the wall clock; no time passes.
    pub(crate) fn set(&self, now: &str) {
        self.0.lock().unwrap().0 = now.parse().unwrap();
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap();
        time.0 += by;
        time.1 += by;
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}
