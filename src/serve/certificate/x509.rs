//! What certificates say, and whether a chain holds. Pure: the instant is given.

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates in one PEM text; what somebody wrote there is no reason to read forever.
const MOST: usize = 64;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub from: Timestamp,
    /// The instant at which it has ended.
    pub until: Timestamp,
}

impl Validity {
    /// Whether it is valid then.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// Why the API server would not take a chain.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unverified {
    /// There is nothing to verify it by.
    #[error("the bundle holds no certificate that is valid now")]
    NoAnchor,
    /// There is nothing to verify.
    #[error("there is no certificate")]
    NoChain,
    /// It isn't signed by one of the bundle, or isn't valid at this instant.
    #[error("{0}")]
    Chain(rustls::Error),
    /// It is for other names.
    #[error("it is not for the name {0}")]
    Name(String),
}

/// The certificates of a PEM text; none when it holds none or something else.
pub(super) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).take(MOST + 1).collect::<Result<Vec<_>, _>>().ok()?;
    (!found.is_empty() && found.len() <= MOST).then_some(found)
}

/// When a certificate is valid; nothing when it can't be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let instant = |seconds| Timestamp::from_second(seconds).ok();
    let (from, until) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
    // The last second still counts.
    Some(Validity { from: instant(from)?, until: instant(until.checked_add(1)?)? })
}

/// Whether one of the certificates of a PEM text is valid at an instant.
pub(super) fn holds_any(pem: &[u8], now: Timestamp) -> bool {
    let all = certificates(pem).unwrap_or_default();
    all.iter().filter_map(validity).any(|validity| validity.holds(now))
}

/// The public key of a certificate, as DER.
pub(super) fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    Some(read.public_key().raw.to_vec())
}

/// Whether a chain verifies against a bundle at an instant, for every one of the names.
///
/// The bundle's certificates must be valid themselves: the API server asks that, and the verifier here doesn't.
///
/// # Errors
/// When it doesn't.
pub(super) fn verify(chain: &[u8], bundle: &[u8], names: &[String], now: Timestamp) -> Result<(), Unverified> {
    let chain = certificates(chain).ok_or(Unverified::NoChain)?;
    let Some((leaf, intermediates)) = chain.split_first() else { return Err(Unverified::NoChain) };
    let mut roots = RootCertStore::empty();
    let anchors = certificates(bundle).unwrap_or_default();
    roots.add_parsable_certificates(
        anchors.into_iter().filter(|anchor| validity(anchor).is_some_and(|validity| validity.holds(now))),
    );
    if roots.is_empty() {
        return Err(Unverified::NoAnchor);
    }
    let leaf = ParsedCertificate::try_from(leaf).map_err(Unverified::Chain)?;
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let instant = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, instant, algorithms.all)
        .map_err(Unverified::Chain)?;
    for name in names {
        let wrong = || Unverified::Name(name.clone());
        let name = ServerName::try_from(name.as_str()).map_err(|_| wrong())?;
        verify_server_name(&leaf, &name).map_err(|_| wrong())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::{Lifetimes, Material};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_chain_holds_for_every_name_while_it_and_its_ca_are_valid() {
        let lifetimes = Lifetimes { ca: SignedDuration::from_secs(1_000), leaf: SignedDuration::from_secs(300) };
        let both = named(&["a.example", "b.example"]);
        let made = Material::make(&both, at(0), &lifetimes).unwrap();
        let last = made.signed(&both, at(800), &lifetimes).unwrap();
        let verified = |material: &Material, names: &[&str], seconds| {
            verify(material.certificate().chain(), &material.certificate().ca, &named(names), at(seconds))
        };
        assert_eq!(verified(&made, &["a.example", "b.example"], 0), Ok(()));
        for names in [["a.example", "c.example"], ["c.example", "a.example"]] {
            assert_eq!(verified(&made, &names, 0), Err(Unverified::Name("c.example".to_owned())));
        }
        assert_eq!(verified(&made, &["a.example"], 299), Ok(()));
        assert!(matches!(verified(&made, &["a.example"], 300), Err(Unverified::Chain(_))));
        assert_eq!(verified(&last, &["a.example"], 999), Ok(()));
        assert_eq!(verified(&last, &["a.example"], 1_000), Err(Unverified::NoAnchor));
        assert_eq!(verify(b"", &made.bundle(), &both, at(0)), Err(Unverified::NoChain));
        assert_eq!(verify(made.certificate().chain(), b"", &both, at(0)), Err(Unverified::NoAnchor));
    }

    #[test]
    fn the_last_second_of_a_certificate_counts_and_its_end_does_not() {
        let made = Material::make(&named(&["a.example"]), at(0), &Lifetimes::default()).unwrap();
        let leaf = made.leaf_validity();
        assert!(leaf.holds(leaf.from) && leaf.holds(leaf.until - SignedDuration::from_secs(1)));
        assert!(!leaf.holds(leaf.from - SignedDuration::from_secs(1)) && !leaf.holds(leaf.until));
    }
}
