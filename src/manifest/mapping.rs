use std::collections::BTreeMap;

use super::error::{Fault, ReadErrorKind};
use super::{Node, Place};

/// Entries up to which a scan is cheaper than an index.
const SCANNED: usize = 16;

/// The entries of a mapping in the order written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    entries: Vec<Entry>,
    /// Key to position, only once there are more than [`SCANNED`] entries.
    index: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Place,
    pub(super) value: Node,
    /// Written in this mapping, not merged into it.
    written: bool,
}

impl Mapping {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.position(key).and_then(|position| self.entries.get(position))
    }

    fn position(&self, key: &str) -> Option<usize> {
        if self.index.is_empty() {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            self.index.get(key).copied()
        }
    }

    /// Refuses a key that is already written here.
    pub(super) fn admit(&self, key: &str, place: Place) -> Result<(), Fault> {
        match self.entry(key) {
            Some(first) if first.written => Err(Fault::new(
                ReadErrorKind::Duplicate,
                place,
                format!("key {key:?} is written twice in one mapping, first in line {}: keep one", first.place.line),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, key: String, place: Place, value: Node) {
        self.set(Entry { key, place, value, written: true });
    }

    /// Takes over the entries of a merge key. What is merged later wins, over keys written before it too: so does
    /// `kubectl`, unlike the specification of merge keys.
    pub(super) fn merge(&mut self, other: Self) {
        for entry in other.entries {
            let written = self.entry(&entry.key).is_some_and(|present| present.written);
            self.set(Entry { written, ..entry });
        }
    }

    fn set(&mut self, entry: Entry) {
        if let Some(present) = self.position(&entry.key).and_then(|position| self.entries.get_mut(position)) {
            *present = entry;
            return;
        }
        if !self.index.is_empty() {
            self.index.insert(entry.key.clone(), self.entries.len());
        }
        self.entries.push(entry);
        if self.index.is_empty() && self.entries.len() > SCANNED {
            let keys = self.entries.iter().enumerate();
            self.index = keys.map(|(position, entry)| (entry.key.clone(), position)).collect();
        }
    }
}
