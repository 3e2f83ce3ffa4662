//! The entries of the webhook configuration, each with its own path, so that a request says which terms it came on.

use std::fmt;

use prometheus_client::encoding::EncodeLabelValue;

/// One entry. In the configuration they stand in the order of [`Entry::ALL`].
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
}

impl Entry {
    /// Every entry, in the order of the configuration.
    pub const ALL: [Self; 5] = [Self::Undeclared, Self::Governed, Self::Namespaces, Self::Declarations, Self::Registry];

    /// The last part of its path and the first of its webhook's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::Governed => "governed",
            Self::Namespaces => "namespaces",
            Self::Declarations => "declarations",
            Self::Registry => "registry",
        }
    }

    /// The entry of a path.
    pub fn from_path(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entry| entry.as_str() == name)
    }

    /// True when requests are refused while nobody answers.
    pub fn fails_closed(self) -> bool {
        match self {
            Self::Governed | Self::Namespaces | Self::Declarations => true,
            Self::Undeclared | Self::Registry => false,
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
