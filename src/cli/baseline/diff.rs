//! `amanat baseline diff A B`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::check::Format;
use super::super::inputs::Inputs;
use super::super::{ColourWhen, Error, Status, output};
use super::read::{Read, SHIPPED_NAME, baselines, shipped};
use crate::api::SecurityBaseline;
use crate::baseline::diff::{Change, Direction, Side, diff};
use crate::baseline::{Effective, Mode, Problem, Problems};
use crate::report::text::Colour;
use crate::report::{InputError, escape, text};

/// Arguments of `baseline diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amanat baseline diff shipped baseline.yaml    how an own baseline differs from the shipped one\n  \
                        kubectl get sb pakistan-cloud-first-2022 -o yaml | amanat baseline diff - new.yaml\n  \
                        amanat baseline diff -o json old.yaml new.yaml\n\n\
                        Compared is what is decided, not the text: of the placement matrix each place that is newly admitted\n\
                        or refused, of parameters what is permitted. Two overlays are compared by what the shipped baseline\n\
                        decides with each of them joined to it.\n\n\
                        Exit status: 0 the same, 1 different, 2 a wrong argument or an input that can't be read."
)]
pub(super) struct DiffArgs {
    /// The old baseline: a file, - for standard input, or the word shipped
    #[arg(value_name = "A")]
    old: PathBuf,
    /// The new one
    #[arg(value_name = "B")]
    new: PathBuf,
    /// How to print the differences
    #[arg(short, long, visible_alias = "format", value_enum, default_value = "text")]
    output: Format,
}

pub(super) fn run(args: &DiffArgs, colour: ColourWhen) -> Result<Status, Error> {
    if args.old.as_os_str() == "-" && args.new.as_os_str() == "-" {
        return Err(Error::Usage("standard input can be one of the two baselines, not both".to_owned()));
    }
    let inputs = [&args.old, &args.new].map(|path| {
        if path.as_os_str() == SHIPPED_NAME { shipped() } else { Inputs::read(std::slice::from_ref(path)) }
    });
    let [old_inputs, new_inputs] = &inputs;
    let read = (one(&args.old, old_inputs)?, one(&args.new, new_inputs)?);
    let Some((old, new)) = both(read, colour) else { return Ok(Status::Unreadable) };
    let overlays = (old.baseline.spec.overlay.is_some(), new.baseline.spec.overlay.is_some());
    if overlays.0 != overlays.1 {
        let message = "one of the two is an overlay: compare baselines with baselines and overlays with overlays";
        return Err(Error::Usage(message.to_owned()));
    }
    let resolved = (resolve(&old)?, resolve(&new)?);
    let Some((before, after)) = both(resolved, colour) else { return Ok(Status::Unreadable) };
    let changes = diff(
        &Side { name: old.name(), spec: &old.baseline.spec, effective: &before },
        &Side { name: new.name(), spec: &new.baseline.spec, effective: &after },
    );
    output::print(&match args.output {
        Format::Text => render(&changes, colour.stdout()),
        Format::Json => json(&old.baseline, &new.baseline, &changes)?,
    })?;
    Ok(if changes.is_empty() { Status::Clean } else { Status::Findings })
}

type Sides<T> = (Result<T, Vec<InputError>>, Result<T, Vec<InputError>>);

/// Both, or nothing once their errors were told.
fn both<T>(sides: Sides<T>, colour: ColourWhen) -> Option<(T, T)> {
    match sides {
        (Ok(old), Ok(new)) => Some((old, new)),
        (old, new) => {
            let errors = [old.err(), new.err()].into_iter().flatten().flatten();
            errors.for_each(|error| output::complain(&text::error(&error, colour.stderr())));
            None
        }
    }
}

/// The one baseline of an argument.
fn one<'a>(path: &Path, inputs: &'a Inputs) -> Result<Result<Read<'a>, Vec<InputError>>, Error> {
    let (mut found, mut errors) = baselines(inputs);
    let usage = |what: String| Err(Error::Usage(format!("{}: {what}", path.display())));
    match (found.pop(), found.is_empty()) {
        (Some(read), true) => {
            errors
                .extend(read.problems.iter().map(|problem| read.origin.error(&problem.path, problem.message.clone())));
            Ok(if errors.is_empty() { Ok(read) } else { Err(errors) })
        }
        (Some(_), false) => usage("more than one SecurityBaseline in it: name a file that holds one".to_owned()),
        (None, _) if errors.is_empty() => usage("no SecurityBaseline in it".to_owned()),
        (None, _) => Ok(Err(errors)),
    }
}

