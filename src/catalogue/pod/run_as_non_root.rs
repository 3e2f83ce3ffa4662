use serde_json::Value;

use super::effective::{in_user_namespace, unmet};
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No container runs as root: its own `securityContext.runAsNonRoot`, or else the Pod's, is true. False is wrong
    /// wherever it is set.
    ///
    /// From Kubernetes 1.35 on, Pods with a user namespace of their own (`hostUsers: false`) are not judged: their
    /// root is an ordinary user of the node.
    ///
    /// ## Why
    ///
    /// Root in the container is root of the node as soon as one other barrier falls. With `runAsNonRoot` the kubelet
    /// refuses to start an image that would run as root, whatever its Dockerfile says.
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
    ///   securityContext:
    ///     runAsNonRoot: true
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS runAsNonRoot
    pub static RUN_AS_NON_ROOT = {
        id: "pod/run-as-non-root",
        title: "No container as root",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "runAsNonRoot")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 0, check },
            Revision { since: 35, check: check_on_host },
        ]),
    }
}

fn check_on_host(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if !in_user_namespace(pod) {
        check(pod, params, sink);
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let unmet = unmet(pod, |context| context.run_as_non_root, |context| context.run_as_non_root, |non_root| non_root);
    for (place, non_root) in unmet {
        let fix = "set securityContext.runAsNonRoot: true";
        let finding = place.finding(&["runAsNonRoot"], "may run as root", fix);
        sink.push(finding.value(non_root.map_or(Value::Null, Value::from)));
    }
}
