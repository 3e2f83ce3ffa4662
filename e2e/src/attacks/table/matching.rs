//! Matching: what the webhook is asked about.

use super::attack;
use crate::attacks::Standing::{Held, Later, Partly};
use crate::attacks::{Attack, Who};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        'a',
        1,
        "A violating init container or sidecar, beside containers that conform",
        Who::Tenant,
        &["a01_init_and_sidecar_containers"],
        Held,
    ),
    attack(
        'a',
        2,
        "A violating ephemeral container, by `pods/ephemeralcontainers`",
        Who::Tenant,
        &["a02_ephemeral_containers_by_their_subresource"],
        Held,
    ),
    attack(
        'a',
        3,
        "A resize beyond what the class allows, by `pods/resize`",
        Who::Tenant,
        &[
            "a03_a_resize_reaches_the_webhook",
            "bounds: workloads older than the class come back, and a resize beyond it is refused",
        ],
        Held,
    ),
    attack(
        'a',
        4,
        "A Pod subresource that Amanat doesn't know",
        Who::Tenant,
        &["a04_an_unknown_pod_subresource"],
        Held,
    ),
    attack(
        'a',
        5,
        "A workload made directly as any kind that has a Pod template",
        Who::Tenant,
        &["a05_every_workload_kind_made_directly"],
        Held,
    ),
    attack(
        'a',
        6,
        "An older API version of a kind",
        Who::Tenant,
        &["a06_older_versions_of_a_kind"],
        Partly(
            "the API server of the tests serves what is subscribed to in one version only, so the webhook's part is the subscription to equivalent versions; the command line reads older ones",
        ),
    ),
    attack(
        'a',
        7,
        "Pods made by a controller of one's own, with whatever owner they name",
        Who::Tenant,
        &["a07_pods_of_custom_controllers"],
        Held,
    ),
    attack(
        'a',
        8,
        "More Pods of an older template, by the scale subresource",
        Who::Tenant,
        &[
            "a08_scale_brings_no_other_template",
            "suspension: a suspended provider takes nothing new, and within the grace nothing stops",
        ],
        Partly(
            "a workload that is older than its class may be scaled: its template is what it was, and it stays until it is changed",
        ),
    ),
    attack(
        'a',
        9,
        "A shell or a tunnel into a Pod of a high class, by exec, attach or portforward",
        Who::Tenant,
        &[],
        Later(
            "nothing could be let in again: the control on it needs grants for emergencies, which are not built yet; roles are what keeps people out",
        ),
    ),
    attack('a', 10, "A node named by the Pod, or bound to it", Who::Tenant, &["a10_a_node_named_directly"], Held),
    attack(
        'a',
        11,
        "The annotation of a mirror Pod on one's own, and static Pods that a kubelet shows as such",
        Who::NamespaceAdmin,
        &["a11_mirror_pods_of_kubelets_and_of_others"],
        Partly(
            "a kubelet runs its static Pods whatever an API server says: theirs are admitted, and told in the audit log and metrics; reports are not built yet",
        ),
    ),
    attack(
        'a',
        12,
        "Each way to write: create, apply, replace, raw requests, and every type of patch",
        Who::Tenant,
        &["a12_every_way_to_write"],
        Held,
    ),
    attack(
        'a',
        13,
        "A dry run that leaves something, or is judged less",
        Who::Tenant,
        &["a13_a_dry_run_leaves_nothing"],
        Held,
    ),
    attack(
        'a',
        14,
        "An object without a name, or with one that is generated",
        Who::Tenant,
        &["a14_a_name_that_is_generated"],
        Held,
    ),
    attack(
        'a',
        15,
        "A violating object among others, in a List or one of many documents",
        Who::Tenant,
        &["a15_lists_and_many_documents"],
        Held,
    ),
];
