use super::{comes_from, images, reference::Reference};
use crate::control::{
    Check, Finding, POD_SPECS, ParamKind, ParamSpec, Params, PodView, Point, Revision, Severity, Sink,
};

crate::control! {
    /// Images come from approved registries only.
    ///
    /// The registry and repository of every image, with the implied `docker.io/library`, is one of the approved
    /// prefixes or lies below one. Images of init containers, ephemeral containers and image volumes count. An image
    /// that isn't pinned by digest is pulled anew each time (`imagePullPolicy: Always`), since a node's cached copy
    /// would be used without asking the registry.
    ///
    /// ## Why
    /// Whoever can push to the registry decides what runs. A prefix is compared by whole path segments, so that
    /// `registry.example.gov.pk.evil.example` is not below `registry.example.gov.pk`.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: foreign}
    /// spec:
    ///   containers:
    ///   - {name: app, image: docker.io/library/nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000}
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: cached}
    /// spec:
    ///   containers:
    ///   - {name: app, image: "registry.example.gov.pk/app:1.4", imagePullPolicy: IfNotPresent}
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: approved}
    /// spec:
    ///   containers:
    ///   - {name: app, image: registry.example.gov.pk/app@sha256:0000000000000000000000000000000000000000000000000000000000000000}
    /// ```
    pub static APPROVED_REGISTRIES = {
        id: "image/approved-registries",
        title: "Approved registries",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[
            ("CCM", "STA-08"), ("CCM", "CCC-04"), ("ISO27017", "14.2.2"), ("ISO27001", "A.5.21"), ("ISO27001", "A.8.19"),
            ("NIST800-53", "CM-7(5)"), ("NIST800-53", "SR-3"), ("NIST800-53", "CM-11"), ("CIS", "1.2.11"),
        ],
        params: &[ParamSpec {
            name: "registries",
            kind: ParamKind::Registries,
            required: true,
            doc: "Registries, or repositories below one, that images may come from.",
        }],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    let Some(registries) = params.strings("registries") else {
        sink.not_assessed("set image/approved-registries.registries by --set or --baseline");
        return;
    };
    for image in images(pod) {
        if !comes_from(image.text, registries) {
            let list = registries.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            let fix = format!("push the image to an approved registry and name it there: {list}");
            let finding = Finding::new(image.path, "image is not from an approved registry", fix).value(image.text);
            sink.push(match image.container {
                Some(name) => finding.container(name),
                None => finding,
            });
        }
    }
    for container in pod.containers() {
        let Some(reference) = container.image.and_then(Reference::parse) else { continue };
        let latest = reference.digest.is_none() && reference.tag.is_none_or(|tag| tag == "latest");
        let default = if latest { "Always" } else { "IfNotPresent" };
        let policy = container.image_pull_policy.filter(|policy| !policy.is_empty()).unwrap_or(default);
        if !reference.is_pinned() && policy != "Always" {
            let path = container.path().field("imagePullPolicy");
            let fix = "pin the image by digest, or set imagePullPolicy: Always";
            let finding = Finding::new(path, "a tagged image may be taken from the node's cache", fix);
            sink.push(finding.container(container.name).value(policy));
        }
    }
}
