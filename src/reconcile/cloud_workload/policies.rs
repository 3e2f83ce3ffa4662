//! NetworkPolicies as they are kept.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::kept::Kept;

impl Kept for NetworkPolicy {
    fn says_the_same(&self, there: &Self) -> bool {
        same(self.spec.as_ref(), there.spec.as_ref())
    }

    fn explicit(mut self) -> Self {
        if let Some(spec) = &mut self.spec {
            spec.ingress.get_or_insert_default();
            spec.egress.get_or_insert_default();
            spec.policy_types.get_or_insert_default();
            spec.pod_selector.get_or_insert_default();
        }
        self
    }
}

/// True when two specs say the same.
fn same(a: Option<&NetworkPolicySpec>, b: Option<&NetworkPolicySpec>) -> bool {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::networking::v1::NetworkPolicyIngressRule;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

    use super::super::kept::{MANAGED_BY, Step, plan};
    use super::*;
    use crate::api::FIELD_MANAGER;

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

    fn words(steps: &[Step<NetworkPolicy>]) -> String {
        let word = |step: &Step<NetworkPolicy>| match step {
            Step::Apply { object: policy, changed } => {
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
        let [Step::Apply { object: policy, changed: true }] = steps.as_slice() else { panic!("{steps:?}") };
        let spec = serde_json::to_value(policy.spec.as_ref().unwrap()).unwrap();
        assert_eq!(
            spec,
            serde_json::json!({"podSelector": {}, "ingress": [], "egress": [], "policyTypes": ["Ingress", "Egress"]})
        );
    }
}
