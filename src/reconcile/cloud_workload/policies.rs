//! What to do about the NetworkPolicies of a namespace: pure, from those that are wanted and those that are there.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::api::{FIELD_MANAGER, GROUP};

/// The label of everything that Amanat builds.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make it, bring it back to what it should be, or take over what is already so.
    Apply {
        /// As it should be, with owner reference.
        policy: Box<NetworkPolicy>,
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

/// What to do, in order: what lets traffic in and out before what denies it goes out, and removals last.
pub fn plan(wanted: Vec<NetworkPolicy>, live: &[NetworkPolicy], owner: &OwnerReference) -> Vec<Step> {
    let live: BTreeMap<&str, &NetworkPolicy> =
        live.iter().filter_map(|policy| Some((policy.metadata.name.as_deref()?, policy))).collect();
    let is_wanted = |name: &str| wanted.iter().any(|policy| policy.metadata.name.as_deref() == Some(name));
    let removals: Vec<Step> = live
        .values()
        .filter(|policy| is_built_for(policy, owner))
        .filter_map(|policy| Some((policy.metadata.name.clone()?, policy.metadata.uid.clone()?)))
        .filter(|(name, _)| !is_wanted(name))
        .map(|(name, uid)| Step::Delete { name, uid })
        .collect();
    let mut steps: Vec<Step> = wanted.into_iter().filter_map(|policy| step(policy, &live, owner)).collect();
    // The policy that denies is the first that is built: last, it cuts nothing that was asked for.
    steps.reverse();
    steps.extend(removals);
    steps
}

fn step(mut policy: NetworkPolicy, live: &BTreeMap<&str, &NetworkPolicy>, owner: &OwnerReference) -> Option<Step> {
    let name = policy.metadata.name.clone()?;
    policy.metadata.owner_references = Some(vec![owner.clone()]);
    let Some(there) = live.get(name.as_str()) else {
        return Some(Step::Apply { policy: Box::new(explicit(policy)), changed: false });
    };
    let same_spec = same(policy.spec.as_ref(), there.spec.as_ref());
    let owned = owners(&there.metadata).iter().any(|known| known.uid == owner.uid && known.controller == Some(true));
    if same_spec && owned && is_labelled(&there.metadata) {
        return None;
    }
    let ours = was_built(&there.metadata);
    let controlled_by_another = owners(&there.metadata)
        .iter()
        .any(|known| known.controller == Some(true) && known.uid != owner.uid && !is_declaration(known));
    if controlled_by_another || !(ours || same_spec) {
        return Some(Step::Conflict { name });
    }
    Some(Step::Apply { policy: Box::new(explicit(policy)), changed: ours })
}

/// The same policy with nothing left out: a field that is left out of an apply keeps what someone else put there.
fn explicit(mut policy: NetworkPolicy) -> NetworkPolicy {
    if let Some(spec) = &mut policy.spec {
        spec.ingress.get_or_insert_default();
        spec.egress.get_or_insert_default();
        spec.policy_types.get_or_insert_default();
        spec.pod_selector.get_or_insert_default();
    }
    policy
}

/// True when two specs say the same.
pub fn same(a: Option<&NetworkPolicySpec>, b: Option<&NetworkPolicySpec>) -> bool {
    fn normal(spec: &NetworkPolicySpec) -> NetworkPolicySpec {
        let mut spec = spec.clone();
        spec.ingress = spec.ingress.filter(|rules| !rules.is_empty());
        spec.egress = spec.egress.filter(|rules| !rules.is_empty());
        spec.policy_types = spec.policy_types.filter(|types| !types.is_empty()).map(|mut types| {
            types.sort();
            types
        });
        let selector = spec.pod_selector.take().unwrap_or_default();
        spec.pod_selector = Some(LabelSelector {
            match_labels: selector.match_labels.filter(|labels| !labels.is_empty()),
            match_expressions: selector.match_expressions.filter(|expressions| !expressions.is_empty()),
        });
        spec
    }
    a.map(normal) == b.map(normal)
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

fn is_built_for(policy: &NetworkPolicy, owner: &OwnerReference) -> bool {
    is_labelled(&policy.metadata) && owners(&policy.metadata).iter().any(|known| known.uid == owner.uid)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::networking::v1::NetworkPolicyIngressRule;

    use super::*;

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference {
            api_version: "amanat.dev/v1alpha1".to_owned(),
            kind: "CloudWorkload".to_owned(),
            name: "workload".to_owned(),
            uid: uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }
    }

    fn policy(name: &str) -> NetworkPolicy {
        let spec = NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ..NetworkPolicySpec::default()
        };
        let labels = BTreeMap::from([(MANAGED_BY.to_owned(), "amanat".to_owned())]);
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("n".to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        };
        NetworkPolicy { metadata, spec: Some(spec) }
    }

    fn live(name: &str, change: impl FnOnce(&mut NetworkPolicy)) -> NetworkPolicy {
        let mut policy = policy(name);
        policy.metadata.uid = Some(format!("uid-{name}"));
        policy.metadata.owner_references = Some(vec![owner("u")]);
        change(&mut policy);
        policy
    }

    fn open(policy: &mut NetworkPolicy) {
        policy.spec.as_mut().unwrap().ingress = Some(vec![NetworkPolicyIngressRule::default()]);
    }

    fn narrow(policy: &mut NetworkPolicy) {
        let labels = BTreeMap::from([("app".to_owned(), "x".to_owned())]);
        let selector = LabelSelector { match_labels: Some(labels), ..LabelSelector::default() };
        policy.spec.as_mut().unwrap().pod_selector = Some(selector);
    }

    fn strip(policy: &mut NetworkPolicy) {
        policy.metadata.labels = None;
        policy.metadata.owner_references = None;
    }

    fn words(steps: &[Step]) -> String {
        let word = |step: &Step| match step {
            Step::Apply { policy, changed } => {
                format!("{} {}", if *changed { "heal" } else { "apply" }, policy.metadata.name.clone().unwrap())
            }
            Step::Delete { name, .. } => format!("delete {name}"),
            Step::Conflict { name } => format!("conflict {name}"),
        };
        steps.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_done_about_what_is_there() {
        type Change = fn(&mut NetworkPolicy);
        let table: &[(&str, Change, &str)] = &[
            ("as it should be", |_| {}, ""),
            ("opened", open, "heal a"),
            ("narrowed", narrow, "heal a"),
            ("no label", |policy| policy.metadata.labels = None, "heal a"),
            ("no owner", |policy| policy.metadata.owner_references = None, "heal a"),
            (
                "of a declaration that is gone",
                |policy| policy.metadata.owner_references = Some(vec![owner("old")]),
                "heal a",
            ),
            ("someone else's and equal", strip, "apply a"),
            (
                "someone else's and different",
                |policy| {
                    strip(policy);
                    open(policy);
                },
                "conflict a",
            ),
            (
                "built, and stripped of everything but the trace of the apply",
                |policy| {
                    strip(policy);
                    open(policy);
                    let entry = serde_json::json!({"manager": FIELD_MANAGER, "operation": "Apply"});
                    policy.metadata.managed_fields = Some(vec![serde_json::from_value(entry).unwrap()]);
                },
                "heal a",
            ),
            (
                "controlled by something else",
                |policy| {
                    let other = OwnerReference { kind: "App".to_owned(), uid: "x".to_owned(), ..owner("x") };
                    policy.metadata.owner_references = Some(vec![other]);
                },
                "conflict a",
            ),
        ];
        for (what, change, expected) in table {
            let steps = plan(vec![policy("a")], &[live("a", change)], &owner("u"));
            assert_eq!(words(&steps), *expected, "{what}");
        }
    }

    #[test]
    fn denial_comes_after_what_allows_and_removals_last() {
        let foreign = live("theirs", strip);
        let steps = plan(vec![policy("deny"), policy("allow")], &[live("gone", |_| {}), foreign], &owner("u"));
        assert_eq!(words(&steps), "apply allow, apply deny, delete gone");
    }

    #[test]
    fn an_apply_leaves_no_field_to_others() {
        let steps = plan(vec![policy("a")], &[live("a", open)], &owner("u"));
        let [Step::Apply { policy, changed: true }] = steps.as_slice() else { panic!("{steps:?}") };
        let spec = serde_json::to_value(policy.spec.as_ref().unwrap()).unwrap();
        assert_eq!(
            spec,
            serde_json::json!({"podSelector": {}, "ingress": [], "egress": [], "policyTypes": ["Ingress", "Egress"]})
        );
    }
}
