//! The cases by topic: a file and a line each.

use e2e::case::Case;

mod audit;
mod control_plane;
mod declared;
mod downgrade;
mod harness;
mod kinds;
mod options;
mod placement;
mod pod_security;
mod says;
mod updates;
mod yaml;

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let topics = [
        control_plane::cases(),
        harness::cases(),
        options::cases(),
        kinds::cases(),
        yaml::cases(),
        declared::cases(),
        placement::cases(),
        downgrade::cases(),
        updates::cases(),
        audit::cases(),
        pod_security::cases(),
    ];
    topics.into_iter().flatten().collect()
}
