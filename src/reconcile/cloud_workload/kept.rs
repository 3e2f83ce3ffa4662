//! What to do about the objects of one kind that a namespace should have: pure, from those that are wanted and those that
//! are there.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde_json::Value;

use crate::api::{FIELD_MANAGER, GROUP};

/// The label of everything that Amanat builds.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A kind that is built.
pub trait Kept: Resource<DynamicType = ()> + Clone {
    /// True when two objects say the same, in whatever words.
    fn says_the_same(&self, there: &Self) -> bool;

    /// The same object with nothing left out: a field that is left out of an apply keeps what someone else put there.
    #[must_use]
    fn explicit(self) -> Self {
        self
    }

    /// A merge patch that takes away what an apply of this leaves of someone else's in a map.
    fn remove_others(&self, _there: &Self) -> Option<Value> {
        None
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<K> {
    /// Make it, bring it back to what it should be, or take over what is already so.
    Apply {
        /// As it should be, with owner reference.
        object: Box<K>,
        /// It was built before and someone changed it.
        changed: bool,
    },
    /// Remove one that is no longer wanted.
    Delete {
        /// Its name.
        name: String,
        /// Its UID, so that nothing else of the name is removed.
        uid: String,
    },
    /// One of that name belongs to someone else and says something else.
    Conflict {
        /// Its name.
        name: String,
    },
}

/// What to do, in order: of what is wanted the last first, and removals last.
pub fn plan<K: Kept>(wanted: Vec<K>, live: &[K], owner: &OwnerReference) -> Vec<Step<K>> {
    let live: BTreeMap<&str, &K> =
        live.iter().filter_map(|object| Some((object.meta().name.as_deref()?, object))).collect();
    let is_wanted = |name: &str| wanted.iter().any(|object| object.meta().name.as_deref() == Some(name));
    let removals: Vec<Step<K>> = live
        .values()
        .map(|object| object.meta())
        .filter(|metadata| is_built_for(metadata, owner))
        .filter_map(|metadata| Some((metadata.name.clone()?, metadata.uid.clone()?)))
        .filter(|(name, _)| !is_wanted(name))
        .map(|(name, uid)| Step::Delete { name, uid })
        .collect();
    let mut steps: Vec<Step<K>> = wanted.into_iter().filter_map(|object| step(object, &live, owner)).collect();
    // The NetworkPolicy that denies is the first that is built: last, it cuts nothing that was asked for.
    steps.reverse();
    steps.extend(removals);
    steps
}

fn step<K: Kept>(mut object: K, live: &BTreeMap<&str, &K>, owner: &OwnerReference) -> Option<Step<K>> {
    let name = object.meta().name.clone()?;
    object.meta_mut().owner_references = Some(vec![owner.clone()]);
    let Some(there) = live.get(name.as_str()) else {
        return Some(Step::Apply { object: Box::new(object.explicit()), changed: false });
    };
    let same = object.says_the_same(there);
    let there = there.meta();
    let owned = owners(there).iter().any(|known| known.uid == owner.uid && known.controller == Some(true));
    if same && owned && is_labelled(there) {
        return None;
    }
    let ours = was_built(there);
    let controlled_by_another = owners(there)
        .iter()
        .any(|known| known.controller == Some(true) && known.uid != owner.uid && !is_declaration(known));
    if controlled_by_another || !(ours || same) {
        return Some(Step::Conflict { name });
    }
    Some(Step::Apply { object: Box::new(object.explicit()), changed: ours })
}

fn owners(metadata: &ObjectMeta) -> &[OwnerReference] {
    metadata.owner_references.as_deref().unwrap_or_default()
}

fn is_declaration(owner: &OwnerReference) -> bool {
    owner.kind == "CloudWorkload" && owner.api_version.split('/').next() == Some(GROUP)
}

fn owned_by_declaration(metadata: &ObjectMeta) -> bool {
    owners(metadata).iter().any(is_declaration)
}

fn is_labelled(metadata: &ObjectMeta) -> bool {
    metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|value| value == "amanat")
}

/// Built by Amanat once, whatever someone did to it since: any trace is enough.
fn was_built(metadata: &ObjectMeta) -> bool {
    let applied = || {
        let mut entries = metadata.managed_fields.iter().flatten();
        entries.any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
    };
    is_labelled(metadata) || owned_by_declaration(metadata) || applied()
}

fn is_built_for(metadata: &ObjectMeta, owner: &OwnerReference) -> bool {
    is_labelled(metadata) && owners(metadata).iter().any(|known| known.uid == owner.uid)
}
