//! How much memory may be taken by what is read from requests. Three bytes of a text can become kilobytes of structures
//! and of findings, so that neither the length of a body nor the number of requests bounds it. What a text may cost at
//! the worst is counted before it is read: by its braces and commas, since every structure has the one, and every item
//! of a list or a map the other.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::entry::Entry;
use crate::control::{Kind, WORKLOADS};

/// Bytes that one object in a text may become: a volume, a container with what is found in it, a control's terms.
pub(super) const STRUCTURE: usize = 4 * 1_024;
/// The same, of kinds that carry no Pod's spec.
const SMALL_STRUCTURE: usize = 768;
/// Bytes that one item of a list or a map may become beside that.
const ITEM: usize = 128;
/// Bytes that one object of a request may become: a Deployment with six thousand variables stays below.
const OBJECT: usize = 24 * 1_024 * 1_024;
/// What all requests of one room may take at a time, in KiB.
const ALL: u32 = 48 * 1_024;
/// What one request takes of it at most, in KiB: two objects.
const MOST: usize = 2 * OBJECT / 1_024;

/// How long a request waits for its turn. In the order in which they came, so that large ones keep nobody out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Limits what is read at a time. Entries that fail open have a room of their own: what is done in namespaces that
/// nobody governs, and waits for the API server there, keeps nobody out of governed ones.
pub(super) struct Rooms {
    closed: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = || Arc::new(Semaphore::new(usize::try_from(ALL).unwrap_or(usize::MAX)));
        Self { closed: room(), open: room() }
    }
}

/// Room that was taken for a request.
pub(super) struct Taken {
    /// Whether all of the body may be read, whatever it is. Otherwise, each object has to fit by itself.
    pub(super) is_for_all: bool,
    _permit: OwnedSemaphorePermit,
}

impl Rooms {
    /// Takes as much as what is read from a body may need; none when there isn't as much left in time.
    pub(super) async fn take(&self, entry: Entry, body: &[u8]) -> Option<Taken> {
        let room = if entry.fails_closed() { &self.closed } else { &self.open };
        let cost = cost(body, STRUCTURE);
        let kib = u32::try_from(cost.div_ceil(1_024).min(MOST)).unwrap_or(ALL);
        let permit = Arc::clone(room).acquire_many_owned(kib);
        let permit = tokio::time::timeout(PATIENCE, permit).await.ok()?.ok()?;
        Some(Taken { is_for_all: cost <= OBJECT, _permit: permit })
    }
}

/// Bytes that one object in the text of a kind may become.
pub(super) fn structure(kind: Kind) -> usize {
    if WORKLOADS.contains(&kind) { STRUCTURE } else { SMALL_STRUCTURE }
}

/// Whether an object may be read, given what one structure of it takes.
pub(super) fn fits(text: &str, structure: usize) -> bool {
    // The quick count takes what stands in strings for structures too.
    cost(text.as_bytes(), structure) <= OBJECT || exact(text, structure) <= OBJECT
}

fn cost(text: &[u8], structure: usize) -> usize {
    sum(text.len(), count(text, b'{'), count(text, b','), structure)
}

fn sum(length: usize, structures: usize, items: usize, structure: usize) -> usize {
    length.saturating_add(structures.saturating_mul(structure)).saturating_add(items.saturating_mul(ITEM))
}

fn count(text: &[u8], wanted: u8) -> usize {
    memchr::memchr_iter(wanted, text).count()
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
    let unread = serde_json::from_str::<Unread<'_>>(text).unwrap_or_default();
    let managed_fields = unread.metadata.and_then(|metadata| metadata.managed_fields);
    let unread = [managed_fields, unread.status].into_iter().flatten().map(RawValue::get);
    unread.fold(outside_strings(text, structure), |cost, part| cost.saturating_sub(outside_strings(part, structure)))
}

fn outside_strings(text: &str, structure: usize) -> usize {
    let (mut structures, mut items) = (0, 0);
    let (mut within, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => within = !within,
            b'{' if !within => structures += 1,
            b',' if !within => items += 1,
            _ => {}
        }
    }
    sum(text.len(), structures, items, structure)
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
            // Whoever reads one of them may not be whoever skips it.
            (format!(r#"{{"status":{large},"status":{large}}}"#), false),
        ];
        for (row, (text, fitting)) in table.iter().enumerate() {
            assert_eq!(fits(text, STRUCTURE), *fitting, "row {row}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_waited_for_and_given_back() {
        let rooms = Rooms::default();
        let take = |body| rooms.take(Entry::Governed, body);
        let usual = br#"{"request":{"object":{"spec":{"containers":[{}]}}}}"#;
        let large = "{},".repeat(5_000).into_bytes();
        let endless = "{},".repeat(2_000_000).into_bytes();
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(take(&large).await.unwrap());
        }
        assert!(take(&large).await.is_none() && take(&endless).await.is_none());
        assert!(take(usual).await.is_some());
        for entry in Entry::VALIDATING.into_iter().chain(Entry::MUTATING) {
            assert_eq!(rooms.take(entry, &large).await.is_some(), !entry.fails_closed(), "{entry}");
        }
        let (waited, ()) = tokio::join!(take(&endless), async { held.clear() });
        assert!(waited.is_some(), "however much it is, it is answered");
    }
}
