//! Rows of the placement matrix that do nothing, or not what was meant.

use super::super::cells::{self, Decision, GRADES, MODELS};
use super::Findings;
use crate::api::cloud_service_provider::Grade;
use crate::api::{CloudModel, PlacementRow, SecurityBaselineSpec};
use crate::catalogue::placement::first_fit;
use crate::control::Class;

pub(super) fn lint(spec: &SecurityBaselineSpec, classes: &[Class], findings: &mut Findings) {
    let rows = spec.placement.as_slice();
    unreached(rows, findings);
    grades(rows, classes, findings);
    // An overlay without rows leaves placement to the default baseline.
    if spec.overlay.is_none() || !rows.is_empty() {
        without_row(rows, classes, findings);
    }
}

/// Rows whose every place is taken by rows before them.
fn unreached(rows: &[PlacementRow], findings: &mut Findings) {
    let countries = cells::countries(rows);
    for (index, row) in rows.iter().enumerate() {
        let decides = |model: &CloudModel, country: &str, grade: Grade| {
            let of_class = rows.iter().filter(|other| other.class == row.class);
            first_fit(of_class, *model, country, grade).is_some_and(|first| std::ptr::eq(first, row))
        };
        let reached = row
            .models
            .iter()
            .any(|model| countries.iter().any(|country| GRADES.iter().any(|grade| decides(model, country, *grade))));
        if !reached {
            let message = format!(
                "it is never reached: rows of {} before it take every model, country and grade of it; move it before \
                 them, or remove it",
                row.class
            );
            findings.warn("placement-unreached", format!("spec.placement[{index}]"), message);
        }
    }
}

/// Where a class takes a lower grade than a lower class takes in the same place.
fn grades(rows: &[PlacementRow], classes: &[Class], findings: &mut Findings) {
    let countries = cells::countries(rows);
    let lists = [rows.to_vec()];
    let lowest = |class: &Class, model, country: &str| {
        let takes = |grade: &Grade| cells::decide(&lists, &class.name, model, country, *grade) != Decision::Refused;
        GRADES.into_iter().find(takes)
    };
    for pair in classes.windows(2) {
        let [lower, higher] = pair else { continue };
        for model in MODELS {
            let weaker = |country: &&&str| match (lowest(lower, model, country), lowest(higher, model, country)) {
                (Some(of_lower), Some(of_higher)) => of_higher < of_lower,
                _ => false,
            };
            let found: Vec<&str> = countries.iter().filter(weaker).copied().collect();
            let Some(first) = found.first() else { continue };
            let row = first_fit(rows.iter().filter(|row| row.class == higher.name), model, first, Grade::Registered);
            let index = rows.iter().position(|known| row.is_some_and(|row| std::ptr::eq(row, known)));
            let message = format!(
                "{} takes a lower grade than the lower class {}: {}",
                higher.name,
                lower.name,
                cells::describe(model, &found, &countries, &[Grade::Registered])
            );
            findings.warn("grade-not-monotone", format!("spec.placement[{}]", index.unwrap_or_default()), message);
        }
    }
}

/// Classes that nothing can be placed in.
fn without_row(rows: &[PlacementRow], classes: &[Class], findings: &mut Findings) {
    for class in classes {
        let mut of_class = rows.iter().filter(|row| row.class == class.name).peekable();
        if of_class.peek().is_none() {
            let message = format!("class {} has no row: every declaration of it is refused", class.name);
            findings.warn("class-without-placement", "spec.placement", message);
        } else if of_class.all(|row| row.approval || row.models.iter().all(|model| *model == CloudModel::Hybrid)) {
            let message = format!(
                "class {}: every row asks for an approval or for a hybrid cloud, and neither can be expressed in this \
                 version: every declaration of it is refused",
                class.name
            );
            findings.note("placement-waits", "spec.placement", message);
        }
    }
}
