use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No container takes a port of its node: `hostPort` is unset or 0 in every container's ports.
    ///
    /// A Pod on the node's network takes every `containerPort` as a `hostPort`: the API server fills it in, and it is
    /// judged as if it were written.
    ///
    /// ## Why
    ///
    /// A port of the node is reachable from wherever the node is, around Services, Ingresses and often around network
    /// policies.
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
    ///       ports:
    ///         - containerPort: 8080
    ///           hostPort: 80
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
    ///       ports:
    ///         - containerPort: 8080
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS hostPorts
    pub static HOST_PORTS = {
        id: "pod/host-ports",
        title: "No ports of the node",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "hostPorts")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let fix = if pod.spec.host_network == Some(true) {
        "set hostNetwork: false and remove hostPort; a Service exposes the port"
    } else {
        "remove hostPort; a Service exposes the port"
    };
    for container in pod.containers() {
        for (index, port) in container.ports.iter().enumerate() {
            let Some(host_port) = port.host_port.filter(|host_port| *host_port != 0) else { continue };
            let path = container.path().field("ports").index(index).field("hostPort");
            let message = format!("takes port {host_port} of the node");
            sink.push(Finding::new(path, message, fix).container(container.name).value(host_port));
        }
    }
}
