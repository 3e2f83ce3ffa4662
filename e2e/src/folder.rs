//! Throw-away folders, also of harnesses that were killed before they could tidy up.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "amanat-e2e-";
const LOCK: &str = "in-use";

/// A folder that goes when it is dropped; one whose process was killed goes when the next is made.
pub struct Folder {
    // Declared first, so that the folder is gone before the lock is.
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// A new folder. With `AMANAT_E2E_KEEP` set it stays.
    pub fn new() -> Result<Self> {
        sweep(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().context("make a throw-away folder")?;
        // Under its final name it is never seen unlocked while we live.
        let unlocked = folder.path().join("new");
        let lock = File::create(&unlocked).with_context(|| format!("make {}", unlocked.display()))?;
        lock.lock().context("lock the throw-away folder")?;
        std::fs::rename(&unlocked, folder.path().join(LOCK))?;
        let mut made = Self { folder, _lock: lock };
        if std::env::var_os("AMANAT_E2E_KEEP").is_some_and(|set| !set.is_empty()) {
            eprintln!("e2e: AMANAT_E2E_KEEP is set: {} stays", made.keep()?.display());
        }
        Ok(made)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets it stay for good, and returns its path.
    pub fn keep(&mut self) -> Result<PathBuf> {
        let lock = self.folder.path().join(LOCK);
        if lock.exists() {
            std::fs::remove_file(&lock).with_context(|| format!("remove {}", lock.display()))?;
        }
        self.folder.disable_cleanup(true);
        Ok(self.folder.path().to_owned())
    }
}

fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let abandoned = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned && std::fs::remove_dir_all(entry.path()).is_err() {
            eprintln!("e2e: could not remove {}, which a killed run left", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let [live, abandoned, kept] =
            ["live", "abandoned", "kept"].map(|name| parent.path().join(format!("{PREFIX}{name}")));
        for folder in [&live, &abandoned, &kept] {
            std::fs::create_dir(folder).unwrap();
        }
        let held = File::create(live.join(LOCK)).unwrap();
        held.lock().unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        sweep(parent.path());
        assert_eq!([live.exists(), abandoned.exists(), kept.exists()], [true, false, true]);
    }
}
