//! kubectl and helm of the control plane's binary.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// kubectl and helm as the user of one kubeconfig.
#[derive(Clone, Debug)]
pub struct Tools {
    binary: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a tool printed, and how it ended.
#[derive(Debug)]
#[must_use]
pub struct Output {
    /// The command, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error: refusals and warnings.
    pub stderr: String,
}

impl Tools {
    /// The tools of `binary` as the user of `kubeconfig`; their caches go into `folder`.
    pub fn new(binary: &Path, kubeconfig: &Path, folder: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            home: folder.join("home"),
            folder: folder.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The same, run in another folder: the one that relative paths start from.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The kubeconfig of the user.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output> {
        self.run("kubectl", arguments, "").await
    }

    /// Runs kubectl with `input` as its standard input.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        self.run("kubectl", arguments, input).await
    }

    /// `kubectl apply -f -`.
    pub async fn apply(&self, manifest: &str) -> Result<Output> {
        self.kubectl_with(&["apply", "-f", "-"], manifest).await
    }

    /// `kubectl create -f -`.
    pub async fn create(&self, manifest: &str) -> Result<Output> {
        self.kubectl_with(&["create", "-f", "-"], manifest).await
    }

    /// Runs helm.
    pub async fn helm(&self, arguments: &[&str]) -> Result<Output> {
        self.run("helm", arguments, "").await
    }

    async fn run(&self, tool: &str, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = Command::new(&self.binary)
            .arg(tool)
            .args(arguments)
            .current_dir(&self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("KUBERC", "off")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {tool} ({})", self.binary.display()))?;
        let mut pipe = child.stdin.take().context("standard input of a tool")?;
        let feed = async move {
            // A tool may end without reading its input; its status then says what there is to say.
            let _unread = pipe.write_all(input.as_bytes()).await;
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output?;
        Ok(Output {
            command: format!("{tool} {}", arguments.join(" ")),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Output {
    /// Standard output, when the tool succeeded.
    pub fn ok(self) -> Result<String> {
        if !self.status.success() {
            bail!("`{}` failed ({}):\n{}{}", self.command, self.status, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }

    /// Standard error, when the tool failed.
    pub fn refused(self) -> Result<String> {
        if self.status.success() {
            bail!("`{}` succeeded, which it must not:\n{}{}", self.command, self.stdout, self.stderr);
        }
        Ok(self.stderr)
    }

    /// Standard error, when the tool was refused by admission or authorization: an answer of 403 or 422, nothing else.
    pub fn forbidden(self) -> Result<String> {
        let command = self.command.clone();
        let stderr = self.refused()?;
        if !["forbidden", "denied the request", "is invalid"].iter().any(|word| stderr.contains(word)) {
            bail!("`{command}` failed for another reason than a refusal:\n{stderr}");
        }
        Ok(stderr)
    }
}
