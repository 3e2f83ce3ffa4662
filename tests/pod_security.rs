//! Every fixture of the Pod Security Standards, as a Pod and within a Deployment: the verdict is upstream's at every
//! version, and what is refused is refused by the control that stands for the check.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fixture that doesn't decode ends the test")]

#[path = "support/psa.rs"]
mod psa;

use std::collections::BTreeMap;

use amanat::catalogue::pod::{BASELINE, RESTRICTED};
use amanat::control::{Control, Kind, Params, Sink, Subject};
use amanat::manifest::{Limits, read};
use psa::{Fixture, Level};

/// The fixture as a Pod and as a Deployment.
type Decoded = [Subject; 2];

fn decode(fixture: &Fixture) -> Decoded {
    let (documents, errors) = read(&fixture.text, &Limits::default());
    assert!(errors.is_empty() && documents.len() == 1, "{}: {errors:?}", fixture.name);
    let pod = psa::pod(documents[0].root.to_value());
    let deployment = psa::deployment(&pod);
    [(Kind::Pod, pod), (Kind::Deployment, deployment)]
        .map(|(kind, object)| Subject::from_manifest(kind, object).unwrap())
}

/// The controls of the level that find something, and where.
fn denying(level: Level, minor: u32, subject: &Subject) -> Vec<(&'static str, String)> {
    let further: &[&Control] = if level == Level::Restricted { RESTRICTED } else { &[] };
    let mut sink = Sink::new();
    for control in BASELINE.iter().chain(further) {
        let Some(check) = control.pod_check_at(minor) else { continue };
        sink.begin(control.id);
        check(&subject.pod().unwrap(), &Params::default(), &mut sink);
    }
    let (findings, not_assessed, _) = sink.into_parts();
    assert!(not_assessed.is_empty());
    findings.into_iter().map(|finding| (finding.control, finding.path.to_string())).collect()
}

#[test]
fn every_verdict_is_upstreams() {
    let fixtures = psa::fixtures();
    let mut decoded: BTreeMap<&str, Decoded> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fixture in &fixtures {
        let subjects = decoded.entry(&fixture.text).or_insert_with(|| decode(fixture));
        for subject in subjects {
            let denying = denying(fixture.level, fixture.minor, subject);
            let right = match fixture.control() {
                Some(expected) => denying.iter().any(|(control, _)| *control == expected),
                None => denying.is_empty(),
            };
            if !right {
                let Fixture { level, minor, name, denied, .. } = fixture;
                wrong.push(format!("{level:?} 1.{minor} {name} {}, denied {denied}: {denying:?}", subject.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(fixtures.len(), 4_537);
}
