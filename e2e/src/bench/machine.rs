//! The machine that a bench ran on.

use std::process::Command;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What there is to say of it: a name and a value each.
pub(super) fn describe() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let revision = printed("git", &["rev-parse", "--short=12", "HEAD"]);
    vec![
        ("CPU", cpu()),
        ("cores", cores.to_string()),
        ("memory", memory()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("Kubernetes", crate::binary::KUBERNETES.to_owned()),
        ("Amanat", format!("{} ({revision})", env!("CARGO_PKG_VERSION"))),
        ("Rust", printed("rustc", &["--version"])),
        ("date", Timestamp::now().to_zoned(TimeZone::UTC).date().to_string()),
    ]
}

fn cpu() -> String {
    let all = read("/proc/cpuinfo");
    let value = |key: &str| {
        let line = all.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    format!("{} (family {}, model {})", value("model name"), value("cpu family"), value("model\t"))
}

fn memory() -> String {
    let all = read("/proc/meminfo");
    let kib = all.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
    format!("{} GiB", kib.div_ceil(1_024 * 1_024))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
