use std::os::unix::fs::symlink;

use super::folder::{BAD, DECLARATION, Folder, REGISTRY, good};

#[test]
fn standard_input_is_read() {
    let folder = Folder::new(&[]);
    let ran = folder.run_with(BAD, &["check", "--class", "Restricted", "-"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.starts_with("-: Pod default/bad [Restricted]\n"), "{ran:?}");
}

#[test]
fn folders_are_walked_once_and_hidden_files_are_not() {
    let folder = Folder::new(&[
        ("a/b/c.yml", BAD),
        ("a/d.json", "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}"),
        (".git/e.yaml", "broken: ["),
        ("a/.f.yaml", "broken: ["),
        ("a/g.txt", "broken: ["),
    ]);
    symlink(folder.path(), folder.path().join("a/loop")).unwrap();
    symlink("c.yml", folder.path().join("a/b/again.yaml")).unwrap();
    let ran = folder.run(&["check", "--class", "Restricted", ".", "a/b/c.yml"]);
    assert_eq!((ran.status, ran.err.as_str()), (1, ""), "{ran:?}");
    assert!(ran.out.contains("1 object judged") && ran.out.contains("1 skipped"), "{ran:?}");
}

#[test]
fn a_class_is_found_in_files_context_or_argument() {
    let folder = Folder::new(&[("cw.yaml", DECLARATION), ("pod.yaml", BAD), ("context/all.yaml", REGISTRY)]);
    let class = |args: &[&str]| folder.json(args)["findings"][0]["class"].as_str().map(str::to_owned);
    assert_eq!(class(&["cw.yaml", "pod.yaml"]).as_deref(), Some("Restricted"));
    assert_eq!(class(&["--context", "cw.yaml", "pod.yaml"]).as_deref(), Some("Restricted"));
    assert_eq!(class(&["--class", "Sensitive", "pod.yaml"]).as_deref(), Some("Confidential"));
    // What a namespace declares itself counts more than what the command line assumes.
    assert_eq!(class(&["--class", "Secret", "cw.yaml", "pod.yaml"]).as_deref(), Some("Restricted"));
    let assumed = folder.json(&["--class", "Restricted", "pod.yaml"])["notAssessed"].to_string();
    assert!(assumed.contains("placement/provider-accredited") && assumed.contains("assumes an accepted declaration"));
    let known = folder.json(&["--context", "context", "cw.yaml", "pod.yaml"])["notAssessed"].to_string();
    assert!(!known.contains("placement/"), "{known}");
}

#[test]
fn the_class_of_another_namespace_is_taken_from_what_is_known_of_it() {
    let service = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: x, namespace: fbr-portal}}\n\
             spec: {{type: ExternalName, externalName: db.{namespace}.svc.cluster.local}}\n"
        )
    };
    let claim = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: x, namespace: fbr-portal}}\n\
             spec: {{dataSourceRef: {{kind: PersistentVolumeClaim, name: d, namespace: {namespace}}}}}\n"
        )
    };
    let policy = |namespace: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: x, namespace: fbr-portal}}\n\
             spec:\n  podSelector: {{}}\n  ingress:\n  - from:\n    - namespaceSelector: \
             {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}\n"
        )
    };
    let declared =
        |namespace: &str, class: &str| DECLARATION.replace("fbr-portal", namespace).replace("Restricted", class);
    let labelled = |namespace: &str, class: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{amanat.dev/data-class: {class}}}}}\n"
        )
    };
    let context = [
        declared("peer", "Restricted"),
        labelled("peer", "Restricted"),
        declared("higher", "Confidential"),
        labelled("labelled-peer", "Restricted"),
        labelled("labelled-higher", "Secret"),
        declared("raised", "Restricted"),
        labelled("raised", "Confidential"),
    ]
    .join("---\n");
    let folder =
        Folder::new(&[("cw.yaml", DECLARATION), ("context/registry.yaml", REGISTRY), ("context/peers.yaml", &context)]);
    // What is found, and what is not assessed, of each of the three.
    let (passes, denied, unknown) = ((0, 0), (1, 0), (0, 1));
    for (namespace, reaches, policy_reaches) in [
        ("peer", passes, passes),
        ("labelled-peer", passes, passes),
        ("higher", denied, denied),
        ("labelled-higher", denied, denied),
        ("raised", denied, denied),
        // The cluster's own namespaces and `default` hold no class.
        ("kube-system", denied, passes),
        ("storage-system", denied, passes),
        ("default", denied, passes),
        ("nobodys", unknown, unknown),
    ] {
        for (object, expected) in
            [(service(namespace), reaches), (claim(namespace), reaches), (policy(namespace), policy_reaches)]
        {
            folder.write("x.yaml", &object);
            let system = ["--system-namespace", "storage-system"];
            let answer = folder.json(&[&["--context", "context", "cw.yaml", "x.yaml"], &system[..]].concat());
            let of = |list: &str| {
                let all = answer[list].as_array().unwrap();
                all.iter().filter(|one| one["control"] == "placement/class-inherited").count()
            };
            assert_eq!((of("findings"), of("notAssessed")), expected, "{object}{answer:#}");
        }
    }
}

