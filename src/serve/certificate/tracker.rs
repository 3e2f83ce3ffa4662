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
