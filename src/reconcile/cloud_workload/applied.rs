//! What the condition `ControlsApplied` says: pure, from what was applied.

use super::apply::Applied;
use super::build::{Bounds, Policies};
use super::outcome::Outcome;
use crate::api::Effect;
use crate::api::condition::reason;
use crate::catalogue::network::DEFAULT_DENY;
use crate::catalogue::pod::RESOURCE_BOUNDS;
use crate::control::Governed;
use crate::engine::Engine;

/// The condition under the terms on which the class holds.
pub(super) fn controls_applied(engine: &Engine, governed: &Governed, applied: &Applied) -> Outcome {
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    wrong.extend(applied.failures.iter().map(|failure| (reason::APPLY_FAILED, failure.clone())));
    wrong.extend(applied.conflicts.iter().map(|object| {
        let message = format!("{object} belongs to someone else and says something else: rename or delete it");
        (reason::CONFLICT, message)
    }));
    wrong.extend(applied.unknown_class.iter().map(|label| {
        let classes = engine.regime.class_names();
        let message =
            format!("the namespace's class label says {label}, which is none of {classes}: the highest holds");
        (reason::CONFLICT, message)
    }));
    if let Policies::Built { withheld, api_server_unknown, .. } = &applied.policies {
        if *api_server_unknown {
            let message = "the API server's addresses are not known, so no policy leads there: set apiServerCIDRs of \
                           network/default-deny";
            wrong.push((reason::API_SERVER_UNKNOWN, message.to_owned()));
        }
        wrong.extend(withheld.iter().map(|flow| (reason::FLOWS_WITHHELD, format!("spec.network.{flow}"))));
    }
    if let Bounds::Built { beyond, .. } = &applied.bounds {
        wrong.extend(beyond.iter().map(|asked| (reason::SIZE_CAPPED, asked.clone())));
    }
    if let Some((reason, _)) = wrong.first() {
        let message = wrong.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("\n");
        return Outcome::new(false, reason, message);
    }
    let not_built =
        |control: &str, effect: &Effect, what: &str| format!("; {control} is {effect} here, so no {what} is built");
    let mut message = "labels are as they should be".to_owned();
    if let Some(cap) = &governed.cap {
        message.push_str(&format!("; a rollout caps effects at {} until {}", cap.effect, cap.until));
    }
    match &applied.policies {
        Policies::Built { count, .. } => message.push_str(&format!("; so are {count} NetworkPolicies")),
        Policies::NotDenied(effect) => {
            message.push_str(&not_built(DEFAULT_DENY.id, effect, "NetworkPolicy"));
        }
        Policies::Nobody => {}
    }
    match &applied.bounds {
        Bounds::Built { waits: None, .. } => message.push_str("; so are LimitRange and ResourceQuota"),
        Bounds::Built { waits: Some(until), .. } => message.push_str(&format!(
            "; so is the LimitRange, but for its maximum, which waits like the ResourceQuota for controllers older than \
             the class, no longer than {until}"
        )),
        Bounds::NotDenied(effect) => {
            message.push_str(&not_built(RESOURCE_BOUNDS.id, effect, "LimitRange or ResourceQuota"));
        }
        Bounds::Nobody => {}
    }
    Outcome::new(true, reason::APPLIED, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::State;
    use crate::baseline::{self, Effective, Mode};
    use crate::control::{Acceptance, Cap};

    #[test]
    fn what_became_of_the_bounds() {
        let shipped = baseline::shipped().unwrap();
        let engine = Engine::compile(&Effective::resolve("b", &shipped.spec, Mode::Offline).unwrap());
        let until = "2027-01-01T00:00:00Z".parse().unwrap();
        let policies = || Policies::Built { count: 3, withheld: Vec::new(), api_server_unknown: false };
        let beyond = vec!["spec.size.cpu: 65 is above 64".to_owned()];
        let table = [
            (
                policies(),
                Bounds::Built { beyond: Vec::new(), waits: None },
                None,
                "Applied",
                "so are LimitRange and ResourceQuota",
            ),
            (
                policies(),
                Bounds::Built { beyond: Vec::new(), waits: Some(until) },
                None,
                "Applied",
                "no longer than 2027-01-01T00:00:00Z",
            ),
            (policies(), Bounds::Built { beyond, waits: None }, None, "SizeCapped", "spec.size.cpu: 65 is above 64"),
            (policies(), Bounds::NotDenied(Effect::Warn), None, "Applied", "pod/resource-bounds is Warn here"),
            (
                Policies::NotDenied(Effect::Warn),
                Bounds::NotDenied(Effect::Warn),
                Some(Cap { effect: Effect::Warn, until }),
                "Applied",
                "labels are as they should be; a rollout caps effects at Warn until 2027-01-01T00:00:00Z; \
                 network/default-deny is Warn here, so no NetworkPolicy is built; pod/resource-bounds is Warn here",
            ),
        ];
        for (policies, bounds, cap, reason, says) in table {
            let governed = Governed { rank: 2, acceptance: Acceptance::default(), raise: None, suspension: None, cap };
            let outcome = controls_applied(&engine, &governed, &Applied { policies, bounds, ..Applied::nothing() });
            assert_eq!((outcome.reason, outcome.state == State::True), (reason, reason == "Applied"));
            assert!(outcome.message.contains(says), "{}", outcome.message);
        }
    }
}
