//! The report for people: grouped by file and object, each finding with its place, and a summary at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::escape;
use super::model::{Entry, InputError, Report};
use crate::api::Effect;

/// Objects that a line of "not assessed" names before it counts.
const NAMED: usize = 3;

/// How to set words off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// By ANSI escapes.
    Always,
    /// Not at all.
    Never,
}

impl Colour {
    /// The text in bold.
    pub fn bold(self, text: &str) -> String {
        self.style("1", text)
    }

    /// The text in red: it refuses, or ends the run.
    pub fn red(self, text: &str) -> String {
        self.style("1;31", text)
    }

    /// The text in yellow: it warns.
    pub fn yellow(self, text: &str) -> String {
        self.style("33", text)
    }

    /// The text in a faint shade: it can be passed over.
    pub fn faint(self, text: &str) -> String {
        self.style("2", text)
    }

    fn style(self, code: &str, text: &str) -> String {
        match self {
            Self::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Never => text.to_owned(),
        }
    }

    fn effect(self, effect: Effect) -> String {
        let word = format!("{:<5}", effect.as_str());
        match effect {
            Effect::Deny => self.red(&word),
            Effect::Warn => self.yellow(&word),
            Effect::Audit | Effect::Disabled => self.faint(&word),
        }
    }
}

/// Findings, what was not assessed, what to know, and the summary. Errors are for another stream: see [`error`].
pub fn render(report: &Report, colour: Colour) -> String {
    let mut out = String::new();
    let mut last = None;
    for entry in &report.findings {
        let group = (&entry.source.file, &entry.object, entry.source.document, entry.source.item);
        if last != Some(group) {
            if last.is_some() {
                out.push('\n');
            }
            heading(&mut out, entry, colour);
            last = Some(group);
        }
        finding(&mut out, entry, colour);
    }
    if last.is_some() {
        out.push('\n');
    }
    not_assessed(&mut out, report, colour);
    for notice in &report.notices {
        let file = escape(&notice.source.file);
        let (line, column) = (notice.source.line, notice.source.column);
        let _ = writeln!(out, "note: {file}:{line}:{column}: {}", escape(&notice.message));
    }
    if !report.notices.is_empty() {
        out.push('\n');
    }
    out.push_str(&summary(report));
    out.push('\n');
    out
}

/// One line for an input that could not be read.
pub fn error(error: &InputError, colour: Colour) -> String {
    let mut place = escape(&error.file).into_owned();
    for number in [error.line, error.column].into_iter().flatten() {
        let _ = write!(place, ":{number}");
    }
    format!("{} {place}: {}", colour.red("error:"), escape(&error.message))
}

fn heading(out: &mut String, entry: &Entry, colour: Colour) {
    let title = format!("{}: {}", entry.source.file, entry.object);
    let class = entry.class.as_deref().map(|class| format!(" [{}]", escape(class))).unwrap_or_default();
    let _ = writeln!(out, "{}{class}", colour.bold(&escape(&title)));
}

fn finding(out: &mut String, entry: &Entry, colour: Colour) {
    let found = &entry.outcome.finding;
    let place = format!("{}:{}", entry.source.line, entry.source.column);
    let effect = colour.effect(entry.outcome.effect);
    let _ = write!(out, "  {effect} {place:>7}  {}", found.control);
    let path = found.path.to_string();
    if !path.is_empty() {
        let _ = write!(out, "  {}", escape(&path));
    }
    if let Some(container) = &found.container {
        let _ = write!(out, " (container {})", escape(container));
    }
    out.push('\n');
    let value = found.shown_value();
    let value = if value.is_null() { String::new() } else { format!(": {value}") };
    let _ = writeln!(out, "                 {}{}", escape(&found.message), escape(&value));
    let _ = writeln!(out, "                 fix: {}", escape(&found.fix));
    if let Some(exemption) = &entry.exemption {
        let _ = writeln!(out, "                 exempt by {}", escape(exemption));
    }
    if let Some(until) = entry.softened_until() {
        let _ = writeln!(out, "                 denied from {until}");
    }
}

/// One line for each control and reason: ten thousand objects may share one.
fn not_assessed(out: &mut String, report: &Report, colour: Colour) {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for unknown in &report.not_assessed {
        groups.entry((unknown.control, &unknown.reason)).or_default().push(unknown.object.to_string());
    }
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", colour.bold("not assessed"));
    for ((control, reason), mut objects) in groups {
        objects.dedup();
        let more = objects.len().saturating_sub(NAMED);
        objects.truncate(NAMED);
        let mut named = objects.join(", ");
        if more > 0 {
            let _ = write!(named, " and {more} more");
        }
        let _ = writeln!(out, "  {control}: {} ({})", escape(reason), escape(&named));
    }
    out.push('\n');
}

fn summary(report: &Report) -> String {
    let counts = report.counts();
    let objects = if report.objects == 1 { "object" } else { "objects" };
    let mut line = format!(
        "{} {objects} judged by {} {}: {} denied, {} warned, {} audited",
        report.objects,
        escape(&report.baseline),
        escape(&report.version),
        counts.denied,
        counts.warned,
        counts.audited
    );
    for (count, what) in [
        (counts.exempt, "exempt"),
        (report.not_assessed.len(), "not assessed"),
        (report.skipped, "skipped"),
        (report.errors.len(), if report.errors.len() == 1 { "error" } else { "errors" }),
    ] {
        if count > 0 {
            let _ = write!(line, ", {count} {what}");
        }
    }
    line
}
