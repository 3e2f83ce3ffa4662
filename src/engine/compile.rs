//! A baseline, made ready to decide: per class and kind a flat slice of checks.

use crate::api::Effect;
use crate::baseline::{ControlTerms, Effective};
use crate::control::{CaseCheck, Check, Control, Kind, Operation, Params, PodCheck, Regime, Supply};

/// A compiled baseline. Immutable: a request sees one from beginning to end.
#[derive(Debug)]
pub struct Engine {
    /// What the baseline fixes beside its controls.
    pub regime: Regime,
    /// By rank of the class, then by [`Kind`].
    classes: Vec<ClassTable>,
}

/// The checks of one class.
#[derive(Debug, Default)]
struct ClassTable {
    by_kind: Vec<(Kind, Vec<Entry>)>,
    all: Vec<(&'static str, Effect)>,
    /// Of controls that aren't evaluated, and whose effects others ask for.
    beside: Vec<(&'static str, Effect)>,
    supplies: Vec<SupplyEntry>,
}

/// One supply of one class.
#[derive(Clone)]
pub(super) struct SupplyEntry {
    control: &'static str,
    pub(super) supply: Supply,
    pub(super) params: Params,
}

impl std::fmt::Debug for SupplyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.control)
    }
}

/// One check of one class and kind.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) control: &'static Control,
    pub(super) check: Ready,
    pub(super) params: Params,
    pub(super) effect: Effect,
    on_delete: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.control.id, self.effect)
    }
}

/// The revision of a check that holds.
#[derive(Clone, Copy)]
pub(super) enum Ready {
    Pod(PodCheck),
    Case(CaseCheck),
}

impl Engine {
    /// Compiles a baseline. Everything that could be wrong with it was found when it was made effective.
    pub fn compile(effective: &Effective) -> Self {
        let classes = (0..effective.regime.classes.len())
            .map(|rank| {
                let supplies = effective.controls.iter().filter(|control| control.supply).filter_map(|control| {
                    let terms = control.by_class.get(rank).filter(|terms| terms.effect == Effect::Deny)?;
                    let params = terms.params.clone();
                    Some(SupplyEntry { control: control.control.id, supply: control.control.supply?, params })
                });
                let of_class = effective.controls.iter().filter_map(|control| {
                    let terms = control.by_class.get(rank)?;
                    Some((control.control, terms))
                });
                let of_class: Vec<_> = of_class.filter(|(_, terms)| terms.effect != Effect::Disabled).collect();
                let by_kind = Kind::ALL.iter().map(|kind| {
                    let entries = of_class.iter().filter_map(|(control, terms)| {
                        entry(control, *kind, effective.regime.pod_security_minor, terms.effect, &terms.params)
                    });
                    (*kind, entries.collect())
                });
                ClassTable {
                    by_kind: by_kind.collect(),
                    beside: effects(&effective.beside, rank),
                    all: of_class.iter().map(|(control, terms)| (control.id, terms.effect)).collect(),
                    supplies: supplies.collect(),
                }
            })
            .collect();
        Self { regime: effective.regime.clone(), classes }
    }

    /// The checks of a class for a kind and operation.
    pub(super) fn entries(&self, rank: usize, kind: Kind, operation: Operation) -> impl Iterator<Item = &Entry> {
        let table = self.classes.get(rank).and_then(|class| class.by_kind.iter().find(|(known, _)| *known == kind));
        table
            .into_iter()
            .flat_map(|(_, entries)| entries)
            .filter(move |entry| operation != Operation::Delete || entry.on_delete)
    }

    /// What a class supplies.
    pub(super) fn supplies_of_class(&self, rank: usize) -> &[SupplyEntry] {
        self.classes.get(rank).map_or(&[], |class| &class.supplies)
    }

    /// The controls that a class switches on, with their effects, by id.
    pub fn controls(&self, rank: usize) -> &[(&'static str, Effect)] {
        self.classes.get(rank).map_or(&[], |class| &class.all)
    }

    /// The effect of a control in a class.
    pub fn effect(&self, rank: usize, control: &str) -> Effect {
        self.controls(rank).iter().find(|(id, _)| *id == control).map_or(Effect::Disabled, |(_, effect)| *effect)
    }

    /// The same, of a control that isn't evaluated too.
    pub(super) fn effect_even_beside(&self, rank: usize, control: &str) -> Effect {
        let beside = self.classes.get(rank).map_or(&[][..], |class| &class.beside);
        let beside = beside.iter().find(|(id, _)| *id == control).map(|(_, effect)| *effect);
        beside.unwrap_or_else(|| self.effect(rank, control))
    }

    /// Whether a control has a parameter in some class in which it is switched on.
    pub(super) fn sets(&self, control: &str, parameter: &str) -> bool {
        let mut params = (0..self.classes.len()).filter_map(|rank| self.params(rank, control));
        params.any(|params| params.get(parameter).is_some())
    }

    /// The parameters of a control in a class, when it is switched on there.
    pub fn params(&self, rank: usize, control: &str) -> Option<&Params> {
        let mut entries = self.classes.get(rank)?.by_kind.iter().flat_map(|(_, entries)| entries);
        entries.find(|entry| entry.control.id == control).map(|entry| &entry.params)
    }
}

fn effects(controls: &[ControlTerms], rank: usize) -> Vec<(&'static str, Effect)> {
    controls.iter().filter_map(|terms| Some((terms.control.id, terms.by_class.get(rank)?.effect))).collect()
}

fn entry(control: &'static Control, kind: Kind, minor: u32, effect: Effect, params: &Params) -> Option<Entry> {
    let judges = control.judges.iter().filter(|judges| match kind {
        Kind::Scale => judges.subresources.contains(&"scale"),
        _ => judges.kinds.contains(&kind),
    });
    let operations: Vec<Operation> = judges.flat_map(|judges| judges.operations).copied().collect();
    if operations.is_empty() {
        return None;
    }
    let check = match control.check {
        Check::Pod(_) => Ready::Pod(control.pod_check_at(minor)?),
        Check::Case(check) => Ready::Case(check),
    };
    let on_delete = operations.contains(&Operation::Delete);
    Some(Entry { control, check, params: params.clone(), effect, on_delete })
}
