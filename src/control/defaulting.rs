//! Manifests are judged as the API server would default them, so that the offline answer is the webhook's.
//! Only the defaults that a control reads are applied; the source is `SetDefaults_*` of `pkg/apis/core/v1`.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, PodSpec, Volume};

use super::{Body, Kind, Subject};

/// Applies the defaults in place; what the API server has defaulted already is left as it is.
pub(super) fn apply(subject: &mut Subject) {
    let kind = subject.kind;
    if let Body::Workload(workload) = &mut subject.body {
        volumes(&mut workload.spec);
        // Templates keep hostPort unset since Kubernetes 1.28; the Pod made from them gets it.
        if kind == Kind::Pod && workload.spec.host_network == Some(true) {
            host_ports(&mut workload.spec);
        }
    }
}

/// A volume that names no source is an emptyDir.
fn volumes(spec: &mut PodSpec) {
    for volume in spec.volumes.iter_mut().flatten() {
        let named = Volume { name: volume.name.clone(), ..Volume::default() };
        if *volume == named {
            volume.empty_dir = Some(EmptyDirVolumeSource::default());
        }
    }
}

/// On the host's network, every container port is a port of the host.
fn host_ports(spec: &mut PodSpec) {
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
        let pod = json!({"spec": {"containers": [], "volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}},
            {"name": "c", "emptyDir": null}]}});
        let subject = Subject::decode(Kind::Pod, pod).unwrap();
        let volumes = subject.pod().unwrap().spec.volumes.as_deref().unwrap();
        let empty: Vec<_> = volumes.iter().map(|volume| volume.empty_dir.is_some()).collect();
        assert_eq!(empty, [true, false, true]);
    }

    #[test]
    fn host_network_makes_host_ports_of_a_pod_and_not_of_a_template() {
        let spec = json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]});
        let first = |subject: &Subject| subject.pod().unwrap().spec.containers[0].ports.as_ref().unwrap()[0].host_port;
        let pod = Subject::decode(Kind::Pod, json!({"spec": spec})).unwrap();
        assert_eq!(first(&pod), Some(80));
        let deployment = Subject::decode(Kind::Deployment, json!({"spec": {"template": {"spec": spec}}})).unwrap();
        assert_eq!(first(&deployment), None);
    }
}
