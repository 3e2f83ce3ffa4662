//! The control plane's binary: built with Go once, kept outside the build folder, found again by what went into it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest::{Context as Digest, SHA256};

/// The Kubernetes release that the control plane is.
pub const KUBERNETES: &str = "v1.37.2";

const SOURCES: [&str; 3] = ["go.mod", "go.sum", "main.go"];
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The path of the control plane's binary, which is built when the cache doesn't hold it.
///
/// The cache is the folder `$AMANAT_E2E_CACHE`, else `amanat-e2e` in `$XDG_CACHE_HOME` or `~/.cache`. Blocks for the
/// minutes that a build takes, and tells standard error about it.
pub fn locate() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane");
    let cache = cache_folder()?;
    std::fs::create_dir_all(&cache).with_context(|| format!("make the cache folder {}", cache.display()))?;
    let binary = cache.join(format!("controlplane-{}", key(&folder)?));
    if binary.exists() {
        return Ok(binary);
    }

    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).with_context(|| format!("open {}", lock_path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("e2e: another process builds the control plane; waiting for it ({})", lock_path.display());
        lock.lock().with_context(|| format!("lock {}", lock_path.display()))?;
    }
    if !binary.exists() {
        build(&folder, &binary)?;
        forget_older(&cache, &binary);
    }
    Ok(binary)
}

fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("AMANAT_E2E_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("amanat-e2e")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/amanat-e2e")))
        .context("no folder for the control plane's binary: set AMANAT_E2E_CACHE to one")
}

fn key(folder: &Path) -> Result<String> {
    let mut digest = Digest::new(&SHA256);
    for source in SOURCES {
        let path = folder.join(source);
        digest.update(&std::fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    digest.update(go_version(folder)?.as_bytes());
    digest.update(ldflags().as_bytes());
    Ok(digest.finish().as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect())
}

fn go_version(folder: &Path) -> Result<String> {
    let output = Command::new("go").arg("version").current_dir(folder).output().map_err(|error| {
        anyhow::anyhow!(
            "the control plane, kubectl and helm are built with Go, and `go version` could not be run ({error}): \
             install Go 1.26 or later (https://go.dev/dl) and put its `bin` folder on the PATH"
        )
    })?;
    ensure!(output.status.success(), "`go version` failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn ldflags() -> String {
    let mut numbers = KUBERNETES.trim_start_matches('v').split('.');
    let mut flags = "-s -w".to_owned();
    for (name, value) in [
        ("gitVersion", KUBERNETES),
        ("gitMajor", numbers.next().unwrap_or_default()),
        ("gitMinor", numbers.next().unwrap_or_default()),
    ] {
        flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
    }
    flags
}

fn build(folder: &Path, binary: &Path) -> Result<()> {
    let start = Instant::now();
    eprintln!(
        "e2e: building the control plane (Kubernetes {KUBERNETES}, etcd, kwok, helm); \
         once, 5 to 11 minutes on two cores\ne2e: fetching Go modules"
    );
    let total = packages(folder)?;
    let partial = binary.with_extension("partial");
    let mut child = Command::new("go")
        .args(["build", "-v", "-trimpath", "-mod=readonly", "-ldflags", &ldflags(), "-o"])
        .arg(&partial)
        .arg(".")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start `go build`")?;

    let mut built = 0_usize;
    let mut reported = Instant::now();
    let mut tail = Vec::new();
    for line in BufReader::new(child.stderr.take().context("standard error of `go build`")?).lines() {
        let line = line?;
        // With -v a line that is no import path is a complaint.
        if line.contains(' ') {
            tail.push(line);
        } else {
            built += 1;
        }
        if reported.elapsed() > REPORT_EVERY {
            reported = Instant::now();
            eprintln!("e2e: {:>4} s: {built} of at most {total} packages", start.elapsed().as_secs());
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`go build` in {} failed ({status}):\n{}", folder.display(), tail.join("\n"));
    }
    std::fs::rename(&partial, binary).with_context(|| format!("keep {}", binary.display()))?;
    eprintln!("e2e: the control plane is built after {} s: {}", start.elapsed().as_secs(), binary.display());
    Ok(())
}

fn packages(folder: &Path) -> Result<usize> {
    let output = Command::new("go")
        .args(["list", "-mod=readonly", "-deps", "."])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("start `go list`")?;
    ensure!(output.status.success(), "`go list -deps` in {} failed ({})", folder.display(), output.status);
    Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
}

/// A binary is 200 MB: only the newest stays. One that is still running keeps its file until it ends.
fn forget_older(cache: &Path, newest: &Path) {
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("controlplane-"));
        if ours && path != newest && std::fs::remove_file(&path).is_err() {
            eprintln!("e2e: could not remove the older {}", path.display());
        }
    }
}
