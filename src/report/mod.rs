//! What users are told: findings as text and JSON, and the text of a denial.

pub mod denial;
mod escape;

pub use escape::escape;
