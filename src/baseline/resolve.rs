//! From the text of a baseline to what it decides, with everything that is wrong with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ControlTerms, Effective, Mode, Problem, Problems, Terms};
use crate::api::security_baseline::{ControlSpec, DataClass, Groups};
use crate::api::{Effect, SecurityBaselineSpec, nearest};
use crate::catalogue;
use crate::control::{Class, Control, Params, Regime, Rollout};

/// The newest minor version of Kubernetes whose Pod Security checks are known.
pub(super) const NEWEST_POD_SECURITY: u32 = 37;

pub(super) fn classes(spec: &SecurityBaselineSpec) -> Vec<Class> {
    let class = |class: &DataClass| Class {
        name: class.name.clone(),
        level: class.level.clone(),
        aliases: class.aliases.clone(),
    };
    spec.classes.iter().map(class).collect()
}

/// What the API server would refuse is told first, and nothing else: what follows takes as long as lists are.
pub(super) fn sound(spec: &SecurityBaselineSpec) -> Result<(), Problems> {
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
pub(super) struct Reader {
    problems: Vec<Problem>,
    /// Problems that a newer release may not have.
    unknown: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: String, message: impl Into<String>) {
        self.problems.push(Problem { path, message: message.into() });
    }

    pub(super) fn finish(mut self, spec: &SecurityBaselineSpec, effective: Effective) -> Result<Effective, Problems> {
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

    pub(super) fn regime(&mut self, name: &str, spec: &SecurityBaselineSpec, classes: Vec<Class>) -> Regime {
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

    pub(super) fn controls(
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
