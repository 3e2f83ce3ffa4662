//! Effects and parameters of controls.

use std::collections::BTreeSet;

use super::{Change, Direction, Side, common};
use crate::api::Effect;
use crate::baseline::{Effective, Terms};
use crate::catalogue;
use crate::control::Control;

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let named: BTreeSet<&str> =
        [old, new].iter().flat_map(|side| &side.effective.controls).map(|terms| terms.control.id).collect();
    for control in named.into_iter().filter_map(catalogue::find) {
        for (class, rank, new_rank) in common(old, new) {
            let before = terms(old.effective, control, rank);
            let after = terms(new.effective, control, new_rank);
            compare_terms(control, class, &before, &after, changes);
        }
        supply(control, old, new, changes);
    }
}

/// What is supplied counts in classes in which both deny: elsewhere nothing is.
fn supply(control: &'static Control, old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let of = |side: &Side<'_>| {
        side.effective.controls.iter().find(|terms| terms.control.id == control.id).is_some_and(|terms| terms.supply)
    };
    let denies = |side: &Side<'_>, rank| terms(side.effective, control, rank).effect == Effect::Deny;
    let counts = common(old, new).iter().any(|(_, rank, new_rank)| denies(old, *rank) && denies(new, *new_rank));
    if counts && of(old) != of(new) {
        changes.push(Change {
            direction: Direction::Changed,
            class: None,
            control: Some(control.id),
            what: "supply".to_owned(),
            from: Some(of(old).to_string()),
            to: Some(of(new).to_string()),
        });
    }
}

/// A control that isn't named is `Disabled`.
fn terms(effective: &Effective, control: &Control, rank: usize) -> Terms {
    let named = effective.controls.iter().find(|terms| terms.control.id == control.id);
    named.and_then(|terms| terms.by_class.get(rank)).cloned().unwrap_or_default()
}

fn compare_terms(control: &'static Control, class: &str, before: &Terms, after: &Terms, changes: &mut Vec<Change>) {
    let mut push = |direction: Option<Direction>, what: &str, from: Option<String>, to: Option<String>| {
        changes.extend(direction.map(|direction| Change {
            direction,
            class: Some(class.to_owned()),
            control: Some(control.id),
            what: what.to_owned(),
            from,
            to,
        }));
    };
    let effect = Direction::of_higher(&before.effect, &after.effect);
    push(effect, "effect", Some(before.effect.to_string()), Some(after.effect.to_string()));
    if before.effect == Effect::Disabled || after.effect == Effect::Disabled {
        return;
    }
    for spec in control.params {
        let (mine, theirs) = (before.params.get(spec.name), after.params.get(spec.name));
        let direction = Direction::of(spec.permits_no_more(theirs, mine), spec.permits_no_more(mine, theirs));
        push(direction, spec.name, mine.map(ToString::to_string), theirs.map(ToString::to_string));
    }
}
