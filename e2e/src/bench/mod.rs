//! What a decision costs: the same requests with no webhook, with one that does nothing, and with Amanat.
//!
//! All arms are live at the same time, each in a namespace of its own, and take turns in every round, so that what else
//! the machine does meets all of them. Timings are printed, never asserted.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use self::measure::{Measured, measure};
use self::stage::Stage;
use crate::operator::{build, executable};

mod aims;
mod load;
mod machine;
mod measure;
mod noop;
mod pods;
mod report;
mod stage;

pub use noop::Noop;

/// How a bench is run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo run -p e2e -- bench\n  \
    cargo run -p e2e -- bench --rounds 1 --seconds 1\n  \
    cargo run -p e2e -- bench --json /tmp/bench.json --write docs/performance.md\n  \
    cargo run -p e2e -- bench --amanat target/release/amanat")]
pub struct Options {
    /// How often each arm has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Write the measurements as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the tables, with the machine and the command, as a page of Markdown too.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// A release build of amanat. Left out: it is built.
    #[arg(long, value_name = "PATH")]
    pub amanat: Option<PathBuf>,
}

/// Measures, and prints the tables.
///
/// What is measured and what measures are release builds: from a debug build, this process becomes the release build of
/// itself first.
pub async fn run(options: Options) -> Result<()> {
    let amanat = tokio::task::spawn_blocking({
        let options = options.clone();
        move || release(&options)
    })
    .await??;
    let stage = Stage::set(&amanat).await?;
    let measured = measure(&stage, options.rounds, Duration::from_secs(options.seconds)).await?;
    drop(stage);
    told(&options, &measured)
}

fn told(options: &Options, measured: &Measured) -> Result<()> {
    let command = format!("cargo run -p e2e -- bench --rounds {} --seconds {}", options.rounds, options.seconds);
    let machine = machine::describe();
    println!("{}", report::text(measured));
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&report::json(measured, &machine, &command))?;
        std::fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(path) = &options.write {
        let page = report::page(measured, &machine, &command);
        std::fs::write(path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The release build of amanat, in a release build of this process.
fn release(options: &Options) -> Result<PathBuf> {
    let own: &[&str] = if cfg!(debug_assertions) { &["-p", "e2e", "--bin=e2e"] } else { &[] };
    let theirs: &[&str] = if options.amanat.is_none() { &["-p", "amanat", "--bin=amanat"] } else { &[] };
    let built = match [own, theirs].concat() {
        wanted if wanted.is_empty() => Default::default(),
        wanted => {
            eprintln!("e2e: building for release, which takes minutes");
            build(&[&["--release"], &wanted[..]].concat())?
        }
    };
    let amanat = match &options.amanat {
        Some(path) => std::path::absolute(path)?,
        None => executable(&built, "amanat")?,
    };
    if !cfg!(debug_assertions) {
        return Ok(amanat);
    }
    let mut command = Command::new(executable(&built, "e2e")?);
    command.arg("bench").arg("--amanat").arg(&amanat);
    command.args([format!("--rounds={}", options.rounds), format!("--seconds={}", options.seconds)]);
    for (name, path) in [("--json", &options.json), ("--write", &options.write)] {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    Err(command.exec()).context("become the release build")
}
