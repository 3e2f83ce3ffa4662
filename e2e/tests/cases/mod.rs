//! The cases by topic: a file and a line each.

use e2e::case::Case;

mod attacks;
mod audit;
mod baseline;
mod certificates;
mod cold_start;
mod control_plane;
mod declared;
mod downgrade;
mod drift;
mod endpoints;
mod flow_control;
mod gitops;
mod given;
mod harness;
mod hostile;
mod hostile_bytes;
mod kinds;
mod lifecycle;
mod options;
mod order;
mod outage;
mod placement;
mod pod_security;
mod pressure;
mod recorder;
mod resource_bounds;
mod rollout;
mod says;
mod self_protection;
#[path = "../../../tests/support/sent.rs"]
mod sent;
mod supply;
mod suspension;
mod tokens;
mod updates;
mod yaml;

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let topics = [
        attacks::cases(),
        control_plane::cases(),
        harness::cases(),
        options::cases(),
        lifecycle::cases(),
        kinds::cases(),
        yaml::cases(),
        declared::cases(),
        placement::cases(),
        downgrade::cases(),
        updates::cases(),
        audit::cases(),
        drift::cases(),
        suspension::cases(),
        hostile::cases(),
        hostile_bytes::cases(),
        pod_security::cases(),
        resource_bounds::cases(),
        supply::cases(),
        tokens::cases(),
        order::cases(),
        rollout::cases(),
        outage::cases(),
        baseline::cases(),
        certificates::cases(),
        gitops::cases(),
        endpoints::cases(),
        flow_control::cases(),
        cold_start::cases(),
        pressure::cases(),
        self_protection::cases(),
    ];
    topics.into_iter().flatten().collect()
}
