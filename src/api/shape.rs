//! The shapes that strings in specs have: a pattern for the API server, and the same rule as a function.

use super::{duration, time};

/// A shape of a string.
pub(super) trait Shape {
    /// Pattern in RE2, if the shape has one.
    const PATTERN: Option<&'static str> = None;
    /// Fewest characters.
    const MIN: u64 = 1;
    /// Most characters.
    const MAX: u64;
}

/// A shape with a pattern, as the walker of schemas needs it: by the text of the pattern.
pub(super) struct Rule {
    pub(super) pattern: &'static str,
    pub(super) test: fn(&str) -> bool,
    /// Ends the sentence "must be …".
    pub(super) words: &'static str,
}

macro_rules! shapes {
    ($($(#[doc = $doc:literal])* $name:ident, $max:literal, $pattern:literal, $words:literal, $test:expr;)*) => {
        $(
            $(#[doc = $doc])*
            pub(super) struct $name;
            impl Shape for $name {
                const PATTERN: Option<&'static str> = Some($pattern);
                const MAX: u64 = $max;
            }
        )*
        /// Every shape that has a pattern.
        pub(super) static RULES: &[Rule] = &[$(Rule { pattern: $pattern, test: $test, words: $words }),*];
    };
}

shapes! {
    /// A DNS label: the name of a namespace or a site.
    Label, 63, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "lower-case letters, digits and dashes, with a letter or digit at both ends", label;
    /// A DNS subdomain: the name of an object.
    Name, 253, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "the name of an object: lower-case letters, digits, dashes and dots", |s| s.split('.').all(label);
    /// A word that can be the value of a label: a class, a level, a jurisdiction.
    Word, 63, "^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$",
        "a word of letters, digits and dashes that starts with a letter and doesn't end with a dash",
        |s| s.starts_with(|c: char| c.is_ascii_alphabetic()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !s.ends_with('-');
    /// A country.
    Country, 2, "^[A-Z]{2}$", "a country as two capital letters, such as PK", country;
    /// A country, or all of them.
    Countries, 2, r"^([A-Z]{2}|\*)$", "a country as two capital letters, such as PK, or \"*\" for all",
        |s| s == "*" || country(s);
    /// The id of a control.
    ControlId, 100, "^[a-z]+/[a-z0-9-]+$", "the id of a control, such as image/digest-pinned",
        |s| s.split_once('/').is_some_and(|(family, name)| {
            !family.is_empty() && family.bytes().all(|b| b.is_ascii_lowercase()) && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    /// A length of time.
    Span, 7, "^[0-9]{1,6}[smhd]$", "a length of time: a number and one of s, m, h, d, such as 720h",
        |s| duration::parse(s).is_some();
    /// A share in percent.
    Percent, 8, r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$", "a share in percent up to 100, such as \"99.9\"", percent;
    /// A digest of evidence.
    Digest, 71, "^sha256:[0-9a-f]{64}$", "a digest: sha256: and 64 lower-case hexadecimal digits",
        |s| s.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
    /// A minor version of Kubernetes.
    KubernetesVersion, 6, r"^v1\.(0|[1-9][0-9]{0,2})$", "a version of Kubernetes such as v1.37",
        |s| s.strip_prefix("v1.").is_some_and(|minor| minor.len() <= 3 && number(minor));
    /// A semantic version.
    SemVer, 64, r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$",
        "a semantic version such as 0.1.0", semver;
    /// An address for electronic mail.
    Email, 254, "^[!-?A-~]+@[!-?A-~]+$", "an electronic mail address",
        |s| s.split_once('@').is_some_and(|(who, host)| {
            let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
            plain(who) && plain(host)
        });
    /// A telephone number.
    Phone, 32, r"^\+?[0-9][0-9 ().-]*$", "a telephone number such as +92 51 0000000",
        |s| {
            let rest = s.strip_prefix('+').unwrap_or(s);
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'(' | b')' | b'.' | b'-'))
        };
    /// A pattern for names of namespaces.
    Glob, 63, "^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$", "the name of a namespace, with * for any characters",
        |s| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '*';
            s.starts_with(fits) && s.ends_with(fits) && s.chars().all(|c| fits(c) || c == '-')
        };
}

/// Names, numbers and references that people read.
pub(super) struct Line;
impl Shape for Line {
    const MAX: u64 = 256;
}

/// A few sentences.
pub(super) struct Prose;
impl Shape for Prose {
    const MAX: u64 = 1024;
}

/// The name of a group of users.
pub(super) struct Group;
impl Shape for Group {
    const MAX: u64 = 256;
}

fn label(s: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    s.starts_with(ends) && s.ends_with(ends) && s.chars().all(|c| ends(c) || c == '-')
}

fn country(s: &str) -> bool {
    s.len() == 2 && s.bytes().all(|b| b.is_ascii_uppercase())
}

/// A decimal number without leading zeros.
fn number(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s.len() == 1 || !s.starts_with('0'))
}

fn semver(s: &str) -> bool {
    let (core, pre) = match s.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (s, None),
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| !pre.is_empty() && pre.bytes().all(fits))
}

fn percent(s: &str) -> bool {
    let (whole, part) = match s.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (s, None),
    };
    let digits = |s: &str, most: usize| (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if whole == "100" {
        return part.is_none_or(|part| digits(part, 4) && part.bytes().all(|b| b == b'0'));
    }
    digits(whole, 2) && part.is_none_or(|part| digits(part, 4))
}

/// A quantity as Kubernetes writes them, without a sign and an exponent.
pub(super) fn quantity(s: &str) -> bool {
    const SUFFIXES: [&str; 14] = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (number, suffix) = s.split_at(s.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(s.len()));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = match number.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (number, None),
    };
    SUFFIXES.contains(&suffix) && digits(whole) && part.is_none_or(|part| part.len() <= 3 && digits(part))
}

