//! Amanat: a namespace declares which class of government data it holds; Amanat refuses what that class's
//! security baseline forbids, builds what it requires, and gives the same answers offline.
//!
//! The modules in the order in which they may use each other: each uses only what stands above it, and a test
//! (`tests/layers.rs`) reads the `use` lines against this table.
//!
//! | module | what | pure |
//! |---|---|---|
//! | [`manifest`] | YAML and JSON text to nodes with places to values | yes |
//! | [`api`] | the kinds of `amanat.dev`: one file a kind | yes |
//! | [`control`] | the vocabulary: control, subject, field path, finding, effect, parameters, context | yes |
//! | [`catalogue`] | what can be demanded: one file a control | yes |
//! | [`baseline`] | the shipped regime; loading and joining | yes |
//! | [`engine`] | compile, governance, evaluate, compare | yes |
//! | [`report`] | findings as text and JSON, and the text of a denial | yes |
//! | `cluster` | watches to the index, the live look-up, election, server-side apply | no |
//! | `admission` | decode, route, respond | no |
//! | `reconcile` | dereference, validate, build, apply, status: one folder a kind | no |
//! | `serve` | TLS, accept loop and drain, health, metrics | no |
//! | `cli` | one file a command | no |

#[cfg(feature = "operator")]
pub mod admission;
pub mod api;
pub mod baseline;
pub mod catalogue;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "operator")]
pub mod cluster;
pub mod control;
pub mod engine;
pub mod manifest;
#[cfg(feature = "operator")]
pub mod reconcile;
pub mod report;
#[cfg(feature = "operator")]
pub mod serve;
