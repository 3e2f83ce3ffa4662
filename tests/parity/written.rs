//! Objects as somebody writes them, and as the API server sends them on.

use amanat::control::Kind;
use serde_json::{Value, json};

use crate::pods;

/// An object with its kind, as somebody wrote it.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) kind: Kind,
    pub(crate) object: Value,
}

impl Written {
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str, content: Value) -> Self {
        let group = if kind.group().is_empty() { String::new() } else { format!("{}/", kind.group()) };
        let mut object = json!({"apiVersion": format!("{group}{}", kind.version()), "kind": kind.name(),
            "metadata": {"name": name, "namespace": namespace}});
        for (key, value) in content.as_object().unwrap() {
            object[key] = value.clone();
        }
        Self { kind, object }
    }

    /// A workload of a kind around a Pod's metadata and spec.
    pub(crate) fn workload(kind: Kind, namespace: &str, name: &str, pod: &Value) -> Self {
        if kind == Kind::Pod {
            let mut object = Self::new(kind, namespace, name, json!({"spec": pod["spec"]}));
            object.object["metadata"]["annotations"] = pod["metadata"]["annotations"].clone();
            return object;
        }
        let template = json!({"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"]});
        let content = match kind {
            Kind::CronJob => json!({"spec": {"jobTemplate": {"spec": {"template": template}}}}),
            Kind::PodTemplate => json!({"template": template}),
            _ => json!({"spec": {"template": template}}),
        };
        Self::new(kind, namespace, name, content)
    }

    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace; of a Namespace, itself, as the API server has it in a review.
    pub(crate) fn namespace(&self) -> &str {
        let of_metadata = |field: &str| self.object["metadata"][field].as_str().unwrap_or_default();
        of_metadata(if self.kind == Kind::Namespace { "name" } else { "namespace" })
    }

    /// The object as the API server sends it: defaulted.
    pub(crate) fn sent(&self) -> Value {
        let mut object = self.object.clone();
        let mut spec = Some(&mut object);
        for field in self.kind.pod_spec_path() {
            spec = spec.and_then(|value| value.get_mut(field));
        }
        let Some(spec) = spec.filter(|_| self.kind.is_workload()) else { return object };
        for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
            let fields = volume.as_object_mut().unwrap();
            fields.retain(|_, value| !value.is_null());
            if fields.len() == 1 {
                fields.insert("emptyDir".to_owned(), json!({}));
            }
        }
        if self.kind == Kind::Pod {
            pods::mount_token(spec);
            // Where the class only warns, no LimitRange is built.
            if self.namespace() != "open" {
                limit_ranged(spec);
            }
        }
        let host_network = spec["hostNetwork"] == true;
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if container.get("imagePullPolicy").is_none_or(Value::is_null)
                    && let Some(image) = container["image"].as_str()
                {
                    let name = image.rsplit('/').next().unwrap();
                    let latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
                    container["imagePullPolicy"] = json!(if latest { "Always" } else { "IfNotPresent" });
                }
                for port in container["ports"].as_array_mut().into_iter().flatten() {
                    if host_network && self.kind == Kind::Pod && list != "ephemeralContainers" {
                        let unset = port["hostPort"].as_i64().unwrap_or(0) == 0;
                        port["hostPort"] = if unset { port["containerPort"].clone() } else { port["hostPort"].clone() };
                    }
                }
            }
        }
        object
    }
}

/// A Pod as the API server completes it by the LimitRange of its namespace: what `default` and `defaultRequest` of the
/// shipped baseline say, where a container sets nothing.
fn limit_ranged(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            if container.get("resources").is_none_or(Value::is_null) {
                container["resources"] = json!({});
            }
            for field in ["limits", "requests"] {
                if container["resources"].get(field).is_none_or(Value::is_null) {
                    container["resources"][field] = json!({});
                }
            }
            for (resource, limit, request) in [("cpu", "500m", "100m"), ("memory", "512Mi", "128Mi")] {
                let set = |field: &str| container["resources"][field].get(resource).cloned();
                let request = set("requests").or_else(|| set("limits")).unwrap_or_else(|| json!(request));
                let limit = set("limits").unwrap_or_else(|| json!(limit));
                container["resources"]["limits"][resource] = limit;
                container["resources"]["requests"][resource] = request;
            }
        }
    }
}

/// Where each volume of a Pod stood before it was supplied: the webhook judges what was patched, `check` what its author
/// wrote.
pub(crate) fn places(sent: &Value, patched: &Value) -> Vec<usize> {
    let volumes = |pod: &Value| pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let mut before = volumes(sent).into_iter().enumerate();
    volumes(patched).iter().map(|kept| before.find(|(_, volume)| volume == kept).unwrap().0).collect()
}

/// What is said of a patched Pod, with the places of the volumes of what was sent.
pub(crate) fn moved_back(text: &str, places: &[usize]) -> String {
    let there = text.split_once("spec.volumes[").filter(|_| !places.is_empty());
    let Some((before, rest)) = there else { return text.to_owned() };
    let (place, after) = rest.split_once(']').unwrap();
    format!("{before}spec.volumes[{}]{after}", places[place.parse::<usize>().unwrap()])
}
