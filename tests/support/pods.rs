//! Generated Pods: a conforming one with faults of every control stirred in.

#![allow(dead_code, reason = "each test uses a part of it")]

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::conforming_spec;

const PLACE: &str = "node-restriction.kubernetes.io/amanat-jurisdiction";

/// A change of a Pod's spec by JSON pointer.
type Fault = (&'static str, Value);

/// What is stirred in: at least one fault for each control of Pods, and some that are none.
pub(crate) fn faults() -> Vec<Fault> {
    let first = "/containers/0/securityContext";
    let required = |terms: Value| {
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        json!({"nodeAffinity": required})
    };
    let here = json!({"matchExpressions": [{"key": PLACE, "operator": "In", "values": ["PK"]}]});
    let by_name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["nowhere"]}]});
    let mut faults = vec![
        ("/hostNetwork", json!(true)),
        ("/hostPID", json!(true)),
        ("/hostUsers", json!(false)),
        ("/os", json!({"name": "windows"})),
        ("/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])),
        ("/volumes", json!([{"name": "v", "emptyDir": null}])),
        (
            "/volumes",
            json!([{"name": "v", "csi": {"driver": "d"}}, {"name": "w", "nfs": {"server": "s", "path": "/"}}]),
        ),
        ("/volumes", json!([{"name": "v", "image": {"reference": "docker.io/data"}}])),
        ("/securityContext", Value::Null),
        ("/securityContext", json!({"runAsUser": 0, "seccompProfile": {"type": "Unconfined"}})),
        ("/securityContext", json!({"windowsOptions": {"hostProcess": true}})),
        ("/securityContext", json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})),
        ("/securityContext", json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
        ("/securityContext", json!({"appArmorProfile": {"type": "Unconfined"}})),
        ("/containers/0/image", json!("docker.io/nginx")),
        ("/containers/0/image", json!("registry.example.gov.pk/app:1")),
        ("/containers/0/imagePullPolicy", json!("Always")),
        ("/containers/0/ports", json!([{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}])),
        ("/containers/0/livenessProbe", json!({"httpGet": {"host": "10.0.0.1", "port": 80}})),
        ("/containers/0/lifecycle", json!({"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}})),
        ("/resources", json!({"limits": {"cpu": "32", "memory": "1Gi"}})),
        ("/containers/0/resources", Value::Null),
        ("/containers/0/resources", json!({"limits": {"cpu": 0}, "requests": {"memory": "64Mi"}})),
        ("/containers/0/resources", json!({"limits": {"cpu": "17", "memory": "1Ti"}, "requests": {"cpu": "-1"}})),
        ("/nodeName", json!("nowhere")),
        ("/nodeSelector", json!({PLACE: "PK", "zone": "a"})),
        ("/nodeSelector", json!({PLACE: "AE"})),
        ("/affinity", json!({})),
        ("/affinity", json!({"podAffinity": {}, "nodeAffinity": {}})),
        ("/affinity", required(json!([]))),
        (
            "/affinity",
            required(json!([here, {}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, by_name])),
        ),
        (
            "/affinity",
            required(json!([{"matchExpressions": [{"key": PLACE, "operator": "In", "values": ["PK", "AE"]}]}])),
        ),
        ("/tolerations", json!([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}])),
        ("/tolerations", json!([{"operator": "Exists"}, {"key": "amanat.dev/data-class", "value": "Open"}])),
        ("/initContainers", json!([{"name": "init", "image": "busybox"}])),
        ("/initContainers", json!([{"name": "side", "image": "busybox", "restartPolicy": "Always"}])),
    ];
    let contexts = [
        json!({}),
        Value::Null,
        json!({"privileged": true}),
        json!({"allowPrivilegeEscalation": true, "capabilities": {"add": ["SYS_ADMIN"]}}),
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["all"], "add": ["NET_BIND_SERVICE"]}}),
        json!({"procMount": "Unmasked", "runAsNonRoot": false, "runAsUser": 0}),
        json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}),
    ];
    faults.extend(contexts.map(|context| (first, context)));
    faults
}

/// A Pod's spec with some of the faults.
pub(crate) fn specs() -> impl Strategy<Value = Value> {
    prop::collection::vec(prop::sample::select(faults()), 0..6).prop_map(|faults| {
        let mut spec = conforming_spec();
        for (pointer, value) in faults {
            set(&mut spec, pointer, value);
        }
        spec
    })
}

fn set(spec: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap();
    // A fault that needs what another removed changes nothing.
    if let Some(object) = parent.as_object_mut() {
        object.insert(field.to_owned(), value);
    }
}
