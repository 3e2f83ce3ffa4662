//! The webhook's certificate: where it comes from, who renews it, and what the API server is told to trust.
//!
//! The leader alone makes and renews it, in one Secret; every replica reads that and changes over without a restart.
//! Or somebody else brings it in a mounted folder; then nothing is written. What is to be done is decided in [`plan`],
//! what may be served and published in [`known`]; [`keeper`] does it.

mod brought;
mod keeper;
mod known;
mod material;
mod plan;
mod published;
#[cfg(test)]
mod simulation;
mod tracker;
mod x509;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use brought::Folder;
pub use keeper::{Keeper, Source};
pub use known::{Expiry, Known};
pub use material::{Lifetimes, Material};
pub use published::follow;
pub use x509::{Unverified, Validity};

/// Name of the Secret.
pub const SECRET: &str = "amanat-webhook-tls";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The clock says what no certificate can.
    #[error("a certificate could not be made: the clock is outside of what a certificate can say")]
    Instant,
    /// A part holds nothing that can be used.
    #[error("there is no usable {0}")]
    Unusable(&'static str),
    /// The Secret can't be changed as it is.
    #[error("the Secret {SECRET} is of another type, or immutable")]
    Unchangeable,
    /// The API server would not take what was brought.
    #[error("what was brought does not verify by its own ca.crt: {0}")]
    Unverified(#[from] Unverified),
    /// A file of the folder can't be read.
    #[error("{0} can't be read: {1}")]
    File(String, std::io::Error),
    /// A file of the folder is larger than any certificate.
    #[error("{0} is larger than {1} bytes")]
    Large(String, u64),
}

impl CertificateError {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Make(_) | Self::Instant => "make",
            Self::Unusable(_) => "unusable",
            Self::Unchangeable => "unchangeable",
            Self::Unverified(_) => "unverified",
            Self::File(..) | Self::Large(..) => "file",
        }
    }
}

/// A certificate, its key, and the CA that vouches for it. PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The CA.
    pub ca: Vec<u8>,
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// The key is nobody's business.
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

impl Certificate {
    /// Of these parts, whatever they are.
    pub fn new(ca: Vec<u8>, chain: Vec<u8>, key: Vec<u8>) -> Self {
        Self { ca, chain, key }
    }

    /// A new CA and a leaf for the names, DNS names or addresses.
    ///
    /// # Errors
    /// When a name is neither.
    pub fn make(names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        Ok(Material::make(names, now, &Lifetimes::default())?.certificate().clone())
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[u8] {
        &self.chain
    }

    fn key(&self) -> &[u8] {
        &self.key
    }

    /// The certificate as the TLS side wants it.
    ///
    /// # Errors
    /// When the PEM holds no certificate, no key, or two that don't belong together.
    pub fn certified_key(&self) -> Result<CertifiedKey, CertificateError> {
        let chain = x509::certificates(&self.chain).ok_or(CertificateError::Unusable("tls.crt"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::Unusable("tls.key"))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider).map_err(|_| CertificateError::Unusable("tls.key"))
    }
}

/// The certificate that new connections get.
#[derive(Debug, Default)]
pub struct ServedCertificate {
    certified: ArcSwapOption<CertifiedKey>,
    certificate: ArcSwapOption<Certificate>,
}

impl ServedCertificate {
    /// Serves this one from now on.
    ///
    /// # Errors
    /// When it isn't usable; the one before stays.
    pub fn set(&self, certificate: Certificate) -> Result<(), CertificateError> {
        self.certified.store(Some(Arc::new(certificate.certified_key()?)));
        self.certificate.store(Some(Arc::new(certificate)));
        Ok(())
    }

    /// What is served; none before there is one.
    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.certificate.load_full()
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified.load_full()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;

    use super::*;

    fn names() -> Vec<String> {
        vec!["amanat-webhook.amanat-system.svc".to_owned(), "127.0.0.1".to_owned()]
    }

    fn now() -> Timestamp {
        "2026-02-28T12:30:15.5Z".parse().unwrap()
    }

