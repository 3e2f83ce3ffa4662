//! Every example of every page says what its control says: those that fail are found, those that pass are not.

#![expect(clippy::unwrap_used, reason = "an example that can't be judged ends the test")]

use amanat::catalogue;
use amanat::cli::check::{CheckArgs, check};
use amanat::cli::inputs::Inputs;
use amanat::control::Control;

/// What the control alone finds in an example: paths, and what it could not decide.
fn judge(control: &Control, example: &str) -> (Vec<String>, Vec<String>) {
    let mut args = CheckArgs { control: vec![control.id.to_owned()], ..CheckArgs::default() };
    args.now = Some("2027-01-01T00:00:00Z".parse().unwrap());
    if control.id == "image/approved-registries" {
        args.regime.set = vec!["image/approved-registries.registries=[registry.example.gov.pk]".to_owned()];
    }
    let outcome = check(&args, &Inputs::of_text("example.yaml", example)).unwrap();
    assert!(outcome.report.errors.is_empty(), "{}: {:?}\n{example}", control.id, outcome.report.errors);
    assert!(outcome.report.objects > 0, "{}: nothing was judged\n{example}", control.id);
    let path = |entry: &amanat::report::Entry| {
        assert_eq!(entry.outcome.finding.control, control.id);
        entry.outcome.finding.path.to_string()
    };
    let unknown = outcome.report.not_assessed.iter().map(|unknown| unknown.reason.clone()).collect();
    (outcome.report.findings.iter().map(path).collect(), unknown)
}

#[test]
fn every_example_says_what_its_control_says() {
    let mut wrong = Vec::new();
    for control in catalogue::ALL {
        let examples = control.examples();
        for wanted in ["fail", "pass"] {
            if !examples.iter().any(|(kind, _)| *kind == wanted) {
                wrong.push(format!("{} has no example that should {wanted}", control.id));
            }
        }
        for (kind, example) in examples {
            let (found, unknown) = judge(control, &example);
            let right = if kind == "fail" { !found.is_empty() } else { found.is_empty() && unknown.is_empty() };
            if !right {
                wrong.push(format!(
                    "{} should {kind}, found {found:?}, not assessed {unknown:?}\n{example}",
                    control.id
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
