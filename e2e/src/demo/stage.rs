//! How the demo is told: chapters, commands as they are run, and what they print.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::operator::amanat_binary;
use crate::tools::{Output, Tools};

const BOLD: &str = "\x1b[1m";
const CHAPTER: &str = "\x1b[1;36m";
const COMMAND: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const END: &str = "\x1b[0m";

/// Where the demo is told, and the folder of its files.
pub(super) struct Stage {
    tools: Tools,
    folder: PathBuf,
    colour: bool,
}

impl Stage {
    /// With colours where standard output is a terminal that wants them.
    pub(super) fn new(cluster: &Cluster) -> Result<Self> {
        let folder = cluster.folder().join("demo");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stdout().is_terminal() && !refused;
        Ok(Self { tools: cluster.tools().within(&folder), folder, colour })
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}{END}") } else { text.to_owned() }
    }

    pub(super) fn title(&self, text: &str) {
        println!("\n{}", self.paint(BOLD, text));
    }

    pub(super) fn chapter(&self, number: usize, text: &str) {
        println!("\n{}", self.paint(CHAPTER, &format!("{number}. {text}")));
    }

    pub(super) fn say(&self, text: &str) {
        println!("\n{text}");
    }

    pub(super) fn end(&self) {
        println!("\nThat was a real API server, kubectl, helm and two replicas of Amanat; nothing was imitated.");
    }

    /// Writes a file of the demo.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// Shows a file.
    pub(super) fn show(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        println!("{}", self.paint(COMMAND, &format!("$ cat {name}")));
        text.lines().for_each(|line| println!("{}", self.paint(DIM, line)));
        Ok(())
    }

    /// Runs kubectl with arguments that have no spaces within, and shows what it prints.
    pub(super) async fn kubectl(&self, arguments: &str) -> Result<Output> {
        println!("{}", self.paint(COMMAND, &format!("$ kubectl {}", quoted(arguments))));
        let output = self.tools.kubectl(&arguments.split(' ').collect::<Vec<_>>()).await?;
        print!("{}{}", output.stdout, output.stderr);
        Ok(output)
    }

    /// Runs amanat the same way; its findings are no error.
    pub(super) async fn amanat(&self, arguments: &str) -> Result<()> {
        println!("{}", self.paint(COMMAND, &format!("$ amanat {}", quoted(arguments))));
        let binary = tokio::task::spawn_blocking(amanat_binary).await??;
        let colour = if self.colour { "--color=always" } else { "--color=never" };
        let command = Command::new(binary).args(arguments.split(' ')).arg(colour).current_dir(&self.folder).output();
        let output = command.await.context("run amanat check")?;
        print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{}", self.paint(DIM, &format!("(exit status {})", output.status.code().unwrap_or_default())));
        anyhow::ensure!(
            output.status.code() == Some(1),
            "`amanat {arguments}` should find something: {}",
            output.status
        );
        Ok(())
    }
}

/// As a shell would need it.
fn quoted(arguments: &str) -> String {
    let special = |argument: &str| argument.contains(['{', '[', '\\', '*']);
    let quote = |argument| if special(argument) { format!("'{argument}'") } else { argument.to_owned() };
    arguments.split(' ').map(quote).collect::<Vec<_>>().join(" ")
}