    fn make() -> Material {
        Material::make(&names(), now(), &Lifetimes::default()).unwrap()
    }

    fn secret(material: &Material) -> Secret {
        serde_json::from_value(material.object()).unwrap()
    }

    #[test]
    fn what_is_made_is_read_back_from_its_secret() {
        let lifetimes = Lifetimes::default();
        let made = make();
        let announced = made.announced(now(), &lifetimes).unwrap();
        let promoted = announced.promoted(&names(), now(), &lifetimes).unwrap();
        for material in [&made, &announced, &promoted, &promoted.retired()] {
            assert_eq!(Material::from_secret(&secret(material)).unwrap(), *material);
        }
    }

    #[test]
    fn in_each_step_what_may_still_be_served_is_trusted() {
        let lifetimes = Lifetimes::default();
        let made = make();
        let announced = made.announced(now(), &lifetimes).unwrap();
        let promoted = announced.promoted(&names(), now(), &lifetimes).unwrap();
        let again = promoted.announced(now(), &lifetimes).unwrap();
        let third = again.promoted(&names(), now(), &lifetimes).unwrap();
        let [first, second, last] = [&made, &promoted, &third].map(|material| material.certificate().ca.as_slice());
        let table = [
            ("made", &made, vec![first]),
            ("announced", &announced, vec![first, second]),
            ("promoted", &promoted, vec![second, first]),
            ("promoted while one was still trusted", &third, vec![last, second, first]),
            ("retired", &third.retired(), vec![last]),
        ];
        for (what, material, trusted) in table {
            let bundle = trusted.concat();
            assert_eq!(material.bundle(), bundle, "{what}");
            let signed = material.signed(&names(), now(), &lifetimes).unwrap();
            assert_eq!(signed.bundle(), bundle, "{what}, with a new leaf");
            assert!(signed.certificate() != material.certificate() && signed.follows(material), "{what}");
            assert_eq!(signed.turn(), material.turn(), "{what}");
        }
        assert!(promoted.follows(&announced) && third.follows(&again));
        assert!(!promoted.follows(&made) && !make().follows(&made));
        assert_eq!(announced.turn(), made.turn());
        assert!(promoted.turn() != announced.turn() && promoted.turn() != promoted.retired().turn());
    }

    #[test]
    fn a_secret_that_is_no_certificate_says_what_is_missing() {
        let (made, other) = (make(), make());
        let with = |key: &str, value: &[u8]| {
            let mut secret = secret(&made);
            secret.data.as_mut().unwrap().insert(key.to_owned(), ByteString(value.to_vec()));
            Material::from_secret(&secret)
        };
        for (key, value) in [
            ("tls.crt", b"".as_slice()),
            ("tls.crt", b"garbage"),
            ("tls.key", b"garbage"),
            ("tls.key", other.certificate().key()),
            ("ca.crt", b""),
            ("ca.crt", b"garbage"),
        ] {
            let error = with(key, value).unwrap_err();
            assert!(error.to_string().contains(key), "{key}: {error}");
            assert_eq!(error.category(), "unusable");
        }
        assert!(Material::from_secret(&Secret::default()).is_err());
        let opaque = Secret { type_: Some("Opaque".to_owned()), ..secret(&made) };
        let immutable = Secret { immutable: Some(true), ..secret(&made) };
        for secret in [opaque, immutable] {
            assert_eq!(Material::from_secret(&secret).unwrap_err().category(), "unchangeable");
        }
        // What only a renewal needs: it is served as it is, and a new CA is made.
        for (key, value) in [("ca.key", b"".as_slice()), ("ca.key", b"x"), ("ca.key", other.certificate().key())] {
            assert!(!with(key, value).unwrap().signs(), "{key}");
        }
        for (key, value) in [("next-ca.crt", made.certificate().chain()), ("previous-ca.crt", b"x")] {
            let read = with(key, value).unwrap();
            assert!(read.signs() && read.next().is_none() && !read.has_previous(), "{key}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", make().certificate()), "Certificate");
        assert!(!format!("{:?}", make()).contains("KEY"));
    }
}
