//! ResourceQuotas and LimitRanges as they are kept.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Map, Value, json};

use super::kept::Kept;
use crate::api::Amount;

impl Kept for ResourceQuota {
    fn says_the_same(&self, there: &Self) -> bool {
        let (Some(wanted), Some(there)) = (&self.spec, &there.spec) else { return false };
        let scoped = there.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || there.scope_selector.is_some();
        !scoped && amounts(wanted.hard.as_ref()) == amounts(there.hard.as_ref())
    }

    fn remove_others(&self, there: &Self) -> Option<Value> {
        let hard = |quota: &Self| quota.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default();
        let wanted = hard(self);
        let others = hard(there).into_keys().filter(|resource| !wanted.contains_key(resource));
        let removed: Map<String, Value> = others.map(|resource| (resource, Value::Null)).collect();
        (!removed.is_empty()).then(|| json!({"spec": {"hard": removed}}))
    }
}

impl Kept for LimitRange {
    fn says_the_same(&self, there: &Self) -> bool {
        fn items(limit_range: &LimitRange) -> Option<Vec<[Values<'_>; 5]>> {
            Some(limit_range.spec.as_ref()?.limits.iter().map(values).collect())
        }
        let types = |limit_range: &Self| -> Vec<String> {
            limit_range.spec.iter().flat_map(|spec| &spec.limits).map(|item| item.type_.clone()).collect()
        };
        types(self) == types(there) && items(self) == items(there)
    }
}

/// Amounts by resource; what can't be read is no amount.
type Values<'a> = BTreeMap<&'a str, Option<Amount>>;

fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Values<'_> {
    quantities
        .into_iter()
        .flatten()
        .map(|(resource, Quantity(text))| (resource.as_str(), Amount::parse(text)))
        .collect()
}

fn values(item: &LimitRangeItem) -> [Values<'_>; 5] {
    [&item.default, &item.default_request, &item.max, &item.min, &item.max_limit_request_ratio]
        .map(|quantities| amounts(quantities.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::kept::{Step, plan};
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    fn quota(spec: Value) -> ResourceQuota {
        serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": spec})).unwrap()
    }

    fn limit_range(limits: Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": {"limits": limits}})).unwrap()
    }

    #[test]
    fn quotas_are_the_same_by_value_and_without_scopes() {
        let wanted = quota(json!({"hard": {"requests.cpu": "2000m", "pods": "10"}}));
        let table = [
            (json!({"hard": {"requests.cpu": "2", "pods": "10"}}), true),
            (json!({"hard": {"requests.cpu": "2", "pods": "10"}, "scopes": []}), true),
            (json!({"hard": {"requests.cpu": "3", "pods": "10"}}), false),
            (json!({"hard": {"requests.cpu": "2"}}), false),
            (json!({"hard": {"requests.cpu": "2", "pods": "10", "secrets": "1"}}), false),
            (json!({"hard": {"requests.cpu": "2", "pods": "10"}, "scopes": ["Terminating"]}), false),
            (json!({"hard": {"requests.cpu": "2", "pods": "10"}, "scopeSelector": {"matchExpressions": []}}), false),
        ];
        for (spec, same) in table {
            assert_eq!(wanted.says_the_same(&quota(spec.clone())), same, "{spec}");
        }
        let more = quota(json!({"hard": {"requests.cpu": "3", "pods": "10", "secrets": "1"}}));
        assert_eq!(wanted.remove_others(&more), Some(json!({"spec": {"hard": {"secrets": null}}})));
        assert_eq!(wanted.remove_others(&wanted), None);
    }

    #[test]
    fn limit_ranges_are_the_same_by_value_whole() {
        let wanted = limit_range(json!([{"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "500m"}}]));
        let table = [
            (json!([{"type": "Container", "max": {"cpu": "2000m"}, "default": {"cpu": "0.5"}}]), true),
            (
                json!([{"type": "Container", "max": {"cpu": "2000m"}, "default": {"cpu": "0.5"}, "min": {"cpu": "1m"}}]),
                false,
            ),
            (json!([{"type": "Container", "max": {"cpu": "3"}, "default": {"cpu": "0.5"}}]), false),
            (json!([{"type": "Pod", "max": {"cpu": "2"}, "default": {"cpu": "0.5"}}]), false),
            (json!([]), false),
        ];
        for (limits, same) in table {
            assert_eq!(wanted.says_the_same(&limit_range(limits.clone())), same, "{limits}");
        }
    }

    #[test]
    fn one_of_the_name_is_adopted_when_equal_and_else_a_conflict() {
        let owner =
            OwnerReference { kind: "CloudWorkload".to_owned(), uid: "u".to_owned(), ..OwnerReference::default() };
        let wanted = || vec![quota(json!({"hard": {"pods": "10"}}))];
        let equal = quota(json!({"hard": {"pods": "10000m"}}));
        assert!(matches!(plan(wanted(), &[equal], &owner).as_slice(), [Step::Apply { changed: false, .. }]));
        let other = quota(json!({"hard": {"pods": "11"}}));
        assert!(matches!(plan(wanted(), &[other], &owner).as_slice(), [Step::Conflict { .. }]));
    }
}
