//! The report as JSON: a public contract, version 1. Fields are added to it, never renamed or removed.

use serde::Serialize;
use serde_json::Value;

use super::escape::escape_json;
use super::model::{Entry, ObjectRef, Report, Source};

#[derive(Serialize)]
struct Output<'a> {
    version: u32,
    baseline: Baseline<'a>,
    summary: Summary,
    findings: Vec<Finding<'a>>,
    #[serde(rename = "notAssessed")]
    not_assessed: Vec<NotAssessed<'a>>,
    errors: Vec<Error<'a>>,
}

#[derive(Serialize)]
struct Baseline<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    objects: usize,
    denied: usize,
    warned: usize,
    audited: usize,
    exempt: usize,
    not_assessed: usize,
    skipped: usize,
}

#[derive(Serialize)]
struct Finding<'a> {
    control: &'a str,
    effect: &'a str,
    class: Option<&'a str>,
    object: Object<'a>,
    path: String,
    container: Option<&'a str>,
    value: Value,
    message: &'a str,
    fix: &'a str,
    source: Place<'a>,
    exemption: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: &'a str,
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    document: usize,
    item: Option<usize>,
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct NotAssessed<'a> {
    control: &'a str,
    object: Object<'a>,
    reason: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    file: &'a str,
    document: Option<usize>,
    line: Option<u32>,
    column: Option<u32>,
    message: &'a str,
}

/// The report as indented JSON, with a line end.
///
/// # Errors
/// None that a report can cause: its maps have text for keys.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let counts = report.counts();
    let output = Output {
        version: 1,
        baseline: Baseline { name: &report.baseline, version: &report.version },
        summary: Summary {
            objects: report.objects,
            denied: counts.denied,
            warned: counts.warned,
            audited: counts.audited,
            exempt: counts.exempt,
            not_assessed: report.not_assessed.len(),
            skipped: report.skipped,
        },
        findings: report.findings.iter().map(finding).collect(),
        not_assessed: report
            .not_assessed
            .iter()
            .map(|unknown| NotAssessed {
                control: unknown.control,
                object: object(&unknown.object),
                reason: &unknown.reason,
            })
            .collect(),
        errors: report
            .errors
            .iter()
            .map(|error| Error {
                file: &error.file,
                document: error.document,
                line: error.line,
                column: error.column,
                message: &error.message,
            })
            .collect(),
    };
    let mut text = escape_json(&serde_json::to_string_pretty(&output)?);
    text.push('\n');
    Ok(text)
}

fn finding(entry: &Entry) -> Finding<'_> {
    let finding = &entry.outcome.finding;
    Finding {
        control: finding.control,
        effect: entry.outcome.effect.as_str(),
        class: entry.class.as_deref(),
        object: object(&entry.object),
        path: finding.path.to_string(),
        container: finding.container.as_deref(),
        value: finding.shown_value(),
        message: &finding.message,
        fix: &finding.fix,
        source: place(&entry.source),
        exemption: entry.exemption.as_deref(),
    }
}

fn object(object: &ObjectRef) -> Object<'_> {
    Object {
        api_version: &object.api_version,
        kind: &object.kind,
        namespace: object.namespace.as_deref(),
        name: &object.name,
    }
}

fn place(source: &Source) -> Place<'_> {
    Place { file: &source.file, document: source.document, item: source.item, line: source.line, column: source.column }
}
