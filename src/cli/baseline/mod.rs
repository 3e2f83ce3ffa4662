//! `amanat baseline show|lint|diff`

mod diff;
mod lint;
mod read;

use clap::{Args, Subcommand};

use super::{ColourWhen, Error, Status, output};

/// Arguments of `baseline`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amanat baseline show > baseline.yaml      a copy to start an own baseline from\n  \
                        amanat baseline lint baseline.yaml        is it sound, and is it what was meant\n  \
                        amanat baseline diff shipped baseline.yaml   what it tightens and what it loosens\n  \
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
    /// Tell what is wrong with baselines, and what is legal but unwise
    Lint(lint::LintArgs),
    /// Tell what a change of a baseline tightens and loosens
    Diff(diff::DiffArgs),
}

pub(super) fn run(args: &BaselineArgs, colour: ColourWhen) -> Result<Status, Error> {
    match &args.action {
        Action::Show => {
            output::print(crate::baseline::SHIPPED)?;
            Ok(Status::Clean)
        }
        Action::Lint(args) => lint::run(args, colour),
        Action::Diff(args) => diff::run(args, colour),
    }
}
