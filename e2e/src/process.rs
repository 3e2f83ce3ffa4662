//! A process of this machine: what it uses, as `/proc` has it, and stopping it as it stands.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::component::Component;

/// A process that is watched, not owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident at this moment.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Process {
    /// What a guard runs.
    pub fn guarded_by(guard: &Component) -> Result<Self> {
        let guard_id = guard.process().with_context(|| format!("{} isn't started", guard.name()))?;
        for entry in std::fs::read_dir("/proc").context("read /proc")? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process that ended since the folder was read is no child of anybody.
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
            if field(&stat, 4).and_then(|parent| parent.parse().ok()) == Some(guard_id) {
                return Ok(Self(id));
            }
        }
        anyhow::bail!("the guard of {} has no child", guard.name())
    }

    /// The CPU time that all its threads have used, in user and in kernel mode, in steps of the kernel's clock tick.
    pub fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let ticks = |number| field(&stat, number).and_then(|text| text.parse::<u64>().ok());
        let (user, kernel) = ticks(14).zip(ticks(15)).with_context(|| format!("/proc/{}/stat is too short", self.0))?;
        let milliseconds = (user + kernel) * 1_000 / rustix::param::clock_ticks_per_second().max(1);
        Ok(Duration::from_millis(milliseconds))
    }

    /// Its memory.
    pub fn memory(self) -> Result<Memory> {
        let status = self.read("status")?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok());
            number.with_context(|| format!("/proc/{}/status has no {name}", self.0))
        };
        Ok(Memory { resident: kib("VmRSS:")?, peak: kib("VmHWM:")? })
    }

    /// Stops it as it stands, as a frozen machine would be.
    pub fn pause(self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(self, signal: Signal) -> Result<()> {
        let process = i32::try_from(self.0).ok().and_then(Pid::from_raw).context("no process has such an id")?;
        kill_process(process, signal).with_context(|| format!("send a signal to process {}", self.0))
    }

    /// Forgets the peak of its memory: what it is afterwards counts.
    pub fn forget_peak(self) -> Result<()> {
        let path = Path::new("/proc").join(self.0.to_string()).join("clear_refs");
        std::fs::write(&path, "5").with_context(|| format!("write {}", path.display()))
    }

    fn read(self, file: &str) -> Result<String> {
        let path = Path::new("/proc").join(self.0.to_string()).join(file);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }
}

/// A field of `/proc/PID/stat` by its number in proc(5). The name, which may hold anything, is the second.
fn field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_moves_no_field() {
        let stat = "17 (a) b (c)) S 4 5 6 7 8 9 10 11 12 13 140 150 16";
        assert_eq!(field(stat, 4), Some("4"));
        assert_eq!(field(stat, 14), Some("140"));
    }

    #[test]
    fn this_process_has_memory() {
        let memory = Process(std::process::id()).memory().unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");
        Process(std::process::id()).cpu().unwrap();
    }
}
