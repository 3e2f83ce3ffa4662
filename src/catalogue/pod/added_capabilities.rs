use super::effective::container_settings;
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// Containers add no capabilities beyond the usual ones: `securityContext.capabilities.add` holds only
    /// `AUDIT_WRITE`, `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`, `KILL`, `MKNOD`, `NET_BIND_SERVICE`, `SETFCAP`,
    /// `SETGID`, `SETPCAP`, `SETUID` and `SYS_CHROOT`.
    ///
    /// Names are compared as they are written: `chown` and `CAP_CHOWN` are other words to Kubernetes and are refused.
    ///
    /// ## Why
    ///
    /// `SYS_ADMIN`, `SYS_PTRACE`, `SYS_MODULE`, `NET_ADMIN`, `NET_RAW` and their like are ways out of the container,
    /// or into the traffic of others.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: gateway
    /// spec:
    ///   containers:
    ///     - name: gateway
    ///       image: registry.example.gov.pk/edge/gateway:5.1
    ///       securityContext:
    ///         capabilities:
    ///           add: [NET_BIND_SERVICE, NET_ADMIN]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: gateway
    /// spec:
    ///   containers:
    ///     - name: gateway
    ///       image: registry.example.gov.pk/edge/gateway:5.1
    ///       securityContext:
    ///         capabilities:
    ///           add: [NET_BIND_SERVICE]
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS capabilities_baseline
    pub static ADDED_CAPABILITIES = {
        id: "pod/added-capabilities",
        title: "No dangerous capabilities",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "capabilities_baseline")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

const ALLOWED: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    report_added(pod, ALLOWED, sink);
}

/// Reports every capability that a container adds and that isn't allowed.
pub(super) fn report_added(pod: &PodView<'_>, allowed: &[&str], sink: &mut Sink) {
    for (place, capabilities) in container_settings(pod, |context| context.capabilities.as_ref()) {
        let added = capabilities.and_then(|capabilities| capabilities.add.as_deref()).unwrap_or_default();
        for (index, name) in added.iter().enumerate().filter(|(_, name)| !allowed.contains(&name.as_str())) {
            let fix = format!("remove {name} from securityContext.capabilities.add");
            let mut finding = place.finding(&["capabilities", "add"], format!("adds the capability {name}"), fix);
            finding.path = finding.path.index(index);
            sink.push(finding.value(name.as_str()));
        }
    }
}
