use super::*;
use crate::api::Effect;
use crate::control::{FieldPath, Finding};
use crate::engine::{Outcome, Softened};
use text::Colour;

fn object(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("fbr-portal".to_owned()),
        name: name.to_owned(),
    }
}

fn source(file: &str, document: usize, line: u32) -> Source {
    Source { file: file.to_owned(), document, item: None, line, column: 9 }
}

fn entry(control: &'static str, effect: Effect, name: &str, source: Source) -> Entry {
    let path = FieldPath::of(&["spec", "template", "spec", "containers"]).index(0).field("image");
    let mut finding = Finding::new(path, "is not pinned", "pin it").container("app").value("x:1");
    finding.control = control;
    let outcome = Outcome { finding, effect, softened: None };
    Entry { outcome, class: Some("Restricted".to_owned()), object: object(name), source, exemption: None }
}

fn report() -> Report {
    let mut of_object = entry("placement/no-silent-downgrade", Effect::Deny, "a", source("a.yaml", 0, 1));
    of_object.outcome.finding.path = FieldPath::default();
    of_object.outcome.finding.container = None;
    of_object.outcome.finding.value = serde_json::Value::Null;
    let mut capped = entry("pod/privileged", Effect::Warn, "a", source("a.yaml", 0, 20));
    capped.outcome.softened = Some(Softened::Cap("2027-03-31T00:00:00Z".parse().unwrap()));
    let mut exempt = entry("pod/sysctls", Effect::Deny, "a", source("a.yaml", 1, 40));
    exempt.exemption = Some("fbr-portal/legacy".to_owned());
    let hostile = entry("image/digest-pinned", Effect::Audit, "b\u{1b}[2J\u{202e}", source("b\n.yaml", 0, 7));
    let unassessed = |name: &str| Unassessed {
        control: "image/approved-registries",
        object: object(name),
        reason: "set registries".to_owned(),
        source: source("a.yaml", 0, 1),
    };
    let mut report = Report {
        baseline: "pakistan-cloud-first-2022".to_owned(),
        version: "1".to_owned(),
        objects: 3,
        skipped: 2,
        findings: vec![
            hostile,
            exempt,
            capped,
            entry("image/digest-pinned", Effect::Deny, "a", source("a.yaml", 0, 14)),
            of_object,
        ],
        not_assessed: ["a", "b", "c", "d"].map(unassessed).to_vec(),
        errors: vec![
            InputError {
                file: "c.yaml".to_owned(),
                document: Some(1),
                line: Some(3),
                column: Some(1),
                message: "the key a is written twice".to_owned(),
            },
            InputError {
                file: "d.yaml".to_owned(),
                document: None,
                line: None,
                column: None,
                message: "no such file".to_owned(),
            },
        ],
        notices: vec![Notice { source: source("a.yaml", 0, 1), message: "spec.size is not acted upon yet".to_owned() }],
    };
    report.sort();
    report
}

#[test]
fn text_is_grouped_by_file_and_object() {
    let report = report();
    let errors: Vec<String> = report.errors.iter().map(|error| text::error(error, Colour::Never)).collect();
    insta::assert_snapshot!(format!("{}{}\n", text::render(&report, Colour::Never), errors.join("\n")));
}

#[test]
fn colours_are_all_that_acts_on_the_terminal() {
    let rendered = text::render(&report(), Colour::Always);
    let plain = ["1", "1;31", "33", "2", "0"]
        .iter()
        .fold(rendered.clone(), |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
    assert_ne!(rendered, plain);
    assert_eq!(plain, text::render(&report(), Colour::Never));
    assert!(!plain.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn json_is_the_contract() {
    insta::assert_snapshot!(json::render(&report()).unwrap());
}

#[test]
fn an_exempt_finding_counts_only_as_exempt() {
    let report = report();
    assert_eq!(report.counts(), Counts { denied: 2, warned: 1, audited: 1, exempt: 1 });
    let only =
        |effect| Report { findings: vec![entry("a/b", effect, "a", source("a.yaml", 0, 1))], ..Report::default() };
    assert!(only(Effect::Deny).fails(false));
    assert!(!only(Effect::Warn).fails(false));
    assert!(only(Effect::Warn).fails(true));
    assert!(!only(Effect::Audit).fails(true));
}
