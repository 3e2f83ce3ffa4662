//! Every attack: a file for each group.

mod lifecycle;
mod matching;
mod namespaces;
mod server;
mod tampering;

use super::{Attack, Standing, Who};

const fn attack(
    group: char,
    number: u8,
    tried: &'static str,
    who: Who,
    tests: &'static [&'static str],
    standing: Standing,
) -> Attack {
    Attack { group, number, tried, who, tests, standing }
}

/// Every attack, by group and number.
pub const ATTACKS: &[&[Attack]] =
    &[matching::ATTACKS, namespaces::ATTACKS, lifecycle::ATTACKS, server::ATTACKS, tampering::ATTACKS];
