//! Plain scalars to values, by the rules `kubectl` reads by: YAML 1.1 as Go's reader understands it, which is neither
//! YAML 1.1 nor 1.2 to the letter.

use granit_parser::{ScalarStyle, Tag};
use serde_json::Number;

use super::error::{Fault, ReadErrorKind};
use super::{NodeKind, Place};

const YAML_NAMESPACE: &str = "tag:yaml.org,2002:";

/// What a scalar stands for; `Text` is the scalar's own text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above what `Integer` holds.
    Unsigned(u64),
    Float(f64),
    Text,
}

/// The scalar's value under its tag and style.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<Scalar, Fault> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain { guess(text) } else { Scalar::Text });
    };
    let Some(name) = tag.suffix_in_namespace(YAML_NAMESPACE) else { return Ok(Scalar::Text) };
    let found = guess(text);
    let fits = match (name.as_ref(), found) {
        ("float", Scalar::Integer(number)) => {
            // A whole number keeps its digits in JSON either way; past 2^53 the tag makes it the nearest double.
            return Ok(Scalar::Float(number as f64));
        }
        ("null", Scalar::Null) | ("bool", Scalar::Bool(_)) | ("float", Scalar::Float(_)) => true,
        ("int", Scalar::Integer(_) | Scalar::Unsigned(_)) => true,
        ("null" | "bool" | "float" | "int", _) => false,
        ("binary", _) => {
            let message = "!!binary has no JSON value: write the base64 text as a string without the tag";
            return Err(Fault::new(ReadErrorKind::Value, place, message));
        }
        _ => return Ok(Scalar::Text),
    };
    if fits {
        Ok(found)
    } else {
        Err(Fault::new(ReadErrorKind::Value, place, format!("the value is no !!{name}: correct it or drop the tag")))
    }
}

/// The scalar as the value of a node.
pub(super) fn value(scalar: Scalar, text: String, place: Place) -> Result<NodeKind, Fault> {
    Ok(match scalar {
        Scalar::Null => NodeKind::Null,
        Scalar::Bool(value) => NodeKind::Bool(value),
        Scalar::Integer(number) => NodeKind::Number(number.into()),
        Scalar::Unsigned(number) => NodeKind::Number(number.into()),
        Scalar::Float(number) => NodeKind::Number(json_number(number).ok_or_else(|| {
            Fault::new(ReadErrorKind::Value, place, "JSON has no infinity and no NaN: write a number or quote it")
        })?),
        Scalar::Text => NodeKind::String(text),
    })
}

/// The scalar as a key: JSON's keys are strings.
pub(super) fn key(scalar: Scalar, text: String, place: Place) -> Result<String, Fault> {
    match scalar {
        Scalar::Bool(value) => Ok(value.to_string()),
        Scalar::Integer(number) => Ok(number.to_string()),
        Scalar::Float(number) => Ok(float_key(number)),
        Scalar::Text => Ok(text),
        Scalar::Null | Scalar::Unsigned(_) => {
            Err(Fault::new(ReadErrorKind::Value, place, "JSON has no such key: quote it if it is meant"))
        }
    }
}

/// The key an alias to a scalar stands for.
pub(super) fn key_of(kind: &NodeKind) -> Option<String> {
    match kind {
        NodeKind::String(text) => Some(text.clone()),
        NodeKind::Bool(value) => Some(value.to_string()),
        NodeKind::Number(number) if number.is_i64() => Some(number.to_string()),
        NodeKind::Number(number) if number.is_f64() => number.as_f64().map(float_key),
        _ => None,
    }
}

/// Whether a key is a merge key: `<<` unquoted, or tagged as one.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    let meant = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => tag.original() == "!" || tag.suffix_in_namespace(YAML_NAMESPACE).as_deref() == Some("merge"),
    };
    text == "<<" && meant
}

fn guess(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.bytes().next() {
        Some(b'.') => leading_point(text),
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        _ => Scalar::Text,
    }
}

/// `.5`: here underscores stand only between digits, elsewhere anywhere.
fn leading_point(text: &str) -> Scalar {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| digit(at.checked_sub(1)) && digit(at.checked_add(1));
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && !between(at)) {
        return Scalar::Text;
    }
    float(&text.replace('_', "")).unwrap_or(Scalar::Text)
}

fn number(text: &str) -> Scalar {
    let stripped;
    let plain = if text.contains('_') {
        stripped = text.replace('_', "");
        stripped.as_str()
    } else {
        text
    };
    integer(plain).or_else(|| float(plain)).or_else(|| signed_binary(plain)).unwrap_or(Scalar::Text)
}

fn integer(plain: &str) -> Option<Scalar> {
    let (sign, digits) = match plain.as_bytes().first()? {
        b'+' | b'-' => plain.split_at_checked(1)?,
        _ => ("", plain),
    };
    if digits.is_empty() {
        return None;
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'b' | b'B', _, ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, digits.get(2..)?),
        [b'0', b'x' | b'X', _, ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (sign, i64::try_from(magnitude)) {
        ("-", _) => 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Integer),
        (_, Ok(number)) => Some(Scalar::Integer(number)),
        ("", Err(_)) => Some(Scalar::Unsigned(magnitude)),
        _ => None,
    }
}

/// `0b-101`, which Go's reader takes for -5.
fn signed_binary(plain: &str) -> Option<Scalar> {
    let digits = plain.strip_prefix("0b")?;
    i64::from_str_radix(digits, 2).ok().map(Scalar::Integer)
}

/// A decimal with digits before or after its point; one too large for a double is no number.
fn float(plain: &str) -> Option<Scalar> {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at.checked_add(1)?..)?)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    plain.parse::<f64>().ok().filter(|number| number.is_finite()).map(Scalar::Float)
}

/// A whole double is written without a fraction on its way to the API server and read as an integer there.
fn json_number(number: f64) -> Option<Number> {
    if number.fract() == 0.0 && number.abs() < 1e21 {
        let digits = number.to_string();
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Some(whole.into());
        }
    }
    Number::from_f64(number)
}

/// Go's shortest single-precision notation: with an exponent from a million on and below a ten-thousandth.
fn float_key(number: f64) -> String {
    let single = number as f32;
    if single.is_nan() {
        return ".nan".into();
    }
    if single.is_infinite() {
        return if single > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let scientific = format!("{single:e}");
    let Some((digits, Ok(exponent))) = scientific.split_once('e').map(|(digits, power)| (digits, power.parse::<i32>()))
    else {
        return scientific;
    };
    if (-4..6).contains(&exponent) {
        return single.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}
