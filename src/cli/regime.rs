//! The baseline that decides: a file's, one among the inputs, or the shipped one, with what the arguments change.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use super::explain::find;
use super::inputs::Inputs;
use super::objects::{Objects, Origin};
use crate::api::{ControlSpec, Effect, SecurityBaseline, SecurityBaselineSpec};
use crate::baseline::{Effective, Mode, Problem, Problems, shipped, unknown};
use crate::control::Control;
use crate::engine::Engines;
use crate::manifest::{self, Limits};
use crate::report::InputError;

/// Arguments that choose and change the baseline.
#[derive(Debug, Default, Args)]
pub struct RegimeArgs {
    /// Judge by the SecurityBaseline of this file instead of one among the inputs or the shipped one
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Set a parameter of a control; VALUE is YAML, as in image/approved-registries.registries=[registry.example.org]
    #[arg(long, value_name = "ID.PARAM=VALUE")]
    pub set: Vec<String>,
    /// Judge Pods by the Pod Security Standards of this version of Kubernetes, such as v1.30
    #[arg(long, value_name = "v1.N")]
    pub pod_security_version: Option<String>,
}

/// The baseline that decides.
pub(super) struct Regime {
    /// Compiled, for each jurisdiction.
    pub(super) engines: Engines,
    /// Without overlays.
    pub(super) effective: Effective,
}

/// Why there is none.
pub(super) enum NoRegime {
    /// The arguments are wrong.
    Arguments(Error),
    /// The inputs are.
    Inputs(Vec<InputError>),
}

impl From<Error> for NoRegime {
    fn from(error: Error) -> Self {
        Self::Arguments(error)
    }
}

