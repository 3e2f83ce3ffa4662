//! The regime as data: the shipped baseline, reading one strictly, and joining overlays to it.

mod cells;
pub mod diff;
mod effective;
pub mod lint;
mod load;
mod resolve;

pub use effective::{ControlTerms, Effective, Mode, Problem, Problems, Terms};
pub use load::{LoadError, load, load_value};
pub(crate) use resolve::unknown;
use resolve::{NEWEST_POD_SECURITY, is_newer};

use crate::api::SecurityBaseline;

/// The shipped baseline as text: Pakistan's Cloud First Policy of 2022.
pub const SHIPPED: &str = include_str!("pakistan-cloud-first-2022.yaml");

/// The shipped baseline. Approved registries are left to the installation.
///
/// # Errors
/// None in a released binary: a test reads it.
pub fn shipped() -> Result<SecurityBaseline, Vec<LoadError>> {
    load(SHIPPED)
}

#[cfg(test)]
mod tests;
