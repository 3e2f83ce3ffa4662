//! The answer to one request.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::Effect;
use crate::control::{Finding, NotAssessed};

/// A finding and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was found.
    pub finding: Finding,
    /// What the baseline makes of it here and now, caps and grace included.
    pub effect: Effect,
    /// Why the effect is less than the class's own, when it is.
    pub softened: Option<Softened>,
}

/// Why an effect is less than the class's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softened {
    /// A rollout cap, until the instant.
    Cap(Timestamp),
    /// The grace for Pods of older controllers, until the instant.
    Grace(Timestamp),
}

/// A question whose answer could turn a refusal, and that the context couldn't answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Is the namespace being deleted?
    NamespaceGoing,
    /// When was the owner made?
    OwnerCreated(OwnerReference),
}

/// The answer to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The class that the object was judged by; none in namespaces that have none.
    pub class: Option<String>,
    /// The findings that count, in the order of the controls.
    pub outcomes: Vec<Outcome>,
    /// Controls that could not be decided.
    pub not_assessed: Vec<NotAssessed>,
    /// What the author of a declaration should know; nothing of it refuses.
    pub notices: Vec<String>,
    /// What to ask before refusing.
    pub wants: Option<Want>,
}

impl Verdict {
    /// True when something refuses the request.
    pub fn denied(&self) -> bool {
        self.with(Effect::Deny).next().is_some()
    }

    /// The outcomes of one effect.
    pub fn with(&self, effect: Effect) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(move |outcome| outcome.effect == effect)
    }
}
