//! Which baselines are in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::SecurityBaseline;
use crate::baseline::{Effective, Mode, Problems};
use crate::engine::Engines;

/// What became of a SecurityBaseline.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It decides: as the default, or as an overlay of it.
    InForce,
    /// An older default is in force.
    AnotherDefault {
        /// The older one's name.
        older: String,
    },
    /// It is neither the default nor an overlay.
    NotDefault,
    /// It is an overlay, and there is no default that it could tighten.
    NoDefault,
    /// It doesn't compile; whatever was in force before still is.
    Problems(Problems),
    /// It compiles, and another one that decides together with it doesn't; whatever was in force before still is.
    Waiting {
        /// The one that doesn't compile.
        on: String,
    },
}

/// What became of the SecurityBaselines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaselineState {
    /// Of each SecurityBaseline that exists.
    pub fates: BTreeMap<String, Fate>,
    /// True when what decides is older than what is written: the newest doesn't compile, or the default was deleted.
    pub stale: bool,
}

impl BaselineState {
    /// Why nothing that is written is in force, for the readiness answer.
    pub fn reason(&self) -> String {
        let problem = self.fates.iter().find_map(|(name, fate)| match fate {
            Fate::Problems(problems) => Some(format!("SecurityBaseline {name}: {problems}")),
            _ => None,
        });
        problem.unwrap_or_else(|| "there is no default SecurityBaseline".to_owned())
    }
}

/// Chooses and compiles. None when there is no default or the set doesn't compile: then the last good one holds.
///
/// A default and its overlays are in force together or not at all: an overlay that silently fell out would loosen.
pub fn choose(baselines: &BTreeMap<String, Arc<SecurityBaseline>>) -> (Option<Engines>, BaselineState) {
    let mut state = BaselineState::default();
    let is_default = |baseline: &&Arc<SecurityBaseline>| baseline.spec.default && baseline.spec.overlay.is_none();
    let age = |baseline: &&Arc<SecurityBaseline>| {
        (baseline.metadata.creation_timestamp.as_ref().map(|time| time.0), baseline.metadata.name.clone())
    };
    let oldest = baselines.values().filter(is_default).min_by_key(age);
    let oldest_name = oldest.and_then(|baseline| baseline.metadata.name.as_deref());
    for (name, baseline) in baselines {
        let fate = match oldest_name {
            Some(older) if older == name => Fate::InForce,
            Some(older) if is_default(&baseline) => Fate::AnotherDefault { older: older.to_owned() },
            Some(_) if baseline.spec.overlay.is_some() => Fate::InForce,
            None if baseline.spec.overlay.is_some() => Fate::NoDefault,
            _ => Fate::NotDefault,
        };
        state.fates.insert(name.clone(), fate);
    }
    let Some((name, default)) = oldest_name.zip(oldest) else { return (None, state) };
    let effective = match Effective::resolve(name, &default.spec, Mode::Cluster) {
        Ok(effective) => effective,
        Err(problems) => {
            fail(&mut state, name, problems);
            return (None, state);
        }
    };
    let mut overlays = Vec::new();
    let mut failed = false;
    for (name, baseline) in baselines {
        let Some(overlay) = &baseline.spec.overlay else { continue };
        match effective.resolve_overlay(name, &baseline.spec, Mode::Cluster) {
            Ok(resolved) => overlays.push((overlay.jurisdictions.clone(), resolved)),
            Err(problems) => {
                fail(&mut state, name, problems);
                failed = true;
            }
        }
    }
    let engines = (!failed).then(|| Engines::compile(&effective, &overlays));
    (engines, state)
}

