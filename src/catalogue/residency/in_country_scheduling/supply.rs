//! Keeps Pods that are made to nodes in the country, and lets them onto those that are kept for their class.

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Toleration};
use serde_json::json;

use super::TERMS;
use super::demand::{Demand, demands, is_empty};
use crate::api::DATA_CLASS_LABEL;
use crate::control::{Draft, Params, PodSpec, Supplying};

/// True of a Pod whose selector names a label, or each of whose terms does.
macro_rules! cel_names {
    ($label:literal) => {
        concat!(
            "(has(object.spec.nodeSelector) && '",
            $label,
            "' in object.spec.nodeSelector || has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && \
             has(object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution) && \
             object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms != null && \
             object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.size() > 0 && \
             object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.all(term, \
             has(term.matchExpressions) && term.matchExpressions.exists(expression, expression.key == '",
            $label,
            "')))"
        )
    };
}

/// True of the Pod of a DaemonSet: to those nothing is supplied.
macro_rules! cel_of_daemon_set {
    () => {
        "(has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(owner, \
         owner.kind == 'DaemonSet' && has(owner.controller) && owner.controller))"
    };
}

/// A Pod lacks the toleration when it names no taint of a class, and the affinity when it doesn't name the jurisdiction.
pub(super) const MISSING: &str = concat!(
    "!",
    cel_of_daemon_set!(),
    " && (!(has(object.spec.tolerations) && object.spec.tolerations.exists(toleration, \
     has(toleration.key) && toleration.key == 'amanat.dev/data-class')) || !",
    cel_names!("node-restriction.kubernetes.io/amanat-jurisdiction"),
    ")"
);

/// The same of the region.
pub(super) const MISSING_REGION: &str =
    concat!("!", cel_of_daemon_set!(), " && !", cel_names!("topology.kubernetes.io/region"));

pub(super) fn fill(supplying: &Supplying<'_>, params: &Params, draft: &mut Draft<'_>) {
    let Some(demands) = demands(params).filter(|_| !draft.of_daemon_set) else { return };
    let selector = draft.spec.node_selector.as_ref();
    let selects = |label: &str| selector.is_some_and(|selector| selector.contains_key(label));
    let left = demands.iter().filter(|demand| !selects(demand.label));
    // Where no value is allowed, there is nothing to ask for.
    let requirements = left.map(Demand::requirement).collect::<Option<Vec<_>>>().unwrap_or_default();
    if !requirements.is_empty() {
        affinity(requirements, draft);
    }
    toleration(supplying.class(), draft);
}

/// Adds the requirements to the required node affinity.
fn affinity(requirements: Vec<NodeSelectorRequirement>, draft: &mut Draft<'_>) {
    let affinity = draft.spec.affinity.as_ref();
    let of_nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = of_nodes.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    if required.is_some_and(|required| !required.node_selector_terms.is_empty()) {
        return every_term(&requirements, draft);
    }
    let there = [affinity.is_some(), of_nodes.is_some(), required.is_some()].into_iter().filter(|there| *there).count();
    let term = NodeSelectorTerm { match_expressions: Some(requirements), match_fields: None };
    let (path, below) = TERMS.split_at(there.saturating_add(1).min(TERMS.len()));
    let value = below.iter().rev().fold(json!([term]), |value, field| json!({ *field: value }));
    draft.add(format!("/spec/{}", path.join("/")), value);
    *terms(draft.spec) = vec![term];
}

/// Adds to every term what it lacks. A label that it names is left as it is, and one that is empty selects nothing.
fn every_term(requirements: &[NodeSelectorRequirement], draft: &mut Draft<'_>) {
    let mut edits = Vec::new();
    for (index, term) in terms(draft.spec).iter_mut().enumerate().filter(|(_, term)| !is_empty(term)) {
        let expressions = term.match_expressions.get_or_insert_default();
        let names = |label: &str| expressions.iter().any(|expression| expression.key == label);
        let lacking: Vec<_> = requirements.iter().filter(|requirement| !names(&requirement.key)).cloned().collect();
        let path = format!("/spec/{}/{index}/matchExpressions", TERMS.join("/"));
        if expressions.is_empty() {
            edits.push((path, json!(lacking)));
        } else {
            edits.extend(lacking.iter().map(|requirement| (format!("{path}/-"), json!(requirement))));
        }
        expressions.extend(lacking);
    }
    for (path, value) in edits {
        draft.add(path, value);
    }
}

fn terms(spec: &mut PodSpec) -> &mut Vec<NodeSelectorTerm> {
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    &mut affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default().node_selector_terms
}

/// Adds the toleration of the class's taint, whatever it does to other Pods, where no taint of a class is named.
fn toleration(class: &str, draft: &mut Draft<'_>) {
    let tolerations = draft.spec.tolerations.get_or_insert_default();
    if tolerations.iter().any(|toleration| toleration.key.as_deref() == Some(DATA_CLASS_LABEL)) {
        return;
    }
    let toleration = Toleration {
        key: Some(DATA_CLASS_LABEL.to_owned()),
        operator: Some("Equal".to_owned()),
        value: Some(class.to_owned()),
        ..Toleration::default()
    };
    let (path, value) = match tolerations.is_empty() {
        true => ("/spec/tolerations", json!([toleration])),
        false => ("/spec/tolerations/-", json!(toleration)),
    };
    tolerations.push(toleration);
    draft.add(path, value);
}
