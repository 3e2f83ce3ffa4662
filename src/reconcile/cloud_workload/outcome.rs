//! What a condition is to say.

use crate::api::condition::State;

/// A state of a condition with the reason and the message.
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Outcome {
    pub(super) fn new(state: impl Into<State>, reason: &'static str, message: impl Into<String>) -> Self {
        Self { state: state.into(), reason, message: message.into() }
    }
}
