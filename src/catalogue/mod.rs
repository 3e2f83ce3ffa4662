//! What can be demanded: one file a control, in folders by family. Adding a control is one file and one line in [`ALL`].

pub mod image;
pub mod network;
pub mod placement;
pub mod pod;

use crate::control::Control;

/// Every control, sorted by id.
pub static ALL: &[&Control] = &[
    &image::APPROVED_REGISTRIES,
    &image::DIGEST_PINNED,
    &network::DEFAULT_DENY,
    &placement::CLOUD_MODEL_PERMITTED,
    &placement::DATA_CLASS_DECLARED,
    &placement::NO_SILENT_DOWNGRADE,
    &placement::PROVIDER_ACCREDITED,
    &pod::ADDED_CAPABILITIES,
    &pod::APPARMOR_PROFILE,
    &pod::HOST_NAMESPACES,
    &pod::HOST_PATH_VOLUMES,
    &pod::HOST_PORTS,
    &pod::HOST_PROBES,
    &pod::PRIVILEGE_ESCALATION,
    &pod::PRIVILEGED,
    &pod::PROC_MOUNT,
    &pod::RESTRICTED_CAPABILITIES,
    &pod::RESTRICTED_PROC_MOUNT,
    &pod::RUN_AS_NON_ROOT,
    &pod::RUN_AS_USER,
    &pod::SECCOMP_PROFILE,
    &pod::SECCOMP_UNCONFINED,
    &pod::SELINUX_OPTIONS,
    &pod::SYSCTLS,
    &pod::VOLUME_TYPES,
    &pod::WINDOWS_HOST_PROCESS,
];

/// The control of an id.
pub fn find(id: &str) -> Option<&'static Control> {
    ALL.iter().copied().find(|control| control.id == id)
}

/// The known word that a misspelt one is nearest to, when it is near enough to be meant.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|candidate| (distance(word, candidate), candidate)).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}

/// Levenshtein's distance, case folded, of words of bounded length.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().take(80).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(from != to)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        let ids = || ALL.iter().map(|control| control.id);
        assert_eq!(suggest("image/digest-pined", ids()), Some("image/digest-pinned"));
        assert_eq!(suggest("Image/Digest-Pinned", ids()), Some("image/digest-pinned"));
        assert_eq!(suggest("nonsense", ids()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn ids_are_sorted_unique_and_name_their_folder() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
        for control in ALL {
            let (family, name) = control.id.split_once('/').unwrap();
            assert!(["image", "network", "placement", "pod"].contains(&family), "{}", control.id);
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", control.id);
        }
    }
}
