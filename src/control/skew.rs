//! How far the clocks of replicas may be apart. Each decides by its own, so that what runs out counts as over that much
//! early, and what begins as begun that much late: a clock that is behind lets nothing last longer.

use jiff::{SignedDuration, Timestamp};

/// Clocks of replicas may differ by this much.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// The instant at which what holds until an instant is over for everybody.
pub fn over_at(until: Timestamp) -> Timestamp {
    until.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN)
}

/// The instant at which what holds from an instant on has begun for everybody.
pub fn begun_at(from: Timestamp) -> Timestamp {
    from.checked_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX)
}
