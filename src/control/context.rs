//! What a check may look at beside the object: who asks, how the namespace stands, what else exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{Acceptance, Operation, PodSecurity, Standing, Subject};
use crate::api::{CloudServiceProviderSpec, CloudWorkloadSpec, Effect, PlacementRow, PublicSectorEntitySpec};

/// The answer to "what is known of X?". What isn't known is never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It exists.
    Found(T),
    /// It is known not to exist.
    Absent,
    /// Nobody can say: offline, or the API server didn't answer.
    Unknown,
}

/// What exists around an object. The live one answers from the index, the offline one from the input files. What a
/// context doesn't answer is unknown, which is never a pass.
pub trait Context {
    /// A provider of the registry.
    fn provider(&self, _name: &str) -> Lookup<&CloudServiceProviderSpec> {
        Lookup::Unknown
    }
    /// An entity of the registry.
    fn entity(&self, _name: &str) -> Lookup<&PublicSectorEntitySpec> {
        Lookup::Unknown
    }
    /// The class that holds in a namespace; [`Lookup::Absent`] when none does.
    fn class_of(&self, _namespace: &str) -> Lookup<&str> {
        Lookup::Unknown
    }
    /// Is the namespace being deleted?
    fn namespace_going(&self, _namespace: &str) -> Lookup<bool> {
        Lookup::Unknown
    }
    /// When the controller that owns an object was made.
    fn owner_created(&self, _namespace: &str, _owner: &OwnerReference) -> Lookup<Timestamp> {
        Lookup::Unknown
    }
    /// What a namespace declares.
    fn declared(&self, _namespace: &str) -> Lookup<&CloudWorkloadSpec> {
        Lookup::Unknown
    }
    /// A node.
    fn node(&self, _name: &str) -> Lookup<&Node> {
        Lookup::Unknown
    }
    /// Every node, where they are known.
    fn nodes(&self) -> Lookup<&BTreeMap<String, Arc<Node>>> {
        Lookup::Unknown
    }
}

/// What placement reads of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// The labels that some control reads.
    pub labels: BTreeMap<String, String>,
    /// The classes that its taints keep it for: values of the taint `amanat.dev/data-class`. Without one it takes any.
    pub pools: BTreeSet<String>,
    /// Whether it takes Pods: its condition `Ready` is true, and it isn't cordoned.
    pub takes_pods: bool,
}

/// A context that knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Context for Nothing {}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The user's name.
    pub username: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// Amanat's own ServiceAccount.
    pub amanat: bool,
    /// A controller of the control plane: a ServiceAccount of kube-system, the scheduler, the controller manager, or
    /// one that the installation names.
    pub control_plane: bool,
}

impl Actor {
    /// Classifies a user. `own` is the username of Amanat's ServiceAccount, `trusted` are further control-plane users.
    pub fn new(username: &str, groups: Vec<String>, own: &str, trusted: &[String]) -> Self {
        let control_plane = username.starts_with("system:serviceaccount:kube-system:")
            || matches!(username, "system:kube-controller-manager" | "system:kube-scheduler" | "system:apiserver")
            || trusted.iter().any(|user| user == username);
        Self { username: username.to_owned(), groups, amanat: !own.is_empty() && username == own, control_plane }
    }

    /// True when the user is in one of the groups.
    pub fn is_in(&self, groups: &[String]) -> bool {
        self.groups.iter().any(|group| groups.contains(group))
    }
}

/// What a baseline fixes beside its controls, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Regime {
    /// The default baseline's name.
    pub baseline: String,
    /// Its version.
    pub version: String,
    /// The overlays that were joined to it, by name.
    pub overlays: Vec<String>,
    /// Classes, lowest first.
    pub classes: Vec<Class>,
    /// What happens to workloads in namespaces that declare nothing.
    pub undeclared: Effect,
    /// How long Pods are re-created after a declaration became unacceptable.
    pub grace_on_suspension: SignedDuration,
    /// How long Pods are re-created after a class was declared or raised.
    pub grace_on_raise: SignedDuration,
    /// The placement rows of each joined baseline; of each the first match is taken.
    pub placement: Vec<Vec<PlacementRow>>,
    /// Groups whose changes to built objects are healed, not refused.
    pub administrators: Vec<String>,
    /// Groups that may bring class labels back when they make a namespace.
    pub restorers: Vec<String>,
    /// Caps on effects in named namespaces.
    pub rollout: Vec<Rollout>,
    /// The minor version of Kubernetes whose Pod Security checks are used.
    pub pod_security_minor: u32,
    /// What controls build and supply counts as there; not, when single controls are tried by themselves.
    pub builds: bool,
}

/// A data class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name, also the value of the namespace's label.
    pub name: String,
    /// The security level's name.
    pub level: String,
    /// Other names for it.
    pub aliases: Vec<String>,
}

/// A compiled rollout entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Namespace names; `*` stands for any characters.
    pub namespaces: Vec<String>,
    /// No effect is stricter than this.
    pub effect: Effect,
    /// The instant at which it ends.
    pub until: Timestamp,
}

impl Regime {
    /// The rank of a class by its name or an alias.
    pub fn rank(&self, class: &str) -> Option<usize> {
        self.classes.iter().position(|known| known.name == class || known.aliases.iter().any(|alias| alias == class))
    }

    /// The name of the class of a rank; empty for a rank that the baseline hasn't.
    pub fn class_name(&self, rank: usize) -> &str {
        self.classes.get(rank).map_or("", |class| &class.name)
    }

    /// The class names, for messages.
    pub fn class_names(&self) -> String {
        self.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// One question to a check.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What is done.
    pub operation: Operation,
    /// The object; at a deletion, the one that goes.
    pub subject: &'a Subject,
    /// The object as it was, at an update.
    pub old: Option<&'a Subject>,
    /// Who asks; nobody offline and in a scan.
    pub actor: Option<&'a Actor>,
    /// How the object's namespace stands.
    pub standing: &'a Standing,
    /// Of a CloudWorkload: what stands against the declaration that it makes.
    pub declared: Option<&'a Acceptance>,
    /// Of a governed Namespace: what it demands of the built-in Pod Security admission.
    pub pod_security: Option<PodSecurity>,
    /// What the baseline fixes.
    pub regime: &'a Regime,
    /// What the control builds is there or will be: in its class, after caps, it denies.
    pub builds: bool,
    /// What else exists.
    pub context: &'a dyn Context,
    /// The instant.
    pub now: Timestamp,
}

impl Case<'_> {
    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        &self.subject.metadata.namespace
    }
}
