//! What one replica knows: the certificate that is offered, the one that it serves, and what the API server trusts by
//! the webhook configurations as they are. It decides what may be served, published, and called ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;

use super::material::Lifetimes;
use super::published::Published;
use super::x509::{self, Unverified, Validity};
use super::{Certificate, ServedCertificate};
use crate::cluster::Clock;

/// How long before an end it is told, when the lifetime isn't shorter.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A certificate that ends, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// `ca`, `leaf` or `bundle`.
    pub part: &'static str,
    /// When it is valid.
    pub validity: Validity,
}

/// What a source has: a certificate, and what is to be trusted for everybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) certificate: Certificate,
    pub(super) bundle: Vec<u8>,
}

#[derive(Default)]
struct Inner {
    offer: Option<Offer>,
    /// By the configuration's kind.
    published: BTreeMap<&'static str, Published>,
    /// Monotonic: before the last time that everything was read.
    read: Option<Duration>,
}

/// What this replica knows.
pub struct Known {
    names: Vec<String>,
    settling: Duration,
    clock: Arc<dyn Clock>,
    served: Arc<ServedCertificate>,
    inner: Mutex<Inner>,
}

impl Known {
    /// Nothing yet, of a webhook that is called by these names and serves with that.
    pub fn new(
        names: Vec<String>,
        lifetimes: &Lifetimes,
        clock: Arc<dyn Clock>,
        served: Arc<ServedCertificate>,
    ) -> Self {
        Self { names, settling: lifetimes.settling(), clock, served, inner: Mutex::default() }
    }

    /// A panic elsewhere leaves what is known whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes in a webhook configuration as it is now; nothing when there is none.
    pub(super) fn observe(&self, kind: &'static str, published: Option<Published>) {
        let mut inner = self.inner();
        match published {
            Some(published) => inner.published.insert(kind, published),
            None => inner.published.remove(kind),
        };
        self.choose(&inner);
    }

    /// Takes in what the source has now.
    pub(super) fn offer(&self, offer: Offer) {
        let mut inner = self.inner();
        inner.offer = Some(offer);
        self.choose(&inner);
    }

    /// Everything was read since that moment.
    pub(super) fn confirm(&self, since: Duration) {
        self.inner().read = Some(since);
    }

    /// Serves what is offered, unless that would be worse: as long as the API server trusts what is served and not what
    /// is offered, that stays.
    fn choose(&self, inner: &Inner) {
        let Some(offer) = &inner.offer else { return };
        let current = self.served.current();
        if current.as_ref().is_some_and(|current| **current == offer.certificate) {
            return;
        }
        let now = self.clock.now();
        let trusted = |certificate: &Certificate| self.distrust(inner, certificate, now).is_none();
        let stays = current.is_some_and(|current| trusted(&current)) && !trusted(&offer.certificate);
        if !stays && let Err(error) = self.served.set(offer.certificate.clone()) {
            tracing::error!(%error, category = error.category(), "the certificate is not usable");
        }
    }

    /// Whether somebody else's certificate may be taken in.
    ///
    /// # Errors
    /// When it doesn't verify by its own CA, so that no replica could be called with it, while what is served does.
    pub(super) fn vet(&self, brought: &Certificate) -> Result<(), Unverified> {
        let now = self.clock.now();
        let verified = self.verify(brought, &brought.ca, now);
        let serves = self.served.current().is_some_and(|served| self.untrusted(&self.inner(), &served, now).is_none());
        if serves { verified } else { Ok(()) }
    }

