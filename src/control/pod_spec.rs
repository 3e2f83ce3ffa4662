//! The part of a Pod's spec that controls and supplies read. What none of them reads is passed over when a Pod is
//! decoded: environments, arguments and commands are most of a Pod's text, and reading them into memory is most of what a
//! decision would cost. The API's own types stand where most of their fields are read; of a probe that is a host, and
//! room for the rest would have to be made, moved and freed. A control that needs another field adds it here; until then
//! it can't be written, so that nothing is judged by a field that isn't read.
//!
//! Names are those of `k8s.io/api/core/v1`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    NodeSelector, PodOS, PodSecurityContext, ResourceRequirements, SecurityContext, Toleration,
};
use serde::Deserialize;

use super::subject::or_default;
use super::{Placed, Volume};

/// What is read of a Pod's spec.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct PodSpec {
    pub affinity: Option<Affinity>,
    pub automount_service_account_token: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub containers: Vec<Container>,
    pub ephemeral_containers: Option<Vec<Container>>,
    #[serde(rename = "hostIPC")]
    pub host_ipc: Option<bool>,
    pub host_network: Option<bool>,
    #[serde(rename = "hostPID")]
    pub host_pid: Option<bool>,
    pub host_users: Option<bool>,
    pub init_containers: Option<Vec<Container>>,
    pub node_name: Option<String>,
    pub node_selector: Option<BTreeMap<String, String>>,
    pub os: Option<PodOS>,
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<PodSecurityContext>,
    pub service_account: Option<String>,
    pub service_account_name: Option<String>,
    pub tolerations: Option<Vec<Toleration>>,
    pub volumes: Placed<Volume>,
}

/// What is read of a container of any list. Ephemeral containers have the same fields.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct Container {
    pub image: Option<String>,
    pub image_pull_policy: Option<String>,
    pub lifecycle: Option<Lifecycle>,
    pub liveness_probe: Option<Handler>,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    pub ports: Option<Vec<ContainerPort>>,
    pub readiness_probe: Option<Handler>,
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<SecurityContext>,
    pub startup_probe: Option<Handler>,
    pub volume_mounts: Placed<VolumeMount>,
}

/// Where a Pod may run.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Affinity {
    pub node_affinity: Option<NodeAffinity>,
}

/// On which nodes a Pod may run.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeAffinity {
    pub required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

/// A port of a container.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct ContainerPort {
    #[serde(deserialize_with = "or_default")]
    pub container_port: i32,
    pub host_port: Option<i32>,
}

/// What is done after a container starts and before it ends.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct Lifecycle {
    pub post_start: Option<Handler>,
    pub pre_stop: Option<Handler>,
}

/// Whom the kubelet calls: the part of a probe and of a lifecycle handler that names a host.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the API's")]
pub struct Handler {
    pub http_get: Option<Target>,
    pub tcp_socket: Option<Target>,
}

/// Where a call goes.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Target {
    /// Another host than the Pod; unset or empty for the Pod itself.
    pub host: Option<String>,
}

/// Where a volume stands in a container.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeMount {
    #[serde(deserialize_with = "or_default")]
    pub mount_path: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}
