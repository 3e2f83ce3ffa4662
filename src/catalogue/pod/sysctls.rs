use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// Only safe sysctls are set: every name in the Pod's `securityContext.sysctls` is one of
    ///
    /// - `kernel.shm_rmid_forced`, `net.ipv4.ip_local_port_range`, `net.ipv4.tcp_syncookies`,
    ///   `net.ipv4.ping_group_range`, `net.ipv4.ip_unprivileged_port_start`;
    /// - from Kubernetes 1.27 on, `net.ipv4.ip_local_reserved_ports`;
    /// - from 1.29 on, `net.ipv4.tcp_keepalive_time`, `net.ipv4.tcp_fin_timeout`, `net.ipv4.tcp_keepalive_intvl`,
    ///   `net.ipv4.tcp_keepalive_probes`;
    /// - from 1.32 on, `net.ipv4.tcp_rmem`, `net.ipv4.tcp_wmem`;
    /// - from 1.37 on, `net.ipv4.tcp_slow_start_after_idle`, `net.ipv4.tcp_notsent_lowat`.
    ///
    /// ## Why
    ///
    /// Other kernel parameters reach beyond the Pod: they change the node for every workload on it, or switch a
    /// protection off.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: queue
    /// spec:
    ///   securityContext:
    ///     sysctls:
    ///       - name: kernel.msgmax
    ///         value: "65536"
    ///   containers:
    ///     - name: queue
    ///       image: registry.example.gov.pk/bus/queue:1.9
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: queue
    /// spec:
    ///   securityContext:
    ///     sysctls:
    ///       - name: net.ipv4.tcp_keepalive_time
    ///         value: "600"
    ///   containers:
    ///     - name: queue
    ///       image: registry.example.gov.pk/bus/queue:1.9
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS sysctls
    pub static SYSCTLS = {
        id: "pod/sysctls",
        title: "Safe sysctls only",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "sysctls")],
        params: &[],
        check: Check::Pod(&[
            Revision { since: 0, check: check_1_0 },
            Revision { since: 27, check: check_1_27 },
            Revision { since: 29, check: check_1_29 },
            Revision { since: 32, check: check_1_32 },
            Revision { since: 37, check: check_1_37 },
        ]),
    }
}

/// The safe sysctls, each with the minor version that it is safe from.
const SAFE: &[(u32, &str)] = &[
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
    (37, "net.ipv4.tcp_slow_start_after_idle"),
    (37, "net.ipv4.tcp_notsent_lowat"),
];

fn check_1_0(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, 0, sink);
}

fn check_1_27(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, 27, sink);
}

fn check_1_29(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, 29, sink);
}

fn check_1_32(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, 32, sink);
}

fn check_1_37(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    judge(pod, 37, sink);
}

fn judge(pod: &PodView<'_>, minor: u32, sink: &mut Sink) {
    let sysctls = pod.spec.security_context.as_ref().and_then(|context| context.sysctls.as_deref()).unwrap_or_default();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let name = sysctl.name.as_str();
        match SAFE.iter().find(|(_, safe)| *safe == name) {
            Some((since, _)) if *since <= minor => continue,
            _ => {
                let path = pod.path().fields(&["securityContext", "sysctls"]).index(index).field("name");
                let message = format!("sets the sysctl {name}, which is not a safe one");
                let fix = format!("remove {name} from securityContext.sysctls");
                sink.push(Finding::new(path, message, fix).value(name));
            }
        }
    }
}
