//! Quantities of resources, as Kubernetes writes them, by their exact value.

/// Digits that are read of each side of the point: more than any quantity that Kubernetes can hold has.
const DIGITS: usize = 40;
/// Nano-units that a quantity has at most; Kubernetes holds no more than 2^63 - 1 whole ones either.
const MOST: i128 = (i64::MAX as i128) * 1_000_000_000;
/// Decimal digits of a nano-unit.
const NANO: i32 = 9;
/// Digits behind the point that count before a binary suffix: with them the product still fits.
const BINARY_DIGITS: usize = 11;

/// The value of a quantity, exact to a nano-unit; a smaller part counts as a whole one, and what is larger than
/// Kubernetes can hold as the largest that it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Reads a quantity such as `500m`, `1.5`, `64Gi` or `1e3`. None for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(end)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.contains('.') || (whole.is_empty() && part.is_empty()) {
            return None;
        }
        let nanos = match binary(suffix) {
            Some(factor) => scaled_binary(whole, part, factor),
            None => scaled_decimal(whole, part, exponent(suffix)?),
        };
        let nanos = nanos.min(MOST);
        Some(Self(if negative { -nanos } else { nanos }))
    }

    /// A number of whole units.
    #[must_use]
    pub fn units(number: u32) -> Self {
        Self(i128::from(number) * 1_000_000_000)
    }

    /// True for what is more than nothing.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// True for what is less than nothing.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// The factor of a binary suffix.
fn binary(suffix: &str) -> Option<i128> {
    let power = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix)?;
    Some(1_i128 << (10 * (power + 1)))
}

/// The power of ten of a decimal suffix or an exponent.
fn exponent(suffix: &str) -> Option<i32> {
    let power = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if unsigned.is_empty() || unsigned.len() > 9 || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            digits.parse().ok()?
        }
    };
    Some(power)
}

/// The number of the digits; none when there are too many.
fn number(digits: &str) -> Option<i128> {
    let digits = digits.trim_start_matches('0');
    match digits {
        "" => Some(0),
        _ if digits.len() < DIGITS => digits.parse().ok(),
        _ => None,
    }
}

fn scaled_binary(whole: &str, part: &str, factor: i128) -> i128 {
    let nanos = 10_i128.pow(NANO.unsigned_abs());
    let whole = number(whole).unwrap_or(MOST).saturating_mul(factor).saturating_mul(nanos);
    let (counted, rest) = part.split_at_checked(BINARY_DIGITS).unwrap_or((part, ""));
    let part = number(counted).unwrap_or(0) + i128::from(rest.bytes().any(|digit| digit != b'0'));
    let places = u32::try_from(counted.len()).unwrap_or(0);
    let part = part.saturating_mul(factor).saturating_mul(nanos);
    whole.saturating_add(divided_up(part, 10_i128.pow(places)))
}

fn divided_up(dividend: i128, divisor: i128) -> i128 {
    dividend / divisor + i128::from(dividend % divisor != 0)
}

/// Moves the point, so that nothing is lost on the way.
fn scaled_decimal(whole: &str, part: &str, power: i32) -> i128 {
    let digits: String = [whole, part].concat();
    if digits.bytes().all(|digit| digit == b'0') {
        return 0;
    }
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    let point = point.saturating_add(i64::from(power)).saturating_add(i64::from(NANO));
    let Ok(point) = usize::try_from(point) else { return 1 };
    match digits.split_at_checked(point) {
        Some((counted, rest)) => {
            let up = i128::from(rest.bytes().any(|digit| digit != b'0'));
            number(counted).map_or(MOST, |counted| counted.saturating_add(up))
        }
        None => {
            let zeros = point.saturating_sub(digits.len());
            let counted = number(&digits).filter(|_| zeros < DIGITS);
            let factor = u32::try_from(zeros).ok().and_then(|zeros| 10_i128.checked_pow(zeros));
            counted.zip(factor).map_or(MOST, |(counted, factor)| counted.saturating_mul(factor))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> Option<i128> {
        Amount::parse(text).map(|amount| amount.0)
    }

    #[test]
    fn exact_values() {
        let unit = 1_000_000_000_i128;
        let table = [
            ("0", 0),
            ("0Ei", 0),
            ("0e999999999", 0),
            ("1", unit),
            ("+1", unit),
            ("-1", -unit),
            ("-0", 0),
            ("500m", unit / 2),
            ("0.5", unit / 2),
            (".5", unit / 2),
            ("5.", 5 * unit),
            ("1n", 1),
            ("0.1n", 1),
            ("1u", 1_000),
            ("1e3", 1_000 * unit),
            ("1E3", 1_000 * unit),
            ("1.5e+3", 1_500 * unit),
            ("2500e-3", 5 * unit / 2),
            ("1E", 1_000_000_000_000_000_000 * unit),
            ("64Gi", 64 * 1_073_741_824 * unit),
            ("0.5Ki", 512 * unit),
            ("1.00000000001Ki", 1_024 * unit + 11),
            ("0.000000000000000000000001Ei", 11_529_215_046_068_470),
            ("1e-30", 1),
            ("8Ei", MOST),
            ("9223372036854775807", MOST),
            ("9223372036854775808", MOST),
            ("1e999999999", MOST),
            ("100000000000000000000000000000000000000000000000000", MOST),
            ("100000000000000000000000000000000000000000000000000Ki", MOST),
            ("00000000000000000000000000000000000000000000000001", unit),
        ];
        for (text, expected) in table {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for text in [
            "",
            "-",
            ".",
            "Gi",
            "1.2.3",
            "1KiB",
            "1ki",
            "1 Gi",
            " 1",
            "1e",
            "1e+",
            "1e1.5",
            "1e1234567890",
            "0x1",
            "१",
            "--1",
            "1K",
            "1g",
            "inf",
            "1eé",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_sign_turns(text in "[-+]?[0-9.]{0,60}(Ki|Ei|m|n|e[0-9]{1,3}|e-[0-9]{1,3}|k|é)?") {
            if let (false, Some(amount)) = (text.starts_with(['-', '+']), nanos(&text)) {
                prop_assert!((0..=MOST).contains(&amount));
                prop_assert_eq!(nanos(&format!("-{text}")), Some(-amount));
            }
        }

        #[test]
        fn one_value_in_all_writings(number in 0_u32..1_000_000) {
            let amount = Amount::units(number);
            for text in [format!("{number}"), format!("{number}000m"), format!("{number}e0"), format!("{number}000e-3"),
                format!("{number}.000"), format!("0{number}")] {
                prop_assert_eq!(Amount::parse(&text), Some(amount), "{}", text);
            }
            prop_assert_eq!(nanos(&format!("{number}Mi")), nanos(&format!("{}Ki", u64::from(number) * 1_024)));
        }
    }
}
