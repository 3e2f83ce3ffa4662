use super::effective::settings;
use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No seccomp profile is switched off: where `securityContext.seccompProfile.type` is set, for the Pod or a
    /// container, it is `RuntimeDefault` or `Localhost`.
    ///
    /// At Kubernetes versions before 1.19 the annotations `seccomp.security.alpha.kubernetes.io/pod` and
    /// `container.seccomp.security.alpha.kubernetes.io/<container>` are judged in the field's place: they may say
    /// `runtime/default`, `docker/default` or `localhost/<profile>`.
    ///
    /// ## Why
    ///
    /// Without a seccomp filter a container may make every system call, and the kernel's rarely used ones are where
    /// containers have been broken out of.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: web
    /// spec:
    ///   securityContext:
    ///     seccompProfile:
    ///       type: Unconfined
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
    ///         seccompProfile:
    ///           type: RuntimeDefault
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS seccompProfile_baseline
    pub static SECCOMP_UNCONFINED = {
        id: "pod/seccomp-unconfined",
        title: "Seccomp not switched off",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &["seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/*"],
        maps: &[("PSS", "seccompProfile_baseline")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 0, check: check_annotations },
            Revision { since: 19, check: check_fields },
        ]),
    }
}

const POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";
const MESSAGE: &str = "switches the seccomp profile off";

/// True for the types that keep a profile in force.
pub(super) fn is_confined(profile_type: &str) -> bool {
    matches!(profile_type, "RuntimeDefault" | "Localhost")
}

fn check_annotations(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let wrong = |key: &str| {
        let value = pod.annotations.get(key)?;
        let confined =
            matches!(value.as_str(), "runtime/default" | "docker/default") || value.starts_with("localhost/");
        let fix = "set the annotation to runtime/default, or remove it";
        (!confined).then(|| Finding::new(pod.annotation_path(key), MESSAGE, fix).value(value.as_str()))
    };
    if pod.annotations.is_empty() {
        return;
    }
    if let Some(finding) = wrong(POD_ANNOTATION) {
        sink.push(finding);
    }
    for container in pod.containers() {
        if let Some(finding) = wrong(&format!("{CONTAINER_ANNOTATION}{}", container.name)) {
            sink.push(finding.container(container.name));
        }
    }
}

fn check_fields(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let set = settings(pod, |context| context.seccomp_profile.as_ref(), |context| context.seccomp_profile.as_ref());
    for (place, profile) in set {
        if !is_confined(&profile.type_) {
            let fix = "set securityContext.seccompProfile.type: RuntimeDefault";
            sink.push(place.finding(&["seccompProfile", "type"], MESSAGE, fix).value(profile.type_.as_str()));
        }
    }
}
