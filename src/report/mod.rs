//! What users are told: findings as text and JSON, and the text of a denial.

pub mod denial;
mod escape;
pub mod json;
mod model;
mod place;
pub mod text;

pub(crate) use escape::escape_json;
pub use escape::{escape, shorten};
pub use model::{Counts, Entry, InputError, Notice, ObjectRef, Report, Source, Unassessed};
pub use place::{locate, locate_text};

#[cfg(test)]
mod tests;
