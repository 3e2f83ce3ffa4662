use k8s_openapi::api::core::v1::SeccompProfile;
use serde_json::{Value, json};

use super::effective::unmet;
use super::seccomp_unconfined::is_confined;
use crate::control::{Check, Draft, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink, Supply, Supplying};

/// What is supplied.
const SUPPLIED: &str = "RuntimeDefault";

crate::control! {
    /// A seccomp profile is in force for every container: its own `securityContext.seccompProfile.type`, or else the
    /// Pod's, is `RuntimeDefault` or `Localhost`. Another value is wrong wherever it is set.
    ///
    /// A Pod that is made without a profile of its own gets `RuntimeDefault`, unless the baseline's `supply` is off; a
    /// template may leave it out. The built-in Pod Security admission judges Pods after that; of a template it may still
    /// warn.
    ///
    /// Judged from Kubernetes 1.19 on; from 1.25 on not of Pods whose `os.name` is `windows`, which have no seccomp.
    ///
    /// ## Why
    ///
    /// Unset means unconfined on nodes that don't say otherwise: then every system call is open to whoever breaks into
    /// the process.
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
    ///     seccompProfile:
    ///       type: RuntimeDefault
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS seccompProfile_restricted
    pub static SECCOMP_PROFILE = {
        id: "pod/seccomp-profile",
        title: "Seccomp profile in force",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Supply, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "seccompProfile_restricted")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 19, check },
            Revision { since: 25, check: check_linux },
        ]),
    } supplying Supply {
        fill,
        missing: "!(has(object.spec.securityContext) && has(object.spec.securityContext.seccompProfile)) && \
                  !(has(object.spec.os) && object.spec.os.name == 'windows')",
        missing_where: None,
    }
}

/// The Pod's own profile is filled in though each container may have one: an ephemeral container may come later.
fn fill(_: &Supplying<'_>, _: &Params, draft: &mut Draft<'_>) {
    let windows = draft.spec.os.as_ref().is_some_and(|os| os.name == "windows");
    if windows || draft.spec.security_context.as_ref().is_some_and(|context| context.seccomp_profile.is_some()) {
        return;
    }
    let profile = json!({"type": SUPPLIED});
    match draft.spec.security_context {
        Some(_) => draft.add("/spec/securityContext/seccompProfile", profile),
        None => draft.add("/spec/securityContext", json!({"seccompProfile": profile})),
    }
    draft.spec.security_context.get_or_insert_default().seccomp_profile =
        Some(SeccompProfile { type_: SUPPLIED.to_owned(), localhost_profile: None });
}

fn check_linux(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if !pod.is_windows() {
        check(pod, params, sink);
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let unmet = unmet(
        pod,
        |context| context.seccomp_profile.as_ref().map(|profile| profile.type_.as_str()),
        |context| context.seccomp_profile.as_ref().map(|profile| profile.type_.as_str()),
        is_confined,
    );
    for (place, profile_type) in unmet {
        let fix = "set securityContext.seccompProfile.type: RuntimeDefault";
        let finding = place.finding(&["seccompProfile", "type"], "may run without a seccomp profile", fix);
        sink.push(finding.value(profile_type.map_or(Value::Null, Value::from)));
    }
}
