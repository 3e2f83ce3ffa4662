//! The engine of each jurisdiction: the default baseline alone, and with the overlays that apply there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use crate::baseline::Effective;
use crate::control::{Context, Lookup};

/// Compiled baselines: what a cluster or a run of the command line decides by.
#[derive(Clone, Debug)]
pub struct Engines {
    default: Arc<Engine>,
    by_jurisdiction: BTreeMap<String, Arc<Engine>>,
}

impl Engines {
    /// Compiles a baseline and its overlays, each with the jurisdictions that it is for.
    pub fn compile(default: &Effective, overlays: &[(Vec<String>, Effective)]) -> Self {
        let mut joined: BTreeMap<String, Effective> = BTreeMap::new();
        for (jurisdictions, overlay) in overlays {
            for jurisdiction in jurisdictions {
                let base = joined.get(jurisdiction).unwrap_or(default);
                let tightened = base.join(overlay);
                joined.insert(jurisdiction.clone(), tightened);
            }
        }
        let by_jurisdiction =
            joined.into_iter().map(|(name, effective)| (name, Arc::new(Engine::compile(&effective)))).collect();
        Self { default: Arc::new(Engine::compile(default)), by_jurisdiction }
    }

    /// Whether a control has a parameter in some class, in any jurisdiction.
    pub fn sets(&self, control: &str, parameter: &str) -> bool {
        let mut engines = [&self.default].into_iter().chain(self.by_jurisdiction.values());
        engines.any(|engine| engine.sets(control, parameter))
    }

    /// The engine without overlays.
    pub fn default_engine(&self) -> &Arc<Engine> {
        &self.default
    }

    /// The engine for workloads of an owner. An owner that isn't known gets the one without overlays: its declaration
    /// isn't accepted, so nothing is admitted by it.
    pub fn for_owner(&self, owner: Option<&str>, context: &dyn Context) -> &Arc<Engine> {
        let Some(owner) = owner else { return &self.default };
        match context.entity(owner) {
            Lookup::Found(entity) => self.by_jurisdiction.get(&entity.jurisdiction).unwrap_or(&self.default),
            Lookup::Absent | Lookup::Unknown => &self.default,
        }
    }
}
