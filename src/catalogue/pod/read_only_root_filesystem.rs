use serde_json::Value;

use crate::catalogue::image::comes_from;
use crate::control::{
    Check, Finding, POD_SPECS, ParamKind, ParamSpec, Params, PodView, Point, Revision, Severity, Sink,
};

crate::control! {
    /// Nothing in a running container's image can be changed: `securityContext.readOnlyRootFilesystem` is true on every
    /// container, init and ephemeral containers included.
    ///
    /// Images below a prefix of `exceptImages` are excepted. Pods whose `os.name` is `windows` are not judged: their
    /// containers have no such setting.
    ///
    /// ## Why
    ///
    /// Who gets into a container that can be written to leaves tools behind, or replaces the program itself; what was
    /// scanned and signed is then no longer what runs. What has to be written goes to a volume, such as an `emptyDir` at
    /// `/tmp`.
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
    ///   containers:
    ///     - name: web
    ///       image: registry.example.gov.pk/portal/web:3.2
    ///       securityContext:
    ///         readOnlyRootFilesystem: true
    ///       volumeMounts:
    ///         - {name: tmp, mountPath: /tmp}
    ///   volumes:
    ///     - name: tmp
    ///       emptyDir: {}
    /// ```
    pub static READ_ONLY_ROOT_FILESYSTEM = {
        id: "pod/read-only-root-filesystem",
        title: "Immutable root filesystem",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[
            ("CCM", "CCC-04"), ("ISO27001", "A.8.19"), ("ISO27001", "A.8.32"), ("NIST800-53", "CM-5"),
            ("NIST800-53", "SI-7"), ("NIST800-53", "CM-7(5)"), ("NSA", "C-0017"),
        ],
        params: &[ParamSpec {
            name: "exceptImages",
            kind: ParamKind::Images,
            required: false,
            doc: "Registries, or repositories below one, whose images may write to their root filesystem.",
        }],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    if pod.is_windows() {
        return;
    }
    let excepted = params.strings("exceptImages").unwrap_or_default();
    for container in pod.containers() {
        let read_only = container.security_context.and_then(|context| context.read_only_root_filesystem);
        if read_only == Some(true) || container.image.is_some_and(|image| comes_from(image, excepted)) {
            continue;
        }
        let path = container.path().field("securityContext").field("readOnlyRootFilesystem");
        let fix = "set securityContext.readOnlyRootFilesystem: true, and mount a volume where the program writes";
        let finding = Finding::new(path, "can write to its root filesystem", fix).container(container.name);
        sink.push(finding.value(read_only.map_or(Value::Null, Value::from)));
    }
}
