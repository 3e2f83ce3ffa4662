//! Damage to the bytes of a review, whatever they stand for.

use serde_json::Value;

use super::super::random::Random;
use super::super::sent::as_sent;
use super::{Oracle, Whole};

pub(super) fn truncated(review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    body.truncate(random.below(body.len()));
    ("truncated", body, Oracle::NoReview)
}

/// Where damage would make a valid request for another namespace: the values of the field, not its name.
fn is_namespace(body: &[u8], at: usize) -> bool {
    const KEY: &[u8] = b"\"namespace\":";
    let start = at.saturating_sub(100);
    let before = &body[start..at];
    let Some(found) = before.windows(KEY.len()).rposition(|window| window == KEY) else { return false };
    !before[found + KEY.len()..].contains(&b',')
}

/// A place that may be damaged, with as many bytes after it.
fn place(body: &[u8], length: usize, random: &mut Random) -> usize {
    loop {
        let at = random.below(body.len().saturating_sub(length));
        if (at..at + length + 1).all(|at| !is_namespace(body, at)) {
            return at;
        }
    }
}

/// What damage anywhere leaves. Text that is still JSON may have lost a letter of a field's name, and with it what was wrong
/// under that name; any other is never allowed.
fn scarred(what: &'static str, body: Vec<u8>) -> (&'static str, Vec<u8>, Oracle) {
    let is_json = serde_json::from_slice::<Value>(&body).is_ok();
    (what, body, if is_json { Oracle::Answered } else { Oracle::NotAllowed })
}

pub(super) fn flipped(review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    let at = place(&body, 1, random);
    body[at] ^= 1 << random.below(8);
    scarred("a bit flipped", body)
}

pub(super) fn noise(review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    let length = 1 + random.below(12);
    let at = place(&body, length, random);
    let bytes = random.bytes(length);
    body[at..at + length].copy_from_slice(&bytes);
    scarred("noise", body)
}

pub(super) fn removed(review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    let length = 1 + random.below(24);
    let at = place(&body, length, random);
    body.drain(at..at + length);
    scarred("bytes removed", body)
}

pub(super) fn repeated(review: Value, _: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    let length = 1 + random.below(200).min(body.len() / 2);
    let from = place(&body, length, random);
    let piece = body[from..from + length].to_vec();
    let at = place(&body, 1, random);
    body.splice(at..at, piece);
    scarred("bytes repeated", body)
}

pub(super) fn sized(review: Value, whole: &Whole, random: &mut Random) -> (&'static str, Vec<u8>, Oracle) {
    let mut body = as_sent(&review).into_bytes();
    // Large ones are rare: their bytes are what a storm of them costs.
    let size = match random.below(40) {
        0 => whole.limit + 1,
        1 => whole.limit,
        2 => whole.limit + random.below(whole.limit / 8),
        _ => random.below(whole.limit / 64),
    };
    let over = size > whole.limit;
    body.resize(size.max(body.len()), b' ');
    ("blown up", body, if over { Oracle::NoReview } else { Oracle::NotAllowed })
}
