//! The vocabulary that everything else is written in.

mod bounds;
mod claim;
mod context;
mod defaulting;
mod finding;
mod kind;
pub mod params;
mod path;
mod placed;
mod pod;
mod pod_security;
mod pod_spec;
pub mod size;
mod skew;
mod standing;
mod strictness;
mod subject;
mod supply;
mod volume;

pub use bounds::{Bound, Bounds};
pub use claim::{ClaimSpec, ClaimTemplate};
pub use context::{Actor, Case, Class, Context, Lookup, Node, Nothing, Regime, Rollout};
pub use finding::{Finding, NotAssessed, Sink, WARNING_LENGTH};
pub use kind::{Judges, Kind, Operation, POD_SPECS, PODS, TEMPLATES, WORKLOADS};
pub use params::{ParamKind, ParamSpec, ParamValue, Params};
pub use path::{FieldPath, Segment};
pub use placed::Placed;
pub use pod::{ContainerList, ContainerView, PodView};
pub use pod_security::{Level, POD_SECURITY_MODES, POD_SECURITY_PREFIX, PodSecurity};
pub use pod_spec::{Container, ContainerPort, Handler, Lifecycle, PodSpec};
pub use skew::{CLOCK_SKEW, begun_at, over_at};
pub use standing::{Acceptance, Cap, Governed, Grace, Standing};
pub use subject::{Body, Metadata, Subject, Template, Workload};
pub use supply::{Draft, Edit, Fill, Supplied, Supply, Supplying};
pub use volume::{Projection, Volume};

/// How bad it is when the control's demand isn't met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Hygiene.
    Low,
    /// Weakens a defence.
    Medium,
    /// Opens a way to other workloads or their data.
    High,
    /// Breaks what the class promises.
    Critical,
}

impl Severity {
    /// The word for output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a control acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Refuses at admission.
    Admission,
    /// Fills in what Pods lack, when they are made.
    Supply,
    /// Builds and repairs.
    Build,
    /// Judges live objects.
    Scan,
}

impl Point {
    /// The word for output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Supply => "supply",
            Self::Build => "build",
            Self::Scan => "scan",
        }
    }
}

/// A framework and the id in it that a control serves.
pub type Mapping = (&'static str, &'static str);

/// A check of a Pod's spec.
pub type PodCheck = fn(&PodView<'_>, &Params, &mut Sink);
/// A check of anything else, or of a Pod's spec with what stands around it.
pub type CaseCheck = fn(&Case<'_>, &Params, &mut Sink);

/// A check as it is from one minor version of Kubernetes 1 on. A published revision never changes.
#[derive(Clone, Copy)]
pub struct Revision {
    /// The first minor version that it holds for.
    pub since: u32,
    /// The check.
    pub check: PodCheck,
}

/// How a control decides.
#[derive(Clone, Copy)]
pub enum Check {
    /// By the Pod's spec alone; revisions in ascending order. Before the first, there is no check.
    Pod(&'static [Revision]),
    /// By the whole case.
    Case(CaseCheck),
}

/// One demand of the catalogue.
pub struct Control {
    /// `family/name`.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// The release that it is in since.
    pub since: &'static str,
    /// Where it acts.
    pub points: &'static [Point],
    /// What it judges; webhook rules are generated from this.
    pub judges: &'static [Judges],
    /// Metadata keys that the check reads: a change of one is no "metadata only" change.
    pub reads: &'static [&'static str],
    /// What it serves in which framework.
    pub maps: &'static [Mapping],
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// How it decides.
    pub check: Check,
    /// How it supplies what it demands, if it does.
    pub supply: Option<Supply>,
    /// The page: what it demands, why, examples. The doc comment of the static.
    pub page: &'static str,
}

impl Control {
    /// The revision that holds at a minor version of Kubernetes 1; none, when the check came later.
    pub fn pod_check_at(&self, minor: u32) -> Option<PodCheck> {
        match self.check {
            Check::Pod(revisions) => {
                revisions.iter().rev().find(|revision| revision.since <= minor).map(|revision| revision.check)
            }
            Check::Case(_) => None,
        }
    }

    /// The fenced YAML examples of the page: `fail` or `pass`, and the text.
    pub fn examples(&self) -> Vec<(&'static str, String)> {
        let mut examples = Vec::new();
        let mut open: Option<(&'static str, String)> = None;
        for line in self.page.lines() {
            let line = line.strip_prefix(' ').unwrap_or(line);
            match (&mut open, line.trim_end()) {
                (None, "```yaml,fail") => open = Some(("fail", String::new())),
                (None, "```yaml,pass") => open = Some(("pass", String::new())),
                (Some(_), "```") => examples.extend(open.take()),
                (Some((_, text)), line) => {
                    text.push_str(line);
                    text.push('\n');
                }
                (None, _) => {}
            }
        }
        examples
    }
}

/// Declares a control: its doc comment is the page. `supplying` and a [`Supply`] may follow.
#[macro_export]
macro_rules! control {
    ($(#[doc = $doc:literal])+ pub static $NAME:ident = { $($field:ident : $value:expr),+ $(,)? }) => {
        $crate::control! { @ None, $(#[doc = $doc])+ pub static $NAME = { $($field: $value),+ } }
    };
    ($(#[doc = $doc:literal])+ pub static $NAME:ident = { $($field:ident : $value:expr),+ $(,)? } supplying $supply:expr) => {
        $crate::control! { @ Some($supply), $(#[doc = $doc])+ pub static $NAME = { $($field: $value),+ } }
    };
    (@ $supply:expr, $(#[doc = $doc:literal])+ pub static $NAME:ident = { $($field:ident : $value:expr),+ }) => {
        $(#[doc = $doc])+
        pub static $NAME: $crate::control::Control = $crate::control::Control {
            page: concat!($($doc, "\n"),+),
            supply: $supply,
            $($field: $value),+
        };
    };
}
