//! The status of a CloudWorkload: pure, from how its namespace stands and what was applied.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::applied::controls_applied;
use super::apply::Applied;
use super::outcome::Outcome;
use super::schedulable::schedulable;
use crate::api::cloud_workload::{BaselineRef, Capped};
use crate::api::condition::{self, ACCEPTED, COMPLIANT, CONTROLS_APPLIED, READY, SCHEDULABLE, State, reason};
use crate::api::{CloudWorkload, CloudWorkloadStatus, inert_fields_of_cloud_workload};
use crate::catalogue;
use crate::control::{Acceptance, Context, Finding, Governed, Kind, Regime, Standing};
use crate::engine::Engine;
use crate::reconcile::conditions::{Conditions, whole_seconds};

/// At most this many reasons are written out.
const REASONS: usize = 10;

/// The status while no baseline is in force: nothing is decided, and what was recorded is kept.
pub fn without_baseline(workload: &CloudWorkload, now: Timestamp) -> CloudWorkloadStatus {
    let previous = workload.status.clone().unwrap_or_default();
    let message = "no SecurityBaseline is in force: create one with spec.default: true, or see why the one there is does \
                   not compile";
    let unknown = std::array::from_fn(|_| Outcome::new(State::Unknown, reason::NO_BASELINE, message));
    let conditions = conditions(workload, &unknown, now);
    CloudWorkloadStatus { observed_generation: workload.metadata.generation, conditions, ..previous }
}

/// The status under a baseline.
pub fn status(
    workload: &CloudWorkload,
    engine: &Engine,
    standing: &Standing,
    applied: &Applied,
    context: &dyn Context,
    now: Timestamp,
) -> CloudWorkloadStatus {
    let previous = workload.status.clone().unwrap_or_default();
    let regime = &engine.regime;
    let governed = standing.governed();
    let accepted = accepted(standing, regime);
    let applied = match (&accepted.state, governed) {
        (_, Some(governed)) => controls_applied(engine, governed, applied),
        (_, None) => Outcome::new(false, accepted.reason, "nothing is built before the declaration is accepted"),
    };
    let schedulable = match governed {
        Some(governed) => schedulable(engine, governed, context),
        None => Outcome::new(State::Unknown, accepted.reason, "no class holds before the declaration is accepted"),
    };
    let since = governed.and_then(|governed| class_since(workload, &previous, regime, governed.rank, now));
    CloudWorkloadStatus {
        observed_generation: workload.metadata.generation,
        class: governed.map(|governed| regime.class_name(governed.rank).to_owned()),
        level: governed.and_then(|governed| Some(regime.classes.get(governed.rank)?.level.clone())),
        baseline: Some(BaselineRef {
            name: regime.baseline.clone(),
            version: regime.version.clone(),
            overlays: regime.overlays.clone(),
        }),
        score: previous.score.clone(),
        failing: previous.failing.clone(),
        capped: governed.map(|governed| capped(engine, governed)).unwrap_or_default(),
        class_since: since,
        unacceptable_since: governed
            .filter(|governed| !governed.acceptance.accepted())
            .map(|_| previous.unacceptable_since.unwrap_or_else(|| whole_seconds(now))),
        conditions: conditions(workload, &[accepted, applied, schedulable], now),
    }
}

