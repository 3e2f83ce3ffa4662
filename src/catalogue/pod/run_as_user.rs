use super::effective::{in_user_namespace, settings};
use crate::control::{Check, POD_SPECS, ParamKind, ParamSpec, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No container is set to run as user 0: where `securityContext.runAsUser` is set, for the Pod or a container, it
    /// is not 0. Unset is fine here; `pod/run-as-non-root` keeps images that run as root from starting.
    ///
    /// Judged from Kubernetes 1.23 on; from 1.35 on not of Pods with a user namespace of their own
    /// (`hostUsers: false`), whose users are ordinary users of the node.
    ///
    /// ## Why
    ///
    /// User 0 in the container is user 0 of the node as soon as one other barrier falls.
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
    ///         runAsUser: 0
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
    ///         runAsUser: 10001
    /// ```
    ///
    /// ## Parameters
    ///
    /// - `minUid`: the lowest user id that may be set, from 1 to 2147483647. It judges what is set, not what an image
    ///   brings. 1, when not set.
    ///
    /// ## Frameworks
    ///
    /// PSS runAsUser
    pub static RUN_AS_USER = {
        id: "pod/run-as-user",
        title: "No user 0",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "runAsUser")],
        params: &[ParamSpec {
            name: MIN_UID,
            kind: ParamKind::AtLeast(1, i32::MAX as i64),
            required: false,
            doc: "The lowest user id that may be set; 1, when not set.",
        }],
        check: Check::Pod(&[
            Revision { since: 23, check },
            Revision { since: 35, check: check_on_host },
        ]),
    }
}

const MIN_UID: &str = "minUid";

fn check_on_host(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if !in_user_namespace(pod) {
        check(pod, params, sink);
    }
}

fn check(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    let min = params.int(MIN_UID);
    for (place, user) in settings(pod, |context| context.run_as_user, |context| context.run_as_user) {
        let message = match min {
            _ if user == 0 => "runs as user 0, which is root".to_owned(),
            Some(min) if user < min => format!("runs as user {user}, below {min}"),
            _ => continue,
        };
        let fix = match min {
            Some(min) if min > 1 => format!("set securityContext.runAsUser: {min} or higher"),
            _ => "set securityContext.runAsUser to another id than 0, or remove it".to_owned(),
        };
        sink.push(place.finding(&["runAsUser"], message, fix).value(user));
    }
}
