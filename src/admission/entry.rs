//! The entries of the webhook configuration, each with its own path, so that a request says which terms it came on.

use std::fmt;

use prometheus_client::encoding::EncodeLabelValue;

/// One entry. In the configurations they stand in the order of [`Entry::VALIDATING`] and [`Entry::MUTATING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Namespaced kinds in namespaces without a class label. It stands before [`Entry::Governed`]: the API server reads
    /// the label anew for each entry and a label only appears, so that one of the two always matches.
    Undeclared,
    /// Namespaced kinds in namespaces with a class label.
    Governed,
    /// The class label of Namespaces.
    Namespaces,
    /// Declarations: CloudWorkloads.
    Declarations,
    /// What declarations refer to: baselines, providers, entities.
    Registry,
    /// Pods that may lack something, in namespaces without a class label. It stands before [`Entry::Supply`] as
    /// [`Entry::Undeclared`] stands before [`Entry::Governed`].
    SupplyUndeclared,
    /// Pods that may lack something, in namespaces with a class label.
    Supply,
}

impl Entry {
    /// The entries that judge, in the order of their configuration.
    pub const VALIDATING: [Self; 5] =
        [Self::Undeclared, Self::Governed, Self::Namespaces, Self::Declarations, Self::Registry];
    /// The entries that supply, in the order of theirs.
    pub const MUTATING: [Self; 2] = [Self::SupplyUndeclared, Self::Supply];

    /// The last part of its path and the first of its webhook's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::Governed => "governed",
            Self::Namespaces => "namespaces",
            Self::Declarations => "declarations",
            Self::Registry => "registry",
            Self::SupplyUndeclared => "supply-undeclared",
            Self::Supply => "supply",
        }
    }

    /// True of the entries that supply.
    pub fn supplies(self) -> bool {
        Self::MUTATING.contains(&self)
    }

    /// The path that its requests come by.
    pub fn path(self) -> String {
        format!("/{}/{self}", if self.supplies() { "mutate" } else { "validate" })
    }

    /// The judging entry of the last part of a path.
    pub fn validating(name: &str) -> Option<Self> {
        Self::VALIDATING.into_iter().find(|entry| entry.as_str() == name)
    }

    /// The supplying entry of the last part of a path.
    pub fn mutating(name: &str) -> Option<Self> {
        Self::MUTATING.into_iter().find(|entry| entry.as_str() == name)
    }

    /// True when requests are refused while nobody answers.
    pub fn fails_closed(self) -> bool {
        match self {
            Self::Governed | Self::Namespaces | Self::Declarations | Self::Supply => true,
            Self::Undeclared | Self::Registry | Self::SupplyUndeclared => false,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EncodeLabelValue for Entry {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}
