//! Replicas, an API server and time, all in memory: whatever happens in whatever order, whoever is ready is trusted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::known::Known;
use super::material::{Lifetimes, Material};
use super::plan::Plan;
use super::published::Published;
use super::tracker::{Moment, Tracker};
use super::{ServedCertificate, x509};
use crate::cluster::Clock;
use crate::cluster::clock::ManualClock;

const KIND: &str = "ValidatingWebhookConfiguration";
/// Settling is a twentieth of the CA's: 50 s.
const LIFETIMES: Lifetimes = Lifetimes { ca: SignedDuration::from_secs(1_000), leaf: SignedDuration::from_secs(300) };
/// How far an API server may be behind with the configurations.
const LAG: u64 = 40;

fn names() -> Vec<String> {
    vec!["amanat-webhook.amanat-system.svc".to_owned()]
}

struct Replica {
    clock: Arc<ManualClock>,
    served: Arc<ServedCertificate>,
    known: Known,
    tracker: Tracker,
}

impl Replica {
    fn start(clock: Arc<ManualClock>) -> Self {
        let served = Arc::new(ServedCertificate::default());
        let known = Known::new(names(), &LIFETIMES, Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&served));
        Self { clock, served, known, tracker: Tracker::default() }
    }

    fn observe(&self, bundle: Option<&Vec<u8>>) {
        let published =
            bundle.map(|bundle| Published { bundles: BTreeSet::from([bundle.clone()]), ..Published::default() });
        self.known.observe(KIND, published);
    }
}

struct World {
    replicas: Vec<Replica>,
    leader: usize,
    secret: Option<Material>,
    /// The Secret holds what nobody here has made.
    foreign: bool,
    bundle: Option<Vec<u8>>,
    /// Bundles that were published before, and until when.
    former: Vec<(Vec<u8>, u64)>,
    seconds: u64,
    steps: Vec<Plan>,
}

impl World {
    /// Clocks a few seconds apart.
    fn new() -> Self {
        let clocks = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:03Z", "2025-12-31T23:59:56Z"];
        let replicas = clocks.into_iter().map(|at| Replica::start(Arc::new(ManualClock::at(at)))).collect();
        Self {
            replicas,
            leader: 0,
            secret: None,
            foreign: false,
            bundle: None,
            former: Vec::new(),
            seconds: 0,
            steps: Vec::new(),
        }
    }

    fn advance(&mut self, seconds: u64) {
        self.seconds += seconds;
        for replica in &self.replicas {
            replica.clock.advance(Duration::from_secs(seconds));
        }
        let seconds = self.seconds;
        self.former.retain(|(_, until)| seconds.saturating_sub(*until) < LAG);
    }

    /// As the keeper's turn. False when there was nothing to go on with.
    fn turn(&mut self, index: usize, fails: bool) -> bool {
        let leads = self.leader == index;
        let replica = &mut self.replicas[index];
        let (now, monotonic) = (replica.clock.now(), replica.clock.monotonic());
        let at = Moment { since: monotonic, now, monotonic };
        replica.observe(self.bundle.as_ref());
        let there = self.secret.as_ref();
        let step = replica.tracker.step(there, leads, &replica.known, &LIFETIMES, at).unwrap();
        // Whoever leads and has forgotten what was there can only go on with what is.
        if leads && self.foreign && !matches!(step, Some((Plan::Restore, _))) {
            return false;
        }
        let Some((plan, made)) = step.filter(|_| !fails) else { return true };
        let expired = there.is_some_and(|there| !there.ca_validity().holds(now));
        let forced = !self.steps.is_empty() && (plan == Plan::Make || expired);
        self.steps.push(plan);
        self.secret = Some(made.clone());
        self.foreign = false;
        replica.tracker.wrote(made, &replica.known, at);
        !forced
    }

    fn turn_all(&mut self) {
        for index in 0..self.replicas.len() {
            self.turn(index, false);
        }
    }

    fn publish(&mut self, index: usize) {
        let bundle = self.replicas[index].known.bundle().filter(|_| self.leader == index);
        if bundle.is_some() && bundle != self.bundle {
            let before = std::mem::replace(&mut self.bundle, bundle);
            self.former.extend(before.map(|before| (before, self.seconds)));
        }
    }

