//! What the Secret holds: the CA that signs with its key, the leaf that is served, and, while a CA takes over from
//! another, the next one or the previous ones.
//!
//! The CA's key is kept beside the leaf's. Leaves are renewed often, and with the key a new one is trusted at once:
//! only a new CA has to go through every API server first. It gives nothing away: who reads the Secret could pose as
//! the webhook with the leaf's key already, and nobody trusts this CA for anything else.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::x509::{self, Unverified, Validity};
use super::{Certificate, CertificateError, SECRET};

/// How much earlier than now a certificate begins to be valid, for whoever's clock is behind; no more than a tenth of
/// the time that it is valid for.
const EARLIER: SignedDuration = SignedDuration::from_hours(1);
/// The type of the Secret.
const TYPE: &str = "kubernetes.io/tls";
/// Every key that is Amanat's in the Secret.
const KEYS: [&str; 7] = ["tls.crt", "tls.key", "ca.crt", "ca.key", "next-ca.crt", "next-ca.key", "previous-ca.crt"];

/// How long what Amanat makes is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A CA.
    pub ca: SignedDuration,
    /// A leaf.
    pub leaf: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { ca: SignedDuration::from_hours(2 * 365 * 24), leaf: SignedDuration::from_hours(90 * 24) }
    }
}

impl Lifetimes {
    /// No replica acts on what it knows of the certificates for longer than this after it last read them, and nothing
    /// is taken away that some replica may rely on until more than this has passed.
    pub fn settling(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(300);
        self.ca.unsigned_abs().checked_div(20).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// A CA with its key. PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authority {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    fn make(now: Timestamp, lifetime: SignedDuration) -> Result<Self, CertificateError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        // Two of them stand in one bundle: a name each keeps verifiers from trying the wrong one.
        let own: String = key.public_key_raw().iter().skip(1).take(6).map(|byte| format!("{byte:02x}")).collect();
        named(&mut params, &format!("amanat-webhook-ca {own}"));
        valid(&mut params, now, now.saturating_add(lifetime).unwrap_or(Timestamp::MAX))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate: certificate.into_bytes(), key: key.serialize_pem().into_bytes() })
    }

    /// One whose key belongs to it; nothing otherwise.
    fn read(certificate: Option<Vec<u8>>, key: Option<Vec<u8>>) -> Option<Self> {
        let authority = Self { certificate: certificate?, key: key?.clone() };
        let key = authority.key_pair().ok()?;
        let public = x509::public_key(&authority.der()?)?;
        (public == key.subject_public_key_info() && authority.validity().is_some()).then_some(authority)
    }

    fn key_pair(&self) -> Result<KeyPair, CertificateError> {
        let text = std::str::from_utf8(&self.key).map_err(|_| CertificateError::Unusable("ca.key"))?;
        Ok(KeyPair::from_pem(text)?)
    }

    fn der(&self) -> Option<CertificateDer<'static>> {
        x509::certificates(&self.certificate)?.into_iter().next()
    }

    pub(super) fn validity(&self) -> Option<Validity> {
        x509::validity(&self.der()?)
    }

    /// A leaf for the names, which ends no later than the CA.
    fn sign(
        &self,
        names: &[String],
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Result<Certificate, CertificateError> {
        let (Some(ca), Some(validity)) = (self.der(), self.validity()) else {
            return Err(CertificateError::Unusable("ca.crt"));
        };
        let issuer = Issuer::from_ca_cert_der(&ca, self.key_pair()?)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        named(&mut params, "amanat-webhook");
        valid(&mut params, now, now.saturating_add(lifetime).unwrap_or(Timestamp::MAX).min(validity.until))?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let chain = params.signed_by(&key, &issuer)?.pem();
        Ok(Certificate::new(self.certificate.clone(), chain.into_bytes(), key.serialize_pem().into_bytes()))
    }
}

fn named(params: &mut CertificateParams, name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}

