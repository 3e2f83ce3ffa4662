//! The webhook configurations, generated from what the controls judge. Pure: what it is made of is given, and whoever
//! applies it finds that it can serve first.

mod mutating;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference,
};

pub use mutating::mutating_configuration;

use super::entry::Entry;
use super::exits::PASSING_POD_SUBRESOURCES;
use crate::api::{DATA_CLASS_LABEL, GROUP, VERSION};
use crate::catalogue;
use crate::control::{Control, Kind, Operation, POD_SECURITY_MODES, POD_SECURITY_PREFIX};
use crate::engine::Engines;

/// Name of both configurations.
pub const NAME: &str = "amanat";
/// Seconds that the API server waits for an answer.
const TIMEOUT_SECONDS: i32 = 5;
/// The label that the API server puts on every namespace, and that nobody can change.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The kinds of the registry, by resource.
const REGISTRY: &[&str] = &["cloudserviceproviders", "publicsectorentities", "securitybaselines"];

/// Where the API server finds the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Service, port 443.
    Service {
        /// The Service's namespace.
        namespace: String,
        /// The Service's name.
        name: String,
    },
    /// A URL without a path, for an Amanat outside of the cluster.
    Url(String),
}

impl Endpoint {
    fn client_config(&self, entry: Entry, ca_bundle: &[u8]) -> WebhookClientConfig {
        let path = entry.path();
        let ca_bundle = Some(ByteString(ca_bundle.to_vec()));
        match self {
            Self::Service { namespace, name } => WebhookClientConfig {
                ca_bundle,
                service: Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    path: Some(path),
                    port: Some(443),
                }),
                url: None,
            },
            Self::Url(url) => {
                let url = Some(format!("{}{path}", url.trim_end_matches('/')));
                WebhookClientConfig { ca_bundle, service: None, url }
            }
        }
    }
}

/// What the configuration depends on beside the catalogue.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Namespaces that are never blocked, by name.
    pub system_namespaces: &'a BTreeSet<String>,
    /// Where the webhook is.
    pub endpoint: &'a Endpoint,
    /// The CA certificates, PEM.
    pub ca_bundle: &'a [u8],
    /// Name of the ClusterRole that owns the configuration.
    pub anchor_name: &'a str,
    /// The ClusterRole's uid.
    pub anchor_uid: &'a str,
    /// What decides, once a baseline is in force.
    pub engines: Option<&'a Engines>,
}

/// The configuration of the entries that judge, as it should be.
pub fn webhook_configuration(options: &Options<'_>) -> ValidatingWebhookConfiguration {
    let webhooks = Entry::VALIDATING.into_iter().map(|entry| webhook(entry, options)).collect();
    ValidatingWebhookConfiguration { metadata: metadata(options), webhooks: Some(webhooks) }
}

fn metadata(options: &Options<'_>) -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.to_owned()),
        labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), NAME.to_owned())])),
        owner_references: Some(vec![OwnerReference {
            api_version: "rbac.authorization.k8s.io/v1".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: options.anchor_name.to_owned(),
            uid: options.anchor_uid.to_owned(),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    }
}

fn webhook(entry: Entry, options: &Options<'_>) -> ValidatingWebhook {
    ValidatingWebhook {
        name: format!("{entry}.webhook.{GROUP}"),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: options.endpoint.client_config(entry, options.ca_bundle),
        failure_policy: Some(if entry.fails_closed() { "Fail" } else { "Ignore" }.to_owned()),
        match_conditions: Some(match_conditions(entry, options.engines)),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(namespace_selector(entry, options.system_namespaces)),
        object_selector: Some(LabelSelector::default()),
        rules: Some(rules(entry, catalogue::ALL)),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT_SECONDS),
    }
}

/// The entry that a kind's requests go through.
fn entry_of(kind: Kind) -> &'static [Entry] {
    match kind {
        Kind::Namespace => &[Entry::Namespaces],
        Kind::CloudWorkload => &[Entry::Declarations],
        _ => &[Entry::Undeclared, Entry::Governed],
    }
}

/// The operations that count for each resource of an entry, with the resource's group and version.
fn judged(entry: Entry, controls: &[&Control]) -> BTreeMap<(&'static str, &'static str, String), BTreeSet<Operation>> {
    let mut judged: BTreeMap<_, BTreeSet<Operation>> = BTreeMap::new();
    for judges in controls.iter().flat_map(|control| control.judges) {
        for kind in judges.kinds.iter().filter(|kind| entry_of(**kind).contains(&entry)) {
            let plural = kind.plural();
            let subresources = judges.subresources.iter().map(|subresource| format!("{plural}/{subresource}"));
            for resource in std::iter::once(plural.to_owned()).chain(subresources) {
                judged.entry((kind.group(), kind.rule_version(), resource)).or_default().extend(judges.operations);
            }
        }
    }
    judged
}

