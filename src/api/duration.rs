//! Lengths of time in specs: a whole number and one unit.

use jiff::SignedDuration;

/// Reads a length of time such as `90s`, `30m`, `720h` or `30d` (a day is 24 hours). None for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<SignedDuration> {
    let unit = text.as_bytes().last()?;
    let number = text.get(..text.len() - 1)?;
    if number.is_empty() || number.len() > 6 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.parse::<i64>().ok()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, seconds) in [("0h", 0), ("90s", 90), ("30m", 1_800), ("720h", 2_592_000), ("30d", 2_592_000)] {
            assert_eq!(parse(text), Some(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1", "-1h", "1.5h", "1h30m", "1w", "1234567s", "१h", "1 h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
