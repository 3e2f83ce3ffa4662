use k8s_openapi::api::core::v1::SELinuxOptions;

use super::effective::{Place, settings};
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// SELinux keeps containers apart as the runtime means it to: `securityContext.seLinuxOptions.type` is unset,
    /// empty, `container_t`, `container_init_t`, `container_kvm_t` or, from Kubernetes 1.31 on, `container_engine_t`;
    /// `user` and `role` are unset or empty. This holds for the Pod and for every container. `level` is free.
    ///
    /// ## Why
    ///
    /// Another type, user or role can take the container out of the confinement that keeps it from the node's files
    /// and from other containers: `spc_t`, for instance, is confined by nothing.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: backup
    /// spec:
    ///   containers:
    ///     - name: backup
    ///       image: registry.example.gov.pk/ops/backup:2.7
    ///       securityContext:
    ///         seLinuxOptions:
    ///           type: spc_t
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: backup
    /// spec:
    ///   containers:
    ///     - name: backup
    ///       image: registry.example.gov.pk/ops/backup:2.7
    ///       securityContext:
    ///         seLinuxOptions:
    ///           type: container_t
    ///           level: s0:c123,c456
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS seLinuxOptions
    pub static SELINUX_OPTIONS = {
        id: "pod/selinux-options",
        title: "SELinux confinement kept",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "seLinuxOptions")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 0, check: check_1_0 },
            Revision { since: 31, check: check_1_31 },
        ]),
    }
}

const TYPES_1_0: &[&str] = &["container_t", "container_init_t", "container_kvm_t"];
const TYPES_1_31: &[&str] = &["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn check_1_0(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, TYPES_1_0, sink);
}

fn check_1_31(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, TYPES_1_31, sink);
}

fn judge(pod: &PodView<'_>, types: &[&str], sink: &mut Sink) {
    let set = settings(pod, |context| context.se_linux_options.as_ref(), |context| context.se_linux_options.as_ref());
    for (place, options) in set {
        judge_options(place, options, types, sink);
    }
}

fn judge_options(place: Place<'_>, options: &SELinuxOptions, types: &[&str], sink: &mut Sink) {
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    if let Some(value) = given(&options.type_).filter(|value| !types.contains(&value.as_str())) {
        let fix = format!("remove securityContext.seLinuxOptions.type, or use one of {}", types.join(", "));
        let message = format!("runs under the SELinux type {value}");
        sink.push(place.finding(&["seLinuxOptions", "type"], message, fix).value(value));
    }
    for (field, value) in [("user", &options.user), ("role", &options.role)] {
        if let Some(value) = given(value) {
            let fix = format!("remove securityContext.seLinuxOptions.{field}");
            let message = format!("sets its SELinux {field}");
            sink.push(place.finding(&["seLinuxOptions", field], message, fix).value(value));
        }
    }
}