/// Records that one doesn't compile, and that the others wait for it.
fn fail(state: &mut BaselineState, culprit: &str, problems: Problems) {
    for fate in state.fates.values_mut() {
        if *fate == Fate::InForce {
            *fate = Fate::Waiting { on: culprit.to_owned() };
        }
    }
    state.fates.insert(culprit.to_owned(), Fate::Problems(problems));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn baseline(name: &str, created: &str) -> SecurityBaseline {
        let mut baseline = crate::baseline::shipped().unwrap();
        baseline.metadata.name = Some(name.to_owned());
        baseline.metadata.creation_timestamp = Some(serde_json::from_value(json!(created)).unwrap());
        for control in &mut baseline.spec.controls {
            if control.id == "image/approved-registries" {
                control.params.insert("registries".to_owned(), json!(["registry.example.gov.pk"]));
            }
        }
        baseline
    }

    fn overlay(name: &str, jurisdiction: &str) -> SecurityBaseline {
        serde_json::from_value(json!({
            "apiVersion": "amanat.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": name},
            "spec": {"title": "t", "version": "1", "overlay": {"jurisdictions": [jurisdiction]},
                "controls": [{"id": "image/digest-pinned", "effects": {"Open": "Deny", "Public": "Deny",
                    "Restricted": "Deny", "Confidential": "Deny", "Secret": "Deny"}}]},
        }))
        .unwrap()
    }

    fn chosen(baselines: Vec<SecurityBaseline>) -> (Option<Engines>, BaselineState) {
        let named = |baseline: SecurityBaseline| (baseline.metadata.name.clone().unwrap(), Arc::new(baseline));
        choose(&baselines.into_iter().map(named).collect())
    }

    fn name(engines: Option<&Engines>) -> Option<&str> {
        engines.map(|engines| engines.default_engine().regime.baseline.as_str())
    }

    #[test]
    fn of_two_defaults_the_oldest_is_in_force() {
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let (engines, state) = chosen(vec![baseline("a", new), baseline("b", old)]);
        assert_eq!(name(engines.as_ref()), Some("b"));
        assert_eq!(state.fates["b"], Fate::InForce);
        assert_eq!(state.fates["a"], Fate::AnotherDefault { older: "b".to_owned() });
    }

    #[test]
    fn of_two_defaults_of_one_age_the_first_name_is_in_force() {
        let same = "2026-01-01T00:00:00Z";
        let (engines, state) = chosen(vec![baseline("b", same), baseline("a", same)]);
        assert_eq!(name(engines.as_ref()), Some("a"));
        assert_eq!(state.fates["b"], Fate::AnotherDefault { older: "a".to_owned() });
    }

    #[test]
    fn a_younger_default_does_not_stand_in_for_one_that_does_not_compile() {
        let mut broken = baseline("a", "2026-01-01T00:00:00Z");
        broken.spec.controls[0].id = "no/such-control".to_owned();
        let (engines, state) = chosen(vec![broken, baseline("b", "2026-01-02T00:00:00Z")]);
        assert!(engines.is_none());
        assert!(matches!(state.fates["a"], Fate::Problems(Problems::Invalid(_))));
        assert!(state.reason().contains("no/such-control"));
    }

    #[test]
    fn one_of_a_newer_catalogue_says_so() {
        let mut newer = baseline("a", "2026-01-01T00:00:00Z");
        newer.spec.catalogue = Some("99.0.0".to_owned());
        newer.spec.controls[0].id = "no/such-control".to_owned();
        let (engines, state) = chosen(vec![newer]);
        assert!(engines.is_none());
        assert!(matches!(state.fates["a"], Fate::Problems(Problems::NewerCatalogue { .. })));
    }

    #[test]
    fn an_overlay_is_in_force_with_the_default_or_neither_is() {
        let default = || baseline("a", "2026-01-01T00:00:00Z");
        let (engines, state) = chosen(vec![default(), overlay("punjab", "Punjab")]);
        assert!(engines.is_some());
        assert_eq!(state.fates["punjab"], Fate::InForce);
        let mut broken = overlay("punjab", "Punjab");
        broken.spec.controls[0].id = "no/such-control".to_owned();
        let (engines, state) = chosen(vec![default(), overlay("sindh", "Sindh"), broken]);
        assert!(engines.is_none());
        assert!(matches!(state.fates["punjab"], Fate::Problems(_)));
        assert_eq!(state.fates["a"], Fate::Waiting { on: "punjab".to_owned() });
        assert_eq!(state.fates["sindh"], Fate::Waiting { on: "punjab".to_owned() });
        let (engines, state) = chosen(vec![overlay("punjab", "Punjab")]);
        assert!(engines.is_none());
        assert_eq!(state.fates["punjab"], Fate::NoDefault);
    }

    #[test]
    fn one_that_is_neither_default_nor_overlay_decides_nothing() {
        let mut other = baseline("a", "2026-01-01T00:00:00Z");
        other.spec.default = false;
        let (engines, state) = chosen(vec![other, baseline("b", "2026-01-02T00:00:00Z")]);
        assert_eq!(name(engines.as_ref()), Some("b"));
        assert_eq!(state.fates["a"], Fate::NotDefault);
    }
}
