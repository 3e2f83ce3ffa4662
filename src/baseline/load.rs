//! Reading a baseline from text, strictly: what isn't known is refused, with a suggestion.

use serde_json::Value;

use crate::api::{GROUP, SecurityBaseline, VERSION};
use crate::manifest;

/// Why a text is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct LoadError {
    /// 1-based.
    pub line: u32,
    /// 1-based.
    pub column: u32,
    /// What is wrong and what to do.
    pub message: String,
}

impl LoadError {
    /// A bounded label.
    pub fn category(&self) -> &'static str {
        "baseline"
    }
}

/// Reads one SecurityBaseline from YAML or JSON.
///
/// # Errors
/// Everything that is wrong with the text: syntax, unknown fields, values of the wrong type.
pub fn load(text: &str) -> Result<SecurityBaseline, Vec<LoadError>> {
    let (documents, errors) = manifest::read(text, &manifest::Limits::default());
    if !errors.is_empty() {
        let error = |error: manifest::ReadError| LoadError {
            line: error.place.line,
            column: error.place.column,
            message: error.message,
        };
        return Err(errors.into_iter().map(error).collect());
    }
    let at = |line, column, message: String| vec![LoadError { line, column, message }];
    let [document] = documents.as_slice() else {
        return Err(at(1, 1, format!("expected one SecurityBaseline, found {} documents", documents.len())));
    };
    let place = document.root.place();
    load_value(&document.root.to_value()).map_err(|messages| {
        messages.into_iter().map(|message| LoadError { line: place.line, column: place.column, message }).collect()
    })
}

/// Reads one SecurityBaseline from a value.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_value(value: &Value) -> Result<SecurityBaseline, Vec<String>> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let wanted = format!("{GROUP}/{VERSION}");
    if text("apiVersion") != wanted || text("kind") != "SecurityBaseline" {
        let found = format!("{} {}", text("apiVersion"), text("kind"));
        return Err(vec![format!("expected a {wanted} SecurityBaseline, found {}", found.trim())]);
    }
    let unknown = crate::api::unknown_fields(value, "SecurityBaseline");
    if !unknown.is_empty() {
        return Err(unknown.iter().map(ToString::to_string).collect());
    }
    serde_json::from_value(value.clone()).map_err(|error| vec![error.to_string()])
}
