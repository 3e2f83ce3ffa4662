//! What a baseline fixes beside controls and placement.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{Change, Direction, Side, common, members};
use crate::api::security_baseline::{DataClass, Groups, Rollout};
use crate::api::{Effect, SecurityBaselineSpec};

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let (a, b) = (old.spec, new.spec);
    text("metadata.name", old.name, new.name, changes);
    text("spec.title", &a.title, &b.title, changes);
    text("spec.version", &a.version, &b.version, changes);
    for (what, of) in [
        ("spec.default", (|spec| spec.default.to_string()) as fn(&SecurityBaselineSpec) -> String),
        ("spec.allowNonMonotone", |spec| spec.allow_non_monotone.to_string()),
        ("spec.catalogue", |spec| spec.catalogue.clone().unwrap_or_default()),
    ] {
        text(what, &of(a), &of(b), changes);
    }
    classes(old, new, changes);
    let (before, after) = (&old.effective.regime, &new.effective.regime);
    directed(
        "spec.undeclared",
        Direction::of_higher(&before.undeclared, &after.undeclared),
        before.undeclared.to_string(),
        after.undeclared.to_string(),
        changes,
    );
    for (what, mine, theirs) in [
        ("spec.graceOnSuspension", before.grace_on_suspension, after.grace_on_suspension),
        ("spec.graceOnRaise", before.grace_on_raise, after.grace_on_raise),
    ] {
        directed(what, Direction::of_higher(&theirs, &mine), span(mine), span(theirs), changes);
    }
    let jurisdictions = |spec: &SecurityBaselineSpec| {
        spec.overlay.as_ref().map(|overlay| overlay.jurisdictions.clone()).unwrap_or_default()
    };
    members("spec.overlay.jurisdictions", Some(false), &jurisdictions(a), &jurisdictions(b), changes);
    if b.overlay.is_none() {
        of_the_default(a, b, changes);
    }
}

/// What only the default baseline fixes; an overlay that names it changes nothing.
fn of_the_default(a: &SecurityBaselineSpec, b: &SecurityBaselineSpec, changes: &mut Vec<Change>) {
    let version = |spec: &SecurityBaselineSpec| spec.pod_security_version.clone().unwrap_or_default();
    text("spec.podSecurityVersion", &version(a), &version(b), changes);
    ceiling(a.cluster_scoped, b.cluster_scoped, changes);
    exemptions(a, b, changes);
    for (what, of) in [
        ("spec.administrators", (|spec| &spec.administrators) as fn(&SecurityBaselineSpec) -> &Option<Groups>),
        ("spec.restorers", |spec| &spec.restorers),
        ("spec.approvers", |spec| &spec.approvers),
    ] {
        members(what, Some(true), groups(of(a)), groups(of(b)), changes);
    }
    rollout(&a.rollout, &b.rollout, changes);
}

fn groups(groups: &Option<Groups>) -> &[String] {
    groups.as_ref().map(|groups| groups.groups.as_slice()).unwrap_or_default()
}

fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    if seconds % 3_600 == 0 { format!("{}h", seconds / 3_600) } else { format!("{seconds}s") }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn text(what: &str, from: &str, to: &str, changes: &mut Vec<Change>) {
    let direction = (from != to).then_some(Direction::Changed);
    directed(what, direction, from.to_owned(), to.to_owned(), changes);
}

fn directed(what: &str, direction: Option<Direction>, from: String, to: String, changes: &mut Vec<Change>) {
    changes.extend(direction.map(|direction| Change {
        direction,
        class: None,
        control: None,
        what: what.to_owned(),
        from: some(&from),
        to: some(&to),
    }));
}

fn ceiling(from: Option<Effect>, to: Option<Effect>, changes: &mut Vec<Change>) {
    let direction = match (from, to) {
        (Some(from), Some(to)) => Direction::of_higher(&from, &to),
        (None, None) => None,
        _ => Some(Direction::Changed),
    };
    let word = |effect: Option<Effect>| effect.map(|effect| effect.to_string()).unwrap_or_default();
    directed("spec.clusterScoped", direction, word(from), word(to), changes);
}

