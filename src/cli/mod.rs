//! The command line: one file a command.

mod baseline;
pub mod check;
mod completions;
mod context;
mod controls;
mod crds;
mod explain;
pub mod inputs;
#[cfg(test)]
#[cfg(feature = "operator")]
mod instants;
mod judge;
mod objects;
#[cfg(feature = "operator")]
pub mod operator;
mod output;
mod regime;

use std::sync::LazyLock;

use clap::{Parser, Subcommand};

pub use output::ColourWhen;

/// The newest Kubernetes API that manifests are decoded by.
const KUBERNETES: &str = "v1.37";
/// Name and version of the shipped baseline.
const SHIPPED: &str = "pakistan-cloud-first-2022 1";

static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{}\nshipped baseline: {SHIPPED}\nKubernetes API: {KUBERNETES}", env!("CARGO_PKG_VERSION"))
});

/// Everything that the command line can say.
#[derive(Debug, Parser)]
#[command(
    name = "amanat",
    version = VERSION.as_str(),
    about = "Keeps classified government data where its class permits: refuses, builds, proves, and says the same offline.",
    after_help = "Examples:\n  amanat check manifests/                     judge a folder as the webhook would\n  \
                  amanat check --class Restricted app.yaml    judge a file without its CloudWorkload\n  \
                  amanat explain image/digest-pinned          what a control demands, and why\n\n\
                  Exit status: 0 nothing is refused, 1 findings, 2 a wrong argument or an unreadable input.",
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Whether to colour the output; NO_COLOR is heeded by `auto`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: ColourWhen,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge manifests with the webhook's engine
    Check(check::CheckArgs),
    /// Print the page of a control, or list the controls
    Explain(explain::ExplainArgs),
    /// List the catalogue: effects per class, parameters, frameworks
    Controls(controls::ControlsArgs),
    /// Print the CustomResourceDefinitions
    Crds(crds::CrdsArgs),
    /// Show, lint and compare baselines
    Baseline(baseline::BaselineArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Run the webhook and the reconcilers
    #[cfg(feature = "operator")]
    Operator(operator::OperatorArgs),
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments are wrong; says what to write instead.
    #[error("{0}")]
    Usage(String),
    /// Standard output could not be written.
    #[error("can't write the output: {0}")]
    Output(std::io::Error),
    /// Something that this binary carries is broken.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Output(_) => "output",
            Self::Internal(_) => "internal",
        }
    }
}

/// How a command ended, for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0: done, and nothing fails.
    Clean,
    /// 1: something fails.
    Findings,
    /// 2: something could not be read or judged.
    Unreadable,
}

impl Status {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Unreadable => 2,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// When the command could not do its work; the exit status is 2.
pub fn run(cli: &Cli) -> Result<Status, Error> {
    match &cli.command {
        Command::Check(args) => check::run(args, cli.color),
        Command::Explain(args) => explain::run(args, cli.color),
        Command::Controls(args) => controls::run(args, cli.color),
        Command::Crds(args) => crds::run(args),
        Command::Baseline(args) => baseline::run(args, cli.color),
        Command::Completions(args) => completions::run(args),
        #[cfg(feature = "operator")]
        Command::Operator(args) => operator::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_names_what_ships() {
        let shipped = crate::baseline::shipped().unwrap();
        assert_eq!(format!("{} {}", shipped.metadata.name.unwrap(), shipped.spec.version), SHIPPED);
        assert_eq!(shipped.spec.pod_security_version.as_deref(), Some(KUBERNETES));
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  amanat "), "{}", command.get_name());
        }
    }
}
