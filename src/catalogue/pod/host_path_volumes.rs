use crate::control::{Check, Finding, POD_SPECS, Params, PodView, Point, Revision, Severity, Sink};

crate::control! {
    /// No volume is a directory or file of the node: `hostPath` is unset in every volume.
    ///
    /// ## Why
    ///
    /// A path of the node leads to the kubelet's credentials, the container runtime's socket and the volumes of every
    /// other Pod there; data written to it stays on the node when the Pod has gone.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: reports
    /// spec:
    ///   containers:
    ///     - name: reports
    ///       image: registry.example.gov.pk/tax/reports:1.0
    ///       volumeMounts:
    ///         - name: data
    ///           mountPath: /data
    ///   volumes:
    ///     - name: data
    ///       hostPath:
    ///         path: /var/lib/reports
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: reports
    /// spec:
    ///   containers:
    ///     - name: reports
    ///       image: registry.example.gov.pk/tax/reports:1.0
    ///       volumeMounts:
    ///         - name: data
    ///           mountPath: /data
    ///   volumes:
    ///     - name: data
    ///       persistentVolumeClaim:
    ///         claimName: reports
    /// ```
    ///
    /// ## Frameworks
    ///
    /// PSS hostPathVolumes
    pub static HOST_PATH_VOLUMES = {
        id: "pod/host-path-volumes",
        title: "No paths of the node",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "hostPathVolumes")],
        params: &[],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, _: &Params, sink: &mut Sink) {
    for (index, volume) in pod.spec.volumes.iter() {
        let Some(host_path) = volume.host_path() else { continue };
        let path = pod.path().field("volumes").index(index).fields(&["hostPath", "path"]);
        let message = format!("volume {} is a path of the node", volume.name);
        let fix = "use a persistentVolumeClaim, or emptyDir for scratch space";
        sink.push(Finding::new(path, message, fix).value(host_path));
    }
}
