//! `amanat controls`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::check::Format;
use super::explain::{frameworks, judges, kind};
use super::regime::{self, NoRegime, RegimeArgs};
use super::{ColourWhen, Error, Status, output};
use crate::api::Effect;
use crate::baseline::Effective;
use crate::catalogue;
use crate::control::Control;
use crate::report::text;

/// Arguments of `controls`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amanat controls                       every control and its effect in each class\n  \
                        amanat controls --class Restricted    what a class switches on\n  \
                        amanat controls --baseline own.yaml -o json"
)]
pub struct ControlsArgs {
    /// Only the controls that this class switches on, with its effects
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// The baseline.
    #[command(flatten)]
    regime: RegimeArgs,
    /// How to print the controls
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Listing<'a> {
    version: u32,
    baseline: Baseline<'a>,
    controls: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Baseline<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    title: &'a str,
    severity: &'a str,
    since: &'a str,
    points: Vec<&'a str>,
    judges: Vec<String>,
    effects: BTreeMap<&'a str, &'a str>,
    params: Vec<Param<'a>>,
    frameworks: BTreeMap<&'a str, Vec<&'a str>>,
}

#[derive(Serialize)]
struct Param<'a> {
    name: &'a str,
    takes: String,
    required: bool,
    doc: &'a str,
}

pub(super) fn run(args: &ControlsArgs, colour: ColourWhen) -> Result<Status, Error> {
    let regime = match regime::build(&args.regime, &[], &[], None) {
        Ok(regime) => regime,
        Err(NoRegime::Arguments(error)) => return Err(error),
        Err(NoRegime::Inputs(errors)) => {
            errors.iter().for_each(|error| output::complain(&text::error(error, colour.stderr())));
            return Ok(Status::Unreadable);
        }
    };
    let effective = &regime.effective;
    let rank = args.class.as_deref().map(|class| regime::rank_of(effective, class)).transpose()?;
    let listed: Vec<&'static Control> = catalogue::ALL
        .iter()
        .copied()
        .filter(|control| rank.is_none_or(|rank| effect(effective, control, rank) != Effect::Disabled))
        .collect();
    let ranks: Vec<usize> = match rank {
        Some(rank) => vec![rank],
        None => (0..effective.regime.classes.len()).collect(),
    };
    output::print(&match args.output {
        Format::Text => table(effective, &listed, &ranks),
        Format::Json => json(effective, &listed, &ranks)?,
    })?;
    Ok(Status::Clean)
}

fn effect(effective: &Effective, control: &Control, rank: usize) -> Effect {
    let terms = effective.controls.iter().find(|terms| terms.control.id == control.id);
    terms.and_then(|terms| terms.by_class.get(rank)).map_or(Effect::Disabled, |terms| terms.effect)
}

fn table(effective: &Effective, controls: &[&'static Control], ranks: &[usize]) -> String {
    let id = controls.iter().map(|control| control.id.len()).max().unwrap_or_default();
    let classes: Vec<&str> = ranks.iter().map(|rank| effective.regime.class_name(*rank)).collect();
    let mut text = format!("{:id$}  {:8}", "CONTROL", "SEVERITY");
    for class in &classes {
        let _ = write!(text, "  {:8}", class.to_uppercase());
    }
    text.push_str("  TITLE\n");
    for control in controls {
        let _ = write!(text, "{:id$}  {:8}", control.id, control.severity.as_str());
        for (rank, class) in ranks.iter().zip(&classes) {
            let width = class.chars().count().max(8);
            let _ = write!(text, "  {:width$}", effect(effective, control, *rank).as_str());
        }
        let _ = writeln!(text, "  {}", control.title);
    }
    text
}

fn json(effective: &Effective, controls: &[&'static Control], ranks: &[usize]) -> Result<String, Error> {
    let row = |control: &&'static Control| Row {
        id: control.id,
        title: control.title,
        severity: control.severity.as_str(),
        since: control.since,
        points: control.points.iter().map(|point| point.as_str()).collect(),
        judges: judges(control),
        effects: ranks
            .iter()
            .map(|rank| (effective.regime.class_name(*rank), effect(effective, control, *rank).as_str()))
            .collect(),
        params: control
            .params
            .iter()
            .map(|spec| Param { name: spec.name, takes: kind(spec), required: spec.required, doc: spec.doc })
            .collect(),
        frameworks: frameworks(control).into_iter().collect(),
    };
    let regime = &effective.regime;
    let listing = Listing {
        version: 1,
        baseline: Baseline { name: &regime.baseline, version: &regime.version },
        controls: controls.iter().map(row).collect(),
    };
    let mut text = serde_json::to_string_pretty(&listing).map_err(|error| Error::Internal(error.to_string()))?;
    text.push('\n');
    Ok(text)
}
