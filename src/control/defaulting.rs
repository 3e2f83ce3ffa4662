//! Manifests are judged as the API server would default them, so that the offline answer is the webhook's.
//! Only the defaults that a control reads are applied; the source is `SetDefaults_*` of `pkg/apis/core/v1`.

use serde_json::{Map, Value, json};

use super::{Body, Kind, PodSpec, Subject};

/// A volume that names no source is an emptyDir. This looks at the text, not at the decoded volume: one of a type that
/// this release doesn't know decodes as a volume without a source, and must not pass for an emptyDir.
pub(super) fn volumes(kind: Kind, object: &mut Value) {
    let mut spec = Some(object);
    for field in kind.pod_spec_path() {
        spec = spec.and_then(|value| value.get_mut(field));
    }
    let volumes = spec.and_then(|spec| spec.get_mut("volumes")).and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten().filter_map(Value::as_object_mut) {
        if names_no_source(volume) {
            volume.insert("emptyDir".to_owned(), json!({}));
        }
    }
}

fn names_no_source(volume: &Map<String, Value>) -> bool {
    volume.iter().all(|(field, value)| field == "name" || value.is_null())
}

/// On the host's network, every container port of a Pod is a port of the host. Templates keep `hostPort` unset since
/// Kubernetes 1.28; the Pod made from them gets it.
pub(super) fn host_ports(subject: &mut Subject) {
    let Body::Workload(workload) = &mut subject.body else { return };
    if subject.kind == Kind::Pod && workload.spec.host_network == Some(true) {
        ports_of(&mut workload.spec);
    }
}

fn ports_of(spec: &mut PodSpec) {
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    for port in containers.flat_map(|container| container.ports.iter_mut().flatten()) {
        if port.host_port.is_none_or(|host_port| host_port == 0) {
            port.host_port = Some(port.container_port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_volume_without_a_source_is_an_empty_dir() {
        let pod = json!({"spec": {"containers": [{"name": "c"}], "volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}},
            {"name": "c", "emptyDir": null}, {"name": "d", "ofTomorrow": {}}]}});
        let subject = Subject::from_manifest(Kind::Pod, pod).unwrap();
        let volumes = subject.pod().unwrap().spec.volumes.iter();
        let empty: Vec<_> = volumes.map(|(_, volume)| volume.empty_dir).collect();
        assert_eq!(empty, [true, false, true, false]);
    }

    #[test]
    fn host_network_makes_host_ports_of_a_pod_and_not_of_a_template() {
        let spec = json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]});
        let first = |subject: &Subject| subject.pod().unwrap().spec.containers[0].ports.as_ref().unwrap()[0].host_port;
        let pod = Subject::from_manifest(Kind::Pod, json!({"spec": spec})).unwrap();
        assert_eq!(first(&pod), Some(80));
        let deployment =
            Subject::from_manifest(Kind::Deployment, json!({"spec": {"template": {"spec": spec}}})).unwrap();
        assert_eq!(first(&deployment), None);
    }
}
