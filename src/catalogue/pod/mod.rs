//! The Pod Security Standards, one file a check, and what is demanded of Pods beyond them. Verdicts on the standards are
//! those of the upstream checks at every minor version; parameters only tighten.

mod added_capabilities;
mod apparmor_profile;
mod effective;
mod host_namespaces;
mod host_path_volumes;
mod host_ports;
mod host_probes;
mod privilege_escalation;
mod privileged;
mod proc_mount;
mod read_only_root_filesystem;
pub mod resource_bounds;
mod restricted_capabilities;
mod restricted_proc_mount;
mod run_as_non_root;
mod run_as_user;
mod seccomp_profile;
mod seccomp_unconfined;
mod security_admission_labels;
mod selinux_options;
mod service_account_token;
mod sysctls;
mod volume_types;
mod windows_host_process;

#[cfg(test)]
mod tests;

pub use added_capabilities::ADDED_CAPABILITIES;
pub use apparmor_profile::APPARMOR_PROFILE;
pub use host_namespaces::HOST_NAMESPACES;
pub use host_path_volumes::HOST_PATH_VOLUMES;
pub use host_ports::HOST_PORTS;
pub use host_probes::HOST_PROBES;
pub use privilege_escalation::PRIVILEGE_ESCALATION;
pub use privileged::PRIVILEGED;
pub use proc_mount::PROC_MOUNT;
pub use read_only_root_filesystem::READ_ONLY_ROOT_FILESYSTEM;
pub use resource_bounds::RESOURCE_BOUNDS;
pub use restricted_capabilities::RESTRICTED_CAPABILITIES;
pub use restricted_proc_mount::RESTRICTED_PROC_MOUNT;
pub use run_as_non_root::RUN_AS_NON_ROOT;
pub use run_as_user::RUN_AS_USER;
pub use seccomp_profile::SECCOMP_PROFILE;
pub use seccomp_unconfined::SECCOMP_UNCONFINED;
pub use security_admission_labels::SECURITY_ADMISSION_LABELS;
pub use selinux_options::SELINUX_OPTIONS;
pub use service_account_token::SERVICE_ACCOUNT_TOKEN;
pub use sysctls::SYSCTLS;
pub use volume_types::VOLUME_TYPES;
pub use windows_host_process::WINDOWS_HOST_PROCESS;

use crate::control::Control;

/// The checks of the level `baseline`.
pub static BASELINE: &[&Control] = &[
    &PRIVILEGED,
    &HOST_NAMESPACES,
    &HOST_PORTS,
    &HOST_PROBES,
    &HOST_PATH_VOLUMES,
    &WINDOWS_HOST_PROCESS,
    &ADDED_CAPABILITIES,
    &PROC_MOUNT,
    &SECCOMP_UNCONFINED,
    &APPARMOR_PROFILE,
    &SELINUX_OPTIONS,
    &SYSCTLS,
];

/// What the level `restricted` demands beyond `baseline`.
pub static RESTRICTED: &[&Control] = &[
    &VOLUME_TYPES,
    &PRIVILEGE_ESCALATION,
    &RUN_AS_NON_ROOT,
    &RUN_AS_USER,
    &RESTRICTED_CAPABILITIES,
    &RESTRICTED_PROC_MOUNT,
    &SECCOMP_PROFILE,
];
