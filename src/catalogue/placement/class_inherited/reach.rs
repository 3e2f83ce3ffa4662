//! Which namespaces names and selectors reach.

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use super::Within;
use crate::api::DATA_CLASS_LABEL;
use crate::catalogue::network::default_deny::{is_everything, peers_in_force};
use crate::control::{Finding, Lookup, Sink};

/// The label that the API server puts on every namespace, and that nobody can change.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The namespaces that a DNS name may lead into, each with whether the name is the cluster's by its domain. A cluster may
/// have a domain of its own, so that `a.b.svc.example.org` can be either.
pub(super) fn namespaces_of_name(name: &str) -> Vec<(String, bool)> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = name.split('.').collect();
    let mut found = Vec::new();
    for (position, window) in labels.windows(3).enumerate() {
        let [_, namespace, "svc" | "pod"] = window else { continue };
        let domain = labels.get(position.saturating_add(3)..).unwrap_or_default();
        found.push(((*namespace).to_owned(), matches!(domain, [] | ["cluster", "local"])));
    }
    found
}

/// The only values that a label may have for a selector to match; none when it may have others.
fn values<'s>(selector: &'s LabelSelector, key: &str) -> Option<BTreeSet<&'s str>> {
    let by_label = selector.match_labels.iter().flatten().filter(|(known, _)| known.as_str() == key);
    let by_label = by_label.map(|(_, value)| BTreeSet::from([value.as_str()]));
    let expressions = selector.match_expressions.iter().flatten();
    let by_expression = expressions.filter(|expression| expression.key == key && expression.operator == "In");
    let by_expression =
        by_expression.map(|expression| expression.values.iter().flatten().map(String::as_str).collect());
    // All of them have to hold.
    by_label.chain(by_expression).reduce(|a: BTreeSet<&str>, b| a.intersection(&b).copied().collect())
}

impl Within<'_> {
    /// The peers of a NetworkPolicy. One that is every namespace is another control's business.
    pub(super) fn peers(&self, spec: &NetworkPolicySpec, sink: &mut Sink) {
        for (path, peers) in peers_in_force(spec) {
            for (index, peer) in peers.iter().enumerate() {
                let Some(selector) = peer.namespace_selector.as_ref().filter(|one| !is_everything(one)) else {
                    continue;
                };
                let Some(message) = self.beyond(selector, sink) else { continue };
                let fix = format!(
                    "add {DATA_CLASS_LABEL}: {} to the selector, name namespaces of that class by {NAME_LABEL}, or ask \
                     for the flow in spec.network of the namespace's CloudWorkload",
                    self.class
                );
                let path = path.clone().index(index).field("namespaceSelector");
                sink.push(Finding::new(path, message, fix).value(json!(selector)));
            }
        }
    }

    /// How a selector reaches beyond the class, if it does.
    fn beyond(&self, selector: &LabelSelector, sink: &mut Sink) -> Option<String> {
        let classes = values(selector, DATA_CLASS_LABEL);
        if classes.as_ref().is_some_and(|classes| classes.iter().all(|class| *class == self.class)) {
            return None;
        }
        if let Some(names) = values(selector, NAME_LABEL) {
            // Nothing is guarded in a namespace without a class: the cluster's DNS, a collector of metrics.
            let guarded = |name: &&str| self.case.context.class_of(name) != Lookup::Absent;
            let why = names.into_iter().filter(guarded).find_map(|name| self.another(name, sink));
            return why.map(|why| format!("it reaches {why}"));
        }
        Some(match classes {
            Some(classes) => {
                let others = classes.into_iter().filter(|class| *class != self.class).collect::<Vec<_>>().join(", ");
                format!("it reaches namespaces of another class than {}: {others}", self.class)
            }
            None => format!("namespaces of another class than {} may have these labels", self.class),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_lead_into() {
        let table: &[(&str, &[(&str, bool)])] = &[
            ("mail.example.gov.pk", &[]),
            ("svc.cluster.local", &[]),
            ("api.svc.example.org", &[]),
            ("a.b.svc.cluster.local", &[("b", true)]),
            ("A.B.SVC.Cluster.Local.", &[("b", true)]),
            ("a.b.svc", &[("b", true)]),
            ("web-0.a.b.svc.cluster.local", &[("b", true)]),
            ("10-0-0-1.b.pod.cluster.local", &[("b", true)]),
            ("_http._tcp.a.b.svc.cluster.local", &[("b", true)]),
            ("a.b.svc.k8s.example.org", &[("b", false)]),
            ("x.svc.svc.cluster.local", &[("svc", true)]),
            ("a.b.svc.svc.example.org", &[("b", false), ("svc", false)]),
        ];
        for (name, expected) in table {
            let found = namespaces_of_name(name);
            let found: Vec<(&str, bool)> = found.iter().map(|(name, certain)| (name.as_str(), *certain)).collect();
            assert_eq!(found, *expected, "{name}");
        }
    }

    #[test]
    fn what_a_selector_leaves_open() {
        let of = |selector: serde_json::Value| -> Option<Vec<String>> {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            values(&selector, "k").map(|values| values.into_iter().map(str::to_owned).collect())
        };
        let one = |operator: &str, list: &[&str]| json!({"key": "k", "operator": operator, "values": list});
        let given = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"matchLabels": {"other": "x"}})), None);
        assert_eq!(of(json!({"matchLabels": {"k": "x"}})), given(&["x"]));
        assert_eq!(of(json!({"matchExpressions": [one("In", &["x", "y"])]})), given(&["x", "y"]));
        assert_eq!(of(json!({"matchExpressions": [one("NotIn", &["x"])]})), None);
        assert_eq!(of(json!({"matchLabels": {"k": "x"}, "matchExpressions": [one("In", &["y"])]})), given(&[]));
    }
}
