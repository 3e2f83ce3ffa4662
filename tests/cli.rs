//! The binary as a user meets it: exit statuses, messages, formats.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what doesn't hold ends the test")]
#![expect(clippy::disallowed_methods, reason = "it writes and reads files")]

#[path = "cli/folder.rs"]
mod folder;

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/baselines.rs"]
mod baselines;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/inputs.rs"]
mod inputs;
#[path = "cli/statuses.rs"]
mod statuses;
