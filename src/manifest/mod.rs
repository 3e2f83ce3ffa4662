//! Manifests as text: YAML streams and JSON to nodes that know their place, and to JSON values.
//!
//! A manifest means here what it means to `kubectl`: plain scalars are resolved by its rules (`yes` and `on` are
//! booleans, `0444` is 292, `2026-01-01` stays a string), merge keys merge in its order, keys that are numbers or
//! booleans become strings, documents that hold nothing don't count. A control would otherwise judge another object
//! than the one the cluster gets. Where an answer differs it is an error: a key written twice, a `!!binary` tag and a
//! line break that only some readers see are refused.
//!
//! Text comes from strangers: [`Limits`] bounds bytes, depth, documents, nodes and what aliases copy, and nothing
//! recurses deeper than [`Limits::depth`].

mod compose;
mod error;
mod items;
mod limits;
mod mapping;
mod node;
mod reader;
mod scalar;

pub use error::{Place, ReadError, ReadErrorKind};
pub use items::{Item, items};
pub use limits::Limits;
pub use node::{Node, NodeKind, Step};
pub use reader::{Document, read, read_bytes};
