//! Events: what happened to an object, for whoever looks at it. On change only, and few: what repeats is told once a
//! minute. They name states and reasons, nothing of an object's content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;

use super::Reconciler;
use crate::api::{FIELD_MANAGER, condition};

/// The same thing about the same object isn't told again within this.
const QUIET: Duration = Duration::from_secs(60);
/// No more than this are told within [`QUIET`], whatever happens.
const MOST: usize = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// Something that someone changed is as it should be again.
    Healed,
    /// A condition changed to what it should be.
    Better,
    /// A condition changed to what it should not be.
    Worse,
    /// Something ends soon.
    Ending,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Events {
    /// By the object's uid and the reason: when, in monotonic time.
    told: Mutex<BTreeMap<(String, String), Duration>>,
    /// Kinds whose one object this process has seen or made: when it is missing, someone has deleted it.
    stood: Mutex<BTreeSet<&'static str>>,
}

impl Events {
    /// Whether to tell it now.
    fn admit(&self, uid: &str, reason: &str, now: Duration) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.saturating_sub(*at) < QUIET);
        let key = (uid.to_owned(), reason.to_owned());
        if told.len() >= MOST || told.contains_key(&key) {
            return false;
        }
        told.insert(key, now);
        true
    }

    /// Remembers whether a kind's one object stands, and returns whether it stood before.
    pub(super) fn stands(&self, kind: &'static str, now: bool) -> bool {
        let mut stood = self.stood.lock().unwrap_or_else(PoisonError::into_inner);
        if now { !stood.insert(kind) } else { stood.remove(kind) }
    }
}

impl Reconciler {
    /// Tells it; true when it was written. An Event that can't be written is no failure of what it tells.
    pub(crate) async fn tell(&self, about: ObjectReference, happened: Happened, reason: &str, note: String) -> bool {
        let uid = about.uid.clone().unwrap_or_default();
        if !self.events.admit(&uid, reason, self.clock.monotonic()) {
            return false;
        }
        let namespace = about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<Event>::namespaced(self.writer.client().clone(), &namespace);
        let event = event(about, happened, reason, note, &self.settings.identity, self.clock.now());
        let written = self.writer.within(api.create(&PostParams::default(), &event)).await;
        if let Err(error) = &written {
            tracing::debug!(%error, "an Event could not be written");
        }
        written.is_ok()
    }

    /// Tells that a condition changed, when it did.
    pub(super) async fn tell_change(
        &self,
        about: ObjectReference,
        kind: &str,
        before: &[Condition],
        after: &[Condition],
    ) {
        let Some((happened, reason, note)) = change(kind, before, after) else { return };
        self.tell(about, happened, &reason, note).await;
    }
}

/// What to tell of a condition; nothing when it says what it said.
fn change(kind: &str, before: &[Condition], after: &[Condition]) -> Option<(Happened, String, String)> {
    let after = condition::find(after, kind)?;
    let same = |before: &Condition| before.status == after.status && before.reason == after.reason;
    if condition::find(before, kind).is_some_and(same) {
        return None;
    }
    let happened = if after.status == "True" { Happened::Better } else { Happened::Worse };
    let note = format!("{kind} is {}: {}; see status.conditions", after.status, after.reason);
    Some((happened, after.reason.clone(), note))
}

fn event(
    about: ObjectReference,
    happened: Happened,
    reason: &str,
    note: String,
    identity: &str,
    now: Timestamp,
) -> Event {
    let (type_, action) = match happened {
        Happened::Healed => ("Warning", "Heal"),
        Happened::Better => ("Normal", "Judge"),
        Happened::Worse => ("Warning", "Judge"),
        Happened::Ending => ("Warning", "Renew"),
    };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", about.name.as_deref().unwrap_or(FIELD_MANAGER), now.as_nanosecond())),
            namespace: Some(about.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        action: Some(action.to_owned()),
        reason: Some(reason.to_owned()),
        note: Some(note),
        regarding: Some(about),
        reporting_controller: Some("amanat.dev/operator".to_owned()),
        reporting_instance: Some(identity.to_owned()),
        type_: Some(type_.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_told_once_a_minute_and_a_flood_is_cut() {
        let events = Events::default();
        let at = Duration::from_secs;
        assert!(events.admit("a", "Healed", at(0)));
        assert!(!events.admit("a", "Healed", at(59)));
        assert!(events.admit("a", "NotActive", at(59)));
        assert!(events.admit("a", "Healed", at(60)));
        let told = (0..1_000).filter(|index| events.admit(&index.to_string(), "Healed", at(61))).count();
        assert!(told < MOST, "{told}");
    }

    #[test]
    fn only_a_change_is_told() {
        let condition = |status: &str, reason: &str| Condition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: "nothing of this is told".to_owned(),
            observed_generation: None,
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH),
        };
        let [bad, good] = [condition("False", "NotActive"), condition("True", "AsDeclared")];
        assert_eq!(change("Ready", std::slice::from_ref(&bad), std::slice::from_ref(&bad)), None);
        let (happened, reason, note) = change("Ready", &[good], &[bad]).unwrap();
        assert_eq!((happened, reason.as_str()), (Happened::Worse, "NotActive"));
        assert_eq!(note, "Ready is False: NotActive; see status.conditions");
    }
}
