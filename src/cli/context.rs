//! What is known offline: what the inputs and the context folders hold. Anything else is unknown, never absent: a
//! registry in the cluster may have it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::objects::Objects;
use crate::api::{CloudServiceProviderSpec, CloudWorkloadSpec, PublicSectorEntitySpec};
use crate::control::{Context, Lookup};

/// The inputs, and what is known beside them.
pub(super) struct OfflineContext<'a> {
    /// What is judged knows best.
    pub(super) inputs: &'a Objects<'a>,
    /// What `--context` adds.
    pub(super) beside: &'a Objects<'a>,
    /// Classes by namespace; none where it is known that no class holds.
    pub(super) classes: BTreeMap<String, Option<String>>,
}

impl OfflineContext<'_> {
    /// The declaration of a namespace.
    pub(super) fn declaration(&self, namespace: &str) -> Option<&CloudWorkloadSpec> {
        let of = |objects: &'_ Objects<'_>| objects.declarations.contains_key(namespace);
        let objects = if of(self.inputs) { self.inputs } else { self.beside };
        objects.declarations.get(namespace).map(|(spec, _)| spec)
    }

    /// The class label of a namespace.
    pub(super) fn label(&self, namespace: &str) -> Option<&str> {
        self.inputs.labels.get(namespace).or_else(|| self.beside.labels.get(namespace)).map(String::as_str)
    }
}

impl Context for OfflineContext<'_> {
    fn provider(&self, name: &str) -> Lookup<&CloudServiceProviderSpec> {
        let found = self.inputs.providers.get(name).or_else(|| self.beside.providers.get(name));
        found.map_or(Lookup::Unknown, |(spec, _)| Lookup::Found(spec))
    }

    fn entity(&self, name: &str) -> Lookup<&PublicSectorEntitySpec> {
        let found = self.inputs.entities.get(name).or_else(|| self.beside.entities.get(name));
        found.map_or(Lookup::Unknown, |(spec, _)| Lookup::Found(spec))
    }

    fn class_of(&self, namespace: &str) -> Lookup<&str> {
        match self.classes.get(namespace) {
            Some(Some(class)) => Lookup::Found(class),
            Some(None) => Lookup::Absent,
            None => Lookup::Unknown,
        }
    }

    fn declared(&self, namespace: &str) -> Lookup<&CloudWorkloadSpec> {
        self.declaration(namespace).map_or(Lookup::Unknown, Lookup::Found)
    }

    fn namespace_going(&self, _: &str) -> Lookup<bool> {
        Lookup::Unknown
    }

    fn owner_created(&self, _: &str, _: &OwnerReference) -> Lookup<Timestamp> {
        Lookup::Unknown
    }
}
