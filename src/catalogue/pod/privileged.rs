use super::effective::container_settings;
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No container is privileged: `securityContext.privileged` is unset or false on every container, init
    /// containers and ephemeral containers included.
    ///
    /// ## Why
    ///
    /// A privileged container has every capability, every device of the node and no seccomp or AppArmor profile. Who
    /// controls it controls the node, and with it every workload and Secret there, whatever their class.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: debug
    /// spec:
    ///   containers:
    ///     - name: shell
    ///       image: registry.example.gov.pk/tools/shell:1.4
    ///       securityContext:
    ///         privileged: true
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: debug
    /// spec:
    ///   containers:
    ///     - name: shell
    ///       image: registry.example.gov.pk/tools/shell:1.4
    ///       securityContext:
    ///         privileged: false
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS privileged
    pub static PRIVILEGED = {
        id: "pod/privileged",
        title: "No privileged containers",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "privileged")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    for (place, privileged) in container_settings(pod, |context| context.privileged) {
        if privileged == Some(true) {
            let fix = "set securityContext.privileged: false";
            sink.push(place.finding(&["privileged"], "is privileged", fix).value(true));
        }
    }
}
