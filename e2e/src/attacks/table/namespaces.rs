//! Namespaces: what governs one.

use super::attack;
use crate::attacks::Standing::{Held, Partly};
use crate::attacks::{Attack, Who};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        'b',
        16,
        "Labels that exempt a namespace elsewhere, set on one's own",
        Who::NamespaceAdmin,
        &[
            "b16_labels_that_exempt_elsewhere",
            "b17_b18_the_class_label_by_status_and_finalize",
            "b17_b18_pod_security_labels_by_status_and_finalize",
        ],
        Held,
    ),
    attack(
        'b',
        17,
        "The namespace's labels, by `namespaces/status`",
        Who::NamespaceAdmin,
        &["b17_b18_the_class_label_by_status_and_finalize", "b17_b18_pod_security_labels_by_status_and_finalize"],
        Held,
    ),
    attack(
        'b',
        18,
        "The namespace's labels, by `namespaces/finalize`",
        Who::NamespaceAdmin,
        &["b17_b18_the_class_label_by_status_and_finalize", "b17_b18_pod_security_labels_by_status_and_finalize"],
        Held,
    ),
    attack(
        'b',
        19,
        "Owners, finalizers, labels and annotations taken away that tie things to Amanat, or an owner put in that never was",
        Who::NamespaceAdmin,
        &["b19_owners_finalizers_and_annotations_removed"],
        Held,
    ),
    attack(
        'b',
        20,
        "A class for `kube-system` or Amanat's own namespace",
        Who::ClusterAdmin,
        &["b20_a_class_for_a_system_namespace"],
        Held,
    ),
    attack(
        'b',
        21,
        "A namespace that is made with exempting labels, or with a class",
        Who::ClusterAdmin,
        &["b21_a_namespace_made_with_exempting_labels", "downgrade: nobody but Amanat brings the class label"],
        Held,
    ),
    attack(
        'b',
        22,
        "A namespace whose name begins like a system namespace's",
        Who::ClusterAdmin,
        &["b22_names_like_those_of_system_namespaces"],
        Held,
    ),
    attack(
        'b',
        23,
        "A workload in the same breath as its namespace's class, before that is seen",
        Who::ClusterAdmin,
        &["b23_a_workload_before_its_class_is_seen"],
        Held,
    ),
    attack('b', 24, "A namespace that can't be looked up", Who::Circumstance, &["b24_a_look_up_that_fails"], Held),
    attack(
        'b',
        25,
        "A lower class for a namespace that holds data of a higher one",
        Who::NamespaceAdmin,
        &["b25_a_lower_class"],
        Partly("it is refused to everybody; a way by approval is not built yet"),
    ),
];
