//! What the engine may ask, answered from one world and from what was looked up for this request.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::lookup::Found;
use super::settings::Settings;
use super::world::{self, World};
use crate::api::{CloudServiceProviderSpec, CloudWorkload, CloudWorkloadSpec, PublicSectorEntitySpec};
use crate::control::{Context, Lookup, Node, Standing};
use crate::engine::{Engine, NamespaceFacts, standing};

/// One world, what was looked up beside it, and the instant of the request.
///
/// The index's stores are complete when a request is served, so what is in neither is [`Lookup::Absent`].
#[derive(Clone, Copy)]
pub struct LiveContext<'a> {
    world: &'a World,
    settings: &'a Settings,
    now: Timestamp,
    found: Option<&'a Found>,
    going: Option<bool>,
    owner_created: Option<Timestamp>,
}

impl<'a> LiveContext<'a> {
    /// A context of a world at an instant.
    pub fn new(world: &'a World, settings: &'a Settings, now: Timestamp) -> Self {
        Self { world, settings, now, found: None, going: None, owner_created: None }
    }

    /// With what was looked up; it counts more than the world, which may be behind.
    #[must_use]
    pub fn with_found(self, found: &'a Found) -> Self {
        Self { found: Some(found), ..self }
    }

    /// With the answer to whether the request's namespace is being deleted.
    #[must_use]
    pub fn with_namespace_going(self, going: bool) -> Self {
        Self { going: Some(going), ..self }
    }

    /// With the instant at which the owner of the request's object was made.
    #[must_use]
    pub fn with_owner_created(self, created: Timestamp) -> Self {
        Self { owner_created: Some(created), ..self }
    }

    fn found_in(&self, namespace: &str) -> Option<&'a Found> {
        self.found.filter(|found| found.namespace == namespace)
    }

    /// The CloudWorkload of a namespace.
    pub fn declaration(&self, namespace: &str) -> Option<&'a CloudWorkload> {
        match self.found_in(namespace) {
            Some(found) => found.declaration.as_deref(),
            None => self.world.namespace(namespace)?.declaration.as_deref(),
        }
    }

    /// The value of a namespace's class label.
    pub fn label(&self, namespace: &str) -> Option<&'a str> {
        let known = self.world.namespace(namespace).and_then(|entry| entry.class_label());
        known.or_else(|| self.found_in(namespace)?.label.as_deref())
    }

    /// What governance needs to know of a namespace.
    pub fn facts<'n>(&self, namespace: &'n str) -> NamespaceFacts<'n>
    where
        'a: 'n,
    {
        NamespaceFacts {
            name: namespace,
            system: self.settings.is_system(namespace),
            label: self.label(namespace),
            declaration: self.declaration(namespace).map(world::declaration),
        }
    }

    /// The engine that decides in a namespace: that of its owner's jurisdiction. None until a baseline has compiled.
    pub fn engine(&self, namespace: &str) -> Option<&'a Arc<Engine>> {
        let owner = self.declaration(namespace).map(|workload| workload.spec.owner.as_str());
        self.engine_of_owner(owner)
    }

    /// The engine for workloads of an owner. None until a baseline has compiled.
    pub fn engine_of_owner(&self, owner: Option<&str>) -> Option<&'a Arc<Engine>> {
        self.world.engines.as_ref().map(|engines| engines.for_owner(owner, self))
    }

    /// How a namespace stands. None until a baseline has compiled.
    pub fn standing(&self, namespace: &str) -> Option<Standing> {
        let engine = self.engine(namespace)?;
        Some(standing(&engine.regime, &self.facts(namespace), self, self.now))
    }
}

impl Context for LiveContext<'_> {
    fn provider(&self, name: &str) -> Lookup<&CloudServiceProviderSpec> {
        let found = self.found.and_then(|found| found.providers.get(name));
        match found.or_else(|| self.world.providers.get(name)) {
            Some(provider) => Lookup::Found(&provider.spec),
            None => Lookup::Absent,
        }
    }

    fn entity(&self, name: &str) -> Lookup<&PublicSectorEntitySpec> {
        let found = self.found.and_then(|found| found.entities.get(name));
        match found.or_else(|| self.world.entities.get(name)) {
            Some(entity) => Lookup::Found(&entity.spec),
            None => Lookup::Absent,
        }
    }

    fn class_of(&self, namespace: &str) -> Lookup<&str> {
        let Some(engine) = self.engine(namespace) else { return Lookup::Unknown };
        match self.standing(namespace).as_ref().and_then(Standing::governed) {
            Some(governed) => Lookup::Found(engine.regime.class_name(governed.rank)),
            None => Lookup::Absent,
        }
    }

    fn namespace_going(&self, namespace: &str) -> Lookup<bool> {
        match self.going {
            Some(going) => Lookup::Found(going),
            // "No" may be an old answer.
            None if self.world.namespace(namespace).is_some_and(|entry| entry.terminating()) => Lookup::Found(true),
            None => Lookup::Unknown,
        }
    }

    fn owner_created(&self, _: &str, _: &OwnerReference) -> Lookup<Timestamp> {
        self.owner_created.map_or(Lookup::Unknown, Lookup::Found)
    }

    fn declared(&self, namespace: &str) -> Lookup<&CloudWorkloadSpec> {
        self.declaration(namespace).map_or(Lookup::Absent, |workload| Lookup::Found(&workload.spec))
    }

    fn node(&self, name: &str) -> Lookup<&Node> {
        self.world.nodes.get(name).map_or(Lookup::Absent, |node| Lookup::Found(node))
    }

    fn nodes(&self) -> Lookup<&BTreeMap<String, Arc<Node>>> {
        Lookup::Found(&self.world.nodes)
    }
}
