//! Reviews as the API server writes them.

use serde_json::{Value, json};

/// A review's text: what is asked stands before what it is asked of, as in the API server's own.
pub(crate) fn as_sent(review: &Value) -> String {
    let of_objects = |field: &str| matches!(field, "object" | "oldObject");
    let mut fields: Vec<_> = review["request"].as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(field, _)| of_objects(field));
    let fields: Vec<String> = fields.into_iter().map(|(field, value)| format!("{}:{value}", json!(field))).collect();
    let [version, kind] = ["apiVersion", "kind"].map(|field| &review[field]);
    format!(r#"{{"kind":{kind},"apiVersion":{version},"request":{{{}}}}}"#, fields.join(","))
}
