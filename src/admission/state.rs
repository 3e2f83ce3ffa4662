//! What a handler needs.

use std::sync::Arc;

use super::gate::Gate;
use super::metrics::Metrics;
use super::room::Rooms;
use crate::cluster::{Clock, Index, LiveLookup, Settings};

/// What every request is answered from.
pub struct AdmissionState {
    pub(super) index: Arc<Index>,
    pub(super) lookup: LiveLookup,
    pub(super) settings: Arc<Settings>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Gate,
    pub(super) rooms: Rooms,
}

impl AdmissionState {
    /// Answers from an index, and by the API server where the index may be behind.
    pub fn new(
        index: Arc<Index>,
        lookup: LiveLookup,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { index, lookup, settings, metrics, clock, gate: Gate::default(), rooms: Rooms::default() }
    }
}
