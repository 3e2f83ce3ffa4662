use k8s_openapi::api::core::v1::{HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction};

use crate::control::{Check, ContainerView, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

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
            let Some(Probe { http_get, tcp_socket, .. }) = probe else { continue };
            judge(&container, &[field], http_get.as_ref(), tcp_socket.as_ref(), sink);
        }
        let Some(lifecycle) = container.lifecycle else { continue };
        for (field, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            let Some(LifecycleHandler { http_get, tcp_socket, .. }) = handler else { continue };
            judge(&container, &["lifecycle", field], http_get.as_ref(), tcp_socket.as_ref(), sink);
        }
    }
}

fn judge(
    container: &ContainerView<'_>,
    fields: &[&'static str],
    http_get: Option<&HTTPGetAction>,
    tcp_socket: Option<&TCPSocketAction>,
    sink: &mut Sink,
) {
    let hosts = [
        ("httpGet", http_get.and_then(|action| action.host.as_deref())),
        ("tcpSocket", tcp_socket.and_then(|action| action.host.as_deref())),
    ];
    for (action, host) in hosts {
        let Some(host) = host.filter(|host| !host.is_empty()) else { continue };
        let path = container.path().fields(fields).field(action).field("host");
        let finding =
            Finding::new(path, "makes the kubelet call another host", "remove host; the Pod itself is called");
        sink.push(finding.container(container.name).value(host));
    }
}
