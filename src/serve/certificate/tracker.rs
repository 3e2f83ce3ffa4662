//! What one replica has seen of the certificates, and since when: by its own monotonic clock, so that no two clocks are
//! compared. Nothing of it is needed to go on after a restart; it is only counted anew.

use std::time::Duration;

use jiff::Timestamp;

use super::CertificateError;
use super::known::{Known, Offer};
use super::material::{Lifetimes, Material};
use super::plan::{self, Input, Plan};

/// When a turn is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Monotonic: before everything was read.
    pub(super) since: Duration,
    /// By the wall clock.
    pub(super) now: Timestamp,
    /// Monotonic.
    pub(super) monotonic: Duration,
}

/// What was seen, and since when.
#[derive(Default)]
pub(super) struct Tracker {
    /// The last that was usable, and when that was.
    last: Option<(Material, Duration)>,
    /// The CAs of the Secret, and since when they are these.
    unchanged: Option<(Vec<u8>, Duration)>,
    /// The CA that is to take over, and since when every configuration has it.
    announced: Option<(Vec<u8>, Duration)>,
}

impl Tracker {
    /// Takes in what the Secret holds and `known` has read since, and gives what the leader is to write: to be followed
    /// by [`Tracker::wrote`] when that worked.
    ///
    /// # Errors
    /// When it can't be made.
    pub(super) fn step(
        &mut self,
        there: Option<&Material>,
        leads: bool,
        known: &Known,
        lifetimes: &Lifetimes,
        at: Moment,
    ) -> Result<Option<(Plan, Material)>, CertificateError> {
        let monotonic = at.monotonic;
        let recent = |seen: &&(Material, Duration)| monotonic.saturating_sub(seen.1) < lifetimes.settling();
        let remembered = self.last.as_ref().filter(recent).map(|(material, _)| material.clone());
        let since = |seen: &mut Option<(Vec<u8>, Duration)>, is: Option<Vec<u8>>| {
            if seen.as_ref().map(|(was, _)| was) != is.as_ref() {
                *seen = is.map(|is| (is, monotonic));
            }
            seen.as_ref().map(|(_, at)| monotonic.saturating_sub(*at))
        };
        let unchanged = since(&mut self.unchanged, there.map(Material::turn)).unwrap_or_default();
        let next = there.filter(|there| known.everywhere(|bundle| there.next_is_in(bundle)));
        let announced = since(&mut self.announced, next.and_then(Material::next_certificate).map(<[u8]>::to_vec));
        // What somebody else has put there is not gone on with, as long as something better is known. Whoever doesn't
        // lead waits until the API server trusts it.
        let there = there.filter(|there| match &remembered {
            Some(before) if there.follows(before) => true,
            Some(_) if leads => false,
            None if leads => true,
            _ => known.trusted_everywhere(there.certificate(), at.now),
        });
        let plan = plan::plan(&Input {
            there,
            remembered: remembered.as_ref(),
            names: known.names(),
            now: at.now,
            lifetimes,
            announced,
            unchanged,
        });
        // Before anything is written: who can't write still serves what was read.
        if let Some(there) = there {
            self.take(there.clone(), known, at);
        }
        known.confirm(at.since);
        if !leads || plan == Plan::Keep {
            return Ok(None);
        }
        let made = make(plan, there, remembered.as_ref(), known.names(), lifetimes, at.now)?;
        Ok(Some((plan, made)))
    }

    /// Takes in what was written.
    pub(super) fn wrote(&mut self, made: Material, known: &Known, at: Moment) {
        self.take(made, known, at);
    }

    fn take(&mut self, material: Material, known: &Known, at: Moment) {
        known.offer(Offer { certificate: material.certificate().clone(), bundle: material.bundle() });
        self.last = Some((material, at.monotonic));
    }
}

