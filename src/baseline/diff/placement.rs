//! Where each class may be placed: what is newly admitted and newly refused, whatever the rows look like.

use std::collections::BTreeMap;

use super::super::cells::{self, Decision, GRADES, MODELS};
use super::{Change, Direction, Side, common};

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let (before, after) = (&old.effective.regime.placement, &new.effective.regime.placement);
    let all = cells::countries(before.iter().chain(after).flatten());
    for (class, ..) in common(old, new) {
        for model in MODELS {
            // Of each country what changes by grade; countries of one answer are told together.
            let mut by_answer: BTreeMap<Vec<(Decision, Decision)>, Vec<&str>> = BTreeMap::new();
            for country in &all {
                let answer = |grade| {
                    let decide = |lists| cells::decide(lists, class, model, country, grade);
                    (decide(before), decide(after))
                };
                by_answer.entry(GRADES.iter().map(|grade| answer(*grade)).collect()).or_default().push(country);
            }
            for (answers, countries) in by_answer {
                let grades_of = |wanted: (Decision, Decision)| {
                    let fit = GRADES.iter().zip(&answers).filter(|(_, answer)| **answer == wanted);
                    fit.map(|(grade, _)| *grade).collect::<Vec<_>>()
                };
                let mut told = Vec::new();
                for (from, to) in answers.iter().copied().filter(|(from, to)| from != to) {
                    if !told.contains(&(from, to)) {
                        told.push((from, to));
                        let place = cells::describe(model, &countries, &all, &grades_of((from, to)));
                        changes.push(change(class, place, from, to));
                    }
                }
            }
        }
    }
}

fn change(class: &str, place: String, from: Decision, to: Decision) -> Change {
    let direction = if to < from { Direction::Tightened } else { Direction::Loosened };
    Change {
        direction,
        class: Some(class.to_owned()),
        control: None,
        what: format!("placement {place}"),
        from: Some(from.as_str().to_owned()),
        to: Some(to.as_str().to_owned()),
    }
}
