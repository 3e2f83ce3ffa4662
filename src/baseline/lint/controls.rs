//! Effects and parameters that hardly are what was meant.

use super::Findings;
use crate::api::{Effect, SecurityBaselineSpec};
use crate::baseline::diff::Side;
use crate::baseline::{ControlTerms, Effective};
use crate::catalogue;
use crate::control::{ParamKind, ParamSpec, ParamValue, Regime};

/// Looks through what is decided: of an overlay, what is decided with it joined to `base`.
pub(super) fn lint(
    spec: &SecurityBaselineSpec,
    effective: &Effective,
    base: Option<&Side<'_>>,
    findings: &mut Findings,
) {
    for terms in &effective.controls {
        let Some(index) = spec.controls.iter().position(|named| named.id == terms.control.id) else { continue };
        // What the base decides by itself is told of the base.
        let of_base = |base: &Side<'_>| base.effective.controls.iter().any(|known| same(known, terms));
        if base.is_some_and(of_base) {
            continue;
        }
        let path = format!("spec.controls[{index}]");
        effects(&path, terms, &effective.regime, findings);
        params(&path, terms, &effective.regime, findings);
        denies_all(&path, terms, &effective.regime, base, findings);
        if base.is_none() {
            missing(&path, terms, &effective.regime, findings);
        }
    }
}

fn same(a: &ControlTerms, b: &ControlTerms) -> bool {
    a.control.id == b.control.id && a.by_class == b.by_class
}

/// Controls of the catalogue that nobody decided about.
pub(super) fn unnamed(spec: &SecurityBaselineSpec, findings: &mut Findings) {
    if spec.overlay.is_some() {
        return;
    }
    for control in catalogue::ALL.iter().filter(|control| !spec.controls.iter().any(|named| named.id == control.id)) {
        let message = format!(
            "{} ({}) is not named, and so Disabled in every class: name it with the effects that are meant",
            control.id, control.title
        );
        findings.warn("control-not-named", "spec.controls", message);
    }
}

/// What `spec.allowNonMonotone` lets by.
fn effects(path: &str, terms: &ControlTerms, regime: &Regime, findings: &mut Findings) {
    for (rank, pair) in terms.by_class.windows(2).enumerate() {
        let [lower, higher] = pair else { continue };
        if higher.effect < lower.effect {
            let message = format!(
                "{}: {} has {}, weaker than {} of the lower class {}",
                terms.control.id,
                regime.class_name(rank.saturating_add(1)),
                higher.effect,
                lower.effect,
                regime.class_name(rank)
            );
            findings.warn("effect-not-monotone", format!("{path}.effects"), message);
        }
    }
}

/// Between two classes that evaluate the control, the higher permits no more.
fn params(path: &str, terms: &ControlTerms, regime: &Regime, findings: &mut Findings) {
    let evaluating = terms.by_class.iter().enumerate().filter(|(_, terms)| terms.effect != Effect::Disabled);
    for pair in evaluating.collect::<Vec<_>>().windows(2) {
        let [(low, lower), (high, higher)] = pair else { continue };
        for spec in terms.control.params {
            let (mine, theirs) = (lower.params.get(spec.name), higher.params.get(spec.name));
            if spec.permits_no_more(theirs, mine) {
                continue;
            }
            let word = |value: Option<&ParamValue>| value.map_or("none".to_owned(), ToString::to_string);
            let class = regime.class_name(*high);
            let message = format!(
                "{}: {} of {class} ({}) permits what the lower class {} ({}) doesn't",
                terms.control.id,
                spec.name,
                word(theirs),
                regime.class_name(*low),
                word(mine)
            );
            findings.warn("parameter-not-monotone", format!("{path}.paramsByClass.{class}.{}", spec.name), message);
        }
    }
}

/// An empty list of what is allowed, while it denies. Two lists that have nothing in common make one when they are joined.
fn denies_all(path: &str, terms: &ControlTerms, regime: &Regime, base: Option<&Side<'_>>, findings: &mut Findings) {
    let joined = base.map(|base| format!(" when it is joined to {}", base.name)).unwrap_or_default();
    for (rank, class) in terms.by_class.iter().enumerate().filter(|(_, terms)| terms.effect == Effect::Deny) {
        let allowing = |spec: &&ParamSpec| matches!(spec.kind, ParamKind::Allowed | ParamKind::Registries);
        for spec in terms.control.params.iter().filter(allowing) {
            let Some(ParamValue::Strings(items)) = class.params.get(spec.name) else { continue };
            if items.is_empty() {
                let message = format!(
                    "{}: {} is empty{joined} while {} denies: nothing is allowed there",
                    terms.control.id,
                    spec.name,
                    regime.class_name(rank)
                );
                findings.warn("denies-everything", format!("{path}.params.{}", spec.name), message);
            }
        }
    }
}

/// A required parameter that the installation must set; a cluster's baseline has it, or is refused.
fn missing(path: &str, terms: &ControlTerms, regime: &Regime, findings: &mut Findings) {
    for spec in terms.control.params.iter().filter(|spec| spec.required) {
        let lacking = |(_, class): &(usize, &crate::baseline::Terms)| {
            class.effect != Effect::Disabled && class.params.get(spec.name).is_none()
        };
        if let Some((rank, _)) = terms.by_class.iter().enumerate().find(lacking) {
            let message = format!(
                "{}: {} has no value for {} and above: the installation sets it, without it nothing compiles",
                terms.control.id,
                spec.name,
                regime.class_name(rank)
            );
            findings.note("left-to-the-installation", path, message);
        }
    }
}
