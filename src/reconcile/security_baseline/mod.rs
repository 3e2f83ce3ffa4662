//! A SecurityBaseline's status: whether it decides, and if not, why.

use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Resource};

use super::Reconciler;
use super::conditions::{Conditions, whole_seconds};
use crate::api::condition::{READY, reason};
use crate::api::{ControlSpec, Effect, SecurityBaseline, SecurityBaselineStatus, inert_fields_of_security_baseline};
use crate::baseline::Problems;
use crate::cluster::{ApplyError, Fate, World};

/// Tells whether a baseline decides.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler, name: &str) -> Result<Option<Duration>, ApplyError> {
    let world = reconciler.index.world();
    let Some((baseline, fate)) = world.baselines.get(name).zip(world.baseline.fates.get(name)) else {
        return Ok(None);
    };
    let workloads = if *fate == Fate::InForce { decided_for(&world, baseline) } else { 0 };
    let status = status(baseline, fate, u32::try_from(workloads).unwrap_or(u32::MAX), reconciler.clock.now());
    let api = Api::<SecurityBaseline>::all(reconciler.writer.client().clone());
    match reconciler.writer.status(&api, baseline, baseline.status.as_ref(), &status).await {
        Err(ApplyError::NotFound) => return Ok(None),
        result => result?,
    };
    let before = baseline.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    reconciler.tell_change(baseline.object_ref(&()), READY, before, &status.conditions).await;
    Ok(None)
}

/// How many declarations it decides for: an overlay, for those whose owner is in one of its jurisdictions.
fn decided_for(world: &World, baseline: &SecurityBaseline) -> usize {
    let Some(overlay) = &baseline.spec.overlay else { return world.declarations().count() };
    let concerned = |owner: &str| {
        let entity = world.entities.get(owner);
        entity.is_some_and(|entity| overlay.jurisdictions.contains(&entity.spec.jurisdiction))
    };
    world.declarations().filter(|(_, workload)| concerned(&workload.spec.owner)).count()
}

/// The status of a baseline of which this became.
pub fn status(baseline: &SecurityBaseline, fate: &Fate, workloads: u32, now: Timestamp) -> SecurityBaselineStatus {
    let previous = baseline.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::new(previous, baseline.metadata.generation, whole_seconds(now));
    let (ready, why, message) = match fate {
        Fate::InForce => (true, reason::IN_FORCE, "it decides".to_owned()),
        Fate::AnotherDefault { older } => {
            (false, reason::ANOTHER_DEFAULT, format!("the older default {older} decides: delete one of the two"))
        }
        Fate::NotDefault => (false, reason::NOT_DEFAULT, "it is neither the default nor an overlay".to_owned()),
        Fate::NoDefault => (false, reason::NO_BASELINE, "there is no default that it could tighten".to_owned()),
        Fate::Problems(problems @ Problems::NewerCatalogue { .. }) => {
            (false, reason::NEWER_CATALOGUE, format!("{problems}; what was in force before still is"))
        }
        Fate::Problems(problems) => {
            (false, reason::DOES_NOT_COMPILE, format!("{problems}; what was in force before still is"))
        }
        Fate::Waiting { on } => {
            (false, reason::DOES_NOT_COMPILE, format!("{on}, which decides with it, doesn't compile"))
        }
    };
    conditions.set(READY, ready, why, message);
    conditions.partial(&inert_fields_of_security_baseline(&baseline.spec));
    SecurityBaselineStatus {
        observed_generation: baseline.metadata.generation,
        in_force: Some(*fate == Fate::InForce),
        classes: baseline.spec.classes.iter().map(|class| class.name.clone()).collect(),
        controls: u32::try_from(baseline.spec.controls.iter().filter(|control| is_on(control)).count()).ok(),
        workloads: Some(workloads),
        conditions: conditions.finish(),
    }
}

/// Some class switches it on.
fn is_on(control: &ControlSpec) -> bool {
    control.effects.values().any(|effect| *effect != Effect::Disabled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::find;
    use crate::baseline::Problem;

    #[test]
    fn whether_it_decides_and_why_not() {
        let problem = || vec![Problem { path: "spec.controls[0].id".to_owned(), message: "unknown".to_owned() }];
        let newer = Problems::NewerCatalogue { catalogue: "9.0.0".to_owned(), problems: problem() };
        let table = [
            (Fate::InForce, "True", reason::IN_FORCE),
            (Fate::AnotherDefault { older: "a".to_owned() }, "False", reason::ANOTHER_DEFAULT),
            (Fate::NotDefault, "False", reason::NOT_DEFAULT),
            (Fate::NoDefault, "False", reason::NO_BASELINE),
            (Fate::Problems(Problems::Invalid(problem())), "False", reason::DOES_NOT_COMPILE),
            (Fate::Problems(newer), "False", reason::NEWER_CATALOGUE),
            (Fate::Waiting { on: "a".to_owned() }, "False", reason::DOES_NOT_COMPILE),
        ];
        let baseline = crate::baseline::shipped().unwrap();
        for (fate, ready, why) in table {
            let status = status(&baseline, &fate, 3, Timestamp::UNIX_EPOCH);
            let condition = find(&status.conditions, READY).unwrap();
            assert_eq!((condition.status.as_str(), condition.reason.as_str()), (ready, why), "{fate:?}");
            assert_eq!(status.in_force, Some(fate == Fate::InForce));
        }
    }

    #[test]
    fn controls_that_every_class_disables_do_not_count() {
        let mut baseline = crate::baseline::shipped().unwrap();
        let count = |baseline: &SecurityBaseline| status(baseline, &Fate::InForce, 0, Timestamp::UNIX_EPOCH).controls;
        let before = count(&baseline).unwrap();
        baseline.spec.controls[0].effects.values_mut().for_each(|effect| *effect = Effect::Disabled);
        assert_eq!(count(&baseline), Some(before - 1));
    }
}
