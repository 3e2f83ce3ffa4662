use serde_json::Value;

use super::effective::container_settings;
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No process may gain more rights than its parent: `securityContext.allowPrivilegeEscalation` is false on every
    /// container.
    ///
    /// Judged from Kubernetes 1.8 on; from 1.25 on not of Pods whose `os.name` is `windows`, which don't have the
    /// field.
    ///
    /// ## Why
    ///
    /// Unset is true: programs with the set-user-ID bit, such as `su`, `mount` or whatever was left in the image, then
    /// make root of a process that was started without it.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: web
    /// spec:
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: web
    /// spec:
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    ///       securityContext:
    ///         allowPrivilegeEscalation: false
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS allowPrivilegeEscalation
    pub static PRIVILEGE_ESCALATION = {
        id: "pod/privilege-escalation",
        title: "No privilege escalation",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "allowPrivilegeEscalation")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 8, check },
            Revision { since: 25, check: check_linux },
        ]),
    }
}

fn check_linux(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if !pod.is_windows() {
        check(pod, params, sink);
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    for (place, allowed) in container_settings(pod, |context| context.allow_privilege_escalation) {
        if allowed != Some(false) {
            let fix = "set securityContext.allowPrivilegeEscalation: false";
            let finding = place.finding(&["allowPrivilegeEscalation"], "may gain more rights than its parent", fix);
            sink.push(finding.value(allowed.map_or(Value::Null, Value::from)));
        }
    }
}
