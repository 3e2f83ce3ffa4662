//! Which traffic flows.

pub mod default_deny;

pub use default_deny::DEFAULT_DENY;