/// Whether the text is an instant or a day, by the `format` of a schema.
pub(super) fn format_fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" => time::parse_instant(text).is_some(),
        "date" => time::parse_date(text).is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::QUANTITY;
    use super::*;

    /// Strings on both sides of every pattern's edge, and all of them with something before and after.
    fn samples() -> Vec<String> {
        let seeds = [
            "",
            "a",
            "A",
            "0",
            "-",
            "a-b",
            "a.b",
            "a..b",
            ".a",
            "a.",
            "Restricted",
            "R-1",
            "1R",
            "PK",
            "pk",
            "*",
            "P*",
            "image/digest-pinned",
            "image/",
            "/x",
            "a/b/c",
            "Image/x",
            "720h",
            "1234567h",
            "h",
            "30d",
            "1w",
            "99.9",
            "100",
            "100.0",
            "100.00000",
            "100.1",
            "99.",
            "099",
            "v1.0",
            "v1.37",
            "v1.037",
            "v1.1000",
            "latest",
            "0.1.0",
            "0.1",
            "01.1.0",
            "1.2.3-rc.1",
            "1.2.3-",
            "1.2.3+b",
            "a@b",
            "a@b@c",
            "@b",
            "a@",
            "a b@c",
            "+92 51 (0)",
            "+",
            "legacy-*",
            "*-old",
            "-*",
            "a.*",
            "64Gi",
            "1.5",
            "1.2345",
            "1e3",
            "Gi",
            "1KiB",
            "-1",
            "é",
            "a\u{a0}@b",
        ];
        let mut all: Vec<String> = seeds.iter().map(|seed| (*seed).to_owned()).collect();
        for seed in seeds {
            for edge in ["-", ".", " ", "x", "0", "/", "@", "*", "é"] {
                all.push(format!("{edge}{seed}"));
                all.push(format!("{seed}{edge}"));
            }
        }
        all.push(format!("sha256:{}", "0f".repeat(32)));
        all.push(format!("sha256:{}", "0F".repeat(32)));
        all.push(format!("sha256:{}", "0f".repeat(31)));
        all
    }

    #[test]
    fn functions_say_what_the_patterns_say() {
        let rules = RULES.iter().map(|rule| (rule.pattern, rule.test));
        for (pattern, test) in rules.chain([(QUANTITY, quantity as fn(&str) -> bool)]) {
            let schema = jsonschema::validator_for(&json!({"type": "string", "pattern": pattern})).unwrap();
            for sample in samples() {
                assert_eq!(test(&sample), schema.is_valid(&json!(sample)), "{sample:?} by {pattern}");
            }
        }
    }

    #[test]
    fn instants_and_days() {
        for good in ["2026-06-01T00:00:00Z", "2026-06-01t00:00:00z", "2026-06-01T00:00:00.123456789+05:00"] {
            assert!(format_fits("date-time", good), "{good}");
        }
        for bad in [
            "",
            "2026-06-01",
            "2026-06-01 00:00:00Z",
            "2026-06-01T00:00:00",
            "2026-06-01T00:00Z",
            "2026-06-01T24:00:00Z",
            "2026-06-01T00:00:60Z",
            "2026-02-30T00:00:00Z",
            "2026-06-01T00:00:00.Z",
            "2026-06-01T00:00:00Z[UTC]",
            "+002026-06-01T00:00:00Z",
            "2026-06-01T00:00:00+0500",
            "é026-06-01T00:00:00Z",
        ] {
            assert!(!format_fits("date-time", bad), "{bad}");
        }
        assert!(format_fits("date", "2026-09-01"));
        for bad in ["", "20260901", "2026-9-1", "2026-02-30", "2026-09-01T00:00:00Z"] {
            assert!(!format_fits("date", bad), "{bad}");
        }
    }
}
