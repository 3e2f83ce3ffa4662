//! The configuration of the entries that supply: called for Pods when they are made, and only when one may lack
//! something.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
};

use super::{Options, condition, metadata, webhook};
use crate::admission::entry::Entry;
use crate::catalogue;
use crate::control::{Kind, Operation};
use crate::engine::Engines;

/// The configuration as it should be.
pub fn mutating_configuration(options: &Options<'_>) -> MutatingWebhookConfiguration {
    let webhooks = Entry::MUTATING.into_iter().map(|entry| mutating_webhook(entry, options)).collect();
    MutatingWebhookConfiguration { metadata: metadata(options), webhooks: Some(webhooks) }
}

fn mutating_webhook(entry: Entry, options: &Options<'_>) -> MutatingWebhook {
    let common = webhook(entry, options);
    MutatingWebhook {
        name: common.name,
        admission_review_versions: common.admission_review_versions,
        client_config: common.client_config,
        failure_policy: common.failure_policy,
        match_conditions: common.match_conditions,
        match_policy: common.match_policy,
        namespace_selector: common.namespace_selector,
        object_selector: common.object_selector,
        // Another webhook may add a container or a volume after this one.
        reinvocation_policy: Some("IfNeeded".to_owned()),
        rules: common.rules,
        side_effects: common.side_effects,
        timeout_seconds: common.timeout_seconds,
    }
}

/// Pods, when they are made.
pub(super) fn rules() -> Vec<RuleWithOperations> {
    vec![RuleWithOperations {
        api_groups: Some(vec![Kind::Pod.group().to_owned()]),
        api_versions: Some(vec![Kind::Pod.version().to_owned()]),
        operations: Some(vec![Operation::Create.as_str().to_owned()]),
        resources: Some(vec![Kind::Pod.plural().to_owned()]),
        scope: Some("Namespaced".to_owned()),
    }]
}

/// True when some supply may have something to do by the baselines in force. A Pod that has everything costs one call,
/// the judging one.
pub(super) fn may_miss(engines: Option<&Engines>) -> MatchCondition {
    let supplies = catalogue::ALL.iter().filter_map(|control| control.supply.map(|supply| (control.id, supply)));
    let missing = supplies.flat_map(|(control, supply)| {
        // Where no baseline is in force, nobody knows.
        let sets = |parameter: &str| engines.is_none_or(|engines| engines.sets(control, parameter));
        let more = supply.missing_where.filter(|(parameter, _)| sets(parameter)).map(|(_, missing)| missing);
        [Some(supply.missing), more].into_iter().flatten()
    });
    let missing: Vec<String> = missing.map(|missing| format!("({missing})")).collect();
    let expression = if missing.is_empty() { "false".to_owned() } else { missing.join(" || ") };
    condition("may-lack-something", expression)
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;
    use crate::baseline::{Effective, Mode, shipped};
    use serde_json::json;

    #[test]
    fn supply_undeclared_stands_before_supply_and_both_match_the_same() {
        let webhooks = options(mutating_configuration).webhooks.unwrap();
        let [undeclared, supply] = webhooks.as_slice() else { panic!("{} entries", webhooks.len()) };
        assert_eq!(undeclared.name, "supply-undeclared.webhook.amanat.dev");
        assert_eq!(supply.name, "supply.webhook.amanat.dev");
        assert_eq!(undeclared.rules, supply.rules);
        assert_eq!(undeclared.match_conditions, supply.match_conditions);
        assert_eq!(
            (undeclared.failure_policy.as_deref(), supply.failure_policy.as_deref()),
            (Some("Ignore"), Some("Fail"))
        );
    }

    #[test]
    fn what_only_some_baselines_demand_is_asked_for_where_one_does() {
        let of = |changes: serde_json::Value| {
            let mut spec = serde_json::to_value(shipped().unwrap().spec).unwrap();
            for control in spec["controls"].as_array_mut().unwrap() {
                let id = control["id"].as_str().unwrap().to_owned();
                for (param, value) in changes[&id].as_object().into_iter().flatten() {
                    control["params"][param] = value.clone();
                }
            }
            let spec = serde_json::from_value(spec).unwrap();
            Engines::compile(&Effective::resolve("test", &spec, Mode::Cluster).unwrap(), &[])
        };
        let registries = || json!({"image/approved-registries": {"registries": ["registry.example.gov.pk"]}});
        let mut regions = registries();
        regions["residency/in-country-scheduling"] = json!({"regions": ["islamabad"]});
        let asks = |engines: Option<&Engines>| may_miss(engines).expression.contains("topology.kubernetes.io/region");
        assert!(!asks(Some(&of(registries()))), "the shipped baseline says none");
        assert!(asks(Some(&of(regions))));
        assert!(asks(None), "nobody knows what a baseline will say");
    }

    #[test]
    fn the_whole_mutating_configuration() {
        insta::assert_yaml_snapshot!(options(mutating_configuration));
    }
}
