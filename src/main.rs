//! Arguments, dispatch and the exit status.

use std::process::ExitCode;

use amanat::cli::{Cli, run};
use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no errors: they go to standard output and end with 0.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(&matches) {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    let cli = Cli::from_arg_matches(matches)?;
    Ok(ExitCode::from(run(&cli)?.code()))
}

/// As a plugin of kubectl it is called `kubectl amanat`, and says so in its usage.
fn command() -> clap::Command {
    let plugin = std::env::args_os()
        .next()
        .is_some_and(|name| std::path::Path::new(&name).file_stem().is_some_and(|stem| stem == "kubectl-amanat"));
    let command = Cli::command();
    if plugin { command.bin_name("kubectl amanat") } else { command }
}
