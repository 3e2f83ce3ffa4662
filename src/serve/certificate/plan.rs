//! What is to be done with the certificates: decided from what is there and the instant alone, so that whoever leads
//! goes on where another was stopped.
//!
//! A CA takes over in steps. [`Plan::Announce`] puts the next one into the Secret, and so into what the API server is
//! told to trust; when it has stood there long enough for every API server to know, [`Plan::Promote`] lets it sign what
//! is served; when every replica that is still ready must have read that, [`Plan::Retire`] takes the old one out.
//! How long is enough needs no reports of replicas: one that has not read the Secret within [`Lifetimes::settling`]
//! isn't ready any more, so that after twice that time whoever is called serves the new chain.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::material::{Lifetimes, Material};
use super::x509::Validity;

/// What is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// What the Secret holds; nothing when it is lost or can't be used.
    pub(super) there: Option<&'a Material>,
    /// What it held when this replica last looked, when that is not long ago.
    pub(super) remembered: Option<&'a Material>,
    /// The names that the webhook is called by.
    pub(super) names: &'a [String],
    pub(super) now: Timestamp,
    pub(super) lifetimes: &'a Lifetimes,
    /// How long this replica has seen the next CA in every webhook configuration; nothing when it isn't there.
    pub(super) announced: Option<Duration>,
    /// How long this replica has seen the same CAs in the Secret.
    pub(super) unchanged: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing.
    Keep,
    /// Everything is made anew: there is nothing that anybody could go on with.
    Make,
    /// What was there before comes back, and hands over to a new CA.
    Restore,
    /// The CA signs a new leaf.
    Sign,
    /// A CA is made that is to take over.
    Announce,
    /// It takes over.
    Promote,
    /// The one before is trusted no longer.
    Retire,
}

impl Plan {
    /// A bounded label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Make => "make",
            Self::Restore => "restore",
            Self::Sign => "sign",
            Self::Announce => "announce",
            Self::Promote => "promote",
            Self::Retire => "retire",
        }
    }
}

/// Whether a third of a lifetime, or less, is left.
fn due(validity: Validity, lifetime: SignedDuration, now: Timestamp) -> bool {
    validity.until.duration_since(now) <= lifetime.checked_div(3).unwrap_or_default()
}

