use std::io::Read as _;
use std::process::{Command, Stdio};

use super::folder::{BAD, Folder};

#[test]
fn the_operator_lists_its_flags() {
    let help = Folder::new(&[]).run(&["operator", "--help"]).out;
    for flag in [
        "--kubeconfig",
        "--namespace",
        "--name",
        "--service-account",
        "--webhook-address",
        "--health-address",
        "--webhook-url",
        "--system-namespace",
        "--control-plane-user",
        "--anchor",
        "--drain",
    ] {
        assert!(help.contains(&format!("{flag} <")), "{flag} is missing:\n{help}");
    }
}

#[test]
fn help_has_examples_for_every_command() {
    let folder = Folder::new(&[]);
    for command in ["check", "explain", "controls", "crds", "baseline", "completions"] {
        let ran = folder.run(&[command, "--help"]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{command}");
        assert!(ran.out.contains("Examples:\n") && ran.out.contains(&format!("amanat {command}")), "{}", ran.out);
    }
    assert!(folder.run(&["--help"]).out.contains("Exit status: 0"));
    let bare = folder.run(&[]);
    assert_eq!(bare.status, 2);
}

#[test]
fn version_names_what_ships() {
    let ran = Folder::new(&[]).run(&["--version"]);
    let expected = format!(
        "amanat {}\nshipped baseline: pakistan-cloud-first-2022 1\nKubernetes API: v1.37\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!((ran.status, ran.out), (0, expected));
}

#[test]
fn completions_know_the_commands() {
    let folder = Folder::new(&[]);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = folder.run(&["completions", shell]);
        assert_eq!(ran.status, 0, "{shell}");
        assert!(ran.out.contains("explain") && ran.out.contains("pod-security-version"), "{shell}");
    }
}

#[test]
fn explain_prints_a_page_and_lists_ids() {
    let folder = Folder::new(&[]);
    let page = folder.run(&["explain", "image/digest-pinned"]).out;
    for part in ["image/digest-pinned: Digest pinned\n", "demand (one of tag, digest)", "NIST800-53: CM-2", "Why\n"] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    assert_eq!(folder.run(&["explain"]).out.lines().count(), amanat::catalogue::ALL.len());
}

#[test]
fn controls_list_effects() {
    let folder = Folder::new(&[]);
    let table = folder.run(&["controls"]).out;
    assert_eq!(table.lines().count(), amanat::catalogue::ALL.len() + 1);
    assert!(table.starts_with("CONTROL") && table.contains("CONFIDENTIAL"), "{table}");
    let open: serde_json::Value =
        serde_json::from_str(&folder.run(&["controls", "--class", "Open", "-o", "json"]).out).unwrap();
    let pinned =
        open["controls"].as_array().unwrap().iter().find(|control| control["id"] == "image/digest-pinned").unwrap();
    assert_eq!(pinned["effects"], serde_json::json!({"Open": "Warn"}));
    assert_eq!(pinned["params"][0]["name"], "demand");
    let sensitive = folder.run(&["controls", "--class", "Sensitive"]);
    assert_eq!(sensitive.status, 0, "an alias is as good: {sensitive:?}");
}

#[test]
fn crds_and_the_baseline_are_manifests() {
    let folder = Folder::new(&[]);
    let crds = folder.run(&["crds"]).out;
    let (documents, errors) = amanat::manifest::read(&crds, &amanat::manifest::Limits::default());
    assert_eq!((documents.len(), errors.len()), (4, 0));
    let shown = folder.run(&["baseline", "show"]).out;
    assert!(amanat::baseline::load(&shown).is_ok());
}

#[test]
fn colour_is_asked_for() {
    let folder = Folder::new(&[("a.yaml", BAD)]);
    let check = |when: &str| folder.run(&["check", "--class", "Restricted", "--color", when, "a.yaml"]).out;
    assert!(check("always").contains("\u{1b}["));
    assert!(!check("auto").contains('\u{1b}') && !check("never").contains('\u{1b}'));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_amanat"))
        .args(["crds"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0_u8; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}
