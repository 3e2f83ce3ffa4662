//! What a governed namespace should have: pure, from how it stands and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::kept::{self, Step};
use super::labels;
use crate::api::{CloudWorkload, Effect};
use crate::catalogue::network::DEFAULT_DENY;
use crate::catalogue::network::default_deny::build::Plan;
use crate::catalogue::pod::{RESOURCE_BOUNDS, resource_bounds};
use crate::control::{Context, Control, Governed, Params};
use crate::engine::Engine;

/// How a namespace stands, with everything that follows from specs alone.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Its declaration; none where only the label is left.
    pub workload: Option<&'a CloudWorkload>,
    /// The engine that decides here.
    pub engine: &'a Engine,
    /// The terms on which the class holds.
    pub governed: &'a Governed,
    /// What else exists.
    pub context: &'a (dyn Context + Sync),
    /// The API server's addresses.
    pub api_server: &'a BTreeSet<(IpAddr, u16)>,
    /// Minor version of the API server.
    pub server_minor: u32,
}

/// What is there now, read from the API server.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The namespace's metadata, with managedFields.
    pub namespace: ObjectMeta,
    /// Its NetworkPolicies.
    pub policies: Vec<NetworkPolicy>,
    /// Its LimitRange, of the name of the one that is built.
    pub limit_range: Option<LimitRange>,
    /// Its ResourceQuota, of the name of the one that is built.
    pub quota: Option<ResourceQuota>,
    /// A controller older than the grace that matters exists.
    pub older_controllers: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Built {
    /// The namespace's labels, when one of them differs.
    pub labels: Option<Labels>,
    /// What to do about NetworkPolicies, in order.
    pub steps: Vec<Step<NetworkPolicy>>,
    /// What became of the NetworkPolicies.
    pub policies: Policies,
    /// What to do about the LimitRange.
    pub limit_range: Vec<Step<LimitRange>>,
    /// What to do about the ResourceQuota.
    pub quota: Vec<Step<ResourceQuota>>,
    /// What became of the two.
    pub bounds: Bounds,
    /// A class label that the baseline doesn't know.
    pub unknown_class: Option<String>,
    /// A grace keeps `enforce` down because of older controllers, which may go at any time.
    pub graced: bool,
}

/// Labels to apply to a namespace as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The namespace's uid.
    pub uid: Option<String>,
    /// The version that was read: one that was changed since is looked at again.
    pub resource_version: Option<String>,
    /// One that Amanat had written was changed by someone else.
    pub changed: bool,
}

/// What became of a namespace's NetworkPolicies.
#[derive(Clone, Debug, PartialEq)]
pub enum Policies {
    /// The control denies here, so they are built.
    Built {
        /// How many.
        count: usize,
        /// Flows that aren't granted, and why.
        withheld: Vec<String>,
        /// No policy leads to the API server.
        api_server_unknown: bool,
    },
    /// The control has this weaker effect here: nothing is built, changed or removed.
    NotDenied(Effect),
    /// There is no declaration that could own them.
    Nobody,
}

/// What became of a namespace's LimitRange and ResourceQuota.
#[derive(Clone, Debug, PartialEq)]
pub enum Bounds {
    /// The control denies here, so they are built.
    Built {
        /// What the declaration asks for beyond the class's quota.
        beyond: Vec<String>,
        /// What would refuse Pods of older controllers waits until then.
        waits: Option<jiff::Timestamp>,
    },
    /// The control has this weaker effect here: nothing is built, changed or removed.
    NotDenied(Effect),
    /// There is no declaration that could own them.
    Nobody,
}