/// What to do next; one step at a time.
pub(super) fn plan(input: &Input<'_>) -> Plan {
    let Input { names, now, lifetimes, .. } = *input;
    let Some(there) = input.there else {
        return match input.remembered {
            Some(remembered) if remembered.ca_validity().holds(now) => Plan::Restore,
            _ => Plan::Make,
        };
    };
    let next = there.next().and_then(|next| next.validity()).filter(|next| next.holds(now));
    let (ca, leaf) = (there.ca_validity(), there.leaf_validity());
    if !ca.holds(now) {
        // Nobody trusts what is served: there is nothing to wait for. One that isn't valid yet was made by a clock that
        // is ahead, or this one is behind. Which it is nobody can tell, and what the API server may not take is worse.
        return if next.is_some() { Plan::Promote } else { Plan::Make };
    }
    let serves = there.verify(names, now).is_ok();
    if there.signs() {
        // A leaf can't outlive its CA: one that would end with the same instant again is no renewal.
        if !serves || (due(leaf, lifetimes.leaf, now) && ca.until > leaf.until) {
            return Plan::Sign;
        }
    } else if !serves {
        return Plan::Make;
    }
    let settling = lifetimes.settling();
    if there.has_previous() {
        return if input.unchanged >= settling.saturating_mul(2) { Plan::Retire } else { Plan::Keep };
    }
    match there.next() {
        Some(_) if next.is_none() => Plan::Announce,
        Some(_) if input.announced.is_some_and(|announced| announced >= settling) => Plan::Promote,
        Some(_) => Plan::Keep,
        None if !there.signs() || due(ca, lifetimes.ca, now) => Plan::Announce,
        None => Plan::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes =
        Lifetimes { ca: SignedDuration::from_secs(9_000), leaf: SignedDuration::from_secs(900) };
    /// A twentieth of the CA's, and no more than five minutes.
    const SETTLING: u64 = 300;

    fn names() -> Vec<String> {
        vec!["a.example".to_owned()]
    }

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        start() + SignedDuration::from_secs(seconds)
    }

    struct Case {
        there: Option<Material>,
        remembered: Option<Material>,
        names: Vec<String>,
        now: i64,
        announced: Option<u64>,
        unchanged: u64,
    }

    fn case(there: &Material, now: i64) -> Case {
        Case {
            there: Some(there.clone()),
            remembered: Some(there.clone()),
            names: names(),
            now,
            announced: None,
            unchanged: 0,
        }
    }

    fn decide(case: &Case) -> Plan {
        plan(&Input {
            there: case.there.as_ref(),
            remembered: case.remembered.as_ref(),
            names: &case.names,
            now: at(case.now),
            lifetimes: &LIFETIMES,
            announced: case.announced.map(Duration::from_secs),
            unchanged: Duration::from_secs(case.unchanged),
        })
    }

    #[test]
    fn one_step_follows_from_what_is_there() {
        let made = Material::make(&names(), start(), &LIFETIMES).unwrap();
        let late = made.signed(&names(), at(5_900), &LIFETIMES).unwrap();
        let announced = late.announced(at(6_000), &LIFETIMES).unwrap();
        let promoted = announced.promoted(&names(), at(6_300), &LIFETIMES).unwrap();
        let last = made.signed(&names(), at(8_500), &LIFETIMES).unwrap();
        let unsigned = |material: &Material| {
            let mut secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(material.object()).unwrap();
            secret.data.as_mut().unwrap().remove("ca.key");
            Material::from_secret(&secret).unwrap()
        };
        let other = || vec!["b.example".to_owned()];
        let table = [
            ("new", case(&made, 0), Plan::Keep),
            ("made by a clock a little ahead", case(&made, -5), Plan::Keep),
            ("made by a clock far ahead", case(&made, -4_000), Plan::Make),
            ("a leaf with more than a third", case(&made, 599), Plan::Keep),
            ("a leaf with a third", case(&made, 600), Plan::Sign),
            ("a leaf that has ended", case(&made, 901), Plan::Sign),
            ("another name", Case { names: other(), ..case(&made, 0) }, Plan::Sign),
            ("another name, and no key", Case { names: other(), ..case(&unsigned(&made), 0) }, Plan::Make),
            ("no key", case(&unsigned(&made), 0), Plan::Announce),
            ("a CA with a third", case(&late, 6_000), Plan::Announce),
            ("announced, and nobody knows", case(&announced, 6_000), Plan::Keep),
            ("announced, not for long", Case { announced: Some(SETTLING - 1), ..case(&announced, 6_000) }, Plan::Keep),
            ("announced for long", Case { announced: Some(SETTLING), ..case(&announced, 6_000) }, Plan::Promote),
            (
                "announced, and a leaf is due first",
                Case { announced: Some(SETTLING), ..case(&announced, 6_500) },
                Plan::Sign,
            ),
            ("taken over", Case { unchanged: 2 * SETTLING - 1, ..case(&promoted, 6_300) }, Plan::Keep),
            ("taken over for long", Case { unchanged: 2 * SETTLING, ..case(&promoted, 6_300) }, Plan::Retire),
            ("a leaf that ends with its CA", case(&last, 8_950), Plan::Announce),
            ("a CA that has ended", case(&last, 9_001), Plan::Make),
            ("a CA that has ended with another announced", case(&announced, 9_001), Plan::Promote),
            ("an announced one that has ended too", case(&announced, 15_001), Plan::Make),
            ("lost", Case { there: None, ..case(&made, 10) }, Plan::Restore),
            ("lost, and ended", Case { there: None, ..case(&made, 9_001) }, Plan::Make),
            ("never there", Case { there: None, remembered: None, ..case(&made, 0) }, Plan::Make),
            ("of before a restart", Case { remembered: None, ..case(&made, 0) }, Plan::Keep),
        ];
        for (what, case, expected) in table {
            assert_eq!(decide(&case), expected, "{what}");
        }
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let made = Material::make(&names(), start(), &LIFETIMES).unwrap();
        let last = made.signed(&names(), at(8_500), &LIFETIMES).unwrap();
        assert_eq!(last.leaf_validity().until, last.ca_validity().until);
        assert!(last.verify(&names(), at(8_999)).is_ok());
        assert!(last.verify(&names(), at(9_000)).is_err());
    }
}
