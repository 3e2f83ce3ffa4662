//! Instants and days as the API server reads them: stricter than what `jiff` would take.

use jiff::{Timestamp, civil};
use serde::{Deserialize, Deserializer, de::Error};

/// Reads an instant in RFC 3339, such as `2026-06-01T00:00:00Z`. None for anything else.
#[must_use]
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let is = |at: usize, wanted: u8| bytes.get(at).is_some_and(|b| b.eq_ignore_ascii_case(&wanted));
    let shape = digits(0..4)
        && is(4, b'-')
        && digits(5..7)
        && is(7, b'-')
        && digits(8..10)
        && is(10, b'T')
        && digits(11..13)
        && is(13, b':')
        && digits(14..16)
        && is(16, b':')
        && digits(17..19);
    let seconds_below_sixty = bytes.get(17).is_some_and(|b| *b < b'6');
    let rest = bytes.get(19..)?;
    let fraction = match rest.strip_prefix(b".") {
        Some(after) => {
            let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            digits + 1
        }
        None => 0,
    };
    let zone = match rest.get(fraction..)? {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    (shape && seconds_below_sixty && zone).then(|| text.parse().ok()).flatten()
}

/// Reads a day, such as `2026-09-01`. None for anything else.
#[must_use]
pub fn parse_date(text: &str) -> Option<civil::Date> {
    let plain = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    plain.then(|| text.parse().ok()).flatten()
}

pub(super) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    parse_instant(&text)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not an instant such as \"2026-06-01T00:00:00Z\"")))
}

pub(super) fn instant_option<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    parse_instant(&text)
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not an instant such as \"2026-06-01T00:00:00Z\"")))
}

pub(super) fn date<'de, D: Deserializer<'de>>(from: D) -> Result<Option<civil::Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    parse_date(&text).map(Some).ok_or_else(|| D::Error::custom(format!("{text:?} is not a day such as \"2026-09-01\"")))
}
