//! Upstream's fixtures of the Pod Security Standards, read from Go's module cache.

#![allow(clippy::disallowed_methods, reason = "the fixtures are files")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what is missing ends the test")]
#![allow(unreachable_pub, dead_code, reason = "several test crates include this file")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The Go module that holds the fixtures, and the version that the checks are written after.
pub const MODULE: &str = "k8s.io/pod-security-admission@v0.37.2";

/// The newest minor version that the fixtures know.
pub const NEWEST: u32 = 37;

/// A level of the standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The checks of `baseline`.
    Baseline,
    /// Those of `restricted`, which include the former.
    Restricted,
}

/// A Pod, and what upstream says of it at one level and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixture {
    /// The level.
    pub level: Level,
    /// The minor version of Kubernetes 1.
    pub minor: u32,
    /// The file's name without its ending: the check, and a number.
    pub name: String,
    /// True when the Pod is refused.
    pub denied: bool,
    /// The Pod as YAML.
    pub text: String,
}

impl Fixture {
    /// The control that must be among those that refuse the Pod; none for a Pod that passes.
    ///
    /// # Panics
    /// When the file is named after a check that no control stands for.
    pub fn control(&self) -> Option<&'static str> {
        self.denied.then(|| match self.name.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "allowprivilegeescalation" => "pod/privilege-escalation",
            "apparmorprofile" => "pod/apparmor-profile",
            "capabilities_baseline" => "pod/added-capabilities",
            "capabilities_restricted" => "pod/restricted-capabilities",
            "hostnamespaces" => "pod/host-namespaces",
            "hostpathvolumes" => "pod/host-path-volumes",
            "hostports" => "pod/host-ports",
            "hostprobesandhostlifecycle" => "pod/host-probes",
            "privileged" => "pod/privileged",
            "procmount" => "pod/proc-mount",
            "procmount_restricted" => "pod/restricted-proc-mount",
            "restrictedvolumes" => "pod/volume-types",
            "runasnonroot" => "pod/run-as-non-root",
            "runasuser" => "pod/run-as-user",
            "seccompprofile_baseline" => "pod/seccomp-unconfined",
            "seccompprofile_restricted" => "pod/seccomp-profile",
            "selinuxoptions" => "pod/selinux-options",
            "sysctls" => "pod/sysctls",
            "windowshostprocess" => "pod/windows-host-process",
            check => panic!("no control stands for the check {check} of {MODULE}"),
        })
    }
}

/// Every fixture, in order.
///
/// # Panics
/// When Go is missing, or can't get the module, or a file isn't as expected.
pub fn fixtures() -> Vec<Fixture> {
    let root = module().join("test").join("testdata");
    let mut fixtures = Vec::new();
    for (level, folder) in [(Level::Baseline, "baseline"), (Level::Restricted, "restricted")] {
        for minor in 0..=NEWEST {
            for (denied, verdict) in [(false, "pass"), (true, "fail")] {
                let folder = root.join(folder).join(format!("v1.{minor}")).join(verdict);
                fixtures.extend(files(&folder).into_iter().map(|file| {
                    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
                    let text = std::fs::read_to_string(&file).unwrap();
                    Fixture { level, minor, name, denied, text }
                }));
            }
        }
    }
    fixtures.sort();
    fixtures
}

/// The Pod under a name that the API server takes; those of the fixtures have underscores.
pub fn pod(mut pod: Value) -> Value {
    let name = pod["metadata"]["name"].as_str().unwrap().replace('_', "-");
    pod["metadata"]["name"] = name.into();
    pod
}

/// A Deployment whose template is the Pod.
pub fn deployment(pod: &Value) -> Value {
    let labels = json!({"app": "fixture"});
    let mut template = json!({"metadata": {"labels": labels}, "spec": pod["spec"]});
    if let Some(annotations) = pod["metadata"].get("annotations") {
        template["metadata"]["annotations"] = annotations.clone();
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": pod["metadata"]["name"]},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files
}

/// Where Go keeps the module; fetched when it isn't there yet.
fn module() -> PathBuf {
    // Away from any go.mod, which could replace the module or forbid fetching it.
    let output = Command::new("go")
        .args(["mod", "download", "-json", MODULE])
        .current_dir(std::env::temp_dir())
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .output()
        .unwrap_or_else(|error| panic!("the Pod Security fixtures need Go (https://go.dev/dl) on the PATH: {error}"));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer["Dir"].as_str() {
        Some(folder) => PathBuf::from(folder),
        None => panic!(
            "go mod download {MODULE} failed; the module proxy must be reachable once, afterwards the module cache has \
             it: {}{}",
            answer["Error"].as_str().unwrap_or_default(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
