//! Generated Pods: a conforming one with faults of every control stirred in.

#![allow(dead_code, reason = "each test uses a part of it")]

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::conforming_spec;

const PLACE: &str = "node-restriction.kubernetes.io/amanat-jurisdiction";
const REGION: &str = "topology.kubernetes.io/region";
/// A ServiceAccount that a declaration may name.
pub(crate) const DECLARED: &str = "elector";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

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
        ("/nodeSelector", json!({PLACE: "PK", REGION: "lahore"})),
        (
            "/affinity",
            required(json!([{"matchExpressions": [{"key": REGION, "operator": "In", "values": ["lahore"]}]}])),
        ),
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
        ("/automountServiceAccountToken", Value::Null),
        ("/automountServiceAccountToken", Value::Null),
        ("/automountServiceAccountToken", json!(true)),
        ("/serviceAccountName", json!(DECLARED)),
        ("/volumes", json!([token_volume("kube-api-access-x"), {"name": "v", "emptyDir": {}}, token_volume("token")])),
        ("/volumes", json!([token_volume("kube-api-access-x"), token_volume("kube-api-access-y")])),
        // The plugin mounts the first, which has none, and leaves alone the second, which has one.
        ("/volumes", json!([{"name": "kube-api-access-a", "emptyDir": {}}, token_volume("kube-api-access-y")])),
        (
            "/volumes",
            json!([{"name": "kube-api-access-z", "projected": {"sources": [{"serviceAccountToken":
            {"path": "token", "expirationSeconds": 7200}}]}}]),
        ),
        (
            "/containers/0/volumeMounts",
            json!([
                mount("kube-api-access-x", "/a"),
                mount("v", TOKEN_PATH),
                mount("kube-api-access-x", "/b"),
                mount("kube-api-access-y", "/c")
            ]),
        ),
        (
            "/initContainers",
            json!([{"name": "init", "image": "busybox", "volumeMounts":
            [mount("v", "/v"), mount("kube-api-access-y", "/y"), mount("kube-api-access-x", "/x")]}]),
        ),
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

fn mount(volume: &str, path: &str) -> Value {
    json!({"name": volume, "mountPath": path, "readOnly": true})
}

/// A volume as the API server's plugin makes it.
pub(crate) fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1",
            "fieldPath": "metadata.namespace"}}]}}]}})
}

/// A Pod's spec as the API server completes it before it calls a webhook: the token that it mounts by itself.
pub(crate) fn mount_token(spec: &mut Value) {
    if spec["automountServiceAccountToken"] == false {
        return;
    }
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut volumes = items(&spec["volumes"]);
    let name = |volume: &Value| volume["name"].as_str().unwrap_or_default().to_owned();
    let there = volumes.iter().map(name).find(|name| name.starts_with("kube-api-access-"));
    let token = there.clone().unwrap_or_else(|| "kube-api-access-8xq2v".to_owned());
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mut mounts = items(&container["volumeMounts"]);
            if mounts.iter().all(|mount| mount["mountPath"] != TOKEN_PATH) {
                mounts.push(mount(&token, TOKEN_PATH));
                container["volumeMounts"] = json!(mounts);
                needed = true;
            }
        }
    }
    if needed && there.is_none() {
        volumes.push(token_volume(&token));
        spec["volumes"] = json!(volumes);
    }
}
