use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// The Pod shares no namespace of its node: `hostNetwork`, `hostPID` and `hostIPC` are unset or false.
    ///
    /// ## Why
    ///
    /// On the node's network a Pod passes by every network policy and reaches what listens on the node's loopback
    /// address. With the node's process or IPC namespace it sees, signals and reads the memory of other workloads.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: probe
    /// spec:
    ///   hostNetwork: true
    ///   hostPID: true
    ///   containers:
    ///     - name: probe
    ///       image: registry.example.gov.pk/tools/probe:2.0
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: probe
    /// spec:
    ///   hostNetwork: false
    ///   containers:
    ///     - name: probe
    ///       image: registry.example.gov.pk/tools/probe:2.0
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS hostNamespaces
    pub static HOST_NAMESPACES = {
        id: "pod/host-namespaces",
        title: "No namespaces of the node",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "hostNamespaces")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let fields = [
        ("hostNetwork", pod.spec.host_network, "shares the node's network"),
        ("hostPID", pod.spec.host_pid, "shares the node's process namespace"),
        ("hostIPC", pod.spec.host_ipc, "shares the node's IPC namespace"),
    ];
    for (field, shared, message) in fields {
        if shared == Some(true) {
            sink.push(Finding::new(pod.path().field(field), message, format!("set {field}: false")).value(true));
        }
    }
}
