//! Modules use only what stands above them in the table of `src/lib.rs`, and the command line alone carries no network.

#![expect(clippy::unwrap_used, reason = "what can't be read ends the test")]
#![expect(clippy::disallowed_methods, reason = "it reads the sources")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules of the table, highest first.
fn table() -> Vec<String> {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("//! | ")).filter_map(|row| row.split('`').nth(1));
    names.map(str::to_owned).collect()
}

/// The modules of this crate that a text names, in uses and in paths.
fn named(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        // `$crate::` of a macro is as good.
        let rest = text.get(at + found.len()..).unwrap();
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0_usize;
                let mut word = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => word.clear(),
                        c if depth == 0 && (c.is_alphanumeric() || c == '_') => word.push(c),
                        ':' if depth == 0 && !word.is_empty() => {
                            named.insert(std::mem::take(&mut word));
                        }
                        _ => {}
                    }
                }
            }
            None => {
                named.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    named
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let table = table();
    let mut wrong = Vec::new();
    for (place, module) in table.iter().enumerate() {
        let folder = PathBuf::from("src").join(module);
        if !folder.exists() {
            continue;
        }
        for file in sources(&folder) {
            for used in named(&fs::read_to_string(&file).unwrap()) {
                if table.iter().position(|known| *known == used).is_some_and(|above| above > place) {
                    wrong.push(format!("{} uses {used}, which stands below {module}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_the_table() {
    let table = table();
    assert_eq!(table.first().map(String::as_str), Some("manifest"));
    for entry in fs::read_dir("src").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!path.is_dir() || table.contains(&name), "src/{name} is missing in the table of src/lib.rs");
    }
}

#[test]
fn the_table_is_read_with_groups_and_macros() {
    let text = "use crate::{api::{self, Effect}, control::X};\n$crate::engine::Y; use crate::report;";
    assert_eq!(named(text).into_iter().collect::<Vec<_>>(), ["api", "control", "engine", "report"]);
}

#[test]
fn the_pure_modules_name_nothing_impure() {
    for module in ["manifest", "api", "control", "catalogue", "baseline", "engine", "report"] {
        for file in sources(&PathBuf::from("src").join(module)) {
            let text = fs::read_to_string(&file).unwrap();
            for impure in
                ["tokio::", "hyper::", "kube::Client", "kube::client", "std::fs", "std::env::", "std::net::Tcp"]
            {
                assert!(!text.contains(impure), "{} names {impure}", file.display());
            }
        }
    }
}

#[test]
fn the_command_line_alone_carries_no_network() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "amanat", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--no-default-features", "--features", "cli"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("clap") && packages.contains("k8s-openapi"), "{tree}");
    for impure in ["tokio", "hyper", "rustls", "kube-client", "kube-runtime", "reqwest"] {
        assert!(!packages.contains(impure), "{impure} is part of the command line");
    }
}
