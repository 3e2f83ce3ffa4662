//! `amanat controls`

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::check::Format;
use super::regime::{self, RegimeArgs};
use super::{Error, Status, output};
use crate::api::Effect;
use crate::baseline::Effective;
use crate::catalogue;
use crate::control::Control;

/// Arguments of `controls`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amanat controls                         every control, and its effect in each class\n  \
                        amanat controls --class Restricted      what one class switches on\n  amanat controls -o json"
)]
pub struct ControlsArgs {
    /// Only what this class switches on
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// The format of the output
    #[arg(short, long, visible_alias = "format", value_enum, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
    /// What decides
    #[command(flatten)]
    pub regime: RegimeArgs,
}

pub(super) fn run(args: &ControlsArgs) -> Result<Status, Error> {
    let regime = regime::build(&args.regime, &[], &[], None).map_err(|none| match none {
        regime::NoRegime::Arguments(error) => error,
        regime::NoRegime::Inputs(errors) => {
            let texts =
                errors.iter().map(|error| crate::report::text::error(error, crate::report::text::Colour::Never));
            Error::Usage(texts.collect::<Vec<_>>().join("\n"))
        }
    })?;
    let effective = &regime.effective;
    let rank = args.class.as_deref().map(|class| regime::rank_of(effective, class)).transpose()?;
    let shown = catalogue::ALL
        .iter()
        .copied()
        .filter(|control| rank.is_none_or(|rank| effect(effective, control, rank) != Effect::Disabled));
    let shown: Vec<&'static Control> = shown.collect();
    let text = match args.output {
        Format::Text => table(effective, &shown, rank),
        Format::Json => {
            let list: Vec<Value> = shown.iter().map(|control| entry(effective, control)).collect();
            let text = serde_json::to_string_pretty(&list);
            format!("{}\n", text.map_err(|error| Error::Internal(format!("the list: {error}")))?)
        }
    };
    output::print(&text)?;
    Ok(Status::Clean)
}

fn effect(effective: &Effective, control: &Control, rank: usize) -> Effect {
    let terms = effective.controls.iter().find(|terms| terms.control.id == control.id);
    terms.and_then(|terms| terms.by_class.get(rank)).map_or(Effect::Disabled, |terms| terms.effect)
}

fn table(effective: &Effective, controls: &[&'static Control], rank: Option<usize>) -> String {
    let classes = &effective.regime.classes;
    let ranks: Vec<usize> = match rank {
        Some(rank) => vec![rank],
        None => (0..classes.len()).collect(),
    };
    let width = controls.iter().map(|control| control.id.len()).max().unwrap_or_default().max("CONTROL".len());
    let column = |rank: usize| effective.regime.class_name(rank).len().max("Disabled".len());
    let mut text = format!("{:width$}", "CONTROL");
    for rank in &ranks {
        let _ = write!(text, "  {:column$}", effective.regime.class_name(*rank), column = column(*rank));
    }
    text.push_str("  TITLE\n");
    for control in controls {
        let _ = write!(text, "{:width$}", control.id);
        for rank in &ranks {
            let word = effect(effective, control, *rank).as_str();
            let _ = write!(text, "  {word:column$}", column = column(*rank));
        }
        let _ = writeln!(text, "  {}", control.title);
    }
    text
}

fn entry(effective: &Effective, control: &Control) -> Value {
    let classes = effective.regime.classes.iter().enumerate();
    let effects: serde_json::Map<String, Value> =
        classes.map(|(rank, class)| (class.name.clone(), json!(effect(effective, control, rank)))).collect();
    let points: Vec<&str> = control.points.iter().map(|point| point.as_str()).collect();
    let params: Vec<Value> = control
        .params
        .iter()
        .map(|spec| json!({"name": spec.name, "required": spec.required, "description": spec.doc}))
        .collect();
    let frameworks: Vec<Value> =
        control.maps.iter().map(|(framework, id)| json!({"framework": framework, "id": id})).collect();
    json!({"id": control.id, "title": control.title, "severity": control.severity.as_str(), "points": points,
        "effects": effects, "parameters": params, "frameworks": frameworks})
}
