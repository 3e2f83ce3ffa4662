//! How much memory an object takes when it is read. Three bytes of a text can become kilobytes of structures and of
//! findings, so that its length doesn't bound it. What it may cost at the worst is counted before it is read: by the
//! braces and commas of its text, since every structure has the one, and every item of a list or a map the other. What
//! is too large is refused by every front, so that none admits what another can't read.

use std::io;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Kind, WORKLOADS};

/// Bytes that one object in a text may become: a volume, a container with what is found in it, a control's terms.
pub const STRUCTURE: usize = 4 * 1_024;
/// The same, of kinds that carry no Pod's spec.
const SMALL_STRUCTURE: usize = 768;
/// Bytes that one item of a list or a map may become beside that.
const ITEM: usize = 128;
/// Bytes that one object of a request may become: a Deployment with six thousand variables stays below.
pub const OBJECT: usize = 24 * 1_024 * 1_024;

/// Bytes that one object in the text of a kind may become.
pub fn structure(kind: Kind) -> usize {
    if WORKLOADS.contains(&kind) { STRUCTURE } else { SMALL_STRUCTURE }
}

/// Whether an object may be read from its text, given what one structure of it takes.
pub fn fits(text: &str, structure: usize) -> bool {
    // The quick count takes what stands in strings for structures too.
    at_most(text.as_bytes(), structure) <= OBJECT || exact(text, structure) <= OBJECT
}

/// [`fits`] for an object that was read as a value: by the text that it would have in a request.
pub fn value_fits(value: &Value, structure: usize) -> bool {
    let metadata = value.get("metadata");
    let unread = [metadata.and_then(|metadata| metadata.get("managedFields")), value.get("status")];
    let unread = unread.into_iter().flatten().map(|part| Count::of_value(part).cost(structure));
    unread.fold(Count::of_value(value).cost(structure), usize::saturating_sub) <= OBJECT
}

/// The reason of an object that is not read at all, since it would take too much memory.
pub fn too_large(kind: impl std::fmt::Display) -> String {
    format!("the {kind} can't be judged, because it has too many parts: leave some out")
}

/// What a text costs at most, counted at a glance.
pub fn at_most(text: &[u8], structure: usize) -> usize {
    let count = |wanted| memchr::memchr_iter(wanted, text).count();
    Count { bytes: text.len(), structures: count(b'{'), items: count(b','), ..Count::default() }.cost(structure)
}

/// The cost of an object's text without what is never read of it, and with strings passed over.
fn exact(text: &str, structure: usize) -> usize {
    #[derive(Default, Deserialize)]
    struct Unread<'a> {
        #[serde(borrow)]
        metadata: Option<UnreadMetadata<'a>>,
        #[serde(borrow)]
        status: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct UnreadMetadata<'a> {
        #[serde(borrow)]
        managed_fields: Option<&'a RawValue>,
    }
    let cost = |text: &str| Count::of_text(text).cost(structure);
    let unread = serde_json::from_str::<Unread<'_>>(text).unwrap_or_default();
    let managed_fields = unread.metadata.and_then(|metadata| metadata.managed_fields);
    let unread = [managed_fields, unread.status].into_iter().flatten().map(RawValue::get);
    unread.map(cost).fold(cost(text), usize::saturating_sub)
}

/// What a text holds outside its strings.
#[derive(Default)]
struct Count {
    bytes: usize,
    structures: usize,
    items: usize,
    within: bool,
    escaped: bool,
}

impl Count {
    fn of_text(text: &str) -> Self {
        let mut count = Self::default();
        count.add(text.as_bytes());
        count
    }

    /// Of the text that the value would have: it is counted as it is written, and kept nowhere.
    fn of_value(value: &Value) -> Self {
        let mut count = Self::default();
        // Nothing that writes to a count fails, and a value's keys are texts.
        let _ = serde_json::to_writer(&mut count, value);
        count
    }

    fn add(&mut self, text: &[u8]) {
        self.bytes = self.bytes.saturating_add(text.len());
        for byte in text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.within = !self.within,
                b'{' if !self.within => self.structures = self.structures.saturating_add(1),
                b',' if !self.within => self.items = self.items.saturating_add(1),
                _ => {}
            }
        }
    }

    fn cost(&self, structure: usize) -> usize {
        let structures = self.structures.saturating_mul(structure);
        self.bytes.saturating_add(structures).saturating_add(self.items.saturating_mul(ITEM))
    }
}

impl io::Write for Count {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.add(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_take_too_much_does_not_fit() {
        let containers = |count: usize| format!(r#"{{"spec":{{"containers":[{}{{}}]}}}}"#, "{},".repeat(count));
        let names = |count: usize| format!(r#"{{"metadata":{{"labels":[{}""]}}}}"#, r#""","#.repeat(count));
        let table = [
            (containers(5_000), STRUCTURE, true),
            (containers(6_500), STRUCTURE, false),
            (containers(20_000), SMALL_STRUCTURE, true),
            (containers(30_000), SMALL_STRUCTURE, false),
            (names(150_000), SMALL_STRUCTURE, true),
            (names(250_000), SMALL_STRUCTURE, false),
        ];
        for (row, (text, structure, fitting)) in table.iter().enumerate() {
            assert_eq!(fits(text, *structure), *fitting, "row {row}");
            assert_eq!(value_fits(&serde_json::from_str(text).unwrap(), *structure), *fitting, "row {row} as a value");
        }
    }

    #[test]
    fn what_is_not_read_and_what_stands_in_strings_costs_its_length() {
        let large = format!("[{}{{}}]", "{},".repeat(100_000));
        let quoted = serde_json::Value::from(format!("\\\"{large}")).to_string();
        let table = [
            (format!(r#"{{"metadata":{{"managedFields":{large}}}}}"#), true),
            (format!(r#"{{"metadata":{{}},"status":{large}}}"#), true),
            (format!(r#"{{"metadata":{{"annotations":{{"a":{quoted}}}}}}}"#), true),
            (format!(r#"{{"metadata":{{"labels":{large}}}}}"#), false),
            (format!(r#"{{"spec":{{"status":{large}}}}}"#), false),
            (format!(r#"{{"spec":{{"template":{{"metadata":{{"managedFields":{large}}}}}}}}}"#), false),
        ];
        for (row, (text, fitting)) in table.iter().enumerate() {
            assert_eq!(fits(text, STRUCTURE), *fitting, "row {row}");
            assert_eq!(value_fits(&serde_json::from_str(text).unwrap(), STRUCTURE), *fitting, "row {row} as a value");
        }
        // Whoever reads one of them may not be whoever skips it.
        assert!(!fits(&format!(r#"{{"status":{large},"status":{large}}}"#), STRUCTURE));
    }

    #[test]
    fn a_value_counts_as_its_text() {
        let texts = [
            r#"{}"#,
            r#"[1,-2.5,null,true,"",{"a":[],"b":{"c":"}{,\"\\"}}]"#,
            r#"{"é\n\u0001{":"\\\"{,","metadata":{"labels":{"a":"b"}}}"#,
        ];
        for text in texts {
            let value: Value = serde_json::from_str(text).unwrap();
            let (text, value) = (Count::of_text(&value.to_string()), Count::of_value(&value));
            let counted = |count: &Count| (count.bytes, count.structures, count.items);
            assert_eq!(counted(&text), counted(&value));
        }
    }
}