fn conditions(
    workload: &CloudWorkload,
    [accepted, applied, schedulable]: &[Outcome; 3],
    now: Timestamp,
) -> Vec<Condition> {
    let previous = workload.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::new(previous, workload.metadata.generation, whole_seconds(now));
    conditions.set(ACCEPTED, accepted.state, accepted.reason, &accepted.message);
    conditions.set(CONTROLS_APPLIED, applied.state, applied.reason, &applied.message);
    conditions.set(SCHEDULABLE, schedulable.state, schedulable.reason, &schedulable.message);
    match condition::find(previous, COMPLIANT) {
        Some(scanned) if scanned.reason != reason::NOT_SCANNED => {
            conditions.set(COMPLIANT, State::of(&scanned.status), &scanned.reason, &scanned.message);
        }
        _ => conditions.set(COMPLIANT, State::Unknown, reason::NOT_SCANNED, "no scan has run"),
    }
    match [accepted, applied].into_iter().find(|outcome| outcome.state != State::True) {
        Some(outcome) => conditions.set(READY, outcome.state, outcome.reason, &outcome.message),
        None => conditions.set(READY, true, reason::AS_DECLARED, "accepted, and what the class requires is built"),
    }
    conditions.partial(&inert_fields_of_cloud_workload(&workload.spec));
    conditions.finish()
}

fn accepted(standing: &Standing, regime: &Regime) -> Outcome {
    let ungoverned = |why: &str| {
        let message = format!("{why}: declare a namespace of its own, and delete this CloudWorkload");
        Outcome::new(false, reason::INVALID, message)
    };
    let acceptance = match standing {
        Standing::System => return ungoverned("the cluster's own namespaces are not governed"),
        Standing::Undeclared => return ungoverned("namespace default cannot be governed"),
        Standing::Pending(acceptance) => acceptance,
        Standing::Governed(governed) => &governed.acceptance,
    };
    if acceptance.accepted() {
        let class = standing.governed().map_or("", |governed| regime.class_name(governed.rank));
        return Outcome::new(
            true,
            reason::PLACEMENT_PERMITTED,
            format!("the placement is permitted for class {class}"),
        );
    }
    let reason = if acceptance.reasons.is_empty() { reason::REFERENCE_MISSING } else { reason::PLACEMENT_REFUSED };
    Outcome::new(false, reason, against(acceptance))
}

/// Everything that stands against a declaration, in one line each.
fn against(acceptance: &Acceptance) -> String {
    let line = |finding: &Finding| format!("{}: {}; {}", finding.path, finding.message, finding.fix);
    let lines: Vec<String> = acceptance.against().map(line).collect();
    let more = lines.len().saturating_sub(REASONS);
    let mut text = lines.into_iter().take(REASONS).collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    text
}

/// The controls that a rollout caps here. What judges declarations and labels alone is never capped.
fn capped(engine: &Engine, governed: &Governed) -> Vec<Capped> {
    let Some(cap) = &governed.cap else { return Vec::new() };
    let of_workloads = |id: &str| {
        catalogue::find(id).is_some_and(|control| {
            let mut kinds = control.judges.iter().flat_map(|judges| judges.kinds);
            kinds.any(|kind| !matches!(kind, Kind::CloudWorkload | Kind::Namespace))
        })
    };
    let controls = engine.controls(governed.rank).iter();
    controls
        .filter(|(id, effect)| *effect > cap.effect && of_workloads(id))
        .map(|(id, effect)| Capped { control: (*id).to_owned(), effect: *effect, cap: cap.effect, until: cap.until })
        .collect()
}

