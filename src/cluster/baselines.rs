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
