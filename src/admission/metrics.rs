//! What is counted at admission. Every label is bounded: nothing of a request becomes one.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::entry::Entry;

/// Seconds; the API server gives up at five, and ten is the most that it can be told to wait.
const BUCKETS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    entry: Entry,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEntry {
    entry: Entry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Category {
    category: &'static str,
}

/// Counters and histograms of admission.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    durations: Family<OfEntry, Histogram>,
    rejected: Family<Category, Counter>,
    lookups_failed: Family<OfEntry, Counter>,
    panics: Family<OfEntry, Counter>,
    in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that nothing has been counted in.
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            rejected: Family::default(),
            lookups_failed: Family::default(),
            panics: Family::default(),
            in_flight: Gauge::default(),
        }
    }

    /// Makes them visible in a registry whose prefix is `amanat`.
    pub fn register(&self, registry: &mut Registry) {
        let admission = registry.sub_registry_with_prefix("admission");
        admission.register("requests", "Answered admission requests, by what was decided", self.requests.clone());
        admission.register("duration_seconds", "Time from the whole body to the answer", self.durations.clone());
        admission.register(
            "rejected_bodies",
            "Calls that were no readable review and got a 4xx, or a 503 when too many",
            self.rejected.clone(),
        );
        admission.register(
            "lookups_failed",
            "Requests answered 503 because the API server could not be asked",
            self.lookups_failed.clone(),
        );
        admission.register("panics", "Decisions that panicked", self.panics.clone());
        admission.register("in_flight", "Requests that are being answered", self.in_flight.clone());
    }

    pub(super) fn answered(&self, entry: Entry, decision: &'static str, seconds: f64) {
        self.requests.get_or_create(&Answered { entry, decision }).inc();
        self.durations.get_or_create(&OfEntry { entry }).observe(seconds);
    }

    pub(super) fn rejected(&self, category: &'static str) {
        self.rejected.get_or_create(&Category { category }).inc();
    }

    pub(super) fn lookup_failed(&self, entry: Entry) {
        self.lookups_failed.get_or_create(&OfEntry { entry }).inc();
    }

    pub(super) fn panicked(&self, entry: Entry) {
        self.panics.get_or_create(&OfEntry { entry }).inc();
    }

    pub(super) fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }
}

/// One request that is being answered.
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
