//! What the upstream fixtures don't reach: paths, containers and values of findings, ephemeral containers, the edges of
//! revisions, and parameters.

use serde_json::{Value, json};

use super::*;
use crate::control::{Finding, Kind, Params, Sink, Subject};

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io";
const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";

fn findings(control: &Control, minor: u32, params: &Params, kind: Kind, object: &Value) -> Vec<Finding> {
    let subject = Subject::from_manifest(kind, object.clone()).unwrap();
    let mut sink = Sink::new();
    sink.begin(control.id);
    if let Some(check) = control.pod_check_at(minor) {
        check(&subject.pod().unwrap(), params, &mut sink);
    }
    sink.into_parts().0
}

/// Path, container and value of each finding of a Pod with this spec.
fn found(control: &Control, minor: u32, spec: &Value) -> Value {
    let pod = json!({"metadata": {"name": "p"}, "spec": spec});
    shown(&findings(control, minor, &Params::default(), Kind::Pod, &pod))
}

fn shown(findings: &[Finding]) -> Value {
    findings.iter().map(|found| json!([found.path.to_string(), found.container, found.value])).collect()
}

#[test]
fn findings_name_field_container_and_value() {
    let plain = json!({"containers": [{"name": "a"}]});
    let table = [
        (
            &PRIVILEGED,
            json!({"initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
            "containers": [{"name": "a", "securityContext": {"privileged": false}}, {"name": "b"}],
            "ephemeralContainers": [{"name": "e", "securityContext": {"privileged": true}}]}),
            json!([
                ["spec.initContainers[0].securityContext.privileged", "i", true],
                ["spec.ephemeralContainers[0].securityContext.privileged", "e", true]
            ]),
        ),
        (
            &HOST_NAMESPACES,
            json!({"hostNetwork": true, "hostPID": false, "hostIPC": true, "containers": [{"name": "a"}]}),
            json!([["spec.hostNetwork", null, true], ["spec.hostIPC", null, true]]),
        ),
        (
            &HOST_PORTS,
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 1},
                {"containerPort": 2, "hostPort": 0}, {"containerPort": 3, "hostPort": 3}]}]}),
            json!([["spec.containers[0].ports[2].hostPort", "a", 3]]),
        ),
        (
            &HOST_PORTS,
            json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}),
            json!([["spec.containers[0].ports[0].hostPort", "a", 80]]),
        ),
        (
            &HOST_PROBES,
            json!({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": ""}},
                "startupProbe": {"tcpSocket": {"port": 1, "host": "h"}},
                "lifecycle": {"preStop": {"httpGet": {"port": 1, "host": "::1"}}}}]}),
            json!([
                ["spec.containers[0].startupProbe.tcpSocket.host", "a", "h"],
                ["spec.containers[0].lifecycle.preStop.httpGet.host", "a", "::1"]
            ]),
        ),
        (
            &HOST_PATH_VOLUMES,
            json!({"containers": [{"name": "a"}], "volumes": [{"name": "v"},
                {"name": "w", "hostPath": {"path": "/etc"}}]}),
            json!([["spec.volumes[1].hostPath.path", null, "/etc"]]),
        ),
        (
            &WINDOWS_HOST_PROCESS,
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}},
                "containers": [{"name": "a", "securityContext": {"windowsOptions": {"hostProcess": true}}}]}),
            json!([
                ["spec.securityContext.windowsOptions.hostProcess", null, true],
                ["spec.containers[0].securityContext.windowsOptions.hostProcess", "a", true]
            ]),
        ),
        (
            &ADDED_CAPABILITIES,
            json!({"containers": [{"name": "a",
                "securityContext": {"capabilities": {"add": ["CHOWN", "chown", "CAP_CHOWN", "ALL"]}}}]}),
            json!([
                ["spec.containers[0].securityContext.capabilities.add[1]", "a", "chown"],
                ["spec.containers[0].securityContext.capabilities.add[2]", "a", "CAP_CHOWN"],
                ["spec.containers[0].securityContext.capabilities.add[3]", "a", "ALL"]
            ]),
        ),
        (
            &RESTRICTED_CAPABILITIES,
            plain.clone(),
            json!([["spec.containers[0].securityContext.capabilities.drop", "a", null]]),
        ),
        (
            &RESTRICTED_CAPABILITIES,
            json!({"containers": [{"name": "a",
                "securityContext": {"capabilities": {"drop": ["all"], "add": ["NET_BIND_SERVICE", "CHOWN"]}}}]}),
            json!([
                ["spec.containers[0].securityContext.capabilities.drop", "a", ["all"]],
                ["spec.containers[0].securityContext.capabilities.add[1]", "a", "CHOWN"]
            ]),
        ),
        (
            &SELINUX_OPTIONS,
            json!({"securityContext": {"seLinuxOptions": {"type": "", "role": "r"}},
                "containers": [{"name": "a", "securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}}]}),
            json!([
                ["spec.securityContext.seLinuxOptions.role", null, "r"],
                ["spec.containers[0].securityContext.seLinuxOptions.type", "a", "spc_t"],
                ["spec.containers[0].securityContext.seLinuxOptions.user", "a", "u"]
            ]),
        ),
        (
            &SYSCTLS,
            json!({"containers": [{"name": "a"}], "securityContext": {"sysctls": [
                {"name": "net.ipv4.tcp_rmem", "value": "1"}, {"name": "kernel.msgmax", "value": "1"}]}}),
            json!([["spec.securityContext.sysctls[1].name", null, "kernel.msgmax"]]),
        ),
        (
            &PRIVILEGE_ESCALATION,
            json!({"containers": [{"name": "a", "securityContext": null}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"allowPrivilegeEscalation": true}}]}),
            json!([
                ["spec.containers[0].securityContext.allowPrivilegeEscalation", "a", null],
                ["spec.ephemeralContainers[0].securityContext.allowPrivilegeEscalation", "e", true]
            ]),
        ),
        (&RUN_AS_NON_ROOT, plain.clone(), json!([["spec.containers[0].securityContext.runAsNonRoot", "a", null]])),
        (&SECCOMP_PROFILE, plain, json!([["spec.containers[0].securityContext.seccompProfile.type", "a", null]])),
        (
            &SECCOMP_UNCONFINED,
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}},
                "containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": ""}}}]}),
            json!([
                ["spec.securityContext.seccompProfile.type", null, "Unconfined"],
                ["spec.containers[0].securityContext.seccompProfile.type", "a", ""]
            ]),
        ),
        (
            &RUN_AS_USER,
            json!({"securityContext": {"runAsUser": 0},
                "containers": [{"name": "a"}, {"name": "b", "securityContext": {"runAsUser": 0}}]}),
            json!([
                ["spec.securityContext.runAsUser", null, 0],
                ["spec.containers[1].securityContext.runAsUser", "b", 0]
            ]),
        ),
    ];
    for (control, spec, expected) in table {
        assert_eq!(found(control, 37, &spec), expected, "{} {spec}", control.id);
    }
}