/// Since when the class holds: a first declaration since it was made, a raise since it was seen.
fn class_since(
    workload: &CloudWorkload,
    previous: &CloudWorkloadStatus,
    regime: &Regime,
    rank: usize,
    now: Timestamp,
) -> Option<Timestamp> {
    let created = workload.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let recorded = previous.class.as_deref().and_then(|class| regime.rank(class));
    match recorded {
        Some(recorded) if recorded < rank => Some(whole_seconds(now)),
        Some(_) => previous.class_since.or(created),
        None => created,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::build::Policies;
    use super::*;
    use crate::api::{CloudWorkloadSpec, Effect};
    use crate::baseline::{self, Effective, Mode};
    use crate::control::{Cap, FieldPath, Nothing};

    const CREATED: &str = "2026-01-01T00:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn engine() -> Engine {
        let shipped = baseline::shipped().unwrap();
        Engine::compile(&Effective::resolve("b", &shipped.spec, Mode::Offline).unwrap())
    }

    fn workload(status: Option<CloudWorkloadStatus>) -> CloudWorkload {
        let spec: CloudWorkloadSpec = serde_json::from_value(json!({
            "owner": "fbr", "dataClass": "Restricted", "provider": "ntc", "model": "Government", "service": "PaaS"}))
        .unwrap();
        let mut workload = CloudWorkload::new("workload", spec);
        workload.metadata = serde_json::from_value(json!({
            "name": "workload", "namespace": "n", "uid": "u", "generation": 4, "creationTimestamp": CREATED}))
        .unwrap();
        workload.status = status;
        workload
    }

    fn governed(engine: &Engine, class: &str) -> Governed {
        Governed {
            rank: engine.regime.rank(class).unwrap(),
            acceptance: Acceptance::default(),
            raise: None,
            suspension: None,
            cap: None,
        }
    }

    fn finding() -> Finding {
        Finding::new(FieldPath::of(&["spec", "provider"]), "ntc is suspended", "move to another provider")
    }

    fn refused() -> Acceptance {
        Acceptance { reasons: vec![finding()], ..Acceptance::default() }
    }

    fn built() -> Applied {
        let policies = Policies::Built { count: 3, withheld: Vec::new(), api_server_unknown: false };
        Applied { policies, ..Applied::nothing() }
    }

    fn said(status: &CloudWorkloadStatus, kind: &str) -> String {
        condition::find(&status.conditions, kind).map_or("-".to_owned(), |c| format!("{} {}", c.status, c.reason))
    }

    #[test]
    fn conditions_by_standing_and_by_what_was_applied() {
        let engine = engine();
        let fine = || Standing::Governed(governed(&engine, "Restricted"));
        let missing = Acceptance { missing: vec![finding()], ..Acceptance::default() };
        let suspended = Governed { acceptance: refused(), ..governed(&engine, "Restricted") };
        let with = |change: fn(&mut Applied)| {
            let mut applied = built();
            change(&mut applied);
            applied
        };
        let table = [
            ("as declared", fine(), built(), "True PlacementPermitted", "True Applied", "True AsDeclared"),
            (
                "never accepted",
                Standing::Pending(refused()),
                Applied::nothing(),
                "False PlacementRefused",
                "False PlacementRefused",
                "False PlacementRefused",
            ),
            (
                "a reference is missing",
                Standing::Pending(missing),
                Applied::nothing(),
                "False ReferenceMissing",
                "False ReferenceMissing",
                "False ReferenceMissing",
            ),
            (
                "suspended since",
                Standing::Governed(suspended),
                built(),
                "False PlacementRefused",
                "True Applied",
                "False PlacementRefused",
            ),
            (
                "the API server is unknown",
                fine(),
                with(|applied| {
                    applied.policies = Policies::Built { count: 2, withheld: Vec::new(), api_server_unknown: true };
                }),
                "True PlacementPermitted",
                "False ApiServerUnknown",
                "False ApiServerUnknown",
            ),
            (
                "a flow is withheld",
                fine(),
                with(|applied| {
                    let withheld = vec!["egressTo x: it has no class".to_owned()];
                    applied.policies = Policies::Built { count: 2, withheld, api_server_unknown: false };
                }),
                "True PlacementPermitted",
                "False FlowsWithheld",
                "False FlowsWithheld",
            ),
            (
                "someone else's policy stands in the way",
                fine(),
                with(|applied| applied.conflicts.push("amanat-allow-dns".to_owned())),
                "True PlacementPermitted",
                "False Conflict",
                "False Conflict",
            ),
            (
                "the API server refuses",
                fine(),
                with(|applied| applied.failures.push("labels: no".to_owned())),
                "True PlacementPermitted",
                "False ApplyFailed",
                "False ApplyFailed",
            ),
            ("default", Standing::Undeclared, Applied::nothing(), "False Invalid", "False Invalid", "False Invalid"),
        ];
        for (what, standing, applied, accepted, controls, ready) in table {
            let status = status(&workload(None), &engine, &standing, &applied, &Nothing, at("2026-02-01T00:00:00Z"));
            let found = [ACCEPTED, CONTROLS_APPLIED, READY, COMPLIANT].map(|kind| said(&status, kind));
            assert_eq!(found, [accepted, controls, ready, "Unknown NotScanned"], "{what}");
            assert_eq!(status.observed_generation, Some(4), "{what}");
            assert_eq!(status.class.is_some(), standing.governed().is_some(), "{what}");
        }
    }

    #[test]
    fn nothing_changes_while_nothing_changes() {
        let engine = engine();
        let standing = Standing::Governed(Governed { acceptance: refused(), ..governed(&engine, "Restricted") });
        let first = status(&workload(None), &engine, &standing, &built(), &Nothing, at("2026-02-01T00:00:00.123Z"));
        let written: CloudWorkloadStatus = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
        assert_eq!(first, written);
        let again =
            status(&workload(Some(written)), &engine, &standing, &built(), &Nothing, at("2026-03-01T00:00:00Z"));
        assert_eq!(first, again);
    }

    #[test]
    fn what_grace_runs_from() {
        let engine = engine();
        let now = at("2026-02-01T00:00:00Z");
        let of = |previous: Option<CloudWorkloadStatus>, class: &str, acceptance: Acceptance| {
            let standing = Standing::Governed(Governed { acceptance, ..governed(&engine, class) });
            status(&workload(previous), &engine, &standing, &built(), &Nothing, now)
        };
        let recorded = |class: &str, since: &str| {
            let class_since = Some(at(since));
            Some(CloudWorkloadStatus { class: Some(class.to_owned()), class_since, ..CloudWorkloadStatus::default() })
        };
        let earlier = "2026-01-15T00:00:00Z";
        for (previous, since) in [
            (None, CREATED),
            (recorded("Restricted", earlier), earlier),
            (recorded("Public", earlier), "2026-02-01T00:00:00Z"),
            (recorded("Secret", earlier), earlier),
        ] {
            let status = of(previous.clone(), "Restricted", Acceptance::default());
            assert_eq!(status.class_since, Some(at(since)), "{previous:?}");
            assert_eq!(status.unacceptable_since, None);
        }
        let refused_now = of(None, "Restricted", refused());
        assert_eq!(refused_now.unacceptable_since, Some(now));
        let before = CloudWorkloadStatus { unacceptable_since: Some(at(earlier)), ..CloudWorkloadStatus::default() };
        assert_eq!(of(Some(before.clone()), "Restricted", refused()).unacceptable_since, Some(at(earlier)));
        assert_eq!(of(Some(before), "Restricted", Acceptance::default()).unacceptable_since, None);
    }

    #[test]
    fn what_a_rollout_caps_is_named_with_its_end() {
        let engine = engine();
        let until = at("2027-01-01T00:00:00Z");
        let cap = Some(Cap { effect: Effect::Warn, until });
        let standing = Standing::Governed(Governed { cap, ..governed(&engine, "Restricted") });
        let applied = Applied { policies: Policies::NotDenied(Effect::Warn), ..Applied::nothing() };
        let status = status(&workload(None), &engine, &standing, &applied, &Nothing, at("2026-02-01T00:00:00Z"));
        let capped = |id: &str| status.capped.iter().find(|capped| capped.control == id);
        let of_pods = capped("pod/privileged").unwrap();
        assert_eq!((of_pods.effect, of_pods.cap, of_pods.until), (Effect::Deny, Effect::Warn, until));
        assert!(capped("network/default-deny").is_some());
        assert!(capped("placement/no-silent-downgrade").is_none(), "nothing softens what keeps the class");
        assert_eq!(said(&status, CONTROLS_APPLIED), "True Applied");
    }
}
