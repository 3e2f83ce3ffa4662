//! What is demanded of the nodes that a Pod may go to.

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use crate::api::{JURISDICTION_LABEL, REGION_LABEL};
use crate::control::{Node, Params, PodSpec};

/// The parameter of the allowed jurisdictions.
pub(super) const JURISDICTIONS: &str = "allowedJurisdictions";
/// The parameter of the allowed regions.
pub(super) const REGIONS: &str = "regions";

/// One label of nodes and the values that it may have.
pub(super) struct Demand<'a> {
    pub(super) label: &'static str,
    allowed: &'a [String],
}

/// What the parameters demand; nothing, when they don't say which jurisdictions are allowed.
pub(super) fn demands(params: &Params) -> Option<Vec<Demand<'_>>> {
    let jurisdiction = Demand { label: JURISDICTION_LABEL, allowed: params.strings(JURISDICTIONS)? };
    let region = params.strings(REGIONS).map(|allowed| Demand { label: REGION_LABEL, allowed });
    Some([Some(jurisdiction), region].into_iter().flatten().collect())
}

impl Demand<'_> {
    pub(super) fn allows(&self, value: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == value)
    }

    /// True of an expression that only nodes meet that the demand allows.
    pub(super) fn is_met_by(&self, expression: &NodeSelectorRequirement) -> bool {
        let values = expression.values.as_deref().unwrap_or_default();
        expression.key == self.label
            && expression.operator == "In"
            && !values.is_empty()
            && values.iter().all(|value| self.allows(value))
    }

    /// The expression that demands it; none, when no value is allowed: there is no such expression.
    pub(super) fn requirement(&self) -> Option<NodeSelectorRequirement> {
        (!self.allowed.is_empty()).then(|| NodeSelectorRequirement {
            key: self.label.to_owned(),
            operator: "In".to_owned(),
            values: Some(self.allowed.to_vec()),
        })
    }

    /// The allowed values, for messages.
    pub(super) fn words(&self) -> String {
        if self.allowed.is_empty() { "nowhere".to_owned() } else { self.allowed.join(", ") }
    }

    /// The expression, for messages.
    pub(super) fn expression(&self) -> String {
        format!("{{key: {}, operator: In, values: [{}]}}", self.label, self.allowed.join(", "))
    }
}

/// The terms of the required node affinity, if there is one.
pub(super) fn required_terms(spec: &PodSpec) -> Option<&[NodeSelectorTerm]> {
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    Some(&required.node_selector_terms)
}

/// A term without expressions and fields selects no node.
pub(super) fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.iter().flatten().next().is_none() && term.match_fields.iter().flatten().next().is_none()
}

/// True of a node that takes Pods, and those of a class, as far as the parameters allow it.
pub fn fits(node: &Node, class: &str, params: &Params) -> bool {
    let meets = |demand: &Demand<'_>| node.labels.get(demand.label).is_some_and(|value| demand.allows(value));
    node.takes_pods
        && node.pools.iter().all(|pool| pool == class)
        && demands(params).is_some_and(|demands| demands.iter().all(meets))
}

/// The command that makes a node take Pods.
pub fn how_to_label(params: &Params) -> String {
    let demands = demands(params).unwrap_or_default();
    let labels = demands.iter().filter_map(|demand| Some(format!(" {}={}", demand.label, demand.allowed.first()?)));
    format!("kubectl label node NAME{}", labels.collect::<String>())
}
