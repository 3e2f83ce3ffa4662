//! The cluster tests: named cases on one shared control plane.

mod cases;

fn main() -> anyhow::Result<std::process::ExitCode> {
    e2e::case::run(cases::all())
}
