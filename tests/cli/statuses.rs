use super::folder::{BAD, DECLARATION, Folder, REGISTRIES, REGISTRY, good};

#[test]
fn nothing_refused_is_0() {
    let folder = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", REGISTRY), ("c.yaml", &good())]);
    let ran = folder.run(&["check", "--set", REGISTRIES, "."]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.out.contains("2 objects judged by pakistan-cloud-first-2022 1: 0 denied, 0 warned, 0 audited, 2 skipped\n")
    );
}

#[test]
fn a_finding_at_deny_is_1_and_at_warn_only_when_strict() {
    let folder = Folder::new(&[("bad.yaml", BAD)]);
    let ran = folder.run(&["check", "--class", "Restricted", "bad.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for part in ["bad.yaml: Pod default/bad [Restricted]", "Deny      7:5  image/digest-pinned", "(container app)"] {
        assert!(ran.out.contains(part), "{part:?} is not in {}", ran.out);
    }
    let latest = BAD.replace(":1.4", ":latest");
    folder.write("latest.yaml", &latest);
    assert_eq!(folder.run(&["check", "--class", "Public", "bad.yaml"]).status, 0);
    assert_eq!(folder.run(&["check", "--class", "Public", "latest.yaml"]).status, 0);
    assert_eq!(folder.run(&["check", "--class", "Public", "--strict", "latest.yaml"]).status, 1);
}

#[test]
fn an_unreadable_input_is_2_and_findings_are_printed_still() {
    let folder = Folder::new(&[("a.yaml", BAD), ("b.yaml", "kind: Pod\nkind: Pod\n")]);
    let ran = folder.run(&["check", "--class", "Restricted", "."]);
    ran.fails_with(2, "b.yaml:2:1: ");
    assert!(ran.out.contains("image/digest-pinned"));
}

#[test]
fn no_class_is_2_and_says_what_to_do() {
    let folder = Folder::new(&[("a.yaml", &BAD.replace("{name: bad}", "{name: bad, namespace: fbr-portal}"))]);
    let words = "a.yaml:1:1: no data class for namespace fbr-portal: add its CloudWorkload or pass --class";
    folder.run(&["check", "a.yaml"]).fails_with(2, words);
    let namespaceless = Folder::new(&[("a.yaml", BAD)]);
    namespaceless.run(&["check", "a.yaml"]).fails_with(2, "no data class for namespace default: say which namespace");
    namespaceless
        .run(&["check", "-n", "x", "a.yaml"])
        .fails_with(2, "no data class for namespace x: add its CloudWorkload");
    namespaceless.write("context/cw.yaml", DECLARATION);
    let ran = namespaceless.run(&["check", "--context", "context", "a.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("Pod fbr-portal/bad [Restricted]") && !ran.out.contains("CloudWorkload fbr-portal"));
}

#[test]
fn wrong_arguments_are_2_and_say_what_to_write() {
    let folder = Folder::new(&[("a.yaml", BAD), ("empty/.hidden.yaml", BAD)]);
    let table: &[(&[&str], &str)] = &[
        (&["check", "--strickt", "a.yaml"], "a similar argument exists: '--strict'"),
        (&["chek"], "a similar subcommand exists: 'check'"),
        (&["check"], "nothing to check: name files, folders or -"),
        (&["check", "missing.yaml"], "missing.yaml: no such file or folder"),
        (&["check", "empty"], "empty: no manifests in it: files that end in .yaml, .yml or .json"),
        (&["check", "--class", "Restrictd", "a.yaml"], "unknown class Restrictd; did you mean Restricted?"),
        (&["check", "--control", "image/digest-pined", "a.yaml"], "did you mean image/digest-pinned?"),
        (&["check", "--set", "image/digest-pinned.demnd=tag", "a.yaml"], "did you mean demand?"),
        (&["check", "--set", "image/digest-pind.demand=tag", "a.yaml"], "did you mean image/digest-pinned?"),
        (&["check", "--set", "image/digest-pinned.demand=no-tag", "a.yaml"], "demand wants one of tag, digest"),
        (&["check", "--set", "demand", "a.yaml"], "write ID.PARAM=VALUE"),
        (
            &["check", "--pod-security-version", "v1.99", "--class", "Open", "a.yaml"],
            "--pod-security-version v1.99 is not known",
        ),
        (&["check", "--baseline", "a.yaml", "a.yaml"], "no SecurityBaseline in it"),
        (&["check", "--baseline", "none.yaml", "a.yaml"], "none.yaml: no such file"),
        (&["check", "-o", "jsn", "a.yaml"], "possible values: text, json"),
        (&["explain", "pod/privilegd"], "did you mean pod/privileged?"),
        (&["controls", "--class", "Opne"], "did you mean Open?"),
        (&["completions", "tcsh"], "possible values: bash"),
    ];
    for (args, words) in table {
        let ran = folder.run(args);
        assert_eq!(ran.status, 2, "{args:?} {ran:?}");
        assert!(ran.err.contains(words), "{args:?}: {words:?} is not in {ran:?}");
        assert!(!ran.out.contains("Deny"), "{args:?} {ran:?}");
    }
}

#[test]
fn what_nobody_judges_is_said() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let folder = Folder::new(&[("a.yaml", map), ("comment.yaml", "# nothing\n")]);
    let ran = folder.run(&["check", "a.yaml"]);
    ran.fails_with(0, "nothing was judged");
    assert!(ran.out.contains("0 objects judged") && ran.out.contains("1 skipped"), "{ran:?}");
    folder.run(&["check", "comment.yaml"]).fails_with(2, "comment.yaml: no Kubernetes object in it");
}

#[test]
fn a_file_that_sorts_before_its_declaration_is_warned_of() {
    let folder = Folder::new(&[("a.yaml", &good()), ("b.yaml", DECLARATION)]);
    folder
        .run(&["check", "."])
        .fails_with(0, "a.yaml sorts before ./b.yaml, whose CloudWorkload governs namespace fbr-portal");
    let one = Folder::new(&[("a.yaml", &format!("{}---\n{DECLARATION}", good()))]);
    one.run(&["check", "."]).fails_with(0, "stands behind what it governs");
    let right = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", &good())]);
    assert_eq!(right.run(&["check", "."]).err, "");
}
