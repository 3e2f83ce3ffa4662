//! A PublicSectorEntity's status: that it was seen, and what of it isn't acted upon.

use std::time::Duration;

use jiff::Timestamp;
use kube::Api;

use super::Reconciler;
use super::conditions::{Conditions, whole_seconds};
use crate::api::condition::{READY, reason};
use crate::api::{PublicSectorEntity, PublicSectorEntityStatus, inert_fields_of_public_sector_entity};
use crate::cluster::ApplyError;

/// Tells that an entity was seen.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler, name: &str) -> Result<Option<Duration>, ApplyError> {
    let world = reconciler.index.world();
    let Some(entity) = world.entities.get(name) else { return Ok(None) };
    let status = status(entity, reconciler.clock.now());
    let api = Api::<PublicSectorEntity>::all(reconciler.writer.client().clone());
    match reconciler.writer.status(&api, entity, entity.status.as_ref(), &status).await {
        Err(ApplyError::NotFound) => Ok(None),
        result => result.map(|_| None),
    }
}

/// The status at an instant.
pub fn status(entity: &PublicSectorEntity, now: Timestamp) -> PublicSectorEntityStatus {
    let previous = entity.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::new(previous, entity.metadata.generation, whole_seconds(now));
    conditions.set(READY, true, reason::AS_DECLARED, "registered");
    conditions.partial(&inert_fields_of_public_sector_entity(&entity.spec));
    PublicSectorEntityStatus { observed_generation: entity.metadata.generation, conditions: conditions.finish() }
}
