//! Tampering with Amanat itself.

use super::attack;
use crate::attacks::Standing::{Held, Later, Partly};
use crate::attacks::{Attack, Who};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        'g',
        53,
        "The webhook configuration weakened or deleted",
        Who::ClusterAdmin,
        &["g53_a_webhook_configuration_weakened_or_deleted", "g54_what_amanat_stands_on_scaled_changed_or_deleted"],
        Partly(
            "who may delete the guard can; it is healed. A configuration in the API server's own files is for who runs the API server",
        ),
    ),
    attack(
        'g',
        54,
        "Amanat's Deployment scaled to nothing, its Service or its budget deleted",
        Who::ClusterAdmin,
        &[
            "g54_what_amanat_stands_on_scaled_changed_or_deleted",
            "self-protection: with every replica down both policies hold, and nothing else is closed",
            "lifecycle: with Pods in the cluster the chart rolls out, goes back, and goes by every way",
            "outage: with every replica killed, governed namespaces are closed and nothing else is",
        ],
        Held,
    ),
    attack('g', 55, "A report rewritten by who it is about", Who::Tenant, &[], Later("reports are not built yet")),
    attack(
        'g',
        56,
        "The matrix of classes, the registry or a status, changed by a tenant",
        Who::NamespaceAdmin,
        &[
            "g56_a_matrix_changed_by_a_tenant",
            "baseline: one that doesn't compile is refused, with what is wrong and what was meant",
        ],
        Partly(
            "an administrator may change them, and is told what doesn't compile; approval by a second one is not built yet",
        ),
    ),
    attack(
        'g',
        57,
        "The operator's own ServiceAccount, in other hands",
        Who::Stranger,
        &["g57_what_the_operator_may_do"],
        Partly(
            "its rights reach nothing but what it does, and that is much: whoever acts as it writes class labels and deletes what closes namespaces. The roles admin and edit in Amanat's own namespace let their holders act as it: give them to nobody there",
        ),
    ),
    attack(
        'g',
        58,
        "Values that break a format they are printed in: HTML, terminals, logs, CSV, XML",
        Who::Tenant,
        &[
            "g58_values_reach_no_log_event_or_metric",
            "g58_names_and_users_that_steer_a_terminal",
            "tests/admission/secrecy.rs: g58_names_and_users_move_no_cursor",
            "src/report/escape.rs: nothing_acts_on_a_terminal",
            "src/report/denial.rs: a_line_stays_one_line_of_bounded_length",
            "src/report/tests.rs: colours_are_all_that_acts_on_the_terminal",
            "tests/cli/bad_input.rs: nothing_of_a_name_acts_on_the_terminal",
        ],
        Partly("SARIF, JUnit, CSV and HTML are not written yet"),
    ),
];