fn valid(params: &mut CertificateParams, now: Timestamp, until: Timestamp) -> Result<(), CertificateError> {
    let at = |instant: Timestamp| {
        let zoned = instant.to_zoned(TimeZone::UTC);
        let date = zoned.date();
        let midnight =
            rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
        let seconds = zoned.time().duration_since(jiff::civil::Time::midnight()).as_secs();
        midnight + Duration::from_secs(seconds.unsigned_abs())
    };
    let earlier = until.duration_since(now).checked_div(10).unwrap_or_default().min(EARLIER);
    params.not_before = at(now.saturating_sub(earlier).map_err(|_| CertificateError::Instant)?);
    // The last second is included.
    params.not_after = at(until.saturating_sub(SignedDuration::from_secs(1)).map_err(|_| CertificateError::Instant)?);
    Ok(())
}

/// What the Secret holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    certificate: Certificate,
    /// Nothing when the CA's key isn't there or isn't the CA's.
    signer: Option<Authority>,
    ca: Validity,
    leaf: Validity,
    next: Option<Authority>,
    /// The CAs before, PEM; empty when there are none.
    previous: Vec<u8>,
}

/// The keys are nobody's business.
impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Material {{ ca: {:?}, leaf: {:?} }}", self.ca, self.leaf)
    }
}

impl Material {
    /// A new CA, and a leaf for the names: DNS names or addresses.
    ///
    /// # Errors
    /// When a name is neither.
    pub fn make(names: &[String], now: Timestamp, lifetimes: &Lifetimes) -> Result<Self, CertificateError> {
        let signer = Authority::make(now, lifetimes.ca)?;
        let certificate = signer.sign(names, now, lifetimes.leaf)?;
        Self::of(certificate, Some(signer))
    }

