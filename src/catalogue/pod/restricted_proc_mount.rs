use super::proc_mount::check_masked;
use crate::control::{Check, POD_SPECS, Point, Revision, Severity};

crate::control! {
    /// `/proc` is mounted with its usual masks, in Pods with a user namespace of their own too:
    /// `securityContext.procMount` is unset or `Default` on every container.
    ///
    /// Judged from Kubernetes 1.35 on: until then `pod/proc-mount` makes no exception and says the same.
    ///
    /// ## Why
    ///
    /// A user namespace takes root's power over the node away, not the view into the kernel that an unmasked `/proc`
    /// gives.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: builder
    /// spec:
    ///   hostUsers: false
    ///   containers:
    ///     - name: builder
    ///       image: registry.example.gov.pk/ci/builder:4.0
    ///       securityContext:
    ///         procMount: Unmasked
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: builder
    /// spec:
    ///   hostUsers: false
    ///   containers:
    ///     - name: builder
    ///       image: registry.example.gov.pk/ci/builder:4.0
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS procMount_restricted
    pub static RESTRICTED_PROC_MOUNT = {
        id: "pod/restricted-proc-mount",
        title: "Masked /proc without exception",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "procMount_restricted")],
        params: &[],
        check: Check::Pod(&[Revision { since: 35, check: check_masked }]),
    }
}