/// Chooses, changes and compiles. `only` narrows it to single controls at `Deny`, with the parameters of `class` or of
/// the strictest one.
pub(super) fn build(
    args: &RegimeArgs,
    among_inputs: &[(SecurityBaseline, Origin<'_>)],
    only: &[&'static Control],
    class: Option<&str>,
) -> Result<Regime, NoRegime> {
    let changes = args.set.iter().map(|set| Change::parse(set)).collect::<Result<Vec<_>, _>>()?;
    let Some(path) = &args.baseline else { return compile(args, &changes, among_inputs, only, class) };
    let inputs = Inputs::read(std::slice::from_ref(path));
    let objects = Objects::collect(&inputs, None, None);
    if !objects.errors.is_empty() {
        return Err(NoRegime::Inputs(objects.errors));
    }
    if objects.baselines.is_empty() {
        let message = format!("{}: no SecurityBaseline in it (`amanat baseline show` prints one)", path.display());
        return Err(Error::Usage(message).into());
    }
    compile(args, &changes, &objects.baselines, only, class)
}

fn compile(
    args: &RegimeArgs,
    changes: &[Change],
    found: &[(SecurityBaseline, Origin<'_>)],
    only: &[&'static Control],
    class: Option<&str>,
) -> Result<Regime, NoRegime> {
    let (overlays, bases): (Vec<_>, Vec<_>) = found.iter().partition(|(baseline, _)| baseline.spec.overlay.is_some());
    let (mut baseline, origin) = match choose(&bases)? {
        Some((baseline, origin)) => (baseline.clone(), Some(origin)),
        None => (shipped().map_err(|_| Error::Internal("the shipped baseline can't be read".to_owned()))?, None),
    };
    changes.iter().for_each(|change| change.apply(&mut baseline.spec));
    if let Some(version) = &args.pod_security_version {
        baseline.spec.pod_security_version = Some(version.clone());
    }
    let failed = |problems: Problems, origin: Option<&Origin<'_>>| blame(args, problems, origin);
    let mut effective = Effective::resolve(&name(&baseline), &baseline.spec, Mode::Offline)
        .map_err(|problems| failed(problems, origin))?;
    let mut joined = Vec::new();
    for (overlay, origin) in overlays {
        let mut spec = overlay.spec.clone();
        changes.iter().for_each(|change| change.apply_where_named(&mut spec));
        let terms = effective
            .resolve_overlay(&name(overlay), &spec, Mode::Offline)
            .map_err(|problems| failed(problems, Some(origin)))?;
        let jurisdictions = overlay.spec.overlay.as_ref().map(|overlay| overlay.jurisdictions.clone());
        joined.push((jurisdictions.unwrap_or_default(), terms));
    }
    let rank = class.map(|class| rank_of(&effective, class)).transpose()?;
    if !only.is_empty() {
        let rank = rank.unwrap_or(effective.regime.classes.len().saturating_sub(1));
        effective = effective.only(only, rank);
        for (_, overlay) in &mut joined {
            let named =
                only.iter().filter(|control| overlay.controls.iter().any(|terms| terms.control.id == control.id));
            let named: Vec<&'static Control> = named.copied().collect();
            *overlay = overlay.only(&named, rank);
        }
    }
    Ok(Regime { engines: Engines::compile(&effective, &joined), effective })
}

/// The rank of a class that the command line names.
pub(super) fn rank_of(effective: &Effective, class: &str) -> Result<usize, Error> {
    let classes = || effective.regime.classes.iter().map(|class| class.name.as_str());
    effective.regime.rank(class).ok_or_else(|| Error::Usage(unknown("class", class, classes())))
}

type Found<'f, 'a> = &'f (SecurityBaseline, Origin<'a>);

fn choose<'f, 'a>(bases: &[Found<'f, 'a>]) -> Result<Option<(&'f SecurityBaseline, &'f Origin<'a>)>, Error> {
    let defaults: Vec<Found<'f, 'a>> = bases.iter().copied().filter(|(baseline, _)| baseline.spec.default).collect();
    let candidates = if defaults.is_empty() { bases } else { &defaults };
    match candidates {
        [] => Ok(None),
        [(baseline, origin)] => Ok(Some((baseline, origin))),
        [(_, first), (_, second), ..] => Err(Error::Usage(format!(
            "more than one SecurityBaseline among the inputs, in {} and {}: name one by --baseline",
            first.file, second.file
        ))),
    }
}

fn name(baseline: &SecurityBaseline) -> String {
    baseline.metadata.name.clone().unwrap_or_default()
}

/// A problem is the file's, where there is one; else the arguments made it.
fn blame(args: &RegimeArgs, problems: Problems, origin: Option<&Origin<'_>>) -> NoRegime {
    let of_flag = |problem: &&Problem| args.pod_security_version.is_some() && problem.path == "spec.podSecurityVersion";
    let list = match &problems {
        Problems::NewerCatalogue { problems, .. } | Problems::Invalid(problems) => problems,
    };
    if let Some(problem) = list.iter().find(of_flag) {
        return Error::Usage(format!("--pod-security-version {}", problem.message)).into();
    }
    let Some(origin) = origin else { return Error::Usage(problems.to_string()).into() };
    if let Problems::NewerCatalogue { .. } = problems {
        return NoRegime::Inputs(vec![origin.error("spec.catalogue", problems.to_string())]);
    }
    NoRegime::Inputs(list.iter().map(|problem| origin.error(&problem.path, problem.message.clone())).collect())
}

/// A parameter that the command line sets.
struct Change {
    control: &'static Control,
    parameter: &'static str,
    value: serde_json::Value,
}

impl Change {
    fn parse(text: &str) -> Result<Self, Error> {
        let usage = |message: String| Error::Usage(format!("--set {text}: {message}"));
        let shape = || usage("write ID.PARAM=VALUE, as in image/digest-pinned.demand=tag".to_owned());
        let (target, value) = text.split_once('=').ok_or_else(shape)?;
        let (id, parameter) = target.split_once('.').ok_or_else(shape)?;
        let control = find(id)?;
        let names = || control.params.iter().map(|spec| spec.name);
        let Some(spec) = control.params.iter().find(|spec| spec.name == parameter) else {
            return Err(usage(unknown("parameter", parameter, names())));
        };
        let (documents, errors) = manifest::read(value, &Limits::default());
        let value = match (documents.as_slice(), errors.first()) {
            ([document], None) => document.root.to_value(),
            (_, Some(error)) => return Err(usage(format!("the value is no YAML: {error}"))),
            _ => return Err(usage("the value is empty".to_owned())),
        };
        spec.parse(&value).map_err(usage)?;
        Ok(Self { control, parameter: spec.name, value })
    }

    fn apply(&self, spec: &mut SecurityBaselineSpec) {
        if !spec.controls.iter().any(|control| control.id == self.control.id) {
            let effects = spec.classes.iter().map(|class| (class.name.clone(), Effect::Disabled)).collect();
            let id = self.control.id.to_owned();
            let (params, params_by_class) = Default::default();
            spec.controls.push(ControlSpec { id, effects, supply: None, params, params_by_class });
        }
        self.apply_where_named(spec);
    }

    /// In every class. An overlay that names the control would tighten what was set: it gets the value too.
    fn apply_where_named(&self, spec: &mut SecurityBaselineSpec) {
        for control in spec.controls.iter_mut().filter(|control| control.id == self.control.id) {
            for params in control.params_by_class.values_mut() {
                params.remove(self.parameter);
            }
            control.params.insert(self.parameter.to_owned(), self.value.clone());
        }
    }
}
