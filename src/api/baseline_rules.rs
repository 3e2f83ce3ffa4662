//! What the CEL rules of a SecurityBaseline say, in Rust.

use std::collections::BTreeSet;

use super::Invalid;
use super::effect::Effect;
use super::security_baseline::{DataClass, SecurityBaselineSpec};
use super::suggest::nearest;

/// What one baseline can decide by itself beyond its schema.
pub(super) fn rules(spec: &SecurityBaselineSpec) -> Vec<Invalid> {
    let mut problems = Vec::new();
    if spec.overlay.is_some() {
        for (set, path, message) in [
            (
                !spec.classes.is_empty(),
                "spec.classes",
                "an overlay takes the classes of the default baseline: remove them",
            ),
            (
                spec.undeclared.is_some(),
                "spec.undeclared",
                "an overlay says nothing about undeclared namespaces: remove it",
            ),
            (spec.default, "spec.default", "an overlay can't be the default: remove it"),
        ] {
            if set {
                problems.push(Invalid::new(path, message));
            }
        }
    } else if spec.classes.is_empty() {
        problems.push(Invalid::new("spec.classes", "a baseline that is no overlay needs classes"));
    }
    aliases(&spec.classes, &mut problems);
    for (index, rollout) in spec.rollout.iter().enumerate() {
        if rollout.effect_cap == Effect::Deny {
            problems.push(Invalid::new(format!("spec.rollout[{index}].effectCap"), "a cap of Deny caps nothing"));
        }
    }
    class_names(spec, &mut problems);
    problems
}

fn aliases(classes: &[DataClass], problems: &mut Vec<Invalid>) {
    let mut seen = BTreeSet::new();
    for (index, class) in classes.iter().enumerate() {
        for alias in &class.aliases {
            let path = format!("spec.classes[{index}].aliases");
            if classes.iter().any(|class| class.name == *alias) {
                problems.push(Invalid::new(path, format!("{alias} is the name of a class: remove it")));
            } else if !seen.insert(alias) {
                problems.push(Invalid::new(path, format!("{alias} belongs to two classes: keep one")));
            }
        }
    }
}

/// Classes that other fields name. An overlay's classes are those of the default baseline, so only their length can
/// be judged here.
fn class_names(spec: &SecurityBaselineSpec, problems: &mut Vec<Invalid>) {
    let mut judge = |path: String, name: &str| {
        if !spec.classes.is_empty() && !spec.classes.iter().any(|class| class.name == name) {
            let near = nearest(name, spec.classes.iter().map(|class| class.name.as_str()));
            let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            problems.push(Invalid::new(path, format!("{name:?} is not a class of this baseline{near}")));
        } else if name.chars().count() > 63 {
            problems.push(Invalid::new(path, "the name of a class has at most 63 characters"));
        }
    };
    for (index, row) in spec.placement.iter().enumerate() {
        judge(format!("spec.placement[{index}].class"), &row.class);
    }
    for (index, control) in spec.controls.iter().enumerate() {
        for class in control.effects.keys() {
            judge(format!("spec.controls[{index}].effects"), class);
        }
        for class in control.params_by_class.keys() {
            judge(format!("spec.controls[{index}].paramsByClass"), class);
        }
    }
    for class in spec.exemptions.iter().flat_map(|limits| limits.max_days.keys()) {
        judge("spec.exemptions.maxDays".to_owned(), class);
    }
}
