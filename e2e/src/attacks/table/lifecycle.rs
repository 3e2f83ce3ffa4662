//! Lifecycle: what is old, and what ends.

use super::attack;
use crate::attacks::Standing::{Held, Partly};
use crate::attacks::{Attack, Who};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        'c',
        26,
        "An object held by a finalizer, deleted, and then edited",
        Who::Tenant,
        &["c26_an_object_that_is_about_to_end"],
        Held,
    ),
    attack(
        'c',
        27,
        "Finalizers and metadata of a violation that is older than its class, which must change freely",
        Who::Tenant,
        &["c27_finalizers_and_metadata_of_old_violations"],
        Held,
    ),
    attack(
        'c',
        28,
        "Deletion of such a violation, which must work",
        Who::Tenant,
        &["c28_deletion_of_old_violations"],
        Held,
    ),
    attack(
        'c',
        29,
        "What is built for a namespace, changed or deleted",
        Who::NamespaceAdmin,
        &[
            "c29_built_policies_edited_and_deleted_by_a_tenant",
            "drift: a NetworkPolicy that an administrator edits or deletes is back",
            "drift: the pod-security labels of a namespace are back",
            "c29_built_bounds_changed_and_deleted_by_a_tenant",
        ],
        Partly("a NetworkPolicy of the tenant's own that opens more is not judged yet: such policies add up"),
    ),
    attack(
        'c',
        30,
        "A namespace that ends, whose NetworkPolicies go before its Pods",
        Who::Tenant,
        &["c30_network_policies_outlive_pods"],
        Partly(
            "the control plane's order of deletion decides, not Amanat: where Kubernetes has `OrderedNamespaceDeletion`, stable since 1.34, Pods go first",
        ),
    ),
    attack(
        'c',
        31,
        "The declaration deleted, with any cascade",
        Who::NamespaceAdmin,
        &["c31_a_declaration_deleted_by_every_cascade", "downgrade: the CloudWorkload of a living namespace stays"],
        Held,
    ),
    attack(
        'c',
        32,
        "A new image for a violation that is older than its class",
        Who::Tenant,
        &["c32_an_image_change_of_an_old_violation", "c27_finalizers_and_metadata_of_old_violations"],
        Held,
    ),
];
