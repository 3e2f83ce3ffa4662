use super::effective::settings;
use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No AppArmor profile is switched off: where `securityContext.appArmorProfile.type` is set, for the Pod or a
    /// container, it is `RuntimeDefault` or `Localhost`; and where an annotation
    /// `container.apparmor.security.beta.kubernetes.io/<container>` is set, it is empty, `runtime/default` or
    /// `localhost/<profile>`.
    ///
    /// The annotation is the older form of the field. Both are judged at every version, as the standard does.
    ///
    /// ## Why
    ///
    /// The runtime's default profile keeps a container from mounting, from writing to the kernel's files and from
    /// tracing processes outside it.
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
    ///       securityContext:
    ///         appArmorProfile:
    ///           type: Unconfined
    /// ```
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: web
    ///   annotations:
    ///     container.apparmor.security.beta.kubernetes.io/web: unconfined
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
    ///         appArmorProfile:
    ///           type: RuntimeDefault
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS appArmorProfile
    pub static APPARMOR_PROFILE = {
        id: "pod/apparmor-profile",
        title: "AppArmor not switched off",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &["container.apparmor.security.beta.kubernetes.io/*"],
        maps: &[("PSS", "appArmorProfile")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const MESSAGE: &str = "switches the AppArmor profile off";

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let set = settings(pod, |context| context.app_armor_profile.as_ref(), |context| context.app_armor_profile.as_ref());
    for (place, profile) in set {
        if !matches!(profile.type_.as_str(), "RuntimeDefault" | "Localhost") {
            let fix = "set securityContext.appArmorProfile.type: RuntimeDefault";
            sink.push(place.finding(&["appArmorProfile", "type"], MESSAGE, fix).value(profile.type_.as_str()));
        }
    }
    for (key, value) in pod.annotations {
        let Some(container) = key.strip_prefix(ANNOTATION) else { continue };
        if !value.is_empty() && value != "runtime/default" && !value.starts_with("localhost/") {
            let fix = "set the annotation to runtime/default, or remove it";
            let finding = Finding::new(pod.annotation_path(key), MESSAGE, fix);
            sink.push(finding.container(container).value(value.as_str()));
        }
    }
}
