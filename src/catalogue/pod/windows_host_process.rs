use super::effective::settings;
use crate::control::{Check, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No container is a HostProcess container: `securityContext.windowsOptions.hostProcess` is unset or false for the
    /// Pod and for every container.
    ///
    /// ## Why
    ///
    /// A HostProcess container runs as a process of the Windows node, with its files, network and devices: the same as
    /// a privileged container on Linux.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: agent
    /// spec:
    ///   os:
    ///     name: windows
    ///   hostNetwork: true
    ///   securityContext:
    ///     windowsOptions:
    ///       hostProcess: true
    ///       runAsUserName: NT AUTHORITY\SYSTEM
    ///   containers:
    ///     - name: agent
    ///       image: registry.example.gov.pk/tools/agent:1.1
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: agent
    /// spec:
    ///   os:
    ///     name: windows
    ///   securityContext:
    ///     windowsOptions:
    ///       runAsUserName: ContainerUser
    ///   containers:
    ///     - name: agent
    ///       image: registry.example.gov.pk/tools/agent:1.1
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS windowsHostProcess
    pub static WINDOWS_HOST_PROCESS = {
        id: "pod/windows-host-process",
        title: "No HostProcess containers",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "windowsHostProcess")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    let set = settings(pod, |context| context.windows_options.as_ref(), |context| context.windows_options.as_ref());
    for (place, options) in set {
        if options.host_process == Some(true) {
            let fix = "set securityContext.windowsOptions.hostProcess: false";
            let finding = place.finding(&["windowsOptions", "hostProcess"], "runs as a process of the node", fix);
            sink.push(finding.value(true));
        }
    }
}