    /// By what the API server would not take a certificate, and why: a webhook configuration, or before there is one,
    /// the certificate's own CA.
    fn untrusted(
        &self,
        inner: &Inner,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Option<(&'static str, Unverified)> {
        match inner.published.is_empty() {
            true => self.verify(certificate, &certificate.ca, now).err().map(|error| ("its own CA", error)),
            false => self.distrust(inner, certificate, now),
        }
    }

    /// The first webhook configuration by which the API server would not take it, and why.
    fn distrust(&self, inner: &Inner, certificate: &Certificate, now: Timestamp) -> Option<(&'static str, Unverified)> {
        inner.published.iter().find_map(|(kind, published)| {
            let mut bundles = published.bundles.iter();
            bundles.find_map(|bundle| Some((*kind, self.verify(certificate, bundle, now).err()?)))
        })
    }

    fn verify(&self, certificate: &Certificate, bundle: &[u8], now: Timestamp) -> Result<(), Unverified> {
        x509::verify(certificate.chain(), bundle, &self.names, now)
    }

    /// Whether what it knows is recent enough to act on.
    fn recent(&self, inner: &Inner) -> bool {
        inner.read.is_some_and(|read| self.clock.monotonic().saturating_sub(read) < self.settling)
    }

    /// Why the API server could not call this replica; nothing when it can.
    pub fn reasons(&self) -> Vec<String> {
        let inner = self.inner();
        let Some(served) = self.served.current() else { return vec!["no certificate yet".to_owned()] };
        let mut reasons = Vec::new();
        if !self.recent(&inner) {
            let seconds = self.settling.as_secs();
            reasons.push(format!("the certificate and the webhook configuration were not read for {seconds} s"));
        }
        let now = self.clock.now();
        if let Some((by, error)) = self.untrusted(&inner, &served, now) {
            reasons.push(format!("the certificate does not verify by the bundle of {by}: {error}"));
        }
        reasons
    }

    /// What the API server is to trust; nothing while this replica can't say. The first configuration closes namespaces,
    /// so it is for a certificate that verifies; where one is already, it is kept as it should be in any case, but for
    /// a certificate that doesn't verify what other replicas may be trusted by stays.
    pub fn bundle(&self) -> Option<Vec<u8>> {
        let inner = self.inner();
        let offer = inner.offer.as_ref().filter(|_| self.recent(&inner))?;
        let now = self.clock.now();
        if self.verify(&offer.certificate, &offer.bundle, now).is_ok() {
            return Some(offer.bundle.clone());
        }
        let mut bundles = inner.published.values().flat_map(|published| &published.bundles);
        let there = bundles.find(|bundle| x509::holds_any(bundle, now)).unwrap_or(&offer.bundle);
        (!inner.published.is_empty()).then(|| there.clone())
    }

    /// Whether every webhook configuration has what a test looks for.
    pub(super) fn everywhere(&self, test: impl Fn(&[u8]) -> bool) -> bool {
        self.inner().published.values().flat_map(|published| &published.bundles).all(|bundle| test(bundle))
    }

    /// Whether the API server takes a certificate by every webhook configuration; true when there is none.
    pub(super) fn trusted_everywhere(&self, certificate: &Certificate, now: Timestamp) -> bool {
        self.distrust(&self.inner(), certificate, now).is_none()
    }

    /// When what is known ends: of the CA and of the bundle what ends first of those that are needed.
    pub fn expiries(&self) -> Vec<Expiry> {
        let inner = self.inner();
        let first = |pem: &[u8]| x509::certificates(pem).and_then(|all| x509::validity(all.first()?));
        let last = |pem: &[u8]| {
            let all = x509::certificates(pem).unwrap_or_default();
            all.iter().filter_map(x509::validity).max_by_key(|validity| validity.until)
        };
        let served = self.served.current();
        let bundles = inner.published.values().flat_map(|published| &published.bundles);
        let found = [
            ("ca", served.as_ref().and_then(|served| last(&served.ca))),
            ("leaf", served.as_ref().and_then(|served| first(served.chain()))),
            ("bundle", bundles.filter_map(|bundle| last(bundle)).min_by_key(|validity| validity.until)),
        ];
        found.into_iter().filter_map(|(part, validity)| Some(Expiry { part, validity: validity? })).collect()
    }

    /// What ends soon, though it should have been renewed: a share of its lifetime is left, and no more than 30 days.
    pub(super) fn ending(&self, share: i32) -> Vec<Expiry> {
        let now = self.clock.now();
        let soon = |expiry: &Expiry| {
            let Validity { from, until } = expiry.validity;
            let ahead = until.duration_since(from).checked_div(share).unwrap_or_default().min(AHEAD);
            until.duration_since(now) <= ahead
        };
        self.expiries().into_iter().filter(soon).collect()
    }

    /// A webhook configuration, to tell things about.
    pub(super) fn reference(&self) -> Option<ObjectReference> {
        self.inner().published.values().next_back().map(|published| published.reference.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::clock::ManualClock;

    const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

    fn names() -> Vec<String> {
        vec!["a.example".to_owned()]
    }

    fn known() -> (Known, Arc<ServedCertificate>) {
        let (clock, served) = (ManualClock::at("2026-01-01T00:00:00Z"), Arc::new(ServedCertificate::default()));
        (Known::new(names(), &Lifetimes::default(), Arc::new(clock), Arc::clone(&served)), served)
    }

    fn certificate() -> Certificate {
        Certificate::make(&names(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    fn offer(certificate: &Certificate) -> Offer {
        Offer { certificate: certificate.clone(), bundle: certificate.ca.clone() }
    }

    fn published<const N: usize>(bundles: [&[u8]; N]) -> Option<Published> {
        Some(Published { bundles: bundles.map(<[u8]>::to_vec).into(), ..Published::default() })
    }

    #[test]
    fn what_the_api_server_trusts_is_served_until_it_trusts_what_is_offered() {
        let (known, served) = known();
        let (old, new) = (certificate(), certificate());
        known.offer(offer(&old));
        known.observe(KINDS[0], published([&old.ca]));
        known.offer(offer(&new));
        assert!(*served.current().unwrap() == old);
        known.observe(KINDS[0], published([&[old.ca.as_slice(), &new.ca].concat()]));
        assert!(*served.current().unwrap() == new);
        known.offer(offer(&old));
        known.observe(KINDS[0], published([b"neither"]));
        known.offer(offer(&new));
        assert!(*served.current().unwrap() == new, "where nothing is trusted, what is offered is served");
    }

    #[test]
    fn every_entry_of_every_configuration_counts() {
        let certificate = certificate();
        let right = certificate.ca.as_slice();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        // Before it in order, and behind it.
        for wrong in [b"".as_slice(), b"~"] {
            for [first, second] in [KINDS, [KINDS[1], KINDS[0]]] {
                let (known, _) = known();
                known.offer(offer(&certificate));
                known.confirm(Duration::ZERO);
                known.observe(first, published([right]));
                known.observe(second, published([right]));
                assert!(known.everywhere(|bundle| bundle == right) && known.trusted_everywhere(&certificate, now));
                assert_eq!(known.reasons(), [] as [&str; 0]);
                known.observe(second, published([right, wrong]));
                assert!(!known.everywhere(|bundle| bundle == right) && !known.trusted_everywhere(&certificate, now));
                assert!(known.reasons()[0].contains(second), "{:?}", known.reasons());
            }
        }
    }

    #[test]
    fn the_first_configuration_is_for_a_certificate_that_verifies_and_one_that_is_there_is_kept() {
        let (known, _) = known();
        let (certificate, other) = (certificate(), certificate());
        known.confirm(Duration::ZERO);
        known.offer(Offer { bundle: other.ca.clone(), ..offer(&certificate) });
        assert_eq!(known.bundle(), None);
        known.observe(KINDS[0], published([b""]));
        assert_eq!(known.bundle(), Some(other.ca), "nobody is trusted by it");
        let third = self::certificate();
        known.observe(KINDS[0], published([&third.ca]));
        assert_eq!(known.bundle(), Some(third.ca), "another replica may be trusted by it");
        known.offer(offer(&certificate));
        assert_eq!(known.bundle(), Some(certificate.ca.clone()));
        known.observe(KINDS[0], None);
        assert_eq!(known.bundle(), Some(certificate.ca));
    }

    #[test]
    fn what_nobody_could_be_called_with_is_not_taken_while_what_is_served_verifies() {
        let at = |time: &str| time.parse().unwrap();
        let other = certificate();
        let foreign = |by: &Certificate| Certificate::new(other.ca.clone(), by.chain().to_vec(), by.key().to_vec());
        let wrong = [
            ("of another CA", foreign(&certificate())),
            ("for another name", Certificate::make(&["b.example".to_owned()], at("2026-01-01T00:00:00Z")).unwrap()),
            ("ended", Certificate::make(&names(), at("2020-01-01T00:00:00Z")).unwrap()),
            ("not valid yet", Certificate::make(&names(), at("2030-01-01T00:00:00Z")).unwrap()),
        ];
        for (what, wrong) in wrong {
            let (known, _) = known();
            assert_eq!(known.vet(&wrong), Ok(()), "{what}: nothing is served, so that it is told why it isn't ready");
            let good = certificate();
            known.offer(offer(&good));
            assert!(known.vet(&wrong).is_err(), "{what}: before there is a configuration");
            known.observe(KINDS[0], published([&good.ca]));
            assert!(known.vet(&wrong).is_err(), "{what}: while the API server trusts what is served");
            assert_eq!(known.vet(&certificate()), Ok(()), "{what}: a new CA with its own leaf");
            known.observe(KINDS[1], published([b"~"]));
            assert_eq!(known.vet(&wrong), Ok(()), "{what}: what is served is no better");
        }
    }
}