#[test]
fn a_wrong_pod_level_and_those_who_inherit_it_are_found() {
    let spec = json!({"securityContext": {"runAsNonRoot": false}, "containers": [{"name": "a"},
        {"name": "b", "securityContext": {"runAsNonRoot": true}}], "ephemeralContainers": [{"name": "e"}]});
    let expected = json!([
        ["spec.securityContext.runAsNonRoot", null, false],
        ["spec.containers[0].securityContext.runAsNonRoot", "a", null],
        ["spec.ephemeralContainers[0].securityContext.runAsNonRoot", "e", null]
    ]);
    assert_eq!(found(&RUN_AS_NON_ROOT, 37, &spec), expected);

    let spec = json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}, "containers": [{"name": "a"},
        {"name": "b", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]});
    let expected = json!([["spec.containers[1].securityContext.seccompProfile.type", "b", "Unconfined"]]);
    assert_eq!(found(&SECCOMP_PROFILE, 37, &spec), expected);
}

#[test]
fn revisions_begin_and_end_at_their_version() {
    let container = |context: Value| json!({"containers": [{"name": "a", "securityContext": context}]});
    let with = |mut spec: Value, field: &str, value: Value| {
        spec[field] = value;
        spec
    };
    let plain = || container(Value::Null);
    let windows = |spec: Value| with(spec, "os", json!({"name": "windows"}));
    let own_users = |spec: Value| with(spec, "hostUsers", json!(false));
    let sysctl = |name: &str| json!({"containers": [{"name": "a"}], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
    let selinux = |name: &str| container(json!({"seLinuxOptions": {"type": name}}));
    let probe = json!({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": "h"}}}]});
    let unmasked = || container(json!({"procMount": "Unmasked"}));
    let root = || container(json!({"runAsUser": 0}));
    // The versions at which the spec is refused: first and last.
    let table = [
        (&HOST_PROBES, probe, Some((34, 37))),
        (&PROC_MOUNT, unmasked(), Some((0, 37))),
        (&PROC_MOUNT, own_users(unmasked()), Some((0, 34))),
        (&PROC_MOUNT, with(unmasked(), "hostUsers", json!(true)), Some((0, 37))),
        (&RESTRICTED_PROC_MOUNT, own_users(unmasked()), Some((35, 37))),
        (&SECCOMP_UNCONFINED, container(json!({"seccompProfile": {"type": "Unconfined"}})), Some((19, 37))),
        (&SECCOMP_UNCONFINED, windows(container(json!({"seccompProfile": {"type": "Unconfined"}}))), Some((19, 37))),
        (&SECCOMP_PROFILE, plain(), Some((19, 37))),
        (&SECCOMP_PROFILE, windows(plain()), Some((19, 24))),
        (&PRIVILEGE_ESCALATION, plain(), Some((8, 37))),
        (&PRIVILEGE_ESCALATION, windows(plain()), Some((8, 24))),
        (&RESTRICTED_CAPABILITIES, plain(), Some((22, 37))),
        (&RESTRICTED_CAPABILITIES, windows(plain()), Some((22, 24))),
        (&RUN_AS_NON_ROOT, plain(), Some((0, 37))),
        (&RUN_AS_NON_ROOT, windows(plain()), Some((0, 37))),
        (&RUN_AS_NON_ROOT, own_users(plain()), Some((0, 34))),
        (&RUN_AS_USER, plain(), None),
        (&RUN_AS_USER, root(), Some((23, 37))),
        (&RUN_AS_USER, own_users(root()), Some((23, 34))),
        (&SELINUX_OPTIONS, selinux("container_engine_t"), Some((0, 30))),
        (&SELINUX_OPTIONS, selinux("container_kvm_t"), None),
        (&SELINUX_OPTIONS, container(json!({"seLinuxOptions": {"level": "s0:c1"}})), None),
        (&SYSCTLS, sysctl("kernel.shm_rmid_forced"), None),
        (&SYSCTLS, sysctl("net.ipv4.ip_local_reserved_ports"), Some((0, 26))),
        (&SYSCTLS, sysctl("net.ipv4.tcp_fin_timeout"), Some((0, 28))),
        (&SYSCTLS, sysctl("net.ipv4.tcp_wmem"), Some((0, 31))),
        (&SYSCTLS, sysctl("net.ipv4.tcp_notsent_lowat"), Some((0, 36))),
        (&SYSCTLS, sysctl("net/ipv4/tcp_syncookies"), Some((0, 37))),
    ];
    for (control, spec, refused) in table {
        for minor in 0..=37 {
            let expected = refused.is_some_and(|(first, last)| (first..=last).contains(&minor));
            assert_eq!(found(control, minor, &spec) != json!([]), expected, "{} 1.{minor} {spec}", control.id);
        }
    }
}

#[test]
fn annotations_are_those_of_the_pod_and_of_the_template() {
    let apparmor = |container: &str| format!("{APPARMOR}/{container}");
    let annotations = json!({apparmor("a"): "unconfined", apparmor("b"): "", apparmor("c"): "runtime/default",
        apparmor("d"): "localhost/x", apparmor("e"): "localhost", SECCOMP: "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/gone": "unconfined"});
    let spec = json!({"containers": [{"name": "a"}]});
    let pod = json!({"metadata": {"annotations": annotations}, "spec": spec});
    let deployment = json!({"metadata": {"annotations": annotations}, "spec": {"template": {"spec": spec}}});
    let template = json!({"spec": {"template": {"metadata": {"annotations": annotations}, "spec": spec}}});
    let at = |control: &Control, minor: u32, kind: Kind, object: &Value| {
        shown(&findings(control, minor, &Params::default(), kind, object))
    };

    let path = |container: &str| format!("metadata.annotations[{APPARMOR}/{container}]");
    let expected = json!([[path("a"), "a", "unconfined"], [path("e"), "e", "localhost"]]);
    assert_eq!(at(&APPARMOR_PROFILE, 37, Kind::Pod, &pod), expected);
    assert_eq!(at(&APPARMOR_PROFILE, 37, Kind::Deployment, &deployment), json!([]));
    let path = |container: &str| format!("spec.template.{}", path(container));
    let expected = json!([[path("a"), "a", "unconfined"], [path("e"), "e", "localhost"]]);
    assert_eq!(at(&APPARMOR_PROFILE, 37, Kind::Deployment, &template), expected);

    let expected = json!([
        [format!("metadata.annotations[{SECCOMP}]"), null, "unconfined"],
        ["metadata.annotations[container.seccomp.security.alpha.kubernetes.io/a]", "a", "unconfined"]
    ]);
    assert_eq!(at(&SECCOMP_UNCONFINED, 18, Kind::Pod, &pod), expected);
    assert_eq!(at(&SECCOMP_UNCONFINED, 19, Kind::Pod, &pod), json!([]));
    for control in [&APPARMOR_PROFILE, &SECCOMP_UNCONFINED] {
        for key in pod["metadata"]["annotations"].as_object().unwrap().keys() {
            let read = [&APPARMOR_PROFILE, &SECCOMP_UNCONFINED].iter().any(|control| {
                control.reads.iter().any(|read| match read.strip_suffix('*') {
                    Some(prefix) => key.starts_with(prefix),
                    None => key == read,
                })
            });
            assert!(read, "{} reads {key} and doesn't declare it", control.id);
        }
    }
}

#[test]
fn a_volume_of_a_restricted_type_shows_no_driver_options() {
    let spec = json!({"containers": [{"name": "a"}], "volumes": [{"name": "ok", "image": {"reference": "r"}},
        {"name": "v", "flexVolume": {"driver": "d", "options": {"password": "canary"}}},
        {"name": "w", "nfs": {"server": "s", "path": "/p"}}]});
    let expected = json!([["spec.volumes[1].flexVolume", null, {"driver": "d"}],
        ["spec.volumes[2].nfs", null, {"server": "s", "path": "/p"}]]);
    assert_eq!(found(&VOLUME_TYPES, 37, &spec), expected);
}

#[test]
fn parameters_tighten() {
    let with = |control: &Control, value: Value| {
        let spec = &control.params[0];
        let mut params = Params::default();
        params.set(spec.name, spec.parse(&value).unwrap());
        params
    };
    let csi = json!({"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "v", "csi": {"driver": "secrets.example"}}]}});
    let refused = json!([["spec.volumes[0].csi.driver", null, "secrets.example"]]);
    for (drivers, expected) in
        [(json!(["secrets.example"]), json!([])), (json!(["other.example"]), refused.clone()), (json!([]), refused)]
    {
        let found = findings(&VOLUME_TYPES, 37, &with(&VOLUME_TYPES, drivers), Kind::Pod, &csi);
        assert_eq!(shown(&found), expected);
    }

    let user = |user: i64| json!({"spec": {"containers": [{"name": "a"}], "securityContext": {"runAsUser": user}}});
    for (min, id, refused) in [(1, 0, true), (1, 1, false), (1000, 999, true), (1000, 1000, false), (1000, 0, true)] {
        let found = findings(&RUN_AS_USER, 37, &with(&RUN_AS_USER, json!(min)), Kind::Pod, &user(id));
        assert_eq!(!found.is_empty(), refused, "minUid {min}, runAsUser {id}");
    }
}

#[test]
fn a_root_filesystem_is_read_only_but_for_excepted_images() {
    let spec = json!({"initContainers": [{"name": "i", "image": "r.io/tools/init"}],
        "containers": [{"name": "a", "image": "r.io/app", "securityContext": {"readOnlyRootFilesystem": true}},
            {"name": "b", "image": "r.io/toolset/b", "securityContext": {"readOnlyRootFilesystem": false}}, {"name": "c"}],
        "ephemeralContainers": [{"name": "e", "image": "nginx"}]});
    let name = "securityContext.readOnlyRootFilesystem";
    let [i, b, c, e] = [
        json!([format!("spec.initContainers[0].{name}"), "i", null]),
        json!([format!("spec.containers[1].{name}"), "b", false]),
        json!([format!("spec.containers[2].{name}"), "c", null]),
        json!([format!("spec.ephemeralContainers[0].{name}"), "e", null]),
    ];
    assert_eq!(found(&READ_ONLY_ROOT_FILESYSTEM, 37, &spec), json!([i, b, c, e]));
    let pod = json!({"metadata": {"name": "p"}, "spec": spec});
    let param = &READ_ONLY_ROOT_FILESYSTEM.params[0];
    for (except, expected) in [
        (json!([]), json!([i, b, c, e])),
        (json!(["r.io/tools"]), json!([b, c, e])),
        (json!(["r.io", "docker.io/library/nginx"]), json!([c])),
    ] {
        let mut params = Params::default();
        params.set(param.name, param.parse(&except).unwrap());
        assert_eq!(shown(&findings(&READ_ONLY_ROOT_FILESYSTEM, 37, &params, Kind::Pod, &pod)), expected, "{except}");
    }
    let windows = json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]});
    assert_eq!(found(&READ_ONLY_ROOT_FILESYSTEM, 37, &windows), json!([]));
}
