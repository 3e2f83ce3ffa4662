use super::{images, reference::Reference};
use crate::control::{
    Check, Finding, POD_SPECS, ParamKind, ParamSpec, Params, PodView, Point, Revision, Severity, Sink,
};

crate::control! {
    /// Images are pinned by digest.
    ///
    /// Every image reference ends in `@sha256:` and 64 hexadecimal digits. Where the parameter `demand` is `tag`, a
    /// tag other than `latest` is enough.
    ///
    /// ## Why
    /// A tag can be moved: what was scanned, signed and approved is then not what runs. A digest names the content.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: tagged}
    /// spec:
    ///   containers:
    ///   - {name: app, image: "registry.example.gov.pk/app:1.4"}
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: port-without-tag}
    /// spec:
    ///   containers:
    ///   - {name: app, image: "registry.example.gov.pk:5000/app"}
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: pinned}
    /// spec:
    ///   containers:
    ///   - {name: app, image: registry.example.gov.pk/app@sha256:0000000000000000000000000000000000000000000000000000000000000000}
    /// ```
    pub static DIGEST_PINNED = {
        id: "image/digest-pinned",
        title: "Digest pinned",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[
            ("CCM", "CCC-04"), ("CCM", "CCC-07"), ("ISO27001", "A.8.9"), ("ISO27001", "A.8.32"),
            ("NIST800-53", "CM-2"), ("NIST800-53", "SI-7(1)"), ("NIST800-53", "SR-11"),
        ],
        params: &[ParamSpec {
            name: "demand",
            kind: ParamKind::Choice(&["tag", "digest"]),
            required: false,
            doc: "What a reference must have at least: a tag other than latest, or a digest (the default).",
        }],
        check: Check::Pod(&[Revision { since: 0, check }]),
    }
}

fn check(pod: &PodView<'_>, params: &Params, sink: &mut Sink) {
    let tag_is_enough = params.choice("demand") == Some("tag");
    for image in images(pod) {
        let reference = Reference::parse(image.text);
        let fine = reference.as_ref().is_some_and(|reference| {
            let tagged = reference.tag.is_some_and(|tag| tag != "latest") && reference.digest.is_none();
            reference.is_pinned() || (tag_is_enough && tagged)
        });
        if fine {
            continue;
        }
        let (message, fix) = match reference {
            None => ("image reference can't be read", "write registry/repository@sha256:<64 hexadecimal digits>"),
            Some(reference) if reference.digest.is_some() => {
                ("image digest is no SHA-256", "end the reference in @sha256:<64 hexadecimal digits>")
            }
            Some(_) if tag_is_enough => ("image has no tag but latest", "name a version: registry/repository:<tag>"),
            Some(_) => {
                ("image is not pinned by digest", "end the reference in @sha256:<digest of the image you tested>")
            }
        };
        let finding = Finding::new(image.path, message, fix).value(image.text);
        sink.push(match image.container {
            Some(name) => finding.container(name),
            None => finding,
        });
    }
}
