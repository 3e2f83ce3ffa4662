use super::folder::{BAD, DECLARATION, Folder};

fn refused(text: &str, words: &str) {
    let folder = Folder::new(&[("a.yaml", text)]);
    folder.run(&["check", "--class", "Restricted", "a.yaml"]).fails_with(2, words);
}

#[test]
fn hostile_yaml_is_an_error_with_its_place() {
    refused("apiVersion: v1\nkind: Pod\nspec: {containers: [\n", "a.yaml:");
    refused("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nkind: Service\n", "a.yaml:4:1: ");
    refused(&format!("a: {}{}", "[".repeat(20_000), "]".repeat(20_000)), "a.yaml:1:");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    refused(&bomb, "a.yaml:");
}

#[test]
fn a_document_that_is_no_object_counts_only_where_it_was_named() {
    refused("replicas: 2\n", "a.yaml:1:1: no Kubernetes object: it has no apiVersion and kind");
    refused("just text\n", "expected a mapping");
    refused("kind: Deployment\n", "it has no apiVersion");
    let folder =
        Folder::new(&[("values.yaml", "replicas: 2\n"), ("Chart.yaml", "apiVersion: v2\nname: x\n"), ("z.yaml", BAD)]);
    let ran = folder.run(&["check", "--class", "Restricted", "."]);
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    assert!(ran.out.contains("2 skipped"), "{ran:?}");
    folder.write("zz.yaml", "kind: Pod\nmetadata: {name: lost}\n");
    folder
        .run(&["check", "--class", "Restricted", "."])
        .fails_with(2, "zz.yaml:1:1: no Kubernetes object: it has no apiVersion");
}

#[test]
fn a_judged_kind_that_can_not_be_read_is_no_pass() {
    refused(&BAD.replace("spec:", "Spec:"), "a.yaml:1:1: Pod can't be read: missing field `spec`");
    refused(&BAD.replace("  - name: app", "  - name: [app]"), "a.yaml:1:1: Pod can't be read: ");
    refused(&BAD.replace("kind: Pod", "kind: Deployment"), "v1 has no Deployment; write apiVersion: apps/v1");
    refused(&BAD.replace("apiVersion: v1", "apiVersion: apps/v1"), "apps/v1 has no Pod; write apiVersion: v1");
}

#[test]
fn own_kinds_are_read_strictly() {
    refused(&DECLARATION.replace("dataClass", "dataClas"), "a.yaml:4:20: spec.dataClas: ");
    refused(&DECLARATION.replace("kind: CloudWorkload", "kind: CloudWorklod"), "did you mean CloudWorkload?");
    refused(&DECLARATION.replace("v1alpha1", "v1"), "unknown version amanat.dev/v1; write amanat.dev/v1alpha1");
    refused(&DECLARATION.replace("name: workload", "name: other"), "a.yaml:3:12: metadata.name: ");
    refused(&DECLARATION.replace("model: Government", "model: Lunar"), "a.yaml:4:");
    // The declaration's error is the only one: the namespace's class isn't asked for as well.
    let folder = Folder::new(&[("a.yaml", &DECLARATION.replace("owner: fbr, ", "")), ("b.yaml", BAD)]);
    let ran = folder.run(&["check", "-n", "fbr-portal", "."]);
    ran.fails_with(2, "spec");
    assert!(!ran.err.contains("no data class"), "{ran:?}");
}

#[test]
fn an_object_of_too_many_parts_is_refused_for_that_alone() {
    let folder = Folder::new(&[("b.yaml", BAD)]);
    for (kind, count) in [("SecurityBaseline", 7_000), ("CloudServiceProvider", 7_000), ("CloudWorkload", 35_000)] {
        let metadata = r#"{"name":"workload","namespace":"fbr-portal"}"#;
        let spec = format!(r#"{{"tags":[{}{{}}]}}"#, "{},".repeat(count));
        let text =
            format!(r#"{{"apiVersion":"amanat.dev/v1alpha1","kind":"{kind}","metadata":{metadata},"spec":{spec}}}"#);
        folder.write("a.yaml", &text);
        let ran = folder.run(&["check", "-n", "fbr-portal", "."]);
        ran.fails_with(2, &format!("a.yaml:1:1: the {kind} can't be judged, because it has too many parts"));
        assert_eq!(ran.err.matches("a.yaml").count(), 1, "{ran:?}");
        assert_eq!(ran.err.contains("no data class"), kind != "CloudWorkload", "{ran:?}");
    }
}

#[test]
fn two_that_differ_are_an_error() {
    let other = DECLARATION.replace("Restricted", "Open");
    let folder = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", &other)]);
    folder
        .run(&["check", "."])
        .fails_with(2, "CloudWorkload of namespace fbr-portal is written twice, and differently in ./a.yaml");
    folder.write("b.yaml", DECLARATION);
    assert_eq!(folder.run(&["check", "."]).status, 0);
}

#[test]
fn a_baseline_among_the_inputs_is_loaded_strictly() {
    let folder = Folder::new(&[]);
    let shipped = folder.run(&["baseline", "show"]).out;
    folder.write("a.yaml", &shipped.replace("name: pakistan-cloud-first-2022", "name: own"));
    folder.write("b.yaml", BAD);
    let ran = folder.run(&["check", "--class", "Restricted", "."]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("judged by own 1"), "{ran:?}");
    folder.write("a.yaml", &shipped.replacen("id: image/digest-pinned", "id: image/digest-pined", 1));
    let ran = folder.run(&["check", "--class", "Restricted", "."]);
    ran.fails_with(2, "did you mean image/digest-pinned?");
    assert!(ran.err.contains("a.yaml:") && ran.err.contains(".id: unknown control"), "{ran:?}");
}

#[test]
fn nothing_of_a_name_acts_on_the_terminal() {
    let folder = Folder::new(&[("a.yaml", &BAD.replace("name: app", "name: \"a\\e[2J\\u202E\""))]);
    let ran = folder.run(&["check", "--color", "never", "--class", "Restricted", "a.yaml"]);
    assert_eq!(ran.status, 1);
    assert!(!ran.out.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
}
