//! What the reconcilers count. Every label is bounded.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// Counters of the reconcilers.
#[derive(Debug, Default)]
pub struct Metrics {
    reconciled: Family<Reconciled, Counter>,
    healed: Family<OfKind, Counter>,
}

impl Metrics {
    /// Makes them visible in a registry whose prefix is `amanat`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("reconciliations", "Objects that were looked at, by how that ended", self.reconciled.clone());
        registry.register("drift_healed", "Built objects that someone had changed", self.healed.clone());
    }

    pub(super) fn reconciled(&self, kind: &'static str, result: &'static str) {
        self.reconciled.get_or_create(&Reconciled { kind, result }).inc();
    }

    pub(super) fn healed(&self, kind: &'static str) {
        self.healed.get_or_create(&OfKind { kind }).inc();
    }
}
