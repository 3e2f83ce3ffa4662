//! How a namespace stands: a pure function of specs, labels and the instant. No status is read for whether a
//! declaration is accepted; what the leader recorded decides grace alone.

use jiff::{SignedDuration, Timestamp};

use crate::api::CloudWorkloadSpec;
use crate::catalogue::placement;
use crate::control::{Acceptance, Cap, Context, Governed, Grace, Lookup, Regime, Standing, begun_at, over_at};

/// What is known of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// One of the cluster's own: `kube-system` and its like, Amanat's, those that the installation names.
    pub system: bool,
    /// The value of the class label.
    pub label: Option<&'a str>,
    /// The CloudWorkload, when there is one.
    pub declaration: Option<Declaration<'a>>,
}

/// A CloudWorkload, and what the leader recorded about it.
#[derive(Clone, Copy, Debug)]
pub struct Declaration<'a> {
    /// The spec.
    pub spec: &'a CloudWorkloadSpec,
    /// When it was created; unknown offline.
    pub created: Option<Timestamp>,
    /// The class in its status.
    pub recorded_class: Option<&'a str>,
    /// Since when that class holds.
    pub class_since: Option<Timestamp>,
    /// Since when it is unacceptable.
    pub unacceptable_since: Option<Timestamp>,
}

/// How a namespace stands at an instant.
pub fn standing(regime: &Regime, facts: &NamespaceFacts<'_>, context: &dyn Context, now: Timestamp) -> Standing {
    if facts.system {
        return Standing::System;
    }
    if facts.name == "default" {
        return Standing::Undeclared;
    }
    let strictest = regime.classes.len().saturating_sub(1);
    // A label that is no class of the baseline holds as the strictest: a typo never loosens.
    let labelled = facts.label.map(|label| regime.rank(label).unwrap_or(strictest));
    let (acceptance, declared) = match facts.declaration {
        Some(declaration) => {
            let acceptance = placement::acceptance(declaration.spec, regime, context, now);
            (acceptance, regime.rank(&declaration.spec.data_class))
        }
        None => match facts.label {
            Some(label) => (placement::without_declaration(label), None),
            None => return Standing::Undeclared,
        },
    };
    let accepted = acceptance.accepted();
    let rank = match (labelled, declared) {
        (None, _) if !accepted => return Standing::Pending(acceptance),
        (Some(labelled), Some(declared)) => labelled.max(declared),
        (Some(rank), None) | (None, Some(rank)) => rank,
        (None, None) => strictest,
    };
    Standing::Governed(Governed {
        rank,
        raise: facts.declaration.and_then(|declaration| raise(regime, &declaration, rank, now)),
        suspension: if accepted { None } else { suspension(regime, facts, context, now) },
        cap: cap(regime, facts.name, now),
        acceptance,
    })
}

/// The grace of a class that was declared or raised. A raise that the leader hasn't recorded yet counts as now.
fn raise(regime: &Regime, declaration: &Declaration<'_>, rank: usize, now: Timestamp) -> Option<Grace> {
    let recorded = declaration.recorded_class.and_then(|class| regime.rank(class));
    let from = match recorded {
        Some(recorded) if recorded < rank => now,
        Some(_) => declaration.class_since.or(declaration.created)?,
        None => declaration.created?,
    };
    grace(from, regime.grace_on_raise, now)
}

/// The grace of a declaration that became unacceptable: from the provider's expiry, else from when the leader saw it.
fn suspension(regime: &Regime, facts: &NamespaceFacts<'_>, context: &dyn Context, now: Timestamp) -> Option<Grace> {
    let declaration = facts.declaration?;
    let expired = match context.provider(&declaration.spec.provider) {
        Lookup::Found(provider) => provider.valid_until.map(over_at).filter(|over| *over <= now),
        Lookup::Absent | Lookup::Unknown => None,
    };
    let from = [expired, declaration.unacceptable_since].into_iter().flatten().min().unwrap_or(now);
    grace(from, regime.grace_on_suspension, now)
}

/// What was recorded by a clock that is ahead of this one counts as now: nothing made since is older than it.
fn grace(from: Timestamp, length: SignedDuration, now: Timestamp) -> Option<Grace> {
    let from = from.min(now);
    let until = over_at(from.checked_add(length).ok()?);
    (now < until).then_some(Grace { from, until })
}

/// The lowest cap that the rollout sets for a namespace at an instant.
pub fn cap(regime: &Regime, namespace: &str, now: Timestamp) -> Option<Cap> {
    regime
        .rollout
        .iter()
        .filter(|entry| entry.namespaces.iter().any(|pattern| matches(pattern, namespace)))
        .map(|entry| Cap { effect: entry.effect, until: over_at(entry.until) })
        .filter(|cap| now < cap.until)
        .min_by_key(|cap| (cap.effect, cap.until))
}

/// A name in which `*` stands for any characters; anchored at both ends.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name.strip_prefix(first).and_then(|name| name.strip_suffix(last));
    // Of several places that a part fits, the first leaves the most for those behind it.
    let behind = |name, part| str::split_once(name, part).map(|(_, behind)| behind);
    inner.is_some_and(|inner| middle.split('*').try_fold(inner, behind).is_some())
}

/// The instant after which a standing may be another, though nothing was changed: the nearest of the end of a grace, of
/// a cap, and of the provider's validity.
pub fn next_instant(
    standing: &Standing,
    declaration: Option<&CloudWorkloadSpec>,
    context: &dyn Context,
    now: Timestamp,
) -> Option<Timestamp> {
    let governed = standing.governed();
    let graces = governed.into_iter().flat_map(|governed| [governed.raise, governed.suspension]).flatten();
    let caps = governed.into_iter().filter_map(|governed| governed.cap.as_ref());
    let provider = declaration.and_then(|spec| match context.provider(&spec.provider) {
        Lookup::Found(provider) => Some([provider.valid_from.map(begun_at), provider.valid_until.map(over_at)]),
        Lookup::Absent | Lookup::Unknown => None,
    });
    graces
        .map(|grace| grace.until)
        .chain(caps.map(|cap| cap.until))
        .chain(provider.into_iter().flatten().flatten())
        .filter(|instant| *instant > now)
        .min()
}

/// True for an acceptance that nothing stands against and that nothing was unknown in.
pub fn is_certain(acceptance: &Acceptance) -> bool {
    acceptance.accepted() && acceptance.unknown.is_empty()
}