impl Judged<'_> {
    fn label_facts<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
        ours: &'a BTreeSet<String>,
    ) -> labels::Facts<'a> {
        labels::Facts { engine: self.engine, governed: self.governed, server_minor: self.server_minor, labels, ours }
    }

    /// The instant that an existing controller must be older than, to keep `enforce` down and its Pods unbounded.
    pub fn grace_that_matters(&self, namespace: &ObjectMeta) -> Option<jiff::Timestamp> {
        let empty = BTreeMap::new();
        let labels = namespace.labels.as_ref().unwrap_or(&empty);
        let bounded = self.workload.is_some() && self.effect(&RESOURCE_BOUNDS) == Effect::Deny;
        let of_bounds = self.governed.raise.filter(|_| bounded).map(|grace| grace.from);
        self.label_facts(labels, &BTreeSet::new()).grace_that_matters().or(of_bounds)
    }

    /// The effect of a control, after caps.
    fn effect(&self, control: &Control) -> Effect {
        self.governed.capped(self.engine.effect(self.governed.rank, control.id))
    }

    /// Builds.
    pub fn build(&self, live: &Live) -> Built {
        let empty = BTreeMap::new();
        let there = live.namespace.labels.as_ref().unwrap_or(&empty);
        let ours = labels::owned_alone(live.namespace.managed_fields.as_deref().unwrap_or_default());
        let facts = self.label_facts(there, &ours);
        let wanted = facts.wanted(live.older_controllers);
        let differs = wanted.iter().any(|(key, value)| there.get(key) != Some(value));
        let (steps, policies) = self.policies(live);
        let (limit_range, quota, bounds) = self.bounds(live);
        Built {
            labels: differs.then(|| Labels {
                changed: self.was_applied() && someone_changed(there, &wanted, &ours),
                labels: wanted,
                uid: live.namespace.uid.clone(),
                resource_version: live.namespace.resource_version.clone(),
            }),
            steps,
            policies,
            limit_range,
            quota,
            bounds,
            unknown_class: facts.unknown_class().map(str::to_owned),
            graced: live.older_controllers,
        }
    }

    /// Everything had been built for this very declaration, so that a difference is someone's doing.
    fn was_applied(&self) -> bool {
        let Some(workload) = self.workload else { return false };
        let status = workload.status.as_ref();
        status.is_some_and(|status| {
            status.observed_generation == workload.metadata.generation
                && crate::api::condition::is_true(&status.conditions, crate::api::condition::CONTROLS_APPLIED)
        })
    }

    fn policies(&self, live: &Live) -> (Vec<Step<NetworkPolicy>>, Policies) {
        let Some((workload, owner)) = self.workload.and_then(|workload| Some((workload, owner(workload)?))) else {
            return (Vec::new(), Policies::Nobody);
        };
        let effect = self.effect(&DEFAULT_DENY);
        if effect < Effect::Deny {
            return (Vec::new(), Policies::NotDenied(effect));
        }
        let no_params = Params::default();
        let plan = Plan {
            namespace: self.namespace,
            class: self.engine.regime.class_name(self.governed.rank),
            network: workload.spec.network.as_ref(),
            params: self.engine.params(self.governed.rank, DEFAULT_DENY.id).unwrap_or(&no_params),
            api_server: self.api_server,
            context: self.context,
        };
        let built = plan.build();
        let count = built.policies.len();
        let steps = kept::plan(built.policies, &live.policies, &owner);
        (steps, Policies::Built { count, withheld: built.withheld, api_server_unknown: built.api_server_unknown })
    }

    fn bounds(&self, live: &Live) -> (Vec<Step<LimitRange>>, Vec<Step<ResourceQuota>>, Bounds) {
        let nothing = |bounds| (Vec::new(), Vec::new(), bounds);
        let Some((workload, owner)) = self.workload.and_then(|workload| Some((workload, owner(workload)?))) else {
            return nothing(Bounds::Nobody);
        };
        let effect = self.effect(&RESOURCE_BOUNDS);
        if effect < Effect::Deny {
            return nothing(Bounds::NotDenied(effect));
        }
        let no_params = Params::default();
        let waits = self.governed.raise.filter(|_| live.older_controllers).map(|grace| grace.until);
        let plan = resource_bounds::build::Plan {
            namespace: self.namespace,
            class: self.engine.regime.class_name(self.governed.rank),
            size: workload.spec.size.as_ref(),
            params: self.engine.params(self.governed.rank, RESOURCE_BOUNDS.id).unwrap_or(&no_params),
            graced: waits.is_some(),
        };
        let built = plan.build();
        let limit_range = kept::plan(built.limit_range.into_iter().collect(), live.limit_range.as_slice(), &owner);
        // One that is there already goes on holding as it is: nothing of it is loosened meanwhile.
        let quota = match waits {
            Some(_) => Vec::new(),
            None => kept::plan(built.quota.into_iter().collect(), live.quota.as_slice(), &owner),
        };
        (limit_range, quota, Bounds::Built { beyond: plan.beyond(), waits })
    }
}

/// A label that is written from the first moment on is missing, or someone else wrote another value.
fn someone_changed(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    ours: &BTreeSet<String>,
) -> bool {
    let mut wanted = wanted.iter();
    wanted.any(|(key, value)| there.get(key).is_none_or(|there| there != value && !ours.contains(key)))
}

/// The reference by which what is built goes with its declaration. It doesn't hold up the deletion of that, which would
/// take a permission on its finalizers.
pub fn owner(workload: &CloudWorkload) -> Option<OwnerReference> {
    use kube::Resource;
    let reference = workload.controller_owner_ref(&())?;
    Some(OwnerReference { block_owner_deletion: Some(false), ..reference })
}
