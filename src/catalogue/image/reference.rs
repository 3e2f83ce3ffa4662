//! Image references, read as container runtimes read them
//! (<https://github.com/distribution/reference/blob/main/reference.go>).

use std::borrow::Cow;

/// A reference in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Registry and repository, with the implied `docker.io` and `library`; the host in lower case.
    pub(super) repository: Cow<'a, str>,
    /// The tag, when one is given.
    pub(super) tag: Option<&'a str>,
    /// The digest, when one is given; not checked for its form.
    pub(super) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Splits a reference. `None` for what no runtime could pull: a path that is empty or has characters that a
    /// repository can't have, look-alikes of other scripts included.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_start..)?.find(':') {
            Some(colon) => (rest.get(..name_start + colon)?, rest.get(name_start + colon + 1..)),
            None => (rest, None),
        };
        let repository = repository(name)?;
        let tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let tag_is_fine = tag.is_none_or(|tag| !tag.is_empty() && tag.len() <= 128 && tag.chars().all(tag_char));
        tag_is_fine.then_some(Self { repository, tag, digest })
    }

    /// True when the digest is a whole SHA-256.
    pub(super) fn is_pinned(&self) -> bool {
        let hex = self.digest.and_then(|digest| digest.strip_prefix("sha256:"));
        hex.is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f')))
    }
}

fn repository(name: &str) -> Option<Cow<'_, str>> {
    let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let is_host = |text: &str| text.contains(['.', ':']) || text == "localhost" || text.contains(char::is_uppercase);
    let path_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    let is_path = |path: &str| path.split('/').all(|part| !part.is_empty() && part.chars().all(path_char));
    match rest {
        None => is_path(name).then(|| Cow::Owned(format!("docker.io/library/{name}"))),
        Some(rest) if is_host(first) => {
            let host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
            if !is_path(rest) || !first.chars().all(host_char) {
                return None;
            }
            let host = first.to_ascii_lowercase();
            match host.as_str() {
                "docker.io" | "index.docker.io" if !rest.contains('/') => {
                    Some(Cow::Owned(format!("docker.io/library/{rest}")))
                }
                "index.docker.io" => Some(Cow::Owned(format!("docker.io/{rest}"))),
                _ if host == first => Some(Cow::Borrowed(name)),
                _ => Some(Cow::Owned(format!("{host}/{rest}"))),
            }
        }
        Some(_) => is_path(name).then(|| Cow::Owned(format!("docker.io/{name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_runtimes_read() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let table = [
            ("nginx", "docker.io/library/nginx", None, false),
            ("nginx:1.27", "docker.io/library/nginx", Some("1.27"), false),
            ("team/app", "docker.io/team/app", None, false),
            ("index.docker.io/nginx", "docker.io/library/nginx", None, false),
            ("registry.io:5000/app", "registry.io:5000/app", None, false),
            ("registry.io:5000/app:1", "registry.io:5000/app", Some("1"), false),
            ("Registry.IO/app:1", "registry.io/app", Some("1"), false),
            ("localhost/app", "localhost/app", None, false),
            (&format!("registry.io/app@{digest}"), "registry.io/app", None, true),
            (&format!("registry.io/app:1@{digest}"), "registry.io/app", Some("1"), true),
            ("registry.io/app@sha256:abc", "registry.io/app", None, false),
            ("registry.io.evil.com/app", "registry.io.evil.com/app", None, false),
        ];
        for (text, repository, tag, pinned) in table {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(
                (&*reference.repository, reference.tag, reference.is_pinned()),
                (repository, tag, pinned),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_no_runtime_pulls() {
        for text in
            ["", ":1", "registry.io/", "registry.io//app", "app:", "registry.io/App", "rеgistry.io/app", "a b", "@"]
        {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