fn classes(old: &Side<'_>, new: &Side<'_>, changes: &mut Vec<Change>) {
    let names = |side: &Side<'_>| -> Vec<String> {
        side.effective.regime.classes.iter().map(|class| class.name.clone()).collect()
    };
    let (before, after) = (names(old), names(new));
    members("spec.classes", None, &before, &after, changes);
    let shared = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| those.contains(name)).cloned().collect()
    };
    let (from, to) = (shared(&before, &after).join(", "), shared(&after, &before).join(", "));
    text("order of spec.classes", &from, &to, changes);
    let find = |spec: &SecurityBaselineSpec, name: &str| -> Option<DataClass> {
        spec.classes.iter().find(|class| class.name == name).cloned()
    };
    for (name, ..) in common(old, new) {
        let (Some(before), Some(after)) = (find(old.spec, name), find(new.spec, name)) else { continue };
        let first = changes.len();
        text("level", &before.level, &after.level, changes);
        members("aliases", None, &before.aliases, &after.aliases, changes);
        changes.iter_mut().skip(first).for_each(|change| change.class = Some(name.to_owned()));
    }
}

fn exemptions(a: &SecurityBaselineSpec, b: &SecurityBaselineSpec, changes: &mut Vec<Change>) {
    let of = |spec: &SecurityBaselineSpec| spec.exemptions.clone().unwrap_or_default();
    let (before, after) = (of(a), of(b));
    let classes: BTreeSet<&String> = before.max_days.keys().chain(after.max_days.keys()).collect();
    for class in classes {
        let (from, to) = (before.max_days.get(class), after.max_days.get(class));
        let direction = match (from, to) {
            (Some(from), Some(to)) => Direction::of_higher(to, from),
            _ => Some(Direction::Changed),
        };
        changes.extend(direction.map(|direction| Change {
            direction,
            class: Some(class.clone()),
            control: None,
            what: "exemptions.maxDays".to_owned(),
            from: from.map(ToString::to_string),
            to: to.map(ToString::to_string),
        }));
    }
    members("spec.exemptions.nonWaivable", Some(false), &before.non_waivable, &after.non_waivable, changes);
}

/// Caps loosen: a new one, a lower one, a longer one. Two entries are the same cap when they name the same namespaces.
fn rollout(old: &[Rollout], new: &[Rollout], changes: &mut Vec<Change>) {
    type Caps<'a> = BTreeMap<BTreeSet<&'a str>, Vec<&'a Rollout>>;
    fn by_namespaces(entries: &[Rollout]) -> Caps<'_> {
        let mut caps = Caps::new();
        for entry in entries {
            caps.entry(entry.namespaces.iter().map(String::as_str).collect()).or_default().push(entry);
        }
        caps
    }
    let (before, after) = (by_namespaces(old), by_namespaces(new));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let of = |caps: &Caps<'_>| caps.get(key).cloned().unwrap_or_default().into_iter().cloned().collect::<Vec<_>>();
        let (mine, theirs) = (of(&before), of(&after));
        let what = format!("spec.rollout of {}", key.iter().copied().collect::<Vec<_>>().join(", "));
        for at in 0..mine.len().max(theirs.len()) {
            let (from, to) = (mine.get(at), theirs.get(at));
            let direction = match (from, to) {
                (Some(from), Some(to)) => cap(from, to),
                (None, Some(_)) => Some(Direction::Loosened),
                _ => Some(Direction::Tightened),
            };
            let word = |entry: Option<&Rollout>| entry.map(describe).unwrap_or_default();
            directed(&what, direction, word(from), word(to), changes);
        }
    }
}

fn cap(from: &Rollout, to: &Rollout) -> Option<Direction> {
    let stricter = |a: &Rollout, b: &Rollout| a.effect_cap >= b.effect_cap && a.until <= b.until;
    let direction = Direction::of(stricter(to, from), stricter(from, to));
    direction.or_else(|| (from.reason != to.reason).then_some(Direction::Changed))
}

fn describe(entry: &Rollout) -> String {
    format!("at most {} until {} ({})", entry.effect_cap, entry.until, entry.reason)
}
