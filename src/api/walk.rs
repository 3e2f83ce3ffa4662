//! Walks an object along the schema of its kind, so that what the API server refuses is refused here by the same
//! bounds, and what it would drop is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::crds::crds;
use super::schema::QUANTITY;
use super::shape::{RULES, format_fits, quantity};
use super::suggest::nearest;
use super::{GROUP, Invalid, VERSION};

static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    crds()
        .into_iter()
        .filter_map(|crd| {
            let kind = crd.spec.names.kind.clone();
            let schema = crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?;
            Some((kind, serde_json::to_value(schema).ok()?))
        })
        .collect()
});

/// The object without fields that are null, as the API server reads it.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Every place at which the object breaks the schema of its kind.
pub(super) fn problems(kind: &str, value: &Value) -> Vec<Invalid> {
    let mut found = Vec::new();
    let Value::Object(fields) = value else {
        found.push(Invalid::new("", "must be an object"));
        return found;
    };
    let wanted = format!("{GROUP}/{VERSION}");
    for (field, wanted) in [("apiVersion", wanted.as_str()), ("kind", kind)] {
        if fields.get(field).and_then(Value::as_str) != Some(wanted) {
            found.push(Invalid::new(field, format!("must be {wanted}")));
        }
    }
    if !fields.get("metadata").is_some_and(Value::is_object) {
        found.push(Invalid::new("metadata", "must be an object"));
    }
    if let Some(schema) = SCHEMAS.get(kind) {
        walk("", value, schema, &mut found);
    }
    found
}

/// Every place at which a spec breaks the schema of its kind.
pub(super) fn spec_problems(kind: &str, spec: Option<Value>) -> Vec<Invalid> {
    let Some(spec) = spec else { return vec![Invalid::new("spec", "can't be written as JSON")] };
    let mut found = Vec::new();
    if let Some(schema) = SCHEMAS.get(kind).and_then(|schema| child(schema, "spec")) {
        walk("spec", &spec, schema, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, schema: &Value, found: &mut Vec<Invalid>) {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    if !type_fits(value, schema) {
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("string or integer");
        found.push(Invalid::new(path, format!("must be of type {wanted}, not {}", type_of(value))));
        return;
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        found.push(Invalid::new(path, not_among(value, words)));
        return;
    }
    match value {
        Value::String(text) => string(path, text, schema, found),
        Value::Number(n) => {
            let n = n.as_f64().unwrap_or_default();
            if number("minimum").is_some_and(|least| n < least) || number("maximum").is_some_and(|most| n > most) {
                let range = match (number("minimum"), number("maximum")) {
                    (Some(least), Some(most)) => format!("between {least} and {most}"),
                    (Some(least), None) => format!("at least {least}"),
                    (None, most) => format!("at most {}", most.unwrap_or_default()),
                };
                found.push(Invalid::new(path, format!("must be {range}")));
            }
        }
        Value::Array(items) => {
            let count = items.len() as u64;
            if bound("minItems").is_some_and(|least| count < least) {
                found.push(Invalid::new(path, "must not be empty"));
            }
            if let Some(most) = bound("maxItems").filter(|most| count > *most) {
                found.push(Invalid::new(path, format!("has {count} items, at most {most} are taken")));
                return;
            }
            duplicates(path, items, schema, found);
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), item, schema, found);
                }
            }
        }
        Value::Object(fields) => object(path, fields, schema, found),
        Value::Null | Value::Bool(_) => {}
    }
}

