//! How a namespace stands: what it has declared, and whether that is accepted.

use jiff::Timestamp;

use super::{Finding, NotAssessed};
use crate::api::Effect;

/// How a namespace stands at one instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The cluster's own namespaces: reported, never blocked.
    System,
    /// Neither a CloudWorkload nor the class label.
    Undeclared,
    /// A CloudWorkload that was never accepted, and no class label.
    Pending(Acceptance),
    /// A class holds here.
    Governed(Governed),
}

/// A class and the terms on which it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Governed {
    /// The rank of the class in the baseline, lowest first.
    pub rank: usize,
    /// Whether the declaration is accepted now; not, when a provider was suspended, for instance.
    pub acceptance: Acceptance,
    /// Workloads older than the first instant keep being re-created until the second, though their class was declared
    /// or raised since.
    pub raise: Option<Grace>,
    /// The same for a declaration that became unacceptable.
    pub suspension: Option<Grace>,
    /// The rollout entry that caps effects here now.
    pub cap: Option<Cap>,
}

impl Governed {
    /// What is left of an effect of the class under the cap.
    pub fn capped(&self, effect: Effect) -> Effect {
        self.cap.as_ref().map_or(effect, |cap| effect.min(cap.effect))
    }
}

/// A period in which Pods that controllers re-create for older workloads are admitted and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Workloads made before this instant are covered.
    pub from: Timestamp,
    /// The instant at which it ends, itself not covered.
    pub until: Timestamp,
}

/// A cap on effects, from the baseline's `rollout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// No effect is stricter than this.
    pub effect: Effect,
    /// The instant at which it ends, itself not covered.
    pub until: Timestamp,
}

/// The outcome of judging a declaration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acceptance {
    /// Why it is refused; paths are the CloudWorkload's.
    pub reasons: Vec<Finding>,
    /// References that don't exist yet. They leave the declaration unaccepted and its workloads refused, and may
    /// arrive in any order.
    pub missing: Vec<Finding>,
    /// What could not be looked at.
    pub unknown: Vec<NotAssessed>,
}

impl Acceptance {
    /// True when nothing stands against the declaration.
    pub fn accepted(&self) -> bool {
        self.reasons.is_empty() && self.missing.is_empty()
    }

    /// Everything that stands against it.
    pub fn against(&self) -> impl Iterator<Item = &Finding> {
        self.reasons.iter().chain(&self.missing)
    }
}

impl Standing {
    /// The class's terms, when one holds.
    pub fn governed(&self) -> Option<&Governed> {
        match self {
            Self::Governed(governed) => Some(governed),
            _ => None,
        }
    }

    /// The declaration's outcome, where there is a declaration or a label without one.
    pub fn acceptance(&self) -> Option<&Acceptance> {
        match self {
            Self::Pending(acceptance) => Some(acceptance),
            Self::Governed(governed) => Some(&governed.acceptance),
            Self::System | Self::Undeclared => None,
        }
    }
}
