//! A cluster on this machine for Amanat: its demo, what it costs, or just the cluster.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Amanat on a real Kubernetes control plane on this machine: no containers, no root, nothing left behind.
///
/// The control plane is built with Go once, and cached. With E2E_KUBECONFIG the cluster that it names is used instead.
#[derive(Parser)]
#[command(
    name = "e2e",
    after_help = "Examples:\n  cargo run -p e2e -- demo\n  cargo run -p e2e -- demo --keep\n  cargo run -p e2e -- up\n  cargo run -p e2e -- bench"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what Amanat does.
    Demo {
        /// Leave the cluster up afterwards, until Ctrl-C.
        #[arg(long)]
        keep: bool,
    },
    /// Starts a cluster alone, and prints its kubeconfig; it stays until Ctrl-C.
    Up,
    /// Measures what a decision costs.
    Bench(e2e::bench::Options),
    /// The webhook that does nothing, which the bench holds Amanat against.
    #[command(hide = true)]
    NoopWebhook(e2e::bench::Noop),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo { keep } => e2e::demo::run(keep).await,
        Command::Up => e2e::demo::up().await,
        Command::Bench(options) => e2e::bench::run(options).await,
        Command::NoopWebhook(noop) => noop.serve().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}
