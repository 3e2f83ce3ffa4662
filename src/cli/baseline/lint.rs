//! `amanat baseline lint [FILE|DIR|-]…`

#![expect(clippy::disallowed_methods, reason = "the wall clock is read once, here")]

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::check::Format;
use super::super::inputs::Inputs;
use super::super::{ColourWhen, Error, Status, output};
use super::read::{Read, baselines, shipped};
use crate::baseline::diff::Side;
use crate::baseline::lint::{Level, Lint, lint};
use crate::baseline::{Effective, Mode};
use crate::report::text::Colour;
use crate::report::{InputError, Source, escape, locate_text, text};

/// Arguments of `baseline lint`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat baseline lint baseline.yaml            as a cluster would take it\n  \
                        amanat baseline lint baseline.yaml punjab.yaml   an overlay on the baseline beside it\n  \
                        amanat baseline lint -o json . > lints.json\n  \
                        amanat baseline lint                          the shipped one\n\n\
                        Exit status: 0 sound (notes don't count), 1 problems or warnings, 2 a wrong argument or an input\n\
                        that can't be read.")]
pub(super) struct LintArgs {
    /// Files, folders or - for standard input; none means the shipped baseline
    #[arg(value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// How to print what is found
    #[arg(short, long, visible_alias = "format", value_enum, default_value = "text")]
    output: Format,
    /// The instant to judge at, in RFC 3339
    #[arg(long, hide = true, value_name = "INSTANT")]
    now: Option<Timestamp>,
}

/// What was found, and where.
struct Found {
    baseline: String,
    lint: Lint,
    source: Source,
}

pub(super) fn run(args: &LintArgs, colour: ColourWhen) -> Result<Status, Error> {
    let shipped = shipped();
    // What ships leaves to the installation what a file that goes into a cluster must say.
    let mode = if args.paths.is_empty() { Mode::Offline } else { Mode::Cluster };
    let named = (!args.paths.is_empty()).then(|| Inputs::read(&args.paths));
    let (read, mut errors) = baselines(named.as_ref().unwrap_or(&shipped));
    if read.is_empty() && errors.is_empty() {
        let message = "no SecurityBaseline among the inputs (`amanat baseline show` prints one)";
        return Err(Error::Usage(message.to_owned()));
    }
    let now = args.now.unwrap_or_else(Timestamp::now);
    let found = judge(&read, mode, now)?;
    errors.sort();
    match args.output {
        Format::Text => {
            errors.iter().for_each(|error| output::complain(&text::error(error, colour.stderr())));
            output::print(&render(&found, read.len(), colour.stdout()))?;
        }
        Format::Json => output::print(&json(&found, read.len(), &errors)?)?,
    }
    Ok(if !errors.is_empty() {
        Status::Unreadable
    } else if found.iter().any(|found| found.lint.level != Level::Note) {
        Status::Findings
    } else {
        Status::Clean
    })
}

/// Overlays are judged on the default baseline among the inputs that compiles, else on the shipped one.
fn judge(read: &[Read<'_>], mode: Mode, now: Timestamp) -> Result<Vec<Found>, Error> {
    let broken = || Error::Internal("the shipped baseline can't be read".to_owned());
    let shipped = crate::baseline::shipped().map_err(|_| broken())?;
    let beside = read.iter().filter(|read| read.baseline.spec.overlay.is_none()).map(|read| &read.baseline);
    let base = beside.chain([&shipped]).find_map(|baseline| {
        let name = baseline.metadata.name.as_deref().unwrap_or_default();
        let effective = Effective::resolve(name, &baseline.spec, Mode::Offline).ok()?;
        Some((name, &baseline.spec, effective))
    });
    let (name, spec, effective) = base.ok_or_else(broken)?;
    let base = Side { name, spec, effective: &effective };
    let mut found = Vec::new();
    for read in read {
        let mut lints = lint(read.name(), &read.baseline.spec, &base, mode, now);
        for problem in &read.problems {
            let (path, message) = (problem.path.clone(), problem.message.clone());
            let problem = Lint { level: Level::Problem, rule: "refused", path, message };
            if !lints.contains(&problem) {
                lints.push(problem);
            }
        }
        found.extend(lints.into_iter().map(|lint| Found {
            baseline: read.name().to_owned(),
            source: read.origin.at(locate_text(read.origin.item.node, &lint.path)),
            lint,
        }));
    }
    found.sort_by(|a, b| {
        let key = |found: &Found| (found.source.file.clone(), found.source.line, found.source.column);
        (key(a), &a.lint).cmp(&(key(b), &b.lint))
    });
    Ok(found)
}

fn count(found: &[Found], level: Level) -> usize {
    found.iter().filter(|found| found.lint.level == level).count()
}

fn render(found: &[Found], baselines: usize, colour: Colour) -> String {
    let mut out = String::new();
    for Found { lint, source, .. } in found {
        let level = match lint.level {
            Level::Problem => colour.red("problem:"),
            Level::Warning => colour.yellow("warning:"),
            Level::Note => colour.faint("note:"),
        };
        let place = format!("{}:{}:{}", escape(&source.file), source.line, source.column);
        let rule = colour.faint(&format!("[{}]", lint.rule));
        let _ = writeln!(out, "{level} {place}: {}: {} {rule}", escape(&lint.path), escape(&lint.message));
    }
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(
        out,
        "{}: {}, {}, {}",
        plural(baselines, "baseline"),
        plural(count(found, Level::Problem), "problem"),
        plural(count(found, Level::Warning), "warning"),
        plural(count(found, Level::Note), "note")
    );
    out
}

#[derive(Serialize)]
struct Output<'a> {
    version: u32,
    summary: Summary,
    findings: Vec<Finding<'a>>,
    errors: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Summary {
    baselines: usize,
    problems: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Serialize)]
struct Finding<'a> {
    level: &'a str,
    rule: &'a str,
    baseline: &'a str,
    path: &'a str,
    message: &'a str,
    source: Place<'a>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    document: usize,
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct Failed<'a> {
    file: &'a str,
    document: Option<usize>,
    line: Option<u32>,
    column: Option<u32>,
    message: &'a str,
}

fn json(found: &[Found], baselines: usize, errors: &[InputError]) -> Result<String, Error> {
    let mut findings = Vec::new();
    for Found { baseline, lint, source } in found {
        let Source { file, document, line, column, .. } = source;
        findings.push(Finding {
            level: lint.level.as_str(),
            rule: lint.rule,
            baseline,
            path: &lint.path,
            message: &lint.message,
            source: Place { file, document: *document, line: *line, column: *column },
        });
    }
    let mut failed = Vec::new();
    for InputError { file, document, line, column, message } in errors {
        failed.push(Failed { file, document: *document, line: *line, column: *column, message });
    }
    let summary = Summary {
        baselines,
        problems: count(found, Level::Problem),
        warnings: count(found, Level::Warning),
        notes: count(found, Level::Note),
    };
    output::json(&Output { version: 1, summary, findings, errors: failed })
}