fn type_fits(value: &Value, schema: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn not_among(value: &Value, words: &[Value]) -> String {
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    let found = value.as_str().unwrap_or_default();
    let near = nearest(found, words.iter().copied()).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    format!("must be one of {}, not {value}{near}", words.join(", "))
}

fn string(path: &str, text: &str, schema: &Value, found: &mut Vec<Invalid>) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let count = text.chars().count() as u64;
    if bound("minLength").is_some_and(|least| count < least) {
        found.push(Invalid::new(path, "must not be empty"));
        return;
    }
    if let Some(most) = bound("maxLength").filter(|most| count > *most) {
        found.push(Invalid::new(path, format!("has {count} characters, at most {most} are taken")));
        return;
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        if pattern == QUANTITY {
            if !quantity(text) {
                found.push(Invalid::new(path, format!("must be a quantity such as 64Gi, not {text:?}")));
            }
        } else if let Some(rule) = RULES.iter().find(|rule| rule.pattern == pattern)
            && !(rule.test)(text)
        {
            found.push(Invalid::new(path, format!("must be {}, not {text:?}", rule.words)));
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !format_fits(format, text)
    {
        let example = if format == "date" {
            "a day such as \"2026-09-01\""
        } else {
            "an instant such as \"2026-06-01T00:00:00Z\""
        };
        found.push(Invalid::new(path, format!("must be {example}, not {text:?}")));
    }
}

/// Lists that are sets or maps hold each item or key once.
fn duplicates(path: &str, items: &[Value], schema: &Value, found: &mut Vec<Invalid>) {
    let keys: Vec<&str> = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Vec::new(),
        Some("map") => schema
            .get("x-kubernetes-list-map-keys")
            .and_then(Value::as_array)
            .map(|keys| keys.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default(),
        _ => return,
    };
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity: Vec<String> = if keys.is_empty() {
            vec![item.to_string()]
        } else {
            keys.iter().map(|key| item.get(*key).map(Value::to_string).unwrap_or_default()).collect()
        };
        let named = identity.join(", ");
        if !seen.insert(identity) {
            let place = match keys.as_slice() {
                [key] => format!("{path}[{index}].{key}"),
                _ => format!("{path}[{index}]"),
            };
            found.push(Invalid::new(place, format!("{named} is there already: keep one")));
        }
    }
}

fn object(path: &str, fields: &Map<String, Value>, schema: &Value, found: &mut Vec<Invalid>) {
    if let Some(most) = schema.get("maxProperties").and_then(Value::as_u64).filter(|most| fields.len() as u64 > *most) {
        found.push(Invalid::new(path, format!("has {} fields, at most {most} are taken", fields.len())));
        return;
    }
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            found.push(Invalid::new(join(path, required), "is required"));
        }
    }
    for (name, value) in fields {
        if let Some(schema) = child(schema, name) {
            walk(&join(path, name), value, schema, found);
        }
    }
}

/// The schema of a field: its own, or that of all values of a map.
fn child<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let own = schema.get("properties").and_then(|properties| properties.get(name));
    own.or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()))
}

fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match (path.is_empty(), plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}

/// Every field that the kind doesn't have. `metadata` is the API server's.
pub(super) fn unknown(kind: &str, value: &Value) -> Vec<Invalid> {
    let mut found = Vec::new();
    if let (Some(schema), Value::Object(fields)) = (SCHEMAS.get(kind), value) {
        for (name, value) in fields {
            if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            match child(schema, name) {
                Some(schema) => strange(name, value, schema, &mut found),
                None => found.push(not_a_field("", name, schema)),
            }
        }
    }
    found
}

fn strange(path: &str, value: &Value, schema: &Value, found: &mut Vec<Invalid>) {
    match value {
        Value::Object(fields) => {
            if schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true) {
                return;
            }
            for (name, value) in fields {
                match child(schema, name) {
                    Some(schema) => strange(&join(path, name), value, schema, found),
                    None => found.push(not_a_field(path, name, schema)),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    strange(&format!("{path}[{index}]"), item, schema, found);
                }
            }
        }
        _ => {}
    }
}

fn not_a_field(path: &str, name: &str, schema: &Value) -> Invalid {
    let known =
        schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str());
    let near = nearest(name, known).map(|near| format!(": did you mean {near}?")).unwrap_or_default();
    Invalid::new(join(path, name), format!("is not a field of this kind{near}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(schema: &Value, into: &mut BTreeSet<String>) {
        into.extend(schema.get("pattern").and_then(Value::as_str).map(str::to_owned));
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| patterns(field, into)),
            Value::Array(items) => items.iter().for_each(|item| patterns(item, into)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_has_its_function() {
        let mut found = BTreeSet::new();
        for schema in SCHEMAS.values() {
            patterns(schema, &mut found);
        }
        found.retain(|pattern| pattern != QUANTITY && RULES.iter().all(|rule| rule.pattern != pattern));
        assert_eq!(SCHEMAS.len(), 4);
        assert_eq!(found, BTreeSet::new());
    }
}