/// One rule for the resources of a group that share their operations.
fn rules(entry: Entry, controls: &[&Control]) -> Vec<RuleWithOperations> {
    if entry.supplies() {
        return mutating::rules();
    }
    let mut judged = judged(entry, controls);
    if entry == Entry::Registry {
        let all = BTreeSet::from([Operation::Create, Operation::Update, Operation::Delete]);
        judged.extend(REGISTRY.iter().map(|resource| ((GROUP, VERSION, (*resource).to_owned()), all.clone())));
    }
    let mut grouped: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for ((group, version, resource), operations) in judged {
        grouped.entry((group, version, operations)).or_default().push(resource);
    }
    let scope = match entry {
        Entry::Namespaces | Entry::Registry => "Cluster",
        _ => "Namespaced",
    };
    let rule = |((group, version, operations), resources): ((&str, &str, BTreeSet<Operation>), Vec<String>)| {
        RuleWithOperations {
            api_groups: Some(vec![group.to_owned()]),
            api_versions: Some(vec![version.to_owned()]),
            operations: Some(operations.iter().map(|operation| operation.as_str().to_owned()).collect()),
            resources: Some(resources),
            scope: Some(scope.to_owned()),
        }
    };
    grouped.into_iter().map(rule).collect()
}

/// Declarations are judged in every namespace. One in a system namespace governs nothing, and its status says so.
fn namespace_selector(entry: Entry, system_namespaces: &BTreeSet<String>) -> LabelSelector {
    let requirement = |key: &str, operator: &str, values: Option<Vec<String>>| LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values,
    };
    let class = match entry {
        Entry::Undeclared | Entry::SupplyUndeclared => "DoesNotExist",
        Entry::Governed | Entry::Supply => "Exists",
        Entry::Namespaces | Entry::Declarations | Entry::Registry => return LabelSelector::default(),
    };
    LabelSelector {
        match_expressions: Some(vec![
            requirement(NAMESPACE_NAME_LABEL, "NotIn", Some(system_namespaces.iter().cloned().collect())),
            requirement(DATA_CLASS_LABEL, class, None),
        ]),
        match_labels: None,
    }
}

/// What needs no call. A condition that can't be evaluated counts as a failure of the webhook, so none reads a field
/// that may be absent without asking for it first.
fn match_conditions(entry: Entry, engines: Option<&Engines>) -> Vec<MatchCondition> {
    let mut conditions =
        vec![condition("not-the-api-server", "request.userInfo.username != 'system:apiserver'".to_owned())];
    match entry {
        Entry::Undeclared | Entry::Governed => {
            let passing: Vec<String> = PASSING_POD_SUBRESOURCES.iter().map(|name| format!("'{name}'")).collect();
            let expression = format!(
                "!(request.resource.resource == 'pods' && has(request.subResource) && request.subResource in [{}])",
                passing.join(", ")
            );
            conditions.push(condition("not-a-passing-subresource", expression));
        }
        Entry::Namespaces => {
            let [new, old] = ["object", "oldObject"].map(|variable| label(variable, &format!("'{DATA_CLASS_LABEL}'")));
            let [new_level, old_level] = ["object", "oldObject"].map(|variable| label(variable, "key"));
            let suffixes = ["", "-version"];
            let keys = POD_SECURITY_MODES
                .iter()
                .flat_map(|mode| suffixes.map(|suffix| format!("'{POD_SECURITY_PREFIX}{mode}{suffix}'")));
            let keys = keys.collect::<Vec<_>>().join(", ");
            // Of a Namespace that is made or goes, the class label alone counts.
            let expression = format!(
                "{new} != {old} || (object != null && oldObject != null && {new} != '/' && \
                 [{keys}].exists(key, {new_level} != {old_level}))"
            );
            conditions.push(condition("class-or-pod-security-label-differs", expression));
        }
        Entry::Supply | Entry::SupplyUndeclared => conditions.push(mutating::may_miss(engines)),
        Entry::Declarations | Entry::Registry => {}
    }
    conditions
}

fn condition(name: &str, expression: String) -> MatchCondition {
    MatchCondition { name: name.to_owned(), expression }
}

