//! What one run found, before it is written in any format.

use crate::api::Effect;
use crate::control::FieldPath;
use crate::engine::{Outcome, Softened};

/// Everything that one run found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Name of the baseline that decided.
    pub baseline: String,
    /// Its version.
    pub version: String,
    /// How many objects were judged.
    pub objects: usize,
    /// How many objects and documents were passed over.
    pub skipped: usize,
    /// What was found.
    pub findings: Vec<Entry>,
    /// What could not be decided.
    pub not_assessed: Vec<Unassessed>,
    /// What could not be read.
    pub errors: Vec<InputError>,
    /// What authors of declarations should know; nothing of it fails.
    pub notices: Vec<Notice>,
}

/// The identity of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `group/version`, or the version of the core group.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; none for kinds that have none.
    pub namespace: Option<String>,
    /// Name; of a generated one, the prefix with `*`.
    pub name: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file as it was named, `-` for standard input.
    pub file: String,
    /// Index of the document among those that hold something, from 0.
    pub document: usize,
    /// Index in a List, from 0.
    pub item: Option<usize>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A finding in an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was found, and what it does.
    pub outcome: Outcome,
    /// The class that the object was judged by.
    pub class: Option<String>,
    /// The object.
    pub object: ObjectRef,
    /// Where the field stands.
    pub source: Source,
    /// The exemption that covers it.
    pub exemption: Option<String>,
}

/// A control that could not be decided for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unassessed {
    /// Id of the control.
    pub control: &'static str,
    /// The object.
    pub object: ObjectRef,
    /// What was missing.
    pub reason: String,
    /// Where the object stands.
    pub source: Source,
}

/// An input that could not be read, or not be judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputError {
    /// The file as it was named.
    pub file: String,
    /// Index of the document, when the file could be read as far.
    pub document: Option<usize>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Something to know about an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// Where the object stands.
    pub source: Source,
    /// What to know.
    pub message: String,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Findings at `Deny`.
    pub denied: usize,
    /// Findings at `Warn`.
    pub warned: usize,
    /// Findings at `Audit`.
    pub audited: usize,
    /// Findings that an exemption covers, of any effect.
    pub exempt: usize,
}

impl Report {
    /// Sorts everything by file, document, item, path and control.
    pub fn sort(&mut self) {
        fn place(source: &Source) -> (&str, usize, Option<usize>) {
            (&source.file, source.document, source.item)
        }
        fn path(entry: &Entry) -> (&FieldPath, &'static str) {
            (&entry.outcome.finding.path, entry.outcome.finding.control)
        }
        self.findings.sort_by(|a, b| (place(&a.source), path(a)).cmp(&(place(&b.source), path(b))));
        self.not_assessed.sort_by(|a, b| (place(&a.source), a.control).cmp(&(place(&b.source), b.control)));
        self.errors.sort();
        self.errors.dedup();
        self.notices.sort();
    }

    /// Counts the findings.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.findings {
            let counter = match entry.outcome.effect {
                _ if entry.exemption.is_some() => &mut counts.exempt,
                Effect::Deny => &mut counts.denied,
                Effect::Warn => &mut counts.warned,
                Effect::Audit => &mut counts.audited,
                Effect::Disabled => continue,
            };
            *counter = counter.saturating_add(1);
        }
        counts
    }

    /// True when something fails at `Deny`, or at `Warn` where warnings count.
    pub fn fails(&self, warnings_count: bool) -> bool {
        let counts = self.counts();
        counts.denied > 0 || (warnings_count && counts.warned > 0)
    }
}

impl Entry {
    /// Until when the effect is less than the class's own.
    pub(super) fn softened_until(&self) -> Option<String> {
        let (Softened::Cap(until) | Softened::Grace(until)) = self.outcome.softened?;
        Some(until.strftime("%FT%TZ").to_string())
    }
}
