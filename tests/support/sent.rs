//! Reviews as the API server writes them.

use serde_json::{Value, json};

/// A review's text, whatever became of the review: what is asked stands before what it is asked of, as in the API
/// server's own.
pub(crate) fn as_sent(review: &Value) -> String {
    last(review, &["request"], |field, value| match field {
        "request" => last(value, &["object", "oldObject"], |_, object| object.to_string()),
        _ => value.to_string(),
    })
}

/// The text of an object, with some of its fields last.
fn last(object: &Value, late: &[&str], text: impl Fn(&str, &Value) -> String) -> String {
    let Some(fields) = object.as_object() else { return object.to_string() };
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(field, _)| late.contains(&field.as_str()));
    let fields: Vec<String> =
        fields.iter().map(|(field, value)| format!("{}:{}", json!(field), text(field, value))).collect();
    format!("{{{}}}", fields.join(","))
}
