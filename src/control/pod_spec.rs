//! The part of a Pod's spec that controls and supplies read, in the API's own types. What none of them reads is passed
//! over when a Pod is decoded: environments, arguments and commands are most of a Pod's text, and reading them into
//! memory is most of what a decision would cost. A control that needs another field adds it here; until then it can't
//! be written, so that nothing is judged by a field that isn't read.
//!
//! The fields are those of `PodSpec` and `Container` of `k8s.io/api/core/v1`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, ContainerPort, Lifecycle, PodOS, PodSecurityContext, Probe, ResourceRequirements, SecurityContext,
    Toleration, Volume, VolumeMount,
};
use serde::Deserialize;

use super::Placed;
use super::subject::or_default;

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
    pub liveness_probe: Option<Probe>,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    pub ports: Option<Vec<ContainerPort>>,
    pub readiness_probe: Option<Probe>,
    pub resources: Option<ResourceRequirements>,
    pub security_context: Option<SecurityContext>,
    pub startup_probe: Option<Probe>,
    pub volume_mounts: Placed<VolumeMount>,
}
