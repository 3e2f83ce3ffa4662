//! A certificate that somebody else brings: a mounted Secret, such as cert-manager keeps. It is read again and again,
//! and never written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::known::Offer;
use super::material::join;
use super::{Certificate, CertificateError, x509};

/// No certificate is larger.
const LARGEST: u64 = 256 * 1024;
/// CAs that were there before and are still trusted.
const MOST: usize = 8;

/// A folder with `tls.crt`, `tls.key` and `ca.crt`.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    current: Option<Certificate>,
    /// The CAs before, and the monotonic moment at which they were replaced.
    before: Vec<(Vec<u8>, Duration)>,
}

impl Folder {
    /// The folder there, which nobody has read yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), current: None, before: Vec::new() }
    }

    async fn file(&self, name: &str) -> Result<Vec<u8>, CertificateError> {
        let path = self.path.join(name);
        let failed = |error| CertificateError::File(path.display().to_string(), error);
        if tokio::fs::metadata(&path).await.map_err(failed)?.len() > LARGEST {
            return Err(CertificateError::Large(path.display().to_string(), LARGEST));
        }
        tokio::fs::read(&path).await.map_err(failed)
    }

    /// What it holds now, usable as a whole: while the files are being exchanged they may not belong together.
    ///
    /// # Errors
    /// When it can't be read or used; what was read before still counts then.
    pub async fn read(&self) -> Result<Certificate, CertificateError> {
        let certificate =
            Certificate::new(self.file("ca.crt").await?, self.file("tls.crt").await?, self.file("tls.key").await?);
        certificate.certified_key()?;
        x509::certificates(&certificate.ca).ok_or(CertificateError::Unusable("ca.crt"))?;
        Ok(certificate)
    }

    /// Takes in what was read. The CA before stays trusted for a while: a new one reaches the replicas' folders one
    /// after the other.
    pub(super) fn take(&mut self, read: Certificate, now: Timestamp, monotonic: Duration, keep: Duration) -> Offer {
        if let Some(current) = self.current.take().filter(|current| current.ca != read.ca) {
            self.before.push((current.ca, monotonic));
            let spare = self.before.len().saturating_sub(MOST);
            self.before.drain(..spare);
        }
        self.before
            .retain(|(ca, at)| *ca != read.ca && monotonic.saturating_sub(*at) < keep && x509::holds_any(ca, now));
        let before = self.before.iter().map(|(ca, _)| ca.as_slice());
        let bundle = join([read.ca.as_slice()].into_iter().chain(before));
        self.current = Some(read.clone());
        Offer { certificate: read, bundle }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the files of the folder are written here")]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn make() -> Certificate {
        Certificate::make(&["127.0.0.1".to_owned()], now()).unwrap()
    }

    #[test]
    fn the_ca_before_is_trusted_for_a_while() {
        let keep = Duration::from_secs(10);
        let (old, new) = (make(), make());
        let both = join([new.ca.as_slice(), old.ca.as_slice()]);
        let mut folder = Folder::new(Path::new("unread"));
        let mut at = |certificate: &Certificate, seconds| {
            folder.take(certificate.clone(), now(), Duration::from_secs(seconds), keep).bundle
        };
        assert_eq!(at(&old, 0), old.ca);
        assert_eq!(at(&new, 5), both);
        assert_eq!(at(&new, 14), both);
        assert_eq!(at(&new, 15), new.ca);
        assert_eq!(at(&old, 16), join([old.ca.as_slice(), new.ca.as_slice()]), "and back again");
        let years = now().saturating_add(jiff::SignedDuration::from_hours(3 * 365 * 24)).unwrap();
        let late = folder.take(new.clone(), years, Duration::from_secs(17), keep);
        assert_eq!(late.bundle, new.ca, "one that has ended is kept by nobody");
    }

    #[tokio::test]
    async fn only_what_belongs_together_is_read() {
        let path = std::env::temp_dir().join(format!("amanat-brought-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let (one, other) = (make(), make());
        let write = |name: &str, content: &[u8]| std::fs::write(path.join(name), content).unwrap();
        let folder = Folder::new(&path);
        assert_eq!(folder.read().await.unwrap_err().category(), "file");
        write("ca.crt", &one.ca);
        write("tls.crt", one.chain());
        write("tls.key", other.key());
        assert_eq!(folder.read().await.unwrap_err().category(), "unusable");
        write("tls.key", one.key());
        assert_eq!(folder.read().await.unwrap(), one);
        write("ca.crt", b"");
        assert!(folder.read().await.unwrap_err().to_string().contains("ca.crt"));
        write("ca.crt", &vec![b' '; usize::try_from(LARGEST).unwrap() + 1]);
        assert!(folder.read().await.unwrap_err().to_string().contains("larger"));
        std::fs::remove_dir_all(&path).unwrap();
    }
}
