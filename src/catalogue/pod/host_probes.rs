use crate::control::{
    Check, ContainerView, Finding, Handler, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink,
};

crate::control! {
    /// Probes and lifecycle handlers go to the Pod itself: `host` is unset or empty in `httpGet` and `tcpSocket` of
    /// every container's liveness, readiness and startup probe and of its `postStart` and `preStop` handler.
    ///
    /// Judged from Kubernetes 1.34 on; earlier versions of the standard don't know the check.
    ///
    /// ## Why
    ///
    /// The kubelet makes these requests, from the node's network. With a `host` of the tenant's choice they reach what
    /// the Pod can't: the node's own services, metadata endpoints, other networks.
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
    ///       livenessProbe:
    ///         httpGet:
    ///           host: 169.254.169.254
    ///           path: /latest
    ///           port: 80
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
    ///       livenessProbe:
    ///         httpGet:
    ///           path: /healthz
    ///           port: 8080
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS hostProbesAndHostLifecycle
    pub static HOST_PROBES = {
        id: "pod/host-probes",
        title: "Probes go to the Pod",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "hostProbesAndHostLifecycle")],
        params: &[],
        check: Check::Pod(&[Revision { since: 34, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    for container in pod.containers() {
        let probes = [
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
            ("startupProbe", container.startup_probe),
        ];
        for (field, probe) in probes {
            judge(&container, &[field], probe, sink);
        }
        let Some(lifecycle) = container.lifecycle else { continue };
        for (field, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            judge(&container, &["lifecycle", field], handler.as_ref(), sink);
        }
    }
}

fn judge(container: &ContainerView<'_>, fields: &[&'static str], handler: Option<&Handler>, sink: &mut Sink) {
    let Some(handler) = handler else { return };
    for (action, target) in [("httpGet", &handler.http_get), ("tcpSocket", &handler.tcp_socket)] {
        let host = target.as_ref().and_then(|target| target.host.as_deref());
        let Some(host) = host.filter(|host| !host.is_empty()) else { continue };
        let path = container.path().fields(fields).field(action).field("host");
        let finding =
            Finding::new(path, "makes the kubelet call another host", "remove host; the Pod itself is called");
        sink.push(finding.container(container.name).value(host));
    }
}
