//! What the API server's admission plugin ServiceAccount mounts by itself, before any webhook is called. The source is
//! `plugin/pkg/admission/serviceaccount`; OpenShift's adds a ConfigMap.

use crate::control::{PodSpec, Projection, Volume};

/// How the names of its volumes begin.
const PREFIX: &str = "kube-api-access-";
/// Where it mounts them.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long its tokens last.
pub(super) const SECONDS: i64 = 3607;
/// The ConfigMaps that it projects beside the token.
const AUTHORITIES: [&str; 2] = ["kube-root-ca.crt", "openshift-service-ca.crt"];

/// The plugin's token in a Pod.
pub(super) enum Mounted {
    /// There is none.
    No,
    /// There will be one.
    Will,
    /// It is the volume at this place.
    At(usize),
}

/// Whether a Pod has the plugin's token, or `will` have it once it is made, where its ServiceAccount doesn't say otherwise.
pub(super) fn mounted(spec: &PodSpec, will: bool) -> Mounted {
    let automount = spec.automount_service_account_token;
    // It adds none beside one whose name begins as its own.
    let first = spec.volumes.iter().find(|(_, volume)| volume.name.starts_with(PREFIX));
    match first {
        _ if automount == Some(false) => Mounted::No,
        Some((place, volume)) if is_its_volume(volume) => Mounted::At(place),
        _ if automount == Some(true) => Mounted::Will,
        None if will && has_room(spec) => Mounted::Will,
        _ => Mounted::No,
    }
}

/// True when a container mounts nothing else where the token would be.
fn has_room(spec: &PodSpec) -> bool {
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers.any(|container| !container.volume_mounts.iter().any(|(_, mount)| mount.mount_path == MOUNT_PATH))
}

/// True for a volume as the plugin makes it, and for a copy of one.
pub(super) fn is_its_volume(volume: &Volume) -> bool {
    let sources = volume.projected.as_ref().map(|projected| projected.sources.as_slice()).unwrap_or_default();
    let tokens = sources.iter().filter(|source| source.service_account_token.is_some()).count();
    volume.name.starts_with(PREFIX) && tokens == 1 && sources.iter().all(is_its_source)
}

fn is_its_source(source: &Projection) -> bool {
    let Projection { config_map, downward_api, service_account_token } = source;
    match (service_account_token, config_map, downward_api) {
        (Some(token), None, false) => {
            token.path == "token"
                && token.expiration_seconds == Some(SECONDS)
                && token.audience.as_deref().unwrap_or_default().is_empty()
        }
        (None, Some(map), false) => AUTHORITIES.contains(&map.name.as_str()),
        (None, None, true) => true,
        _ => false,
    }
}
