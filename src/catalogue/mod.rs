//! What can be demanded: one file a control, in folders by family. Adding a control is one file and one line in [`ALL`].

mod built;
pub mod image;
pub mod network;
pub mod placement;
pub mod pod;
pub mod residency;

use crate::control::Control;

/// Every control, sorted by id.
pub static ALL: &[&Control] = &[
    &image::APPROVED_REGISTRIES,
    &image::DIGEST_PINNED,
    &network::DEFAULT_DENY,
    &placement::CLASS_INHERITED,
    &placement::CLOUD_MODEL_PERMITTED,
    &placement::DATA_CLASS_DECLARED,
    &placement::NO_SILENT_DOWNGRADE,
    &placement::PROVIDER_ACCREDITED,
    &pod::ADDED_CAPABILITIES,
    &pod::APPARMOR_PROFILE,
    &pod::HOST_NAMESPACES,
    &pod::HOST_PATH_VOLUMES,
    &pod::HOST_PORTS,
    &pod::HOST_PROBES,
    &pod::PRIVILEGE_ESCALATION,
    &pod::PRIVILEGED,
    &pod::PROC_MOUNT,
    &pod::READ_ONLY_ROOT_FILESYSTEM,
    &pod::RESOURCE_BOUNDS,
    &pod::RESTRICTED_CAPABILITIES,
    &pod::RESTRICTED_PROC_MOUNT,
    &pod::RUN_AS_NON_ROOT,
    &pod::RUN_AS_USER,
    &pod::SECCOMP_PROFILE,
    &pod::SECCOMP_UNCONFINED,
    &pod::SECURITY_ADMISSION_LABELS,
    &pod::SELINUX_OPTIONS,
    &pod::SERVICE_ACCOUNT_TOKEN,
    &pod::SYSCTLS,
    &pod::VOLUME_TYPES,
    &pod::WINDOWS_HOST_PROCESS,
    &residency::IN_COUNTRY_SCHEDULING,
];

/// The control of an id.
pub fn find(id: &str) -> Option<&'static Control> {
    ALL.iter().copied().find(|control| control.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_unique_and_name_their_folder() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
        for control in ALL {
            let (family, name) = control.id.split_once('/').unwrap();
            assert!(["image", "network", "placement", "pod", "residency"].contains(&family), "{}", control.id);
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", control.id);
        }
    }
}
