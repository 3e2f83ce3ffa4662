//! A child process that ends with its parent, and whose output is in a file.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::waiting::until;

/// How much of a log an error shows.
const TAIL: usize = 4_000;

/// A component of the control plane, or a guarded program.
///
/// The child reads standard input to its end and then exits: closing our end of the pipe is how it is killed, and
/// the kernel does that when the harness is killed.
pub struct Component {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    _standard_input: ChildStdin,
}

impl Component {
    /// A component that isn't started yet; what it prints is appended to `log`.
    pub fn new(name: &str, program: &Path, arguments: Vec<String>, log: PathBuf) -> Self {
        let program = program.to_owned();
        Self { name: name.to_owned(), program, arguments, environment: Vec::new(), log, running: None }
    }

    /// Sets a variable of the child's environment.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Changes the value of an argument `NAME=VALUE`, as from the next start.
    pub fn set_argument(&mut self, name: &str, value: &str) -> Result<()> {
        let is_it = |argument: &&mut String| argument.split_once('=').is_some_and(|(found, _)| found == name);
        let found = self.arguments.iter_mut().find(is_it);
        *found.with_context(|| format!("{} has no argument {name}", self.name))? = format!("{name}={value}");
        Ok(())
    }

    /// The component's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process, while it is started.
    pub fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {} ({})", self.name, self.program.display()))?;
        let standard_input = child.stdin.take().context("standard input of a child")?;
        self.running = Some(Running { child, _standard_input: standard_input });
        Ok(())
    }

    /// An error, with the log's end, when it isn't running.
    pub fn check(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("{} isn't started", self.name) };
        if let Some(status) = running.child.try_wait()? {
            self.running = None;
            bail!("{} ended by itself ({status}); the end of {}:\n{}", self.name, self.log.display(), self.tail());
        }
        Ok(())
    }

    /// Whether it is running.
    pub fn is_running(&mut self) -> bool {
        self.check().is_ok()
    }

    /// Kills it; it gets no chance to tidy up. Returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(Running { mut child, _standard_input }) = self.running.take() {
            drop(_standard_input);
            if child.wait().is_err() {
                eprintln!("e2e: {} could not be waited for", self.name);
            }
        }
    }

    /// Asks it to end by SIGTERM, and waits for that.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.ask_to_end()?;
        self.ended(deadline).await
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) -> Result<()> {
        let running = self.running.as_ref().with_context(|| format!("{} isn't started", self.name))?;
        let process = i32::try_from(running.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let process = process.context("the child has no process id")?;
        rustix::process::kill_process(process, rustix::process::Signal::TERM).context("send SIGTERM")
    }

    /// Waits until it has ended after it was asked to.
    pub async fn ended(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let running = self.running.as_mut().with_context(|| format!("{} isn't started", self.name))?;
        let status = until(deadline, format!("{} to end after SIGTERM", self.name), async || {
            running.child.try_wait()?.context("still running")
        })
        .await?;
        self.running = None;
        Ok(status)
    }

    /// What it has printed so far, over all its starts.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The file with what it printed.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The end of what it has printed.
    pub fn tail(&self) -> String {
        let Ok(log) = self.log() else { return format!("({} can't be read)", self.log.display()) };
        let start = log.len().saturating_sub(TAIL);
        let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
        log.get(start..).unwrap_or_default().to_owned()
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.kill();
    }
}
