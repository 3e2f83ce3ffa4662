//! A baseline that was looked through: every name known, every parameter parsed, every class decided.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::api::security_baseline::{ControlSpec, Groups};
use crate::api::{Effect, SecurityBaselineSpec, nearest};
use crate::catalogue;
use crate::control::{Class, Control, ParamSpec, Params, Regime, Rollout};

/// The newest minor version of Kubernetes whose Pod Security checks are known.
pub(super) const NEWEST_POD_SECURITY: u32 = 37;

/// What is done with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A cluster's: a required parameter without a value is a problem.
    Cluster,
    /// Of the command line: such a control is not assessed.
    Offline,
}

/// One thing that is wrong with a baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, from `spec` on.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a baseline doesn't compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problems {
    /// It was written for a newer release than this, and names what this one doesn't know.
    #[error("the baseline was written for catalogue {catalogue}, newer than this release: {}", list(.problems))]
    NewerCatalogue {
        /// The release that it was written for.
        catalogue: String,
        /// What isn't known.
        problems: Vec<Problem>,
    },
    /// It is wrong.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl Problems {
    /// A bounded label, also the reason of the condition `Ready`.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NewerCatalogue { .. } => "NewerCatalogue",
            Self::Invalid(_) => "Invalid",
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().take(20).map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// A baseline with every name resolved.
#[derive(Clone, Debug)]
pub struct Effective {
    /// What it fixes beside its controls.
    pub regime: Regime,
    /// The controls that it names, by id.
    pub controls: Vec<ControlTerms>,
    /// Controls that aren't evaluated because others are looked at alone, and whose effects those may ask for.
    pub beside: Vec<ControlTerms>,
}

/// A control's terms in every class.
#[derive(Clone)]
pub struct ControlTerms {
    /// The control.
    pub control: &'static Control,
    /// Whether it supplies to Pods what it demands of them.
    pub supply: bool,
    /// By rank of the class.
    pub by_class: Vec<Terms>,
}

impl fmt::Debug for ControlTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.control.id, self.by_class)
    }
}

/// A control's terms in one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// What a finding does.
    pub effect: Effect,
    /// The parameters.
    pub params: Params,
}

impl Effective {
    /// Looks through a default baseline.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve(name: &str, spec: &SecurityBaselineSpec, mode: Mode) -> Result<Self, Problems> {
        sound(spec)?;
        let mut reader = Reader::default();
        let classes = classes(spec);
        let controls = reader.controls(spec, &classes, false, mode);
        let regime = reader.regime(name, spec, classes);
        reader.finish(spec, Self { regime, controls, beside: Vec::new() })
    }

    /// Looks through an overlay on this baseline, whose classes it uses.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn resolve_overlay(&self, name: &str, spec: &SecurityBaselineSpec, mode: Mode) -> Result<Self, Problems> {
        sound(spec)?;
        let mut reader = Reader::default();
        let classes = self.regime.classes.clone();
        // What an overlay leaves to the base may be required there.
        let mode = if mode == Mode::Cluster { Mode::Offline } else { mode };
        let controls = reader.controls(spec, &classes, true, mode);
        let mut regime = reader.regime(name, spec, classes);
        if spec.grace_on_suspension.is_none() {
            regime.grace_on_suspension = self.regime.grace_on_suspension;
        }
        if spec.grace_on_raise.is_none() {
            regime.grace_on_raise = self.regime.grace_on_raise;
        }
        reader.finish(spec, Self { regime, controls, beside: Vec::new() })
    }

    /// This baseline with the named controls alone, each at `Deny` in every class, with the parameters that it has in the
    /// class of `rank`. Nothing caps or softens them, and nothing is supplied.
    #[must_use]
    pub fn only(&self, controls: &[&'static Control], rank: usize) -> Self {
        let terms = |control: &'static Control| {
            let named = self.controls.iter().find(|terms| terms.control.id == control.id);
            let params = named.and_then(|terms| terms.by_class.get(rank)).map(|terms| terms.params.clone());
            let terms = Terms { effect: Effect::Deny, params: params.unwrap_or_default() };
            ControlTerms { control, supply: false, by_class: vec![terms; self.regime.classes.len()] }
        };
        let mut controls: Vec<ControlTerms> = controls.iter().map(|control| terms(control)).collect();
        let named = |terms: &&ControlTerms| controls.iter().any(|named| named.control.id == terms.control.id);
        let beside = self.controls.iter().filter(|terms| !named(terms)).cloned().collect();
        controls.sort_by_key(|terms| terms.control.id);
        controls.dedup_by_key(|terms| terms.control.id);
        let regime = Regime { undeclared: Effect::Deny, rollout: Vec::new(), builds: false, ..self.regime.clone() };
        Self { regime, controls, beside }
    }

    /// Joins an overlay to this baseline: per control the stricter effect, per parameter the stricter value, and of
    /// placement what both permit. Nothing is loosened.
    #[must_use]
    pub fn join(&self, overlay: &Self) -> Self {
        let mut joined = self.clone();
        joined.regime.overlays.push(overlay.regime.baseline.clone());
        if overlay.regime.placement.iter().any(|rows| !rows.is_empty()) {
            joined.regime.placement.extend(overlay.regime.placement.iter().cloned());
        }
        joined.regime.grace_on_raise = joined.regime.grace_on_raise.min(overlay.regime.grace_on_raise);
        joined.regime.grace_on_suspension = joined.regime.grace_on_suspension.min(overlay.regime.grace_on_suspension);
        for terms in &overlay.controls {
            match joined.controls.iter_mut().find(|known| known.control.id == terms.control.id) {
                Some(known) => {
                    // What isn't supplied has to be there.
                    known.supply &= terms.supply;
                    for (mine, theirs) in known.by_class.iter_mut().zip(&terms.by_class) {
                        *mine = join_terms(known.control.params, mine, theirs);
                    }
                }
                None => joined.controls.push(terms.clone()),
            }
        }
        joined.controls.sort_by_key(|terms| terms.control.id);
        joined
    }
}

