//! `amanat baseline show`

use clap::{Args, Subcommand};

use super::{Error, Status, output};

/// Arguments of `baseline`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amanat baseline show > baseline.yaml      a copy to start an own baseline from\n  \
                        amanat check --baseline baseline.yaml .   judge by it",
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct BaselineArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the shipped baseline
    #[command(after_help = "Examples:\n  amanat baseline show | less")]
    Show,
}

pub(super) fn run(args: &BaselineArgs) -> Result<Status, Error> {
    match args.action {
        Action::Show => output::print(crate::baseline::SHIPPED)?,
    }
    Ok(Status::Clean)
}