    /// Whoever is ready is trusted by every API server, also by one that is behind.
    fn check(&self) -> Result<(), TestCaseError> {
        let Some(bundle) = &self.bundle else { return Ok(()) };
        for (index, replica) in self.replicas.iter().enumerate() {
            if !replica.known.reasons().is_empty() {
                continue;
            }
            let served = replica.served.current().unwrap();
            let former = self.former.iter().map(|(bundle, _)| bundle);
            for bundle in former.chain([bundle]) {
                let verified = x509::verify(served.chain(), bundle, &names(), replica.clock.now());
                prop_assert!(verified.is_ok(), "replica {index} at {} s: {verified:?}; {:?}", self.seconds, self.steps);
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Advance(u64),
    Turn(usize),
    /// The leader is killed before it could write.
    Killed,
    Observe(usize),
    Publish(usize),
    Elect(usize),
    Restart(usize),
    Lose,
    /// Somebody puts a certificate of their own there.
    Foreign,
}

fn op() -> impl Strategy<Value = Op> {
    let replica = || 0..3_usize;
    prop_oneof![
        6 => (1..30_u64).prop_map(Op::Advance),
        10 => replica().prop_map(Op::Turn),
        1 => Just(Op::Killed),
        3 => replica().prop_map(Op::Observe),
        6 => replica().prop_map(Op::Publish),
        1 => replica().prop_map(Op::Elect),
        1 => replica().prop_map(Op::Restart),
        1 => Just(Op::Lose),
        1 => Just(Op::Foreign),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_ready_is_trusted(ops in prop::collection::vec(op(), 50..250)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Advance(seconds) => world.advance(seconds),
                Op::Turn(index) => {
                    // Everything has expired or was forgotten: from here on nobody could be spared.
                    if !world.turn(index, false) {
                        return Ok(());
                    }
                }
                Op::Killed => {
                    let leader = world.leader;
                    if !world.turn(leader, true) {
                        return Ok(());
                    }
                    let clock = Arc::clone(&world.replicas[leader].clock);
                    world.replicas[leader] = Replica::start(clock);
                    world.leader = (leader + 1) % 3;
                }
                Op::Observe(index) => world.replicas[index].observe(world.bundle.as_ref()),
                Op::Publish(index) => world.publish(index),
                Op::Elect(index) => world.leader = index,
                Op::Restart(index) => {
                    let clock = Arc::clone(&world.replicas[index].clock);
                    world.replicas[index] = Replica::start(clock);
                }
                // The leader has just looked: without that, nobody knows what was there.
                Op::Lose => {
                    let leader = world.leader;
                    if !world.turn(leader, false) {
                        return Ok(());
                    }
                    world.secret = None;
                    world.foreign = false;
                }
                // Without a configuration, nobody could tell whose it is.
                Op::Foreign if world.bundle.is_none() => {}
                Op::Foreign => {
                    let leader = world.leader;
                    if !world.turn(leader, false) {
                        return Ok(());
                    }
                    let now = world.replicas[leader].clock.now();
                    world.secret = Some(Material::make(&names(), now, &LIFETIMES).unwrap());
                    world.foreign = true;
                }
            }
            world.check()?;
        }
    }
}

/// Years of it, with the leader killed at every step: never is anybody not ready who runs, and the CA turns in time.
#[test]
fn it_goes_on_for_ever_whoever_leads() {
    let mut world = World::new();
    let mut killed = 0;
    for _ in 0..2_000 {
        world.advance(5);
        let before = world.steps.len();
        for index in 0..3 {
            assert!(world.turn(index, false), "{:?}", world.steps);
        }
        let leader = world.leader;
        world.publish(leader);
        if world.steps.len() > before && world.steps.len() > 1 {
            let clock = Arc::clone(&world.replicas[leader].clock);
            world.replicas[leader] = Replica::start(clock);
            world.leader = (leader + 1) % 3;
            killed += 1;
            world.turn(leader, false);
        }
        world.turn_all();
        world.check().unwrap();
        for replica in &world.replicas {
            assert_eq!(replica.known.reasons(), [] as [&str; 0], "at {} s", world.seconds);
        }
    }
    let count = |plan| world.steps.iter().filter(|step| **step == plan).count();
    assert_eq!(count(Plan::Make), 1);
    assert_eq!(count(Plan::Restore), 0, "nothing was lost: whoever leads next goes on with what is there");
    // 10,000 s in rotations of less than 667 + 250 s each.
    assert!(count(Plan::Promote) >= 10 && count(Plan::Retire) >= 10 && count(Plan::Sign) >= 20, "{:?}", world.steps);
    assert!(killed >= 40, "{killed}");
}

#[test]
fn what_has_expired_while_nobody_ran_comes_back_by_itself() {
    for years in [1, 30] {
        let mut world = World::new();
        let settle = |world: &mut World| {
            for _ in 0..4 {
                world.turn(0, false);
                world.publish(0);
                world.turn_all();
            }
        };
        settle(&mut world);
        world.advance(years * 365 * 24 * 3_600);
        world.former.clear();
        assert!(world.replicas.iter().all(|replica| !replica.known.reasons().is_empty()));
        settle(&mut world);
        world.former.clear();
        world.check().unwrap();
        for replica in &world.replicas {
            assert_eq!(replica.known.reasons(), [] as [&str; 0]);
        }
    }
}

#[test]
fn a_replica_that_stood_still_is_not_ready_until_it_has_read_again() {
    let mut world = World::new();
    for _ in 0..2 {
        world.turn(0, false);
        world.publish(0);
        world.turn_all();
    }
    for _ in 0..4 {
        world.advance(15);
        world.turn(0, false);
        world.turn(2, false);
    }
    let reasons = world.replicas[1].known.reasons();
    assert!(reasons.len() == 1 && reasons[0].contains("were not read for 50 s"), "{reasons:?}");
    assert_eq!(world.replicas[1].known.bundle(), None, "and says nothing of what is to be trusted");
    world.turn(1, false);
    assert_eq!(world.replicas[1].known.reasons(), [] as [&str; 0]);
}

#[test]
fn a_bundle_that_does_not_verify_makes_it_unready_and_stays_to_be_healed() {
    let mut world = World::new();
    world.turn(0, false);
    world.publish(0);
    world.turn(0, false);
    let right = world.bundle.clone().unwrap();
    for wrong in
        [Vec::new(), b"garbage".to_vec(), super::Certificate::make(&names(), world.replicas[0].clock.now()).unwrap().ca]
    {
        world.replicas[0].observe(Some(&wrong));
        let reasons = world.replicas[0].known.reasons();
        assert!(reasons.len() == 1 && reasons[0].contains(KIND), "{reasons:?}");
        assert_eq!(world.replicas[0].known.bundle(), Some(right.clone()));
        world.replicas[0].observe(Some(&right));
        assert_eq!(world.replicas[0].known.reasons(), [] as [&str; 0]);
    }
}
