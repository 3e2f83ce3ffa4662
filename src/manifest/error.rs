use std::fmt;

/// Where something stands in the text: line and column, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn of(mark: granit_parser::Marker) -> Self {
        let line = u32::try_from(mark.line().max(1)).unwrap_or(u32::MAX);
        let column = u32::try_from(mark.col()).unwrap_or(u32::MAX).saturating_add(1);
        Self { line, column }
    }

    /// The place just behind `before`, the beginning of a text.
    pub(super) fn after(before: &str) -> Self {
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        Self { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a document can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// Not UTF-8, or a character that readers of YAML disagree on.
    Encoding,
    /// Not YAML.
    Syntax,
    /// A key written twice in one mapping.
    Duplicate,
    /// YAML that no JSON value stands for: a mapping as a key, infinity, a number under `!!bool`.
    Value,
    /// A bound of [`Limits`](super::Limits) is passed.
    Limit,
}

/// A document that can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// Index of the document among those that hold something, from 0.
    pub document: usize,
    /// Where reading stopped.
    pub place: Place,
    /// Why.
    pub kind: ReadErrorKind,
    /// What is wrong and what to do; without the place.
    pub message: String,
}

impl ReadError {
    /// The kind as a label.
    pub fn category(&self) -> &'static str {
        match self.kind {
            ReadErrorKind::Encoding => "encoding",
            ReadErrorKind::Syntax => "syntax",
            ReadErrorKind::Duplicate => "duplicate",
            ReadErrorKind::Value => "value",
            ReadErrorKind::Limit => "limit",
        }
    }
}

/// An error that doesn't know its document yet.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) kind: ReadErrorKind,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(kind: ReadErrorKind, place: Place, message: impl Into<String>) -> Self {
        Self { place, kind, message: message.into() }
    }

    pub(super) fn in_document(self, document: usize) -> ReadError {
        ReadError { document, place: self.place, kind: self.kind, message: self.message }
    }
}
