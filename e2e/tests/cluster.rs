//! The cluster tests: named cases on one shared control plane.

#![allow(clippy::disallowed_methods, reason = "the tables of some topics are files")]

mod cases;

fn main() -> anyhow::Result<std::process::ExitCode> {
    e2e::case::run(cases::all())
}
