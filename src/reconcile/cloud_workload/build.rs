//! What a governed namespace should have: pure, from how it stands and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::labels;
use super::policies::{self, Step};
use crate::api::{CloudWorkload, Effect};
use crate::catalogue::network::DEFAULT_DENY;
use crate::catalogue::network::default_deny::build::Plan;
use crate::control::{Context, Governed, Params};
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
    /// A controller older than the grace that matters exists.
    pub older_controllers: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Built {
    /// The namespace's labels, when one of them differs.
    pub labels: Option<Labels>,
    /// What to do about NetworkPolicies, in order.
    pub steps: Vec<Step>,
    /// What became of the NetworkPolicies.
    pub policies: Policies,
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

impl Judged<'_> {
    fn label_facts<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
        ours: &'a BTreeSet<String>,
    ) -> labels::Facts<'a> {
        labels::Facts { engine: self.engine, governed: self.governed, server_minor: self.server_minor, labels, ours }
    }

    /// The instant that an existing controller must be older than, to keep `enforce` down.
    pub fn grace_that_matters(&self, namespace: &ObjectMeta) -> Option<jiff::Timestamp> {
        let empty = BTreeMap::new();
        let labels = namespace.labels.as_ref().unwrap_or(&empty);
        self.label_facts(labels, &BTreeSet::new()).grace_that_matters()
    }

    /// The effect of the control that builds, after caps.
    pub fn default_deny(&self) -> Effect {
        let effect = self.engine.effect(self.governed.rank, DEFAULT_DENY.id);
        self.governed.cap.as_ref().map_or(effect, |cap| effect.min(cap.effect))
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
        Built {
            labels: differs.then(|| Labels {
                changed: self.was_applied() && someone_changed(there, &wanted, &ours),
                labels: wanted,
                uid: live.namespace.uid.clone(),
                resource_version: live.namespace.resource_version.clone(),
            }),
            steps,
            policies,
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

    fn policies(&self, live: &Live) -> (Vec<Step>, Policies) {
        let Some((workload, owner)) = self.workload.and_then(|workload| Some((workload, owner(workload)?))) else {
            return (Vec::new(), Policies::Nobody);
        };
        let effect = self.default_deny();
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
        let steps = policies::plan(built.policies, &live.policies, &owner);
        (steps, Policies::Built { count, withheld: built.withheld, api_server_unknown: built.api_server_unknown })
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
