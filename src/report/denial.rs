//! What the author of a refused or questionable object is told at admission.

use serde_json::Value;

use super::escape::{escape, shorten};
use crate::api::Effect;
use crate::control::WARNING_LENGTH;
use crate::engine::{Outcome, Softened, Verdict};

/// Lines of a denial; what goes beyond is counted.
const LINES: usize = 20;
/// Characters of one line: names and messages may hold what a stranger wrote.
const LINE_LENGTH: usize = 1_000;

/// One reason of a denial, for `details.causes[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The field's path; empty for the object itself.
    pub field: String,
    /// The rest of the line: class, control, container, value and fix.
    pub message: String,
}

/// The text of a denial: one line a finding that refuses, at most 20, then a count. Empty when nothing refuses.
pub fn message(verdict: &Verdict) -> String {
    let class = verdict.class.as_deref();
    let mut lines: Vec<String> =
        verdict.with(Effect::Deny).take(LINES).map(|outcome| line(class, outcome, true)).collect();
    let more = verdict.with(Effect::Deny).count().saturating_sub(LINES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// Each finding that refuses.
pub fn causes(verdict: &Verdict) -> Vec<Cause> {
    let class = verdict.class.as_deref();
    let cause = |outcome: &Outcome| Cause {
        field: escape(&outcome.finding.path.to_string()).into_owned(),
        message: line(class, outcome, false),
    };
    verdict.with(Effect::Deny).map(cause).collect()
}

/// What the author should know though it doesn't refuse: findings at `Warn`, what could not be assessed, notices. Each
/// at most 120 characters; at most 20, then a count.
pub fn warnings(verdict: &Verdict) -> Vec<String> {
    let notices = verdict.notices.iter().map(|notice| shorten(&escape(notice), WARNING_LENGTH));
    let findings = verdict.with(Effect::Warn).map(warning);
    let unknown = verdict.not_assessed.iter().map(|unknown| {
        shorten(&escape(&format!("{} not assessed: {}", unknown.control, unknown.reason)), WARNING_LENGTH)
    });
    let mut warnings: Vec<String> = notices.chain(findings).chain(unknown).collect();
    let more = warnings.len().saturating_sub(LINES);
    if more > 0 {
        warnings.truncate(LINES);
        warnings.push(format!("and {more} more: amanat check lists them"));
    }
    warnings
}

/// `[Restricted] image/digest-pinned: spec.containers[0].image (container app): not pinned: "x:1"; fix: …; see: …`
fn line(class: Option<&str>, outcome: &Outcome, with_path: bool) -> String {
    let finding = &outcome.finding;
    let class = class.map(|class| format!("[{class}] ")).unwrap_or_default();
    let path = finding.path.to_string();
    let path = if path.is_empty() || !with_path { String::new() } else { format!(" {path}") };
    let container = finding.container.as_deref().map(|name| format!(" (container {name})")).unwrap_or_default();
    let place = if path.is_empty() && container.is_empty() { String::new() } else { format!("{path}{container}:") };
    let value = value(&finding.shown_value());
    let control = finding.control;
    let text = format!("{class}{control}:{place} {}{value}; fix: {}", finding.message, finding.fix);
    format!("{}; see: amanat explain {control}", shorten(&escape(&text), LINE_LENGTH))
}

/// What was found, as JSON; nothing for what is absent.
fn value(value: &Value) -> String {
    if value.is_null() { String::new() } else { format!(": {value}") }
}

/// The end of a softened effect must be legible, so the text before it is what gets cut.
fn warning(outcome: &Outcome) -> String {
    let finding = &outcome.finding;
    let end = match outcome.softened {
        Some(Softened::Cap(until) | Softened::Grace(until)) => format!("; denied from {}", until.strftime("%FT%TZ")),
        None => String::new(),
    };
    let path = finding.path.to_string();
    let text = if path.is_empty() {
        format!("{}: {}", finding.control, finding.message)
    } else {
        format!("{}: {path}: {}", finding.control, finding.message)
    };
    format!("{}{end}", shorten(&escape(&text), WARNING_LENGTH.saturating_sub(end.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{FieldPath, Finding, NotAssessed};

    fn outcome(index: usize, effect: Effect) -> Outcome {
        let path = FieldPath::of(&["spec", "containers"]).index(index).field("image");
        let mut finding =
            Finding::new(path, "is not pinned by digest", "write image@sha256:…").container("app").value("x:1");
        finding.control = "image/digest-pinned";
        Outcome { finding, effect, softened: None }
    }

    fn verdict(outcomes: Vec<Outcome>) -> Verdict {
        Verdict { class: Some("Restricted".to_owned()), outcomes, ..Verdict::default() }
    }

    #[test]
    fn a_line_names_class_control_path_container_value_and_fix() {
        assert_eq!(
            message(&verdict(vec![outcome(0, Effect::Deny), outcome(1, Effect::Warn)])),
            "[Restricted] image/digest-pinned: spec.containers[0].image (container app): is not pinned by digest: \"x:1\"; \
             fix: write image@sha256:…; see: amanat explain image/digest-pinned"
        );
        let mut of_object = outcome(0, Effect::Deny);
        of_object.finding = Finding::new(FieldPath::default(), "stays", "keep it");
        of_object.finding.control = "placement/no-silent-downgrade";
        let verdict = Verdict { class: None, ..verdict(vec![of_object]) };
        assert_eq!(
            message(&verdict),
            "placement/no-silent-downgrade: stays; fix: keep it; see: amanat explain placement/no-silent-downgrade"
        );
    }

    #[test]
    fn a_cause_has_the_path_as_its_field() {
        let causes = causes(&verdict(vec![outcome(2, Effect::Deny)]));
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].field, "spec.containers[2].image");
        assert!(
            causes[0].message.starts_with("[Restricted] image/digest-pinned: (container app): is not"),
            "{causes:?}"
        );
    }

    #[test]
    fn many_lines_are_counted() {
        let text = message(&verdict((0..25).map(|index| outcome(index, Effect::Deny)).collect()));
        assert_eq!(text.lines().count(), 21);
        assert!(text.ends_with("\nand 5 more"));
        assert_eq!(message(&Verdict::default()), "");
    }

    #[test]
    fn a_line_stays_one_line_of_bounded_length() {
        let mut hostile = outcome(0, Effect::Deny);
        hostile.finding.message = format!("\u{1b}[2J\n{}", "x".repeat(5_000));
        let text = message(&verdict(vec![hostile]));
        assert_eq!(text.lines().count(), 1);
        assert!(text.chars().count() < 1_100 && !text.contains('\u{1b}'));
    }

    #[test]
    fn warnings_are_short_and_say_until_when() {
        let mut capped = outcome(0, Effect::Warn);
        capped.softened = Some(Softened::Cap("2027-03-31T00:00:00Z".parse().unwrap()));
        capped.finding.message = "long ".repeat(50);
        let not_assessed = vec![NotAssessed { control: "image/approved-registries", reason: "r".repeat(300) }];
        let notices = vec!["n".repeat(121)];
        let verdict = Verdict { not_assessed, notices, ..verdict(vec![capped, outcome(1, Effect::Deny)]) };
        let warnings = warnings(&verdict);
        assert_eq!(warnings.len(), 3);
        assert!(warnings.iter().all(|warning| warning.chars().count() <= 120), "{warnings:?}");
        assert!(warnings[1].ends_with("...; denied from 2027-03-31T00:00:00Z"), "{warnings:?}");
    }
}
