//! Admission: read the envelope, find out how the namespace stands, decode, decide, answer.

mod decide;
mod entry;
mod envelope;
mod exits;
mod gate;
mod metrics;
mod panics;
mod registry;
mod respond;
mod room;
mod route;
pub mod rules;
mod standing;
mod state;
mod undecodable;

use std::time::Duration;

pub use entry::Entry;
pub use metrics::Metrics;
pub use panics::log_panics_without_content;
pub use route::router;
pub use rules::webhook_configuration;
pub use state::AdmissionState;

/// Bytes of a body: two objects of three mebibytes, the most that etcd is told to take, and what is around them.
pub const BODY_LIMIT: usize = 7 * 1_024 * 1_024;
/// How long a body may take to arrive.
pub(crate) const BODY_DEADLINE: Duration = Duration::from_secs(10);
