//! `amanat baseline lint` and `amanat baseline diff`.

use super::folder::Folder;

fn shipped() -> String {
    let registries = "  - id: image/approved-registries\n    params: {registries: [registry.example.gov.pk]}\n";
    amanat::baseline::SHIPPED.replace("  - id: image/approved-registries\n", registries)
}

const OVERLAY: &str = "apiVersion: amanat.dev/v1alpha1
kind: SecurityBaseline
metadata: {name: punjab}
spec:
  title: Punjab
  version: \"1\"
  overlay: {jurisdictions: [Punjab]}
  controls:
  - id: image/digest-pinned
    effects: {Open: Deny, Public: Deny, Restricted: Deny, Confidential: Deny, Secret: Deny}
";

#[test]
fn lint_tells_sound_from_unsound_and_unreadable() {
    let folder = Folder::new(&[("sound.yaml", &shipped()), ("overlay.yaml", OVERLAY)]);
    let ran = folder.run(&["baseline", "lint"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("1 baseline: 0 problems, 0 warnings, "), "{ran:?}");
    let ran = folder.run(&["baseline", "lint", "sound.yaml", "overlay.yaml"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("2 baselines: 0 problems, 0 warnings, "), "{ran:?}");

    folder.write("unwise.yaml", &shipped().replace("system:masters", "ops").replace("v1.37", "v1.30"));
    assert_eq!(folder.run(&["baseline", "lint", "unwise.yaml"]).status, 0, "notes don't count");
    let unnamed = shipped().replace("\"system:masters\", \"kubeadm:cluster-admins\"", "");
    folder.write("unwise.yaml", &unnamed);
    let line = unnamed.lines().position(|line| line.contains("  administrators:")).unwrap() + 1;
    let ran = folder.run(&["baseline", "lint", "unwise.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains(&format!("warning: unwise.yaml:{line}:3: spec.administrators: nobody is")), "{ran:?}");

    folder.write("wrong.yaml", &shipped().replace("id: pod/privileged", "id: pod/priviledged"));
    let ran = folder.run(&["baseline", "lint", "wrong.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("unknown control pod/priviledged; did you mean pod/privileged?"), "{ran:?}");
    folder.write("wrong.yaml", &shipped().replace("  clusterScoped:", "  clusterScope:"));
    let ran = folder.run(&["baseline", "lint", "wrong.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("problem: wrong.yaml:"), "{ran:?}");

    folder.write("broken.yaml", &shipped().replace("  undeclared: Warn", "  undeclared: [Warn]"));
    folder.run(&["baseline", "lint", "broken.yaml"]).fails_with(2, "broken.yaml:");
    folder.write("broken.yaml", "kind: SecurityBaseline\nkind: SecurityBaseline\n");
    folder.run(&["baseline", "lint", "broken.yaml"]).fails_with(2, "broken.yaml:2:1: ");
    folder.write("other.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    folder.run(&["baseline", "lint", "other.yaml"]).fails_with(2, "no SecurityBaseline among the inputs");
    folder.run(&["baseline", "lint", "missing.yaml"]).fails_with(2, "no such file or folder");
    assert_eq!(folder.run_with(OVERLAY, &["baseline", "lint", "-"]).status, 0);
}

#[test]
fn lint_as_json_is_a_contract() {
    let wrong = shipped().replace("id: pod/privileged", "id: pod/priviledged");
    let folder = Folder::new(&[("wrong.yaml", &wrong)]);
    let ran = folder.run(&["baseline", "lint", "-o", "json", "wrong.yaml"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let line = wrong.lines().position(|line| line.contains("priviledged")).unwrap() + 1;
    let finding = &json["findings"].as_array().unwrap().iter().find(|finding| finding["level"] == "problem").unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["summary"]["problems"], 1);
    assert_eq!(finding["baseline"], "pakistan-cloud-first-2022");
    assert_eq!(finding["source"], serde_json::json!({"file": "wrong.yaml", "document": 0, "line": line, "column": 5}));
    assert_eq!(json["errors"], serde_json::json!([]));
}

#[test]
fn diff_tells_the_same_from_the_different() {
    let folder = Folder::new(&[("a.yaml", &shipped()), ("overlay.yaml", OVERLAY)]);
    let ran = folder.run(&["baseline", "diff", "shipped", "shipped"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "the same\n", ""));
    assert_eq!(folder.run_with(&shipped(), &["baseline", "diff", "a.yaml", "-"]).status, 0);
    folder.write(
        "b.yaml",
        &shipped().replace("graceOnRaise: 168h", "graceOnRaise: 24h").replace(
            "{class: Secret, models: [Government], countries: [PK]",
            "{class: Secret, models: [Government], countries: [PK, AE]",
        ),
    );
    let ran = folder.run(&["baseline", "diff", "a.yaml", "b.yaml"]);
    let expected = "loosened
  Secret
    placement Government in AE, grade Accredited: refused -> admitted with an approval
tightened
  every class
    spec.graceOnRaise: 168h -> 24h

1 loosened, 1 tightened, 0 changed
";
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (1, expected, ""));
    let ran = folder.run(&["baseline", "diff", "-o", "json", "a.yaml", "b.yaml"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["summary"], serde_json::json!({"loosened": 1, "tightened": 1, "changed": 0}));
    assert_eq!(json["changes"][1]["what"], "spec.graceOnRaise");
    assert!(folder.run(&["--color", "always", "baseline", "diff", "a.yaml", "b.yaml"]).out.contains("\u{1b}["));
}

#[test]
fn diff_takes_two_of_a_kind() {
    let folder = Folder::new(&[("a.yaml", &shipped()), ("overlay.yaml", OVERLAY)]);
    folder.run(&["baseline", "diff", "a.yaml", "overlay.yaml"]).fails_with(2, "one of the two is an overlay");
    folder.run(&["baseline", "diff", "-", "-"]).fails_with(2, "standard input can be one of the two");
    folder.run(&["baseline", "diff", "a.yaml"]).fails_with(2, "<B>");
    folder.run(&["baseline", "diff", "a.yaml", "missing.yaml"]).fails_with(2, "no such file");
    folder.write("two.yaml", &format!("{}---\n{OVERLAY}", shipped()));
    folder.run(&["baseline", "diff", "a.yaml", "two.yaml"]).fails_with(2, "more than one SecurityBaseline");
    folder.write("wrong.yaml", &shipped().replace("id: pod/privileged", "id: pod/priviledged"));
    folder.run(&["baseline", "diff", "a.yaml", "wrong.yaml"]).fails_with(2, "did you mean pod/privileged?");
    folder.write("stricter.yaml", &OVERLAY.replace("Punjab]", "Punjab, Sindh]").replace("Open: Deny", "Open: Warn"));
    let ran = folder.run(&["baseline", "diff", "overlay.yaml", "stricter.yaml"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("Open\n    image/digest-pinned effect: Deny -> Warn"), "{ran:?}");
    assert!(ran.out.contains("spec.overlay.jurisdictions: none -> Sindh"), "{ran:?}");
    // What is decided with them counts: the parameters of the effects that the shipped one has, and no effect below those.
    let registries = |list: &str, effects: &str| {
        let control = format!("  - id: image/approved-registries\n{effects}    params: {{registries: [{list}]}}\n");
        OVERLAY.split("  - id:").next().unwrap().to_owned() + &control
    };
    folder.write("one.yaml", &registries("r.io", ""));
    folder.write("other.yaml", &registries("r.io/team", ""));
    let ran = folder.run(&["baseline", "diff", "one.yaml", "other.yaml"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("image/approved-registries registries: [r.io] -> [r.io/team]"), "{ran:?}");
    folder.write("other.yaml", &registries("r.io", "    effects: {Secret: Warn}\n"));
    let ran = folder.run(&["baseline", "diff", "one.yaml", "other.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "the same\n"), "{ran:?}");
}
