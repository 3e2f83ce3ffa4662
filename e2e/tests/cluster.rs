//! The cluster tests: named cases on one shared control plane.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests wait by the clock, read tables from files and index JSON"
)]

mod cases;

fn main() -> anyhow::Result<std::process::ExitCode> {
    e2e::case::run(cases::all())
}