fn join_terms(specs: &[ParamSpec], mine: &Terms, theirs: &Terms) -> Terms {
    let mut params = Params::default();
    for spec in specs {
        let value = match (mine.params.get(spec.name), theirs.params.get(spec.name)) {
            (Some(mine), Some(theirs)) => spec.stricter(mine, theirs),
            (Some(only), None) | (None, Some(only)) if !spec.absent_is_strictest() => only.clone(),
            _ => continue,
        };
        params.set(spec.name, value);
    }
    Terms { effect: mine.effect.max(theirs.effect), params }
}

pub(super) fn classes(spec: &SecurityBaselineSpec) -> Vec<Class> {
    let class = |class: &crate::api::security_baseline::DataClass| Class {
        name: class.name.clone(),
        level: class.level.clone(),
        aliases: class.aliases.clone(),
    };
    spec.classes.iter().map(class).collect()
}

/// What the API server would refuse is told first, and nothing else: what follows takes as long as lists are.
fn sound(spec: &SecurityBaselineSpec) -> Result<(), Problems> {
    let invalid = spec.validate();
    if invalid.is_empty() {
        return Ok(());
    }
    Err(Problems::Invalid(
        invalid.into_iter().map(|invalid| Problem { path: invalid.path, message: invalid.message }).collect(),
    ))
}

