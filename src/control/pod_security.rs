//! The words of the built-in Pod Security admission.

/// How the built-in admission's labels begin.
pub const POD_SECURITY_PREFIX: &str = "pod-security.kubernetes.io/";
/// What a level of the labels is for: refusing, noting, warning. Each has a label of its name and one of its version.
pub const POD_SECURITY_MODES: [&str; 3] = ["enforce", "audit", "warn"];

/// A level of the Pod Security Standards, the lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Anything goes.
    #[default]
    Privileged,
    /// What is known to lead out of a container is not.
    Baseline,
    /// Hardened.
    Restricted,
}

impl Level {
    /// The word in the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }

    /// The level of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Privileged, Self::Baseline, Self::Restricted].into_iter().find(|level| level.as_str() == word)
    }
}

/// What a governed namespace demands of the built-in admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodSecurity {
    /// The highest level all of whose checks are denied there at this instant, whoever's Pods they are.
    pub enforce: Level,
    /// The highest level all of whose checks its class denies.
    pub declared: Level,
    /// The minor version of Kubernetes whose checks count.
    pub minor: u32,
}

impl PodSecurity {
    /// What a mode demands.
    pub fn of_mode(&self, mode: &str) -> Level {
        if mode == "enforce" { self.enforce } else { self.declared }
    }
}