#[test]
fn a_refused_declaration_refuses_its_workloads() {
    let suspended = REGISTRY.replace("state: Active", "state: Suspended");
    let folder = Folder::new(&[("a.yaml", DECLARATION), ("b.yaml", &suspended), ("c.yaml", &good())]);
    let ran = folder.run(&["check", "."]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.out.contains("a.yaml: CloudWorkload fbr-portal/workload")
            && ran.out.contains("c.yaml: Pod fbr-portal/good")
    );
    assert!(ran.out.contains("provider ntc is Suspended, not Active"), "{ran:?}");
}

#[test]
fn the_clusters_own_namespaces_are_not_judged() {
    let pod = |namespace: &str| BAD.replace("{name: bad}", &format!("{{name: bad, namespace: {namespace}}}"));
    let folder = Folder::new(&[("a.yaml", &pod("kube-system")), ("b.yaml", &pod("storage-system"))]);
    folder.run(&["check", "a.yaml"]).fails_with(0, "nothing was judged");
    folder.run(&["check", "b.yaml"]).fails_with(2, "no data class");
    folder.run(&["check", "--system-namespace", "storage-system", "b.yaml"]).fails_with(0, "nothing was judged");
}

#[test]
fn one_control_needs_no_class_and_denies() {
    let folder = Folder::new(&[("a.yaml", BAD)]);
    let ran = folder.run(&["check", "--control", "image/digest-pinned", "a.yaml"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("a.yaml: Pod default/bad\n") && ran.out.contains("1 denied, 0 warned"), "{ran:?}");
    assert_eq!(folder.run(&["check", "--control", "pod/privileged", "a.yaml"]).status, 0);
    // Without a class the strictest one's parameters hold; with one, its own.
    assert_eq!(folder.run(&["check", "--control", "image/digest-pinned", "--class", "Open", "a.yaml"]).status, 0);
    let set = ["check", "--control", "image/digest-pinned", "--set", "image/digest-pinned.demand=tag", "a.yaml"];
    assert_eq!(folder.run(&set).status, 0);
    let undeclared = folder.run(&["check", "--control", "placement/data-class-declared", "a.yaml"]);
    assert_eq!(undeclared.status, 1, "{undeclared:?}");
}

#[test]
fn the_pod_security_version_is_pinned() {
    let sysctl = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  securityContext: {sysctls: [{name: net.ipv4.tcp_keepalive_time, value: \"1\"}]}\n  containers: [{name: a, image: a}]\n";
    let folder = Folder::new(&[("a.yaml", sysctl)]);
    let at = |version: &str| {
        folder.run(&["check", "--control", "pod/sysctls", "--pod-security-version", version, "a.yaml"]).status
    };
    assert_eq!((at("v1.28"), at("v1.29")), (1, 0));
}