/// Collects problems while reading.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Problems that a newer release may not have.
    unknown: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: String, message: impl Into<String>) {
        self.problems.push(Problem { path, message: message.into() });
    }

    fn finish(mut self, spec: &SecurityBaselineSpec, effective: Effective) -> Result<Effective, Problems> {
        if self.problems.is_empty() && self.unknown.is_empty() {
            return Ok(effective);
        }
        match spec.catalogue.as_deref().filter(|catalogue| is_newer(catalogue)) {
            Some(catalogue) if self.problems.is_empty() => {
                Err(Problems::NewerCatalogue { catalogue: catalogue.to_owned(), problems: self.unknown })
            }
            _ => {
                self.problems.extend(self.unknown);
                Err(Problems::Invalid(self.problems))
            }
        }
    }

    fn regime(&mut self, name: &str, spec: &SecurityBaselineSpec, classes: Vec<Class>) -> Regime {
        let groups = |groups: &Option<Groups>| groups.as_ref().map(|list| list.groups.clone()).unwrap_or_default();
        let regime = Regime {
            baseline: name.to_owned(),
            version: spec.version.clone(),
            overlays: Vec::new(),
            undeclared: spec.undeclared.unwrap_or_default().into(),
            grace_on_suspension: spec.grace_on_suspension(),
            grace_on_raise: spec.grace_on_raise(),
            placement: vec![spec.placement.clone()],
            administrators: groups(&spec.administrators),
            restorers: groups(&spec.restorers),
            rollout: spec
                .rollout
                .iter()
                .map(|entry| Rollout {
                    namespaces: entry.namespaces.clone(),
                    effect: entry.effect_cap,
                    until: entry.until,
                })
                .collect(),
            pod_security_minor: NEWEST_POD_SECURITY,
            builds: true,
            classes,
        };
        let minor = self.pod_security_minor(spec);
        self.placement_classes(spec, &regime);
        Regime { pod_security_minor: minor, ..regime }
    }

    fn pod_security_minor(&mut self, spec: &SecurityBaselineSpec) -> u32 {
        let Some(version) = spec.pod_security_version.as_deref() else { return NEWEST_POD_SECURITY };
        match version.strip_prefix("v1.").and_then(|minor| minor.parse::<u32>().ok()) {
            Some(minor) if minor <= NEWEST_POD_SECURITY => minor,
            _ => {
                let path = "spec.podSecurityVersion".to_owned();
                let message = format!("{version} is not known: write v1.0 to v1.{NEWEST_POD_SECURITY}");
                self.unknown.push(Problem { path, message });
                NEWEST_POD_SECURITY
            }
        }
    }

    fn placement_classes(&mut self, spec: &SecurityBaselineSpec, regime: &Regime) {
        for (index, row) in spec.placement.iter().enumerate() {
            if regime.rank(&row.class).is_none() {
                let message = unknown("class", &row.class, regime.classes.iter().map(|class| class.name.as_str()));
                self.problem(format!("spec.placement[{index}].class"), message);
            }
        }
    }

    fn controls(
        &mut self,
        spec: &SecurityBaselineSpec,
        classes: &[Class],
        overlay: bool,
        mode: Mode,
    ) -> Vec<ControlTerms> {
        let mut controls: BTreeMap<&'static str, ControlTerms> = BTreeMap::new();
        for (index, named) in spec.controls.iter().enumerate() {
            let path = format!("spec.controls[{index}]");
            let Some(control) = catalogue::find(&named.id) else {
                let ids = catalogue::ALL.iter().map(|control| control.id);
                self.unknown.push(Problem { path: format!("{path}.id"), message: unknown("control", &named.id, ids) });
                continue;
            };
            let by_class = self.terms(&path, control, named, classes, overlay, mode);
            if !spec.allow_non_monotone && !by_class.is_sorted_by_key(|terms| terms.effect) {
                let message = format!(
                    "{}: a higher class has a weaker effect than a lower one; set spec.allowNonMonotone if that is meant",
                    control.id
                );
                self.problem(format!("{path}.effects"), message);
            }
            let supply = control.supply.is_some() && named.supply.unwrap_or(true);
            if controls.insert(control.id, ControlTerms { control, supply, by_class }).is_some() {
                self.problem(format!("{path}.id"), format!("{} is named twice", control.id));
            }
        }
        controls.into_values().collect()
    }

    fn terms(
        &mut self,
        path: &str,
        control: &'static Control,
        named: &ControlSpec,
        classes: &[Class],
        overlay: bool,
        mode: Mode,
    ) -> Vec<Terms> {
        let names = || classes.iter().map(|class| class.name.as_str());
        for class in named.effects.keys().filter(|class| !names().any(|name| name == class.as_str())) {
            self.problem(format!("{path}.effects.{class}"), unknown("class", class, names()));
        }
        for class in named.params_by_class.keys().filter(|class| !names().any(|name| name == class.as_str())) {
            self.problem(format!("{path}.paramsByClass.{class}"), unknown("class", class, names()));
        }
        let mut common = Params::default();
        self.params(&format!("{path}.params"), control, &named.params, &mut common);
        let mut by_class = Vec::with_capacity(classes.len());
        for class in classes {
            let effect = named.effects.get(&class.name).copied();
            if effect.is_none() && !overlay {
                self.problem(format!("{path}.effects"), format!("{}: say what class {} has", control.id, class.name));
            }
            let effect = effect.unwrap_or_default();
            let mut params = common.clone();
            if let Some(values) = named.params_by_class.get(&class.name) {
                self.params(&format!("{path}.paramsByClass.{}", class.name), control, values, &mut params);
            }
            for required in control.params.iter().filter(|spec| spec.required && params.get(spec.name).is_none()) {
                if mode == Mode::Cluster && effect != Effect::Disabled {
                    let message = format!("{}: {} is required", control.id, required.name);
                    self.problem(format!("{path}.params.{}", required.name), message);
                }
            }
            by_class.push(Terms { effect, params });
        }
        by_class
    }

    fn params(&mut self, path: &str, control: &Control, values: &BTreeMap<String, Value>, params: &mut Params) {
        for (name, value) in values {
            let path = format!("{path}.{name}");
            match control.params.iter().find(|spec| spec.name == name) {
                None => {
                    let known = control.params.iter().map(|spec| spec.name);
                    let message = format!("{}: {}", control.id, unknown("parameter", name, known));
                    self.unknown.push(Problem { path, message });
                }
                Some(spec) => match spec.parse(value) {
                    Ok(value) => params.set(spec.name, value),
                    Err(message) => self.problem(path, format!("{}: {message}", control.id)),
                },
            }
        }
    }
}

/// "unknown control X; did you mean Y?"
pub(crate) fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("unknown {what} {word}; did you mean {near}?"),
        None => {
            let list: Vec<&str> = known.into_iter().take(10).collect();
            let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
            format!("unknown {what} {word}; known: {list}")
        }
    }
}

/// True when a release is newer than this one, by the three numbers of its version.
pub(super) fn is_newer(catalogue: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(catalogue) > numbers(env!("CARGO_PKG_VERSION"))
}
