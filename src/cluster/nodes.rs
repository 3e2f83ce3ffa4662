//! What is kept of a node: a few fields, since nodes carry the names of all images that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node as Whole;

use crate::api::{DATA_CLASS_LABEL, JURISDICTION_LABEL, REGION_LABEL};
use crate::control::Node;

/// The labels that some control reads.
const LABELS: [&str; 2] = [JURISDICTION_LABEL, REGION_LABEL];

/// What placement reads of a node.
pub(super) fn essentials(node: Whole) -> Node {
    let mut labels = node.metadata.labels.unwrap_or_default();
    labels.retain(|key, _| LABELS.contains(&key.as_str()));
    let spec = node.spec.unwrap_or_default();
    let taints = spec.taints.unwrap_or_default();
    let pools = taints.into_iter().filter(|taint| taint.key == DATA_CLASS_LABEL && taint.effect != "PreferNoSchedule");
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    Node {
        labels,
        pools: pools.map(|taint| taint.value.unwrap_or_default()).collect(),
        takes_pods: ready && spec.unschedulable != Some(true),
    }
}

/// The different nodes that take Pods. Nodes come and go by the thousand; what they can take seldom changes.
pub(super) fn shapes(nodes: &BTreeMap<String, Arc<Node>>) -> BTreeSet<Arc<Node>> {
    nodes.values().filter(|node| node.takes_pods).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_takes_pods_when_it_is_ready_and_not_cordoned() {
        let node = |unschedulable: bool, ready: &str| {
            let node = json!({"metadata": {"labels": {JURISDICTION_LABEL: "PK", "kubernetes.io/hostname": "a"}},
                "spec": {"unschedulable": unschedulable, "taints": [
                    {"key": DATA_CLASS_LABEL, "value": "Secret", "effect": "NoSchedule"},
                    {"key": DATA_CLASS_LABEL, "value": "Open", "effect": "PreferNoSchedule"},
                    {"key": "other", "effect": "NoSchedule"}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            essentials(serde_json::from_value(node).unwrap())
        };
        let ready = node(false, "True");
        assert_eq!(ready.labels.len(), 1);
        assert_eq!(ready.pools, BTreeSet::from(["Secret".to_owned()]));
        assert!(ready.takes_pods);
        assert!(!node(true, "True").takes_pods);
        assert!(!node(false, "Unknown").takes_pods);
        assert!(!essentials(Whole::default()).takes_pods);
    }
}
