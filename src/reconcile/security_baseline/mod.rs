//! A SecurityBaseline's status: whether it decides, and if not, why.

use std::time::Duration;

use jiff::Timestamp;
use kube::Api;

use super::Reconciler;
use super::conditions::{Conditions, whole_seconds};
use crate::api::condition::{READY, reason};
use crate::api::{SecurityBaseline, SecurityBaselineStatus, inert_fields_of_security_baseline};
use crate::baseline::Problems;
use crate::cluster::{ApplyError, Fate};

/// Tells whether a baseline decides.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler, name: &str) -> Result<Option<Duration>, ApplyError> {
    let world = reconciler.index.world();
    let Some((baseline, fate)) = world.baselines.get(name).zip(world.baseline.fates.get(name)) else {
        return Ok(None);
    };
    let workloads = if *fate == Fate::InForce { world.declarations().count() } else { 0 };
    let status = status(baseline, fate, u32::try_from(workloads).unwrap_or(u32::MAX), reconciler.clock.now());
    let api = Api::<SecurityBaseline>::all(reconciler.writer.client().clone());
    match reconciler.writer.status(&api, baseline, baseline.status.as_ref(), &status).await {
        Err(ApplyError::NotFound) => Ok(None),
        result => result.map(|_| None),
    }
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
        controls: u32::try_from(baseline.spec.controls.len()).ok(),
        workloads: Some(workloads),
        conditions: conditions.finish(),
    }
}
