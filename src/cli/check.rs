//! `amanat check [FILE|DIR|-]…`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::explain::find;
use super::inputs::Inputs;
use super::judge::{Question, judge};
use super::objects::Objects;
use super::regime::{self, NoRegime, RegimeArgs};
use super::{ColourWhen, Error, Status, output};
use crate::control::Control;
use crate::report::{InputError, Report, json, text};

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat check manifests/\n  amanat check --class Restricted deployment.yaml\n  \
    helm template app charts/app | amanat check --context registry/ -\n  \
    amanat check --control image/digest-pinned -o json manifests/\n  \
    amanat check --set image/approved-registries.registries=[registry.example.org] manifests/\n\n\
    Exit status: 0 nothing is refused, 1 findings, 2 a wrong argument or an unreadable input (findings are printed\n\
    all the same).")]
pub struct CheckArgs {
    /// Manifests: files, folders, or - for standard input
    #[arg(value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// The class of namespaces whose CloudWorkload isn't among the inputs
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Evaluate only this control, at Deny and whatever the class; repeatable
    #[arg(long = "control", value_name = "ID")]
    pub controls: Vec<String>,
    /// Files or folders that are known and not judged: the registry, CloudWorkloads of other repositories; repeatable
    #[arg(long, value_name = "FILE|DIR")]
    pub context: Vec<PathBuf>,
    /// The namespace of manifests that name none
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The format of the output
    #[arg(short, long, visible_alias = "format", value_enum, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
    /// Let warnings count as findings
    #[arg(long)]
    pub strict: bool,
    /// What decides
    #[command(flatten)]
    pub regime: RegimeArgs,
    /// Judge as if it were this instant
    #[arg(long, value_name = "RFC 3339", hide = true)]
    pub now: Option<Timestamp>,
}

/// Formats of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs; its shape is kept
    Json,
}

pub(super) fn run(args: &CheckArgs, colour: ColourWhen) -> Result<Status, Error> {
    if args.files.is_empty() {
        return Err(Error::Usage("name files or folders to check, or - for standard input".to_owned()));
    }
    let only = args.controls.iter().map(|id| find(id)).collect::<Result<Vec<&'static Control>, Error>>()?;
    let beside_read = Inputs::read(&args.context);
    let beside = Objects::collect(&beside_read, None, None);
    let read = Inputs::read(&args.files);
    let mut inputs = Objects::collect(&read, args.namespace.as_deref(), Some(&beside));
    inputs.errors.extend(beside.errors.iter().cloned());
    if inputs.count() == 0 && inputs.errors.is_empty() {
        inputs.errors.extend(args.files.first().map(|file| InputError {
            file: file.display().to_string(),
            document: None,
            line: None,
            column: None,
            message: "there is no object in it".to_owned(),
        }));
    }
    let among_inputs = if inputs.baselines.is_empty() { &beside.baselines } else { &inputs.baselines };
    let regime = match regime::build(&args.regime, among_inputs, &only, args.class.as_deref()) {
        Ok(regime) => regime,
        Err(NoRegime::Arguments(error)) => return Err(error),
        Err(NoRegime::Inputs(errors)) => {
            inputs.errors.extend(errors);
            let mut report = Report { errors: inputs.errors, ..Report::default() };
            report.sort();
            return finish(args, colour, &report);
        }
    };
    let class = args.class.as_deref().map(|class| regime::rank_of(&regime.effective, class)).transpose()?;
    let question = Question { regime: &regime, class, only: !only.is_empty(), now: args.now.unwrap_or_else(now) };
    let report = judge(&question, &inputs, &beside);
    if report.objects == 0 && report.errors.is_empty() {
        output::complain("nothing was judged: none of the objects is of a kind that a control judges");
    }
    finish(args, colour, &report)
}

fn finish(args: &CheckArgs, colour: ColourWhen, report: &Report) -> Result<Status, Error> {
    match args.output {
        Format::Text => output::print(&text::render(report, colour.stdout()))?,
        Format::Json => {
            let json = json::render(report).map_err(|error| Error::Internal(format!("the report: {error}")))?;
            output::print(&json)?;
        }
    }
    for error in &report.errors {
        output::complain(&text::error(error, colour.stderr()));
    }
    Ok(if !report.errors.is_empty() {
        Status::Unreadable
    } else if report.fails(args.strict) {
        Status::Findings
    } else {
        Status::Clean
    })
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the instant of a check comes from")]
fn now() -> Timestamp {
    Timestamp::now()
}