fn make(
    plan: Plan,
    there: Option<&Material>,
    remembered: Option<&Material>,
    names: &[String],
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Material, CertificateError> {
    let usable = |material: Option<&Material>| material.cloned().ok_or(CertificateError::Unusable("tls.crt"));
    match plan {
        Plan::Keep => usable(there),
        Plan::Make => Material::make(names, now, lifetimes),
        Plan::Restore => {
            let remembered = usable(remembered)?;
            // A next one may have taken over elsewhere since: it stays.
            if remembered.next().is_some() { Ok(remembered) } else { remembered.announced(now, lifetimes) }
        }
        Plan::Sign => usable(there)?.signed(names, now, lifetimes),
        Plan::Announce => usable(there)?.announced(now, lifetimes),
        Plan::Promote => usable(there)?.promoted(names, now, lifetimes),
        Plan::Retire => Ok(usable(there)?.retired()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::super::ServedCertificate;
    use super::super::published::Published;
    use super::*;
    use crate::cluster::Clock;
    use crate::cluster::clock::ManualClock;

    /// Settling is a twentieth of the CA's: 50 s.
    const LIFETIMES: Lifetimes =
        Lifetimes { ca: SignedDuration::from_secs(1_000), leaf: SignedDuration::from_secs(300) };
    const SETTLING: u64 = 50;
    const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

    fn names() -> Vec<String> {
        vec!["a.example".to_owned()]
    }

    struct Bench {
        clock: Arc<ManualClock>,
        known: Known,
        tracker: Tracker,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
            let shared = Arc::clone(&clock) as Arc<dyn Clock>;
            let known = Known::new(names(), &LIFETIMES, shared, Arc::new(ServedCertificate::default()));
            Self { clock, known, tracker: Tracker::default() }
        }

        fn make(&self) -> Material {
            Material::make(&names(), self.clock.now(), &LIFETIMES).unwrap()
        }

        fn publish(&self, kind: &'static str, material: &Material) {
            let published = Published { bundles: [material.bundle()].into(), ..Published::default() };
            self.known.observe(kind, Some(published));
        }

        /// A turn of whoever leads, at a monotonic second: the wall clock stands still, so that nothing is due by it.
        fn step(&mut self, there: Option<&Material>, second: u64) -> Option<(Plan, Material)> {
            let monotonic = Duration::from_secs(second);
            let at = Moment { since: monotonic, now: self.clock.now(), monotonic };
            self.tracker.step(there, true, &self.known, &LIFETIMES, at).unwrap()
        }

        fn plan(&mut self, there: Option<&Material>, second: u64) -> Option<Plan> {
            self.step(there, second).map(|(plan, _)| plan)
        }
    }

    #[test]
    fn a_ca_counts_as_announced_since_the_last_configuration_has_it() {
        let mut bench = Bench::new();
        let made = bench.make();
        let announced = made.announced(bench.clock.now(), &LIFETIMES).unwrap();
        bench.publish(KINDS[0], &announced);
        bench.publish(KINDS[1], &made);
        for second in [0, SETTLING, 4 * SETTLING] {
            assert_eq!(bench.plan(Some(&announced), second), None, "{second}");
        }
        bench.publish(KINDS[1], &announced);
        let since = 5 * SETTLING;
        assert_eq!(bench.plan(Some(&announced), since), None);
        assert_eq!(bench.plan(Some(&announced), since + SETTLING - 1), None);
        bench.publish(KINDS[0], &made);
        assert_eq!(bench.plan(Some(&announced), since + SETTLING), None, "somebody took it out");
        bench.publish(KINDS[0], &announced);
        let since = since + SETTLING + 1;
        assert_eq!(bench.plan(Some(&announced), since), None, "and it is counted anew");
        assert_eq!(bench.plan(Some(&announced), since + SETTLING), Some(Plan::Promote));
    }

    #[test]
    fn what_was_lost_is_restored_by_whoever_saw_it_just_now() {
        for (second, plan) in [(SETTLING - 1, Plan::Restore), (SETTLING, Plan::Make)] {
            let mut bench = Bench::new();
            let made = bench.make();
            assert_eq!(bench.plan(Some(&made), 0), None);
            assert_eq!(bench.plan(None, second), Some(plan));
        }
    }

    #[test]
    fn what_somebody_put_there_is_gone_on_with_only_where_nothing_better_is_known() {
        let mut bench = Bench::new();
        let (made, foreign) = (bench.make(), bench.make());
        bench.publish(KINDS[0], &made);
        bench.plan(Some(&made), 0);
        let (plan, restored) = bench.step(Some(&foreign), 1).unwrap();
        assert_eq!(plan, Plan::Restore);
        assert!(restored.certificate() == made.certificate() && restored.next().is_some());

        let mut bench = Bench::new();
        bench.publish(KINDS[0], &made);
        assert_eq!(bench.plan(Some(&foreign), 0), None, "who has just begun to lead knows nothing else");
        assert_eq!(bench.known.bundle(), Some(foreign.bundle()));
    }

    #[test]
    fn what_is_known_is_as_old_as_the_beginning_of_the_reading() {
        let mut bench = Bench::new();
        let made = bench.make();
        bench.clock.advance(Duration::from_secs(30));
        let at = Moment { since: Duration::ZERO, now: bench.clock.now(), monotonic: bench.clock.monotonic() };
        bench.tracker.step(Some(&made), false, &bench.known, &LIFETIMES, at).unwrap();
        bench.clock.advance(Duration::from_secs(SETTLING - 31));
        assert_eq!(bench.known.reasons(), [] as [&str; 0]);
        bench.clock.advance(Duration::from_secs(1));
        assert!(bench.known.reasons()[0].contains("were not read"), "{:?}", bench.known.reasons());
    }
}
