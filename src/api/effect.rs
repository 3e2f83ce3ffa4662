//! What is done about an object that doesn't satisfy: the effects, in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a control is not satisfied, the weakest first.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Not evaluated.
    #[default]
    Disabled,
    /// Admitted silently, counted as failing.
    Audit,
    /// Admitted with a warning, counted as failing.
    Warn,
    /// Refused, counted as failing.
    Deny,
}

/// Effect on workloads in namespaces that declare nothing, the weakest first.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undeclared {
    /// Left alone.
    Disabled,
    /// Admitted with a warning.
    #[default]
    Warn,
    /// Refused.
    Deny,
}

impl From<Undeclared> for Effect {
    fn from(undeclared: Undeclared) -> Self {
        match undeclared {
            Undeclared::Disabled => Self::Disabled,
            Undeclared::Warn => Self::Warn,
            Undeclared::Deny => Self::Deny,
        }
    }
}

impl Effect {
    /// The word that names this effect in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Audit => "Audit",
            Self::Warn => "Warn",
            Self::Deny => "Deny",
        }
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
