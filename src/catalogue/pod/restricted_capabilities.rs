use serde_json::Value;

use super::added_capabilities::report_added;
use super::effective::container_settings;
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// Every container drops all capabilities and adds at most one: `securityContext.capabilities.drop` has `ALL`, and
    /// `add` holds nothing but `NET_BIND_SERVICE`.
    ///
    /// Judged from Kubernetes 1.22 on; from 1.25 on not of Pods whose `os.name` is `windows`, which have no
    /// capabilities.
    ///
    /// ## Why
    ///
    /// What the container runtime grants by default (`CHOWN`, `DAC_OVERRIDE`, `SETUID` and more) serves whoever breaks
    /// into the process; hardly any service needs it.
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
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: web
    /// spec:
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    ///       securityContext:
    ///         capabilities:
    ///           drop: [ALL]
    ///           add: [CHOWN]
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
    ///         capabilities:
    ///           drop: [ALL]
    ///           add: [NET_BIND_SERVICE]
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS capabilities_restricted
    pub static RESTRICTED_CAPABILITIES = {
        id: "pod/restricted-capabilities",
        title: "All capabilities dropped",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "capabilities_restricted")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 22, check },
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
    for (place, dropped) in container_settings(pod, |context| context.capabilities.as_ref()?.drop.as_deref()) {
        if !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL")) {
            let fix = "set securityContext.capabilities.drop: [ALL]";
            let finding = place.finding(&["capabilities", "drop"], "keeps default capabilities", fix);
            sink.push(finding.value(dropped.map_or(Value::Null, Value::from)));
        }
    }
    report_added(pod, &["NET_BIND_SERVICE"], sink);
}
