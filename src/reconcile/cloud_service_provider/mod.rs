//! A CloudServiceProvider's status: what its registration is worth at this instant.

use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Resource};

use super::Reconciler;
use super::cloud_workload::time_to;
use super::conditions::{Conditions, whole_seconds};
use crate::api::condition::{EVIDENCE_CURRENT, IN_DATE, READY, State, reason};
use crate::api::{
    CloudServiceProvider, CloudServiceProviderSpec, CloudServiceProviderStatus, ProviderState,
    inert_fields_of_cloud_service_provider,
};
use crate::cluster::ApplyError;
use crate::control::{begun_at, over_at};

/// Tells what a provider's registration is worth.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler, name: &str) -> Result<Option<Duration>, ApplyError> {
    let now = reconciler.clock.now();
    let world = reconciler.index.world();
    let Some(provider) = world.providers.get(name) else { return Ok(None) };
    let workloads = world.declarations().filter(|(_, workload)| workload.spec.provider == name).count();
    let status = status(provider, u32::try_from(workloads).unwrap_or(u32::MAX), now);
    let api = Api::<CloudServiceProvider>::all(reconciler.writer.client().clone());
    match reconciler.writer.status(&api, provider, provider.status.as_ref(), &status).await {
        Err(ApplyError::NotFound) => return Ok(None),
        result => result?,
    };
    let before = provider.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    reconciler.tell_change(provider.object_ref(&()), READY, before, &status.conditions).await;
    let (from, until) = validity(&provider.spec);
    let next = [from, until].into_iter().flatten().filter(|instant| *instant > now).min();
    Ok(next.map(|instant| time_to(instant, now)))
}

/// The instants at which a registration begins and ends for every replica.
fn validity(spec: &CloudServiceProviderSpec) -> (Option<Timestamp>, Option<Timestamp>) {
    (spec.valid_from.map(begun_at), spec.valid_until.map(over_at))
}

/// The status at an instant. The boundary instant counts as expired.
pub fn status(provider: &CloudServiceProvider, workloads: u32, now: Timestamp) -> CloudServiceProviderStatus {
    let spec = &provider.spec;
    let previous = provider.status.clone().unwrap_or_default();
    let (from, until) = validity(spec);
    let early = from.is_some_and(|from| now < from);
    let late = until.is_some_and(|until| now >= until);
    let effective = match (spec.state, early, late) {
        (ProviderState::Active, false, false) => format!("{:?}", spec.grade),
        (ProviderState::Active, true, _) => "NotYetValid".to_owned(),
        (ProviderState::Active, _, true) => "Expired".to_owned(),
        (state, _, _) => format!("{state:?}"),
    };
    let same = previous.effective.as_ref() == Some(&effective);
    let since = previous.since.filter(|_| same).unwrap_or_else(|| whole_seconds(now));
    let mut conditions = Conditions::new(&previous.conditions, provider.metadata.generation, whole_seconds(now));
    match (early, late) {
        (true, _) => {
            conditions.set(IN_DATE, false, reason::NOT_YET_VALID, "validFrom is in the future, or seconds ago")
        }
        (_, true) => conditions.set(IN_DATE, false, reason::EXPIRED, "validUntil is over, or seconds ahead"),
        _ if from.is_some() && until.is_some() => {
            conditions.set(IN_DATE, true, reason::VALID, "between validFrom and validUntil")
        }
        _ => conditions.set(IN_DATE, State::Unknown, reason::NOT_ASSESSED, "validFrom or validUntil is not set"),
    }
    conditions.set(
        EVIDENCE_CURRENT,
        State::Unknown,
        reason::NOT_ASSESSED,
        "certificates and audits are not assessed yet",
    );
    let active = spec.state == ProviderState::Active && !early && !late;
    if active {
        conditions.set(READY, true, reason::AS_DECLARED, format!("counts as {effective}"));
    } else {
        let why = match (spec.state, early) {
            (ProviderState::Active, true) => reason::NOT_YET_VALID,
            (ProviderState::Active, false) => reason::EXPIRED,
            _ => reason::NOT_ACTIVE,
        };
        let message = format!("counts as {effective}: its workloads take nothing new");
        conditions.set(READY, false, why, message);
    }
    conditions.partial(&inert_fields_of_cloud_service_provider(spec));
    CloudServiceProviderStatus {
        observed_generation: provider.metadata.generation,
        effective: Some(effective),
        since: Some(since),
        expires_at: until,
        workloads: Some(workloads),
        conditions: conditions.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider(state: &str) -> CloudServiceProvider {
        serde_json::from_value(json!({
            "apiVersion": "amanat.dev/v1alpha1", "kind": "CloudServiceProvider", "metadata": {"name": "ntc", "generation": 3},
            "spec": {"displayName": "NTC", "grade": "Accredited", "state": state, "maxDataClass": "Secret",
                "models": ["Government"], "services": ["IaaS"], "sites": [{"name": "isb-1", "country": "PK"}],
                "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z"}}))
        .unwrap()
    }

    #[test]
    fn what_a_registration_is_worth() {
        let table = [
            ("Active", "2026-01-01T00:00:04Z", "NotYetValid"),
            ("Active", "2026-01-01T00:00:05Z", "Accredited"),
            ("Active", "2026-12-31T23:59:54Z", "Accredited"),
            ("Active", "2026-12-31T23:59:55Z", "Expired"),
            ("Suspended", "2026-06-01T00:00:00Z", "Suspended"),
        ];
        for (state, now, effective) in table {
            let status = status(&provider(state), 2, now.parse().unwrap());
            assert_eq!(status.effective.as_deref(), Some(effective), "{state} at {now}");
            let ready = crate::api::condition::is_true(&status.conditions, READY);
            assert_eq!(ready, effective == "Accredited", "{state} at {now}");
            assert_eq!((status.observed_generation, status.workloads), (Some(3), Some(2)));
            assert_eq!(status.expires_at, Some("2026-12-31T23:59:55Z".parse().unwrap()));
        }
    }

    #[test]
    fn since_is_kept_while_nothing_changes() {
        let mut provider = provider("Active");
        let first = status(&provider, 0, "2026-02-01T00:00:00Z".parse().unwrap());
        provider.status = Some(first.clone());
        assert_eq!(status(&provider, 0, "2026-03-01T00:00:00Z".parse().unwrap()), first);
        let expired = status(&provider, 0, "2027-02-01T00:00:00Z".parse().unwrap());
        assert_eq!(expired.since, Some("2027-02-01T00:00:00Z".parse().unwrap()));
    }
}