    fn of(certificate: Certificate, signer: Option<Authority>) -> Result<Self, CertificateError> {
        let first = |pem: &[u8], key: &'static str| {
            let found = x509::certificates(pem).and_then(|all| x509::validity(all.first()?));
            found.ok_or(CertificateError::Unusable(key))
        };
        let (ca, leaf) = (first(&certificate.ca, "ca.crt")?, first(certificate.chain(), "tls.crt")?);
        Ok(Self { certificate, signer, ca, leaf, next: None, previous: Vec::new() })
    }

    /// What a Secret holds. What only a rotation needs is left out when it can't be used: then it begins anew.
    ///
    /// # Errors
    /// When there is nothing to serve in it, or it can't be changed as it is.
    pub fn from_secret(secret: &Secret) -> Result<Self, CertificateError> {
        if secret.type_.as_deref() != Some(TYPE) || secret.immutable == Some(true) {
            return Err(CertificateError::Unchangeable);
        }
        let part = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key)).filter(|value| !value.0.is_empty());
            value.map(|value| value.0.clone())
        };
        let must = |key: &'static str| part(key).ok_or(CertificateError::Unusable(key));
        let certificate = Certificate::new(must("ca.crt")?, must("tls.crt")?, must("tls.key")?);
        certificate.certified_key()?;
        let signer = Authority::read(part("ca.crt"), part("ca.key"));
        let next = Authority::read(part("next-ca.crt"), part("next-ca.key"));
        let previous = part("previous-ca.crt").filter(|pem| x509::certificates(pem).is_some()).unwrap_or_default();
        Ok(Self { next, previous, ..Self::of(certificate, signer)? })
    }

    /// What is written into the Secret: every key of Amanat's, `null` for those that are not to be there.
    pub(super) fn data(&self) -> Value {
        let next = self.next.as_ref();
        let values: [Option<&[u8]>; KEYS.len()] = [
            Some(self.certificate.chain()),
            Some(self.certificate.key()),
            Some(&self.certificate.ca),
            self.signer.as_ref().map(|signer| signer.key.as_slice()),
            next.map(|next| next.certificate.as_slice()),
            next.map(|next| next.key.as_slice()),
            Some(self.previous.as_slice()).filter(|previous| !previous.is_empty()),
        ];
        let data = KEYS
            .into_iter()
            .zip(values)
            .map(|(key, value)| (key.to_owned(), value.map_or(Value::Null, |value| json!(ByteString(value.to_vec())))));
        Value::Object(data.collect())
    }

    /// The whole Secret.
    pub(super) fn object(&self) -> Value {
        let mut data = self.data();
        if let Some(data) = data.as_object_mut() {
            data.retain(|_, value| !value.is_null());
        }
        let labels = BTreeMap::from([("app.kubernetes.io/managed-by", "amanat")]);
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE, "data": data,
            "metadata": {"name": SECRET, "labels": labels},
        })
    }

    /// What is served.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What the API server is to trust: the CA, the one that takes over, and those it took over from.
    pub fn bundle(&self) -> Vec<u8> {
        let next = self.next.as_ref().map(|next| next.certificate.as_slice());
        join([Some(self.certificate.ca.as_slice()), next, Some(self.previous.as_slice())].into_iter().flatten())
    }

    pub(super) fn ca_validity(&self) -> Validity {
        self.ca
    }

    pub(super) fn leaf_validity(&self) -> Validity {
        self.leaf
    }

    /// Whether it has the key to sign another leaf.
    pub(super) fn signs(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn next(&self) -> Option<&Authority> {
        self.next.as_ref()
    }

    pub(super) fn has_previous(&self) -> bool {
        !self.previous.is_empty()
    }

    /// Whether its own CA vouches for its leaf.
    ///
    /// # Errors
    /// When it doesn't.
    pub(super) fn verify(&self, names: &[String], now: Timestamp) -> Result<(), Unverified> {
        x509::verify(self.certificate.chain(), &self.certificate.ca, names, now)
    }

    /// Whether a bundle has the CA that takes over.
    pub(super) fn next_is_in(&self, bundle: &[u8]) -> bool {
        let Some(next) = self.next.as_ref().and_then(Authority::der) else { return false };
        x509::certificates(bundle).is_some_and(|bundle| bundle.contains(&next))
    }

    /// Whether it can follow on another: the same CA signs, or the one that was to take over.
    pub(super) fn follows(&self, before: &Self) -> bool {
        let ca = &self.certificate.ca;
        *ca == before.certificate.ca || before.next.as_ref().is_some_and(|next| next.certificate == *ca)
    }

    /// What tells one CA's turn from another's: as long as it is the same, no CA came or went but the next.
    pub(super) fn turn(&self) -> Vec<u8> {
        join([self.certificate.ca.as_slice(), self.previous.as_slice()])
    }

    /// The certificate of the CA that takes over.
    pub(super) fn next_certificate(&self) -> Option<&[u8]> {
        self.next.as_ref().map(|next| next.certificate.as_slice())
    }

    /// The same with a new leaf.
    ///
    /// # Errors
    /// When it can't be signed.
    pub(super) fn signed(
        &self,
        names: &[String],
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Result<Self, CertificateError> {
        let signer = self.signer.clone().ok_or(CertificateError::Unusable("ca.key"))?;
        let certificate = signer.sign(names, now, lifetimes.leaf)?;
        let (next, previous) = (self.next.clone(), self.previous.clone());
        Ok(Self { next, previous, ..Self::of(certificate, Some(signer))? })
    }

    /// The same with a CA that is to take over.
    ///
    /// # Errors
    /// When it can't be made.
    pub(super) fn announced(&self, now: Timestamp, lifetimes: &Lifetimes) -> Result<Self, CertificateError> {
        Ok(Self { next: Some(Authority::make(now, lifetimes.ca)?), ..self.clone() })
    }

    /// The next CA has taken over and signed the leaf; the one before is still trusted.
    ///
    /// # Errors
    /// When there is none, or it can't sign.
    pub(super) fn promoted(
        &self,
        names: &[String],
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Result<Self, CertificateError> {
        let next = self.next.clone().ok_or(CertificateError::Unusable("next-ca.crt"))?;
        let certificate = next.sign(names, now, lifetimes.leaf)?;
        Ok(Self { previous: self.turn(), ..Self::of(certificate, Some(next))? })
    }

    /// The CAs before are trusted no longer.
    pub(super) fn retired(&self) -> Self {
        Self { previous: Vec::new(), ..self.clone() }
    }
}

/// One PEM text of several.
pub(super) fn join<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(text);
        if !text.is_empty() && !text.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    all
}
