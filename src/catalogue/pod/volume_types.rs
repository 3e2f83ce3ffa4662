use serde_json::{Map, Value};

use crate::control::{
    Check, Finding, POD_SPECS, ParamKind, ParamSpec, Params, PodView, Point, Revision, Severity, Sink, Volume,
};

crate::control! {
    /// Volumes are of the types that need no trust in the Pod's author: `configMap`, `csi`, `downwardAPI`, `emptyDir`,
    /// `ephemeral`, `image`, `persistentVolumeClaim`, `projected` and `secret`.
    ///
    /// ## Why
    ///
    /// The other types name the node's paths or a storage system's addresses and credentials in the Pod itself, around
    /// the StorageClasses and PersistentVolumes that administrators approve.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: archive
    /// spec:
    ///   containers:
    ///     - name: archive
    ///       image: registry.example.gov.pk/records/archive:1.3
    ///       volumeMounts:
    ///         - name: records
    ///           mountPath: /records
    ///   volumes:
    ///     - name: records
    ///       nfs:
    ///         server: nfs.example.gov.pk
    ///         path: /records
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: archive
    /// spec:
    ///   containers:
    ///     - name: archive
    ///       image: registry.example.gov.pk/records/archive:1.3
    ///       volumeMounts:
    ///         - name: records
    ///           mountPath: /records
    ///   volumes:
    ///     - name: records
    ///       persistentVolumeClaim:
    ///         claimName: records
    /// ```
    ///
    /// ## Parameters
    ///
    /// - `inlineCsiDrivers`: the CSI drivers that a volume of type `csi` may name. Any driver, when not set.
    ///
    /// ## Frameworks
    ///
    /// PSS restrictedVolumes
    pub static VOLUME_TYPES = {
        id: "pod/volume-types",
        title: "Safe volume types only",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[("PSS", "restrictedVolumes")],
        params: &[ParamSpec {
            name: INLINE_CSI_DRIVERS,
            kind: ParamKind::Allowed,
            required: false,
            doc: "The CSI drivers that inline volumes may name; any, when not set.",
        }],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

const INLINE_CSI_DRIVERS: &str = "inlineCsiDrivers";

fn check(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    let drivers = params.strings(INLINE_CSI_DRIVERS);
    for (index, volume) in pod.spec.volumes.iter() {
        if !is_safe(volume) {
            sink.push(unsafe_type(pod, index, volume));
        }
        if let (Some(drivers), Some(csi)) = (drivers, &volume.csi)
            && !drivers.contains(&csi.driver)
        {
            let path = pod.path().field("volumes").index(index).fields(&["csi", "driver"]);
            let message =
                format!("volume {} uses the CSI driver {}, which is not allowed inline", volume.name, csi.driver);
            let fix = if drivers.is_empty() {
                "use a persistentVolumeClaim".to_owned()
            } else {
                format!("use a persistentVolumeClaim, or one of {}", drivers.join(", "))
            };
            sink.push(Finding::new(path, message, fix).value(csi.driver.as_str()));
        }
    }
}

fn is_safe(volume: &Volume) -> bool {
    volume.config_map
        || volume.csi.is_some()
        || volume.downward_api
        || volume.empty_dir
        || volume.ephemeral.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim
        || volume.projected.is_some()
        || volume.secret
}

fn unsafe_type(pod: &PodView<'_>, index: usize, volume: &Volume) -> Finding {
    let mut path = pod.path().field("volumes").index(index);
    let mut message = format!("volume {} is of no known type", volume.name);
    let mut found = Value::Null;
    if let Some((volume_type, source)) = volume.others.first_key_value() {
        // The nested members of a source are options for its driver, and credentials are found there.
        let told = |member: &Value| !member.is_object() && !member.is_array() && !member.is_null();
        let members = source.iter().filter(|(_, member)| told(member));
        found = members.map(|(name, member)| (name.clone(), member.clone())).collect::<Map<_, _>>().into();
        message = format!("volume {} is of type {volume_type}", volume.name);
        path = path.field(*volume_type);
    }
    Finding::new(path, message, "use a persistentVolumeClaim").value(found)
}
