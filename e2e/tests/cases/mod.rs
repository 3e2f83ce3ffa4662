//! The cases by topic: a file and a line each.

use e2e::case::Case;

mod control_plane;
mod harness;
mod options;

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    [control_plane::cases(), harness::cases(), options::cases()].into_iter().flatten().collect()
}