/// A label of a variable; `/`, which no label can be, when there is none.
fn label(variable: &str, key: &str) -> String {
    format!(
        "({variable} != null && has({variable}.metadata.labels) && {key} in {variable}.metadata.labels ? \
         string({variable}.metadata.labels[{key}]) : '/')"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn options<T>(of: impl Fn(&Options<'_>) -> T) -> T {
        let system_namespaces =
            ["amanat-system", "kube-node-lease", "kube-public", "kube-system"].map(str::to_owned).into();
        of(&Options {
            system_namespaces: &system_namespaces,
            endpoint: &Endpoint::Service { namespace: "amanat-system".to_owned(), name: "amanat-webhook".to_owned() },
            ca_bundle: b"CA",
            anchor_name: "amanat-anchor",
            anchor_uid: "0-1",
            engines: None,
        })
    }

    fn configuration() -> ValidatingWebhookConfiguration {
        options(webhook_configuration)
    }

    fn webhook_of(entry: Entry) -> ValidatingWebhook {
        let webhooks = configuration().webhooks.unwrap();
        webhooks.into_iter().find(|webhook| webhook.name == format!("{entry}.webhook.amanat.dev")).unwrap()
    }

    type Triples = BTreeSet<(String, String, String)>;

    fn triples(entry: Entry) -> Triples {
        let mut triples = Triples::new();
        for rule in webhook_of(entry).rules.unwrap() {
            for group in rule.api_groups.as_deref().unwrap() {
                for resource in rule.resources.as_deref().unwrap() {
                    for operation in rule.operations.as_deref().unwrap() {
                        triples.insert((group.clone(), resource.clone(), operation.clone()));
                    }
                }
            }
        }
        triples
    }

    /// Written without the generator's help, so that both would have to be wrong.
    fn declared(kinds: impl Fn(Kind) -> bool) -> Triples {
        let mut triples = Triples::new();
        for control in catalogue::ALL {
            for judges in control.judges {
                for kind in judges.kinds.iter().copied().filter(|kind| kinds(*kind)) {
                    for operation in judges.operations {
                        let triple =
                            |resource: String| (kind.group().to_owned(), resource, operation.as_str().to_owned());
                        triples.insert(triple(kind.plural().to_owned()));
                        for subresource in judges.subresources {
                            triples.insert(triple(format!("{}/{subresource}", kind.plural())));
                        }
                    }
                }
            }
        }
        triples
    }

    #[test]
    fn rules_are_what_controls_judge() {
        let elsewhere = [Kind::Namespace, Kind::CloudWorkload];
        let workloads = declared(|kind| !elsewhere.contains(&kind));
        assert_eq!(triples(Entry::Governed), workloads);
        assert_eq!(triples(Entry::Undeclared), workloads);
        assert_eq!(triples(Entry::Namespaces), declared(|kind| kind == Kind::Namespace));
        assert_eq!(triples(Entry::Declarations), declared(|kind| kind == Kind::CloudWorkload));
        for (resource, operation) in [("pods/*", "UPDATE"), ("cronjobs", "CREATE"), ("deployments/scale", "UPDATE")] {
            assert!(workloads.iter().any(|(_, r, o)| r == resource && o == operation), "{resource} {operation}");
        }
        assert!(triples(Entry::Namespaces).iter().any(|(_, resource, _)| resource == "namespaces/finalize"));
    }

    #[test]
    fn undeclared_stands_before_governed_and_both_match_the_same() {
        let names: Vec<_> = configuration().webhooks.unwrap().into_iter().map(|webhook| webhook.name).collect();
        let at = |name: &str| names.iter().position(|known| known.starts_with(name)).unwrap();
        assert!(at("undeclared") < at("governed"), "{names:?}");
        let (undeclared, governed) = (webhook_of(Entry::Undeclared), webhook_of(Entry::Governed));
        assert_eq!(undeclared.rules, governed.rules);
        assert_eq!(undeclared.match_conditions, governed.match_conditions);
    }

    #[test]
    fn a_url_gets_the_path_of_the_entry() {
        let config = Endpoint::Url("https://127.0.0.1:9443/".to_owned()).client_config(Entry::Governed, b"CA");
        assert_eq!(config.url.as_deref(), Some("https://127.0.0.1:9443/validate/governed"));
        assert!(config.service.is_none());
    }

    #[test]
    fn the_whole_configuration() {
        insta::assert_yaml_snapshot!(configuration());
    }
}
