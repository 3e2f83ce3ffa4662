//! `amanat check [FILE|DIR|-]…`

#![expect(clippy::disallowed_methods, reason = "the wall clock is read once, here")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::context::OfflineContext;
use super::explain::find;
use super::inputs::Inputs;
use super::judge::{Question, judge, out_of_order};
use super::objects::Objects;
use super::regime::{self, NoRegime, RegimeArgs};
use super::{ColourWhen, Error, Status, output};
use crate::control::Control;
use crate::report::{InputError, Report, escape, json, text};

/// Arguments of `check`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  amanat check manifests/                              a folder with its CloudWorkload\n  \
                        helm template . | amanat check -n fbr-portal --context registry/ -\n  \
                        amanat check --class Restricted app.yaml             assume that the namespace holds a class\n  \
                        amanat check --control image/digest-pinned app.yaml  one control, whatever the class\n  \
                        amanat check --set image/approved-registries.registries=[registry.example.org] .\n  \
                        amanat check -o json . > findings.json\n\n\
                        Exit status: 0 nothing is refused, 1 findings (with --strict: warnings too), 2 a wrong argument or\n\
                        an input that can't be read or judged; findings are printed all the same."
)]
pub struct CheckArgs {
    /// Files, folders (.yaml, .yml and .json in them, hidden ones not) or - for standard input
    #[arg(value_name = "FILE|DIR|-")]
    pub paths: Vec<PathBuf>,
    /// The class of namespaces whose CloudWorkload isn't among the inputs; its declaration is assumed to be accepted
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Evaluate this control only, at Deny and without a class; may be repeated
    #[arg(long, value_name = "ID")]
    pub control: Vec<String>,
    /// Take CloudWorkloads, providers, entities and namespaces from here too, without judging them; may be repeated
    #[arg(long, value_name = "DIR")]
    pub context: Vec<PathBuf>,
    /// The baseline.
    #[command(flatten)]
    pub regime: RegimeArgs,
    /// The namespace of objects that name none
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// A namespace that is the cluster's own and not judged, beside kube-system and its like; may be repeated
    #[arg(long, value_name = "NAME")]
    pub system_namespace: Vec<String>,
    /// How to print the findings
    #[arg(short, long, visible_alias = "format", value_enum, default_value = "text")]
    pub output: Format,
    /// Let warnings fail the run too
    #[arg(long)]
    pub strict: bool,
    /// The instant to judge at, in RFC 3339
    #[arg(long, hide = true, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
}

/// A format of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: a stable contract
    Json,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The findings and errors.
    pub report: Report,
    /// What to know about the run as a whole.
    pub warnings: Vec<String>,
}

pub(super) fn run(args: &CheckArgs, colour: ColourWhen) -> Result<Status, Error> {
    if args.paths.is_empty() {
        let message = "nothing to check: name files, folders or - for standard input, as in `amanat check manifests/`";
        return Err(Error::Usage(message.to_owned()));
    }
    let outcome = check(args, &Inputs::read(&args.paths))?;
    let report = &outcome.report;
    match args.output {
        Format::Text => {
            for error in &report.errors {
                output::complain(&text::error(error, colour.stderr()));
            }
            output::print(&text::render(report, colour.stdout()))?;
        }
        Format::Json => {
            output::print(&json::render(report).map_err(|error| Error::Internal(error.to_string()))?)?;
        }
    }
    for warning in &outcome.warnings {
        output::complain(&format!("{} {}", colour.stderr().yellow("warning:"), escape(warning)));
    }
    Ok(match (report.errors.is_empty(), report.fails(args.strict)) {
        (false, _) => Status::Unreadable,
        (true, true) => Status::Findings,
        (true, false) => Status::Clean,
    })
}

/// Judges inputs.
///
/// # Errors
/// When the arguments are wrong. What is wrong with the inputs is in the report.
pub fn check(args: &CheckArgs, inputs: &Inputs) -> Result<Outcome, Error> {
    let only = args.control.iter().map(|id| find(id)).collect::<Result<Vec<&'static Control>, _>>()?;
    let around = Inputs::read(&args.context);
    let beside = Objects::collect(&around, None, None);
    let objects = Objects::collect(inputs, args.namespace.as_deref(), Some(&beside));
    let baselines = if objects.baselines.is_empty() { &beside.baselines } else { &objects.baselines };
    let mut outcome = Outcome::default();
    let report = &mut outcome.report;
    report.errors.extend(objects.errors.iter().chain(&beside.errors).cloned());
    let regime = match regime::build(&args.regime, baselines, &only, args.class.as_deref()) {
        Ok(regime) => regime,
        Err(NoRegime::Arguments(error)) => return Err(error),
        Err(NoRegime::Inputs(errors)) => {
            report.errors.extend(errors);
            report.sort();
            return Ok(outcome);
        }
    };
    report.baseline.clone_from(&regime.effective.regime.baseline);
    report.version.clone_from(&regime.effective.regime.version);
    report.skipped = objects.unjudged.saturating_add(objects.passed_over).saturating_add(objects.registered());
    let class = args.class.as_deref().map(|class| regime::rank_of(&regime.effective, class)).transpose()?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let question = Question { class, only: &only, system: &args.system_namespace, now };
    let mut context = OfflineContext { inputs: &objects, beside: &beside, classes: Default::default() };
    judge(&objects, &mut context, &regime, &question, report);
    if objects.count() == 0 && report.errors.is_empty() {
        report.errors.push(no_object(args));
    } else if report.objects == 0 && report.errors.is_empty() {
        let message = format!(
            "nothing was judged: none of the {} objects is of a kind or in a namespace that is judged",
            report.skipped
        );
        outcome.warnings.push(message);
    }
    outcome.warnings.extend(out_of_order(&objects));
    outcome.report.sort();
    Ok(outcome)
}

fn no_object(args: &CheckArgs) -> InputError {
    let file = args.paths.first().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
    let message = "no Kubernetes object in it: nothing was checked".to_owned();
    InputError { file, document: None, line: None, column: None, message }
}
