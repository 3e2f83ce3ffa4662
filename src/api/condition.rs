//! Types and reasons of conditions, and the rule that keeps `lastTransitionTime`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Everything that the object promises holds.
pub const READY: &str = "Ready";
/// The declaration's placement is permitted.
pub const ACCEPTED: &str = "Accepted";
/// What the class requires is built.
pub const CONTROLS_APPLIED: &str = "ControlsApplied";
/// A scan found nothing failing.
pub const COMPLIANT: &str = "Compliant";
/// Some node takes the Pods of the class.
pub const SCHEDULABLE: &str = "Schedulable";
/// The provider's grade is in date.
pub const IN_DATE: &str = "InDate";
/// The provider's certificates and audit are current.
pub const EVIDENCE_CURRENT: &str = "EvidenceCurrent";
/// Some fields are set and not acted upon yet.
pub const PARTIAL: &str = "Partial";

/// Reasons of conditions: words for programs.
pub mod reason {
    /// As it should be.
    pub const AS_DECLARED: &str = "AsDeclared";
    /// The placement is permitted.
    pub const PLACEMENT_PERMITTED: &str = "PlacementPermitted";
    /// The placement is refused.
    pub const PLACEMENT_REFUSED: &str = "PlacementRefused";
    /// Something that the object names does not exist.
    pub const REFERENCE_MISSING: &str = "ReferenceMissing";
    /// The object breaks a rule of its kind.
    pub const INVALID: &str = "Invalid";
    /// No scan has run.
    pub const NOT_SCANNED: &str = "NotScanned";
    /// Everything required is built.
    pub const APPLIED: &str = "Applied";
    /// Not everything required could be built.
    pub const APPLY_FAILED: &str = "ApplyFailed";
    /// A flow that was asked for isn't granted.
    pub const FLOWS_WITHHELD: &str = "FlowsWithheld";
    /// More was asked for than the class gives.
    pub const SIZE_CAPPED: &str = "SizeCapped";
    /// The API server's address is not known, so no rule lets Pods reach it.
    pub const API_SERVER_UNKNOWN: &str = "ApiServerUnknown";
    /// An object of the same name belongs to someone else.
    pub const CONFLICT: &str = "Conflict";
    /// A node takes the class.
    pub const NODE_FITS: &str = "NodeFits";
    /// No node takes the class.
    pub const NO_NODE_FITS: &str = "NoNodeFits";
    /// Nothing is demanded here.
    pub const NOT_DEMANDED: &str = "NotDemanded";
    /// It decides.
    pub const IN_FORCE: &str = "InForce";
    /// An older default is in force.
    pub const ANOTHER_DEFAULT: &str = "AnotherDefault";
    /// It is neither the default nor an overlay.
    pub const NOT_DEFAULT: &str = "NotDefault";
    /// It does not compile.
    pub const DOES_NOT_COMPILE: &str = "DoesNotCompile";
    /// It was written for a newer release.
    pub const NEWER_CATALOGUE: &str = "NewerCatalogue";
    /// No baseline is in force.
    pub const NO_BASELINE: &str = "NoBaseline";
    /// Some fields are not acted upon yet.
    pub const NOT_ACTED_UPON: &str = "NotActedUpon";
    /// The provider's file is not `Active`.
    pub const NOT_ACTIVE: &str = "NotActive";
    /// The provider's grade is in date.
    pub const VALID: &str = "Valid";
    /// The provider's grade does not hold yet.
    pub const NOT_YET_VALID: &str = "NotYetValid";
    /// The provider's grade no longer holds.
    pub const EXPIRED: &str = "Expired";
    /// Nothing is looked at yet.
    pub const NOT_ASSESSED: &str = "NotAssessed";
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known.
    Unknown,
}

impl State {
    /// The word in the object.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl State {
    /// The state that a condition's `status` says; anything unheard of is unknown.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for State {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Most characters of a condition's message that Kubernetes takes.
const MESSAGE_MAX: usize = 32_768;

/// A condition of type `kind`. It keeps the `lastTransitionTime` of the condition of that type in `previous` as long
/// as the status is the same; otherwise the status has held since `now`.
#[must_use]
pub fn condition(
    previous: &[Condition],
    kind: &str,
    state: State,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let since = find(previous, kind)
        .filter(|before| before.status == state.as_str())
        .map_or(Time(now), |before| before.last_transition_time.clone());
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_MAX) {
        message.truncate(end);
    }
    Condition {
        type_: kind.to_owned(),
        status: state.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: since,
    }
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of a type is there and `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == State::True.as_str())
}
