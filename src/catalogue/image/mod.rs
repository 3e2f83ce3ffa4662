//! Where images come from.

mod approved_registries;
mod digest_pinned;
mod reference;

pub use approved_registries::APPROVED_REGISTRIES;
pub use digest_pinned::DIGEST_PINNED;

use crate::control::params::is_within;
use crate::control::{FieldPath, PodView};

/// True when an image's repository is one of the prefixes or lies below one; false for what no runtime could pull.
pub(crate) fn comes_from(image: &str, prefixes: &[String]) -> bool {
    let reference = reference::Reference::parse(image);
    reference.is_some_and(|reference| prefixes.iter().any(|prefix| is_within(&reference.repository, prefix)))
}

/// An image that a Pod names, and where.
struct Image<'a> {
    path: FieldPath,
    container: Option<&'a str>,
    text: &'a str,
}

/// The images of containers of all three lists, and of image volumes. A container without an image is no image: the
/// API server's validation refuses it in a Pod, and lets it pass in a template where a later update fills it in.
fn images<'a>(pod: &PodView<'a>) -> impl Iterator<Item = Image<'a>> {
    let root = pod.path();
    let containers = pod.containers().filter_map(|container| {
        let text = container.image.filter(|text| !text.is_empty())?;
        Some(Image { path: container.path().field("image"), container: Some(container.name), text })
    });
    containers.chain(pod.spec.volumes.iter().filter_map(move |(index, volume)| {
        let text = volume.image.as_ref()?.reference.as_deref().filter(|text| !text.is_empty())?;
        let path = root.clone().field("volumes").index(index).field("image").field("reference");
        Some(Image { path, container: None, text })
    }))
}
