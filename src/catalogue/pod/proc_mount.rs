use super::effective::{container_settings, in_user_namespace};
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// `/proc` is mounted with its usual masks: `securityContext.procMount` is unset or `Default` on every container.
    ///
    /// From Kubernetes 1.35 on, a Pod with a user namespace of its own (`hostUsers: false`) may set any value; see
    /// `pod/restricted-proc-mount` for the check without that exception.
    ///
    /// ## Why
    ///
    /// The masks hide and write-protect the parts of `/proc` that are the kernel's and not the container's.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: builder
    /// spec:
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
    ///   containers:
    ///     - name: builder
    ///       image: registry.example.gov.pk/ci/builder:4.0
    ///       securityContext:
    ///         procMount: Default
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS procMount
    pub static PROC_MOUNT = {
        id: "pod/proc-mount",
        title: "Masked /proc",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "procMount")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 0, check: check_masked },
            Revision { since: 35, check: check_on_host },
        ]),
    }
}

fn check_on_host(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if !in_user_namespace(pod) {
        check_masked(pod, params, sink);
    }
}

/// Every value but `Default` is a finding.
pub(super) fn check_masked(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    for (place, proc_mount) in container_settings(pod, |context| context.proc_mount.as_deref()) {
        if let Some(proc_mount) = proc_mount.filter(|proc_mount| *proc_mount != "Default") {
            let fix = "set securityContext.procMount: Default";
            sink.push(place.finding(&["procMount"], "mounts /proc without masks", fix).value(proc_mount));
        }
    }
}
