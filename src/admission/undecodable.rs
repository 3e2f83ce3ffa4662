//! What is told of an object that doesn't decode. A deserializer's own words hold the value that it stumbled on, and
//! a denial ends up in Events and logs: only what it expected is passed on, and where.

use crate::control::Kind;

/// The reason, without anything of the object.
pub(super) fn reason(kind: Kind, subresource: &str, error: &serde_json::Error) -> String {
    let what = if subresource.is_empty() { kind.name().to_owned() } else { format!("{kind} ({subresource})") };
    // Of a template's spec, which is read by itself, no place is known.
    let place = if error.column() == 0 { String::new() } else { format!(" (byte {})", error.column()) };
    format!("the {what} can't be judged, because it can't be read: {}{place}", problem(error))
}

fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    match (missing, expected) {
        (Some(field), _) => format!("field {field} is missing"),
        (None, Some(expected)) => format!("a value isn't {expected}"),
        (None, None) if text.starts_with("recursion limit") => "it is nested too deeply".to_owned(),
        (None, None) => "a value isn't of the form that its field has".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Subject;

    fn told(kind: Kind, object: &str) -> String {
        let mut deserializer = serde_json::Deserializer::from_str(object);
        reason(kind, "", &Subject::decode(kind, &mut deserializer).unwrap_err())
    }

    #[test]
    fn the_value_is_left_out() {
        let wrong = told(Kind::Pod, r#"{"spec":{"containers":[],"hostNetwork":"canary, honest"}}"#);
        assert!(wrong.contains("a value isn't a boolean"), "{wrong}");
        assert!(!wrong.contains("canary"), "{wrong}");
        assert!(told(Kind::Pod, "{}").contains("field spec is missing"));
        let deep = format!(r#"{{"spec":{{"containers":{}{}}}}}"#, "[".repeat(300), "]".repeat(300));
        assert!(!told(Kind::Pod, &deep).is_empty());
    }
}
