//! A folder of its own for each test, and the binary run in it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// Removed when it is dropped.
pub(crate) struct Folder(PathBuf);

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let name = format!("amanat-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.0
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with("", args)
    }

    pub(crate) fn run_with(&self, stdin: &str, args: &[&str]) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_amanat"))
            .args(args)
            .current_dir(&self.0)
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A run that doesn't read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["check", "-o", "json"];
        all.extend(args);
        let ran = self.run(&all);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Demands a status and words on standard error.
    pub(crate) fn fails_with(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.err.contains(words), "{words:?} is not in {self:?}");
    }
}

pub(crate) const DECLARATION: &str = "apiVersion: amanat.dev/v1alpha1
kind: CloudWorkload
metadata: {name: workload, namespace: fbr-portal}
spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
";

pub(crate) const REGISTRY: &str = "apiVersion: amanat.dev/v1alpha1
kind: PublicSectorEntity
metadata: {name: fbr}
spec: {displayName: Federal Board of Revenue, jurisdiction: Federal}
---
apiVersion: amanat.dev/v1alpha1
kind: CloudServiceProvider
metadata: {name: ntc}
spec:
  displayName: National Telecommunication Corporation
  grade: Accredited
  state: Active
  validFrom: \"2026-06-01T00:00:00Z\"
  validUntil: \"2999-06-01T00:00:00Z\"
  maxDataClass: Secret
  models: [Government]
  services: [IaaS]
  sites: [{name: isb-1, country: PK}]
";

pub(crate) const BAD: &str = "apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  containers:
  - name: app
    image: registry.example.gov.pk/app:1.4
    imagePullPolicy: Always
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      runAsNonRoot: true
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
";

pub(crate) const REGISTRIES: &str = "image/approved-registries.registries=[registry.example.gov.pk]";

pub(crate) fn good() -> String {
    BAD.replace("name: bad", "name: good").replace("app:1.4", &format!("app@sha256:{}", "0".repeat(64)))
}
