//! Conditions of one status, built one after another.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::{self, State, reason};

/// Collects the conditions of one object. Those of the status before give the time since which each holds.
pub(super) struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    built: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { previous, generation, now, built: Vec::new() }
    }

    pub(super) fn set(&mut self, kind: &str, state: impl Into<State>, reason: &str, message: impl Into<String>) {
        let built = condition::condition(self.previous, kind, state.into(), reason, message, self.generation, self.now);
        self.built.push(built);
    }

    /// `Partial`, when some of the fields that are set aren't acted upon.
    pub(super) fn partial(&mut self, inert: &[&str]) {
        if !inert.is_empty() {
            let message = format!("not acted upon yet: {}", inert.join(", "));
            self.set(condition::PARTIAL, true, reason::NOT_ACTED_UPON, message);
        }
    }

    pub(super) fn finish(self) -> Vec<Condition> {
        self.built
    }
}

/// An instant as it is written in a status: whole seconds, so that what is read back equals what was written.
pub(super) fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
