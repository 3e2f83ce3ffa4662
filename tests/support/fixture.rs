//! A regime and a registry for tests of the engine.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use amanat::api::{
    CloudServiceProviderSpec, CloudWorkloadSpec, Effect, JURISDICTION_LABEL, PublicSectorEntitySpec,
    SecurityBaselineSpec,
};
use amanat::baseline::{Effective, Mode};
use amanat::control::{Acceptance, Cap, Context, Governed, Lookup, Node, Standing};
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
    pub(crate) nodes: BTreeMap<String, Arc<Node>>,
    /// Declarations by namespace.
    pub(crate) declarations: BTreeMap<String, CloudWorkloadSpec>,
}

impl Registry {
    /// The entity `fbr`, the provider `ntc`, accredited for everything in Pakistan, and a node there.
    pub(crate) fn usual() -> Self {
        let entity = json!({"displayName": "Federal Board of Revenue", "jurisdiction": "Federal"});
        let mut registry = Self::default();
        registry.entities.insert("fbr".to_owned(), serde_json::from_value(entity).unwrap());
        registry.providers.insert("ntc".to_owned(), provider(json!({})));
        registry.nodes.insert("node-0".to_owned(), Arc::new(node(json!({JURISDICTION_LABEL: "PK"}), &[], true)));
        registry
    }
}

/// A node with labels, kept for classes.
pub(crate) fn node(labels: Value, pools: &[&str], takes_pods: bool) -> Node {
    let pools = pools.iter().map(|&pool| pool.to_owned()).collect();
    Node { labels: serde_json::from_value(labels).unwrap(), pools, takes_pods }
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
    fn declared(&self, namespace: &str) -> Lookup<&CloudWorkloadSpec> {
        self.declarations.get(namespace).map_or(Lookup::Absent, Lookup::Found)
    }
    fn namespace_going(&self, _: &str) -> Lookup<bool> {
        Lookup::Found(self.going)
    }
    fn owner_created(&self, _: &str, _: &OwnerReference) -> Lookup<Timestamp> {
        self.owner_created.map_or(Lookup::Unknown, Lookup::Found)
    }
    fn node(&self, name: &str) -> Lookup<&Node> {
        self.nodes.get(name).map_or(Lookup::Absent, |node| Lookup::Found(node))
    }
    fn nodes(&self) -> Lookup<&BTreeMap<String, Arc<Node>>> {
        Lookup::Found(&self.nodes)
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
    json!({"automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "app",
            "image": format!("registry.example.gov.pk/app@sha256:{}", "0".repeat(64)),
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]})
}

/// The same, and what is supplied to a Pod that is made, but for its label and toleration.
pub(crate) fn placed_spec() -> Value {
    let mut spec = conforming_spec();
    spec["nodeSelector"] = json!({JURISDICTION_LABEL: "PK"});
    spec
}

/// An instant of 2026.
pub(crate) fn instant(text: &str) -> Timestamp {
    format!("2026-{text}Z").parse().unwrap()
}