/// What a baseline decides; an overlay, joined to the shipped one.
fn resolve(read: &Read<'_>) -> Result<Result<Effective, Vec<InputError>>, Error> {
    let spec = &read.baseline.spec;
    let resolved = if spec.overlay.is_some() {
        let broken = || Error::Internal("the shipped baseline can't be read".to_owned());
        let shipped = crate::baseline::shipped().map_err(|_| broken())?;
        let base = Effective::resolve("", &shipped.spec, Mode::Offline).map_err(|_| broken())?;
        base.resolve_overlay(read.name(), spec, Mode::Offline).map(|overlay| base.join(&overlay))
    } else {
        Effective::resolve(read.name(), spec, Mode::Offline)
    };
    Ok(resolved.map_err(|problems| {
        let (Problems::NewerCatalogue { problems, .. } | Problems::Invalid(problems)) = problems;
        let error = |problem: Problem| read.origin.error(&problem.path, problem.message);
        problems.into_iter().map(error).collect()
    }))
}

/// By direction, by class: what is loosened stands first.
fn render(changes: &[Change], colour: Colour) -> String {
    let mut out = String::new();
    let mut last: Option<(Direction, Option<&str>)> = None;
    for change in changes {
        let class = change.class.as_deref();
        if last.map(|(direction, _)| direction) != Some(change.direction) {
            let heading = change.direction.as_str();
            let heading = match change.direction {
                Direction::Loosened => colour.red(heading),
                Direction::Tightened | Direction::Changed => colour.bold(heading),
            };
            let _ = writeln!(out, "{heading}");
        }
        if last != Some((change.direction, class)) {
            let _ = writeln!(out, "  {}", escape(class.unwrap_or("every class")));
            last = Some((change.direction, class));
        }
        let control = change.control.map(|id| format!("{id} ")).unwrap_or_default();
        let word = |value: &Option<String>| value.as_deref().map_or("none".into(), escape).into_owned();
        let what = escape(&change.what);
        let _ = writeln!(out, "    {control}{what}: {} -> {}", word(&change.from), word(&change.to));
    }
    let of = |direction| changes.iter().filter(|change| change.direction == direction).count();
    if changes.is_empty() {
        out.push_str("the same\n");
    } else {
        let (loosened, tightened) = (of(Direction::Loosened), of(Direction::Tightened));
        let _ = writeln!(out, "\n{loosened} loosened, {tightened} tightened, {} changed", of(Direction::Changed));
    }
    out
}

#[derive(Serialize)]
struct Output<'a> {
    version: u32,
    old: Named<'a>,
    new: Named<'a>,
    summary: Summary,
    changes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Summary {
    loosened: usize,
    tightened: usize,
    changed: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    direction: &'a str,
    class: Option<&'a str>,
    control: Option<&'a str>,
    what: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

fn json(old: &SecurityBaseline, new: &SecurityBaseline, changes: &[Change]) -> Result<String, Error> {
    fn named(baseline: &SecurityBaseline) -> Named<'_> {
        let name = baseline.metadata.name.as_deref().unwrap_or_default();
        Named { name, version: &baseline.spec.version }
    }
    let of = |direction| changes.iter().filter(|change| change.direction == direction).count();
    let summary = Summary {
        loosened: of(Direction::Loosened),
        tightened: of(Direction::Tightened),
        changed: of(Direction::Changed),
    };
    let mut rows = Vec::new();
    for change in changes {
        rows.push(Row {
            direction: change.direction.as_str(),
            class: change.class.as_deref(),
            control: change.control,
            what: &change.what,
            from: change.from.as_deref(),
            to: change.to.as_deref(),
        });
    }
    output::json(&Output { version: 1, old: named(old), new: named(new), summary, changes: rows })
}
