//! A regime and a registry for tests of the engine.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use amanat::api::{CloudServiceProviderSpec, CloudWorkloadSpec, Effect, PublicSectorEntitySpec, SecurityBaselineSpec};
use amanat::baseline::{Effective, Mode};
use amanat::control::{Acceptance, Cap, Context, Governed, Lookup, Standing};
use amanat::engine::Engine;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

/// A registry that is wholly known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) providers: BTreeMap<String, CloudServiceProviderSpec>,
    pub(crate) entities: BTreeMap<String, PublicSectorEntitySpec>,
    pub(crate) going: bool,
    pub(crate) owner_created: Option<Timestamp>,
    /// Classes by namespace.
    pub(crate) classes: BTreeMap<String, String>,
}

impl Registry {
    /// The entity `fbr` and the provider `ntc`, accredited for everything in Pakistan.
    pub(crate) fn usual() -> Self {
        let entity = json!({"displayName": "Federal Board of Revenue", "jurisdiction": "Federal"});
        let mut registry = Self::default();
        registry.entities.insert("fbr".to_owned(), serde_json::from_value(entity).unwrap());
        registry.providers.insert("ntc".to_owned(), provider(json!({})));
        registry
    }
}

/// A provider with some fields changed.
pub(crate) fn provider(changes: Value) -> CloudServiceProviderSpec {
    let mut spec = json!({"displayName": "National Telecommunication Corporation", "grade": "Accredited",
        "state": "Active", "maxDataClass": "Secret", "models": ["Public", "Government", "Private", "Hybrid"],
        "services": ["IaaS", "PaaS"], "sites": [{"name": "isb-1", "country": "PK"}]});
    merge(&mut spec, changes);
    serde_json::from_value(spec).unwrap()
}

/// A declaration with some fields changed.
pub(crate) fn declaration(changes: Value) -> CloudWorkloadSpec {
    let mut spec = json!({"owner": "fbr", "dataClass": "Restricted", "provider": "ntc", "model": "Government",
        "service": "PaaS"});
    merge(&mut spec, changes);
    serde_json::from_value(spec).unwrap()
}

pub(crate) fn merge(value: &mut Value, changes: Value) {
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
}

impl Context for Registry {
    fn provider(&self, name: &str) -> Lookup<&CloudServiceProviderSpec> {
        self.providers.get(name).map_or(Lookup::Absent, Lookup::Found)
    }
    fn entity(&self, name: &str) -> Lookup<&PublicSectorEntitySpec> {
        self.entities.get(name).map_or(Lookup::Absent, Lookup::Found)
    }
    fn class_of(&self, namespace: &str) -> Lookup<&str> {
        self.classes.get(namespace).map_or(Lookup::Absent, |class| Lookup::Found(class))
    }
    fn namespace_going(&self, _: &str) -> Lookup<bool> {
        Lookup::Found(self.going)
    }
    fn owner_created(&self, _: &str, _: &OwnerReference) -> Lookup<Timestamp> {
        self.owner_created.map_or(Lookup::Unknown, Lookup::Found)
    }
}

/// The shipped baseline with registries, and with some fields of its spec changed.
pub(crate) fn baseline(changes: Value) -> SecurityBaselineSpec {
    let mut spec = serde_json::to_value(amanat::baseline::shipped().unwrap().spec).unwrap();
    for control in spec["controls"].as_array_mut().unwrap() {
        if control["id"] == "image/approved-registries" {
            control["params"] = json!({"registries": ["registry.example.gov.pk"]});
        }
    }
    merge(&mut spec, changes);
    serde_json::from_value(spec).unwrap()
}

/// That baseline, compiled as a cluster compiles it.
pub(crate) fn engine(changes: Value) -> Engine {
    Engine::compile(&Effective::resolve("test", &baseline(changes), Mode::Cluster).unwrap())
}

/// A namespace of a class, whose declaration is accepted, perhaps under a cap.
pub(crate) fn governed(engine: &Engine, class: &str, cap: Option<Effect>) -> Standing {
    Standing::Governed(Governed {
        rank: engine.regime.rank(class).unwrap(),
        acceptance: Acceptance::default(),
        raise: None,
        suspension: None,
        cap: cap.map(|effect| Cap { effect, until: instant("12-01T00:00:00") }),
    })
}

/// A Pod spec that every control of every class accepts.
pub(crate) fn conforming_spec() -> Value {
    json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "app",
            "image": format!("registry.example.gov.pk/app@sha256:{}", "0".repeat(64)),
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]})
}

/// An instant of 2026.
pub(crate) fn instant(text: &str) -> Timestamp {
    format!("2026-{text}Z").parse().unwrap()
}
