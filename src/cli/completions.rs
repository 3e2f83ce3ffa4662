//! `amanat completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Error, Status, output};

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  amanat completions bash > /etc/bash_completion.d/amanat\n  \
                        source <(amanat completions zsh)\n  \
                        amanat completions fish > ~/.config/fish/completions/amanat.fish\n  \
                        amanat completions powershell | Out-String | Invoke-Expression")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<Status, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "amanat", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Clean)
}
