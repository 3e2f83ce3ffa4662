//! The objects that cases and the demo start from: they conform, and a case changes what it is about.

use serde_json::{Value, json};

use crate::nodes::IN_COUNTRY;

/// An image that the test values approve, pinned by digest.
pub const IMAGE: &str =
    "registry.example.gov.pk/portal/api@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

/// The entity that owns what is declared.
pub const ENTITY: &str = "fbr";

/// The provider that keeps it: a government cloud at one site in the country, for every class.
pub const PROVIDER: &str = "ntc";

/// The kinds with a Pod template, or that are one, in the order of [`workload`].
pub const WORKLOADS: [&str; 9] = [
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
];

/// A Namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A PublicSectorEntity.
pub fn entity(name: &str) -> Value {
    json!({
        "apiVersion": "amanat.dev/v1alpha1",
        "kind": "PublicSectorEntity",
        "metadata": {"name": name},
        "spec": {"displayName": "Federal Board of Revenue", "jurisdiction": "Federal"},
    })
}

/// A CloudServiceProvider that is accredited, active and in date.
pub fn provider(name: &str) -> Value {
    json!({
        "apiVersion": "amanat.dev/v1alpha1",
        "kind": "CloudServiceProvider",
        "metadata": {"name": name},
        "spec": {
            "displayName": "National Telecommunication Corporation",
            "grade": "Accredited",
            "state": "Active",
            "validFrom": "2026-01-01T00:00:00Z",
            "validUntil": "2126-01-01T00:00:00Z",
            "maxDataClass": "Secret",
            "models": ["Government"],
            "services": ["IaaS", "PaaS"],
            "sites": [{"name": "isb-1", "country": "PK"}],
        },
    })
}

/// A CloudWorkload of [`ENTITY`] kept by [`PROVIDER`].
pub fn cloud_workload(namespace: &str, class: &str) -> Value {
    json!({
        "apiVersion": "amanat.dev/v1alpha1",
        "kind": "CloudWorkload",
        "metadata": {"name": "workload", "namespace": namespace},
        "spec": {
            "owner": ENTITY,
            "dataClass": class,
            "provider": PROVIDER,
            "model": "Government",
            "service": "PaaS",
        },
    })
}

/// A container `app` that conforms to every class.
pub fn container() -> Value {
    json!({
        "name": "app",
        "image": IMAGE,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}},
    })
}

/// A Pod's spec that conforms to every class, with one container.
pub fn pod_spec(container: &Value) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    })
}

/// The same as its author writes it who knows what Amanat supplies.
pub fn bare_spec() -> Value {
    let supplied = json!({"automountServiceAccountToken": null, "securityContext": {"seccompProfile": null}});
    patched(pod_spec(&container()), &supplied)
}

/// A Pod's spec whose only container is privileged.
pub fn privileged_spec() -> Value {
    pod_spec(&patched(container(), &json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": true}})))
}

/// A Pod's spec whose only container has that image.
pub fn spec_with_image(image: &str) -> Value {
    pod_spec(&patched(container(), &json!({"image": image})))
}

/// A Deployment of one replica that conforms to every class.
pub fn deployment(namespace: &str, name: &str) -> Value {
    workload("Deployment", namespace, name, &pod_spec(&container()))
}

/// A workload of one of the [`WORKLOADS`] with the given Pod spec. That of a DaemonSet says that its nodes are in the
/// country: nothing is supplied to it.
pub fn workload(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let labels = json!({"app": name});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let selector = json!({"matchLabels": labels});
    let once = patched(template.clone(), &json!({"spec": {"restartPolicy": "Never"}}));
    let (version, body) = match kind {
        "Pod" => ("v1", json!({"spec": spec})),
        "PodTemplate" => ("v1", json!({"template": template})),
        "ReplicationController" => ("v1", json!({"spec": {"replicas": 1, "selector": labels, "template": template}})),
        "Job" => ("batch/v1", json!({"spec": {"template": once}})),
        "CronJob" => {
            let job = json!({"spec": {"template": once}});
            ("batch/v1", json!({"spec": {"schedule": "0 3 1 1 *", "jobTemplate": job}}))
        }
        "DaemonSet" => {
            let (label, country) = IN_COUNTRY;
            let template = patched(template, &json!({"spec": {"nodeSelector": {label: country}}}));
            ("apps/v1", json!({"spec": {"selector": selector, "template": template}}))
        }
        "StatefulSet" => {
            let spec = json!({"replicas": 1, "serviceName": name, "selector": selector, "template": template});
            ("apps/v1", json!({"spec": spec}))
        }
        _ => ("apps/v1", json!({"spec": {"replicas": 1, "selector": selector, "template": template}})),
    };
    let head = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    });
    patched(head, &body)
}

/// The path of the Pod's spec in a workload of that kind.
pub fn path_of_spec(kind: &str) -> &'static str {
    match kind {
        "Pod" => "spec",
        "PodTemplate" => "template.spec",
        "CronJob" => "spec.jobTemplate.spec.template.spec",
        _ => "spec.template.spec",
    }
}

/// `value` with `patch` merged into it: objects key by key, all else replaced.
#[must_use]
pub fn patched(mut value: Value, patch: &Value) -> Value {
    merge(&mut value, patch);
    value
}

/// Merges `from` into `into`: objects key by key, all else replaced.
pub(crate) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => from.clone_into(into),
    }
}

/// The objects as one manifest for kubectl, in their order.
pub fn manifest(objects: &[Value]) -> String {
    objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
}
