//! The webhook's own certificate: made once into a Secret, and read from there by every replica. Whoever is first
//! creates it; nobody overwrites it, so that a certificate that somebody brought stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Name of the Secret.
pub const SECRET: &str = "amanat-webhook-tls";
/// Years that a certificate which Amanat made is valid.
const YEARS: i16 = 10;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The Secret could not be read or created.
    #[error("the Secret {SECRET} could not be read or created: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The Secret has no usable certificate.
    #[error("the Secret {SECRET} has no usable {0}: delete it, and a new one is made")]
    Unusable(&'static str),
}

impl CertificateError {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Make(_) => "make",
            Self::Api(_) => "api",
            Self::Unusable(_) => "unusable",
        }
    }
}

impl From<kube::Error> for CertificateError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// A certificate, its key, and the CA that the API server is told to trust. PEM.
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
    /// A new CA and a leaf for the names, DNS names or addresses.
    ///
    /// # Errors
    /// When a name is neither.
    pub fn make(names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        valid(&mut params, "amanat-webhook-ca", now);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(params, ca_key);

        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        valid(&mut params, "amanat-webhook", now);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let chain = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { ca: ca.into_bytes(), chain: chain.into_bytes(), key: key.serialize_pem().into_bytes() })
    }

    fn to_secret(&self) -> Secret {
        let data = [("ca.crt", &self.ca), ("tls.crt", &self.chain), ("tls.key", &self.key)];
        Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "amanat".to_owned())])),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.clone()))).collect()),
            ..Secret::default()
        }
    }

    fn from_secret(secret: &Secret) -> Result<Self, CertificateError> {
        let part = |key: &'static str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key)).filter(|value| !value.0.is_empty());
            value.map(|value| value.0.clone()).ok_or(CertificateError::Unusable(key))
        };
        let certificate = Self { ca: part("ca.crt")?, chain: part("tls.crt")?, key: part("tls.key")? };
        certificate.certified_key()?;
        Ok(certificate)
    }

    /// The certificate as the TLS side wants it.
    ///
    /// # Errors
    /// When the PEM holds no certificate, no key, or two that don't belong together.
    pub fn certified_key(&self) -> Result<CertifiedKey, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .ok_or(CertificateError::Unusable("tls.crt"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::Unusable("tls.key"))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider).map_err(|_| CertificateError::Unusable("tls.key"))
    }
}

fn valid(params: &mut CertificateParams, name: &str, now: Timestamp) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A day earlier, for API servers whose clock is behind.
    let from = now.to_zoned(TimeZone::UTC).date().saturating_sub(1.day());
    let until = from.saturating_add(YEARS.years());
    let day = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(from);
    params.not_after = day(until);
}

/// Reads the Secret, or makes it when it isn't there. When another replica is faster, its certificate counts.
///
/// # Errors
/// When the API server can't be asked, or the Secret holds no certificate.
pub async fn obtain(api: &Api<Secret>, names: &[String], now: Timestamp) -> Result<Certificate, CertificateError> {
    if let Some(secret) = api.get_opt(SECRET).await? {
        return Certificate::from_secret(&secret);
    }
    let made = Certificate::make(names, now)?;
    match api.create(&PostParams::default(), &made.to_secret()).await {
        Ok(_) => Ok(made),
        Err(kube::Error::Api(status)) if status.code == 409 => Certificate::from_secret(&api.get(SECRET).await?),
        Err(error) => Err(error.into()),
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
    use super::*;

    fn names() -> Vec<String> {
        vec!["amanat-webhook.amanat-system.svc".to_owned(), "127.0.0.1".to_owned()]
    }

    fn now() -> Timestamp {
        "2026-02-28T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_made_is_read_back_from_its_secret() {
        let made = Certificate::make(&names(), now()).unwrap();
        assert_eq!(Certificate::from_secret(&made.to_secret()).unwrap(), made);
    }

    #[test]
    fn a_secret_that_is_no_certificate_says_what_is_missing() {
        let made = Certificate::make(&names(), now()).unwrap();
        let other = Certificate::make(&names(), now()).unwrap();
        let with = |key: &str, value: &[u8]| {
            let mut secret = made.to_secret();
            secret.data.as_mut().unwrap().insert(key.to_owned(), ByteString(value.to_vec()));
            Certificate::from_secret(&secret).unwrap_err().to_string()
        };
        assert!(with("tls.crt", b"").contains("tls.crt"));
        assert!(with("tls.crt", b"garbage").contains("tls.crt"));
        assert!(with("tls.key", b"garbage").contains("tls.key"));
        assert!(with("tls.key", &other.key).contains("tls.key"), "a key of another certificate");
        assert!(Certificate::from_secret(&Secret::default()).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Certificate::make(&names(), now()).unwrap()), "Certificate");
    }
}
