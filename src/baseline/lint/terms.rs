//! What a baseline fixes beside controls and placement.

use jiff::Timestamp;

use super::Findings;
use crate::api::{Effect, SecurityBaselineSpec, Undeclared};
use crate::baseline::{Effective, NEWEST_POD_SECURITY, is_newer, unknown};
use crate::catalogue;
use crate::control::{Class, over_at};

pub(super) fn lint(
    spec: &SecurityBaselineSpec,
    classes: &[Class],
    effective: Option<&Effective>,
    now: Timestamp,
    findings: &mut Findings,
) {
    exemptions(spec, classes, findings);
    rollout(spec, effective, now, findings);
    if spec.overlay.is_some() {
        return;
    }
    if spec.administrators.as_ref().is_none_or(|groups| groups.groups.is_empty()) {
        let message = "nobody is an administrator: every change to what Amanat builds is refused to everyone; name the \
                       groups that run the cluster";
        findings.warn("no-administrators", "spec.administrators", message);
    }
    if spec.undeclared == Some(Undeclared::Disabled) {
        let message = "workloads in namespaces that declare nothing are left alone, without a warning";
        findings.note("undeclared-disabled", "spec.undeclared", message);
    }
    if effective.is_some()
        && let Some(catalogue) = spec.catalogue.as_deref().filter(|catalogue| is_newer(catalogue))
    {
        let message = format!("it was written for catalogue {catalogue}, newer than this release");
        findings.warn("newer-catalogue", "spec.catalogue", message);
    }
    if let Some(minor) = effective.map(|effective| effective.regime.pod_security_minor)
        && minor < NEWEST_POD_SECURITY
    {
        let message = format!("v1.{minor} is older than v1.{NEWEST_POD_SECURITY}, which this release knows");
        findings.note("older-pod-security", "spec.podSecurityVersion", message);
    }
}

fn exemptions(spec: &SecurityBaselineSpec, classes: &[Class], findings: &mut Findings) {
    let Some(limits) = &spec.exemptions else { return };
    for (index, id) in limits.non_waivable.iter().enumerate().filter(|(_, id)| catalogue::find(id).is_none()) {
        let message = unknown("control", id, catalogue::ALL.iter().map(|control| control.id));
        findings.warn("non-waivable-unknown", format!("spec.exemptions.nonWaivable[{index}]"), message);
    }
    for pair in classes.windows(2) {
        let [lower, higher] = pair else { continue };
        let days = |class: &Class| limits.max_days.get(&class.name);
        match (days(lower), days(higher)) {
            (Some(short), Some(long)) if long > short => {
                let message = format!(
                    "{} may be exempted for {long} days, the lower class {} for {short}",
                    higher.name, lower.name
                );
                findings.warn("exemption-not-monotone", format!("spec.exemptions.maxDays.{}", higher.name), message);
            }
            _ => {}
        }
    }
}

fn rollout(spec: &SecurityBaselineSpec, effective: Option<&Effective>, now: Timestamp, findings: &mut Findings) {
    let strictest = |effective: &Effective| {
        let of_controls = effective.controls.iter().flat_map(|terms| &terms.by_class).map(|terms| terms.effect);
        of_controls.max().unwrap_or(Effect::Disabled)
    };
    for (index, entry) in spec.rollout.iter().enumerate() {
        let path = format!("spec.rollout[{index}]");
        let over = over_at(entry.until);
        // The boundary instant counts as over.
        if now >= over {
            let message = format!("it is over since {over}: remove it");
            findings.warn("rollout-over", format!("{path}.until"), message);
        } else if effective.is_some_and(|effective| strictest(effective) <= entry.effect_cap) {
            let message = format!("it caps nothing: no control has more than {}", entry.effect_cap);
            findings.warn("rollout-without-effect", format!("{path}.effectCap"), message);
        }
        let all = entry.namespaces.iter().position(|pattern| pattern.chars().all(|c| c == '*'));
        if let Some(at) = all.filter(|_| now < over) {
            let message = format!("it caps every namespace until {over}: name those that are brought in");
            findings.warn("rollout-of-everything", format!("{path}.namespaces[{at}]"), message);
        }
    }
}
