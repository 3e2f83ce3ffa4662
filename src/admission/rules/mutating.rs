//! The configuration of the entries that supply: called for Pods when they are made, and only when one may lack
//! something.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
};

use super::{Options, condition, metadata, webhook};
use crate::admission::entry::Entry;
use crate::catalogue;
use crate::control::{Kind, Operation};

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

/// True when some supply may have something to do. A Pod that has everything costs one call, the judging one.
pub(super) fn may_miss() -> MatchCondition {
    let supplies = catalogue::ALL.iter().filter_map(|control| control.supply);
    let missing: Vec<String> = supplies.map(|supply| format!("({})", supply.missing)).collect();
    let expression = if missing.is_empty() { "false".to_owned() } else { missing.join(" || ") };
    condition("may-lack-something", expression)
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

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
    fn the_whole_mutating_configuration() {
        insta::assert_yaml_snapshot!(options(mutating_configuration));
    }
}
