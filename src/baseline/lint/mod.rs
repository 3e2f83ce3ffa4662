//! Is a baseline sound? What is refused, and what is legal but unwise.

mod controls;
mod placement;
mod terms;

use jiff::Timestamp;

use super::diff::{Side, diff};
use super::resolve::classes;
use super::{Effective, Mode, Problems};
use crate::api::SecurityBaselineSpec;
use crate::control::Class;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The baseline is refused.
    Problem,
    /// It is legal, and hardly what was meant.
    Warning,
    /// To know; nothing to do.
    Note,
}

impl Level {
    /// The word for output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lint {
    /// How bad it is.
    pub level: Level,
    /// The rule, a few words joined by hyphens.
    pub rule: &'static str,
    /// The field, from `spec` on.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Collects what is found.
#[derive(Default)]
struct Findings(Vec<Lint>);

impl Findings {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Level::Problem, "refused", path.into(), message.into());
    }

    fn warn(&mut self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) {
        self.push(Level::Warning, rule, path.into(), message.into());
    }

    fn note(&mut self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) {
        self.push(Level::Note, rule, path.into(), message.into());
    }

    fn push(&mut self, level: Level, rule: &'static str, path: String, message: String) {
        self.0.push(Lint { level, rule, path, message });
    }
}

/// Looks through a baseline at an instant. An overlay is looked through on `base`, whose classes it uses. With
/// [`Mode::Offline`] a required parameter without a value is left to the installation.
#[must_use]
pub fn lint(name: &str, spec: &SecurityBaselineSpec, base: &Side<'_>, mode: Mode, now: Timestamp) -> Vec<Lint> {
    let mut findings = Findings::default();
    let overlay = spec.overlay.is_some();
    let resolved =
        if overlay { base.effective.resolve_overlay(name, spec, mode) } else { Effective::resolve(name, spec, mode) };
    let classes: Vec<Class> = if overlay { base.effective.regime.classes.clone() } else { classes(spec) };
    match &resolved {
        Ok(effective) => {
            if overlay {
                let joined = base.effective.join(effective);
                controls::lint(spec, &joined, Some(base), &mut findings);
                tightens(spec, &joined, base, &mut findings);
            } else {
                controls::lint(spec, effective, None, &mut findings);
            }
        }
        Err(Problems::NewerCatalogue { catalogue, problems }) => {
            let message = format!("it was written for catalogue {catalogue}, newer than this release: use that one");
            findings.warn("newer-catalogue", "spec.catalogue", message);
            problems.iter().for_each(|problem| findings.problem(&problem.path, &problem.message));
        }
        Err(Problems::Invalid(problems)) => {
            problems.iter().for_each(|problem| findings.problem(&problem.path, &problem.message));
        }
    }
    controls::unnamed(spec, &mut findings);
    placement::lint(spec, &classes, &mut findings);
    terms::lint(spec, &classes, resolved.as_ref().ok(), now, &mut findings);
    let mut lints = findings.0;
    lints.sort();
    lints.dedup();
    lints
}

/// An overlay that changes nothing where it is joined.
fn tightens(spec: &SecurityBaselineSpec, joined: &Effective, base: &Side<'_>, findings: &mut Findings) {
    if diff(base, &Side { effective: joined, ..*base }).is_empty() {
        let message = format!("it tightens nothing of {}: whatever it demands is demanded there already", base.name);
        findings.warn("overlay-tightens-nothing", "spec.overlay", message);
    }
    for (field, set) in [
        ("administrators", spec.administrators.is_some()),
        ("restorers", spec.restorers.is_some()),
        ("approvers", spec.approvers.is_some()),
        ("rollout", !spec.rollout.is_empty()),
        ("clusterScoped", spec.cluster_scoped.is_some()),
        ("exemptions", spec.exemptions.is_some()),
        ("podSecurityVersion", spec.pod_security_version.is_some()),
    ] {
        if set {
            let message =
                "only the default baseline's counts: an overlay brings effects, parameters, placement and grace";
            findings.warn("overlay-ignored", format!("spec.{field}"), message);
        }
    }
}

#[cfg(test)]
mod tests;
