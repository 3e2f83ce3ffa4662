//! What a change of a baseline tightens and loosens: by what is decided, not by the text.

mod controls;
mod placement;
mod terms;

use std::collections::BTreeSet;

use super::Effective;
use crate::api::SecurityBaselineSpec;

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Something is permitted that was not.
    Loosened,
    /// Something is demanded or refused that was not.
    Tightened,
    /// Neither, or both.
    Changed,
}

impl Direction {
    /// The word for output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loosened => "loosened",
            Self::Tightened => "tightened",
            Self::Changed => "changed",
        }
    }

    /// Of two values, by whether each permits no more than the other; none when they mean the same.
    fn of(new_within_old: bool, old_within_new: bool) -> Option<Self> {
        match (new_within_old, old_within_new) {
            (true, true) => None,
            (true, false) => Some(Self::Tightened),
            (false, true) => Some(Self::Loosened),
            (false, false) => Some(Self::Changed),
        }
    }

    /// Of two values that are stricter the higher they are.
    fn of_higher<T: PartialOrd>(old: &T, new: &T) -> Option<Self> {
        Self::of(new >= old, old >= new)
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which way it goes.
    pub direction: Direction,
    /// The class that it is about; none when it is about all.
    pub class: Option<String>,
    /// The control that it is about.
    pub control: Option<&'static str>,
    /// What differs: `effect`, a parameter, a placement, a field of the spec.
    pub what: String,
    /// The old value; none when it had none.
    pub from: Option<String>,
    /// The new value; none when it has none.
    pub to: Option<String>,
}

/// One of the two baselines.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub spec: &'a SecurityBaselineSpec,
    /// What it decides; of an overlay, what the baseline decides to which it is joined.
    pub effective: &'a Effective,
}

/// Everything that differs, by direction, class and control. Parameters are compared in classes in which both evaluate
/// the control: elsewhere they decide nothing.
#[must_use]
pub fn diff(old: &Side<'_>, new: &Side<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    terms::compare(old, new, &mut changes);
    controls::compare(old, new, &mut changes);
    placement::compare(old, new, &mut changes);
    let rank = |change: &Change| {
        let class = change.class.as_deref();
        class.map(|class| new.effective.regime.rank(class).or_else(|| old.effective.regime.rank(class)))
    };
    changes.sort_by(|a, b| (a.direction, rank(a), a.control, &a.what).cmp(&(b.direction, rank(b), b.control, &b.what)));
    changes
}

/// The classes that both have, with their ranks.
fn common<'a>(old: &Side<'a>, new: &Side<'a>) -> Vec<(&'a str, usize, usize)> {
    let ranked = old.effective.regime.classes.iter().enumerate();
    let other = |name: &str| new.effective.regime.classes.iter().position(|class| class.name == name);
    ranked.filter_map(|(rank, class)| Some((class.name.as_str(), rank, other(&class.name)?))).collect()
}

/// Members of a set that came or went. `granting` sets permit more the more they hold; the others forbid more.
fn members(what: &str, granting: Option<bool>, old: &[String], new: &[String], changes: &mut Vec<Change>) {
    let (before, after): (BTreeSet<&String>, BTreeSet<&String>) = (old.iter().collect(), new.iter().collect());
    let mut push = |loosens: Option<bool>, from: Option<&String>, to: Option<&String>| {
        let direction = match loosens {
            Some(true) => Direction::Loosened,
            Some(false) => Direction::Tightened,
            None => Direction::Changed,
        };
        changes.push(Change {
            direction,
            class: None,
            control: None,
            what: what.to_owned(),
            from: from.cloned(),
            to: to.cloned(),
        });
    };
    for gone in before.difference(&after) {
        push(granting.map(|granting| !granting), Some(gone), None);
    }
    for come in after.difference(&before) {
        push(granting, None, Some(come));
    }
}

#[cfg(test)]
mod tests;
