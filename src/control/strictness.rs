//! Which of two values of a parameter permits more.

use std::fmt;

use super::Bound;
use super::params::{ParamKind, ParamSpec, ParamValue, is_within};

impl ParamSpec {
    /// True when `a` permits nothing that `b` doesn't; none is a parameter that isn't set. Two values that permit no
    /// more than each other mean the same.
    pub fn permits_no_more(&self, a: Option<&ParamValue>, b: Option<&ParamValue>) -> bool {
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (a, None) if !self.absent_is_strictest() || a.is_none() => return true,
            (None, Some(b)) => return self.absent_is_strictest() || self.is_loosest(b),
            (None, None) => return true,
            (Some(a), None) => return self.is_strictest(a),
        };
        match (a, b) {
            (ParamValue::Strings(a), ParamValue::Strings(b)) if self.has_prefixes() => {
                a.iter().all(|prefix| b.iter().any(|other| is_within(prefix, other)))
            }
            (ParamValue::Strings(a), ParamValue::Strings(b)) => a.iter().all(|item| b.contains(item)),
            (ParamValue::Networks(a), ParamValue::Networks(b)) => {
                a.iter().all(|net| b.iter().any(|other| other.contains(net)))
            }
            (ParamValue::Peers(a), ParamValue::Peers(b)) => a.iter().all(|peer| b.contains(peer)),
            (ParamValue::Int(a), ParamValue::Int(b)) if matches!(self.kind, ParamKind::AtMost(..)) => a <= b,
            (ParamValue::Int(a), ParamValue::Int(b)) => a >= b,
            (ParamValue::Bounds(a), ParamValue::Bounds(b)) if matches!(self.kind, ParamKind::Supplies(_)) => {
                a.iter().all(|(resource, bound)| b.get(resource).is_some_and(|other| bound.amount <= other.amount))
            }
            (ParamValue::Bounds(a), ParamValue::Bounds(b)) => {
                b.iter().all(|(resource, bound)| a.get(resource).is_some_and(|lower| lower.amount <= bound.amount))
            }
            (ParamValue::Choice(a, _), ParamValue::Choice(b, _)) => a >= b,
            _ => false,
        }
    }

    /// True for a value that is as loose as having none.
    fn is_loosest(&self, value: &ParamValue) -> bool {
        matches!((value, self.kind), (ParamValue::Bounds(bounds), ParamKind::Ceilings(_)) if bounds.is_empty())
    }

    /// True for a value that is as strict as having none.
    fn is_strictest(&self, value: &ParamValue) -> bool {
        match (value, self.kind) {
            (ParamValue::Strings(items), _) => items.is_empty(),
            (ParamValue::Networks(items), _) => items.is_empty(),
            (ParamValue::Peers(items), _) => items.is_empty(),
            (ParamValue::Bounds(bounds), ParamKind::Supplies(_)) => bounds.is_empty(),
            (ParamValue::Choice(rank, _), ParamKind::Choice(words)) => rank.saturating_add(1) >= words.len(),
            _ => false,
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: ToString>(items: &[T]) -> String {
            items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Strings(items) => write!(f, "[{}]", list(items)),
            Self::Networks(items) => write!(f, "[{}]", list(items)),
            Self::Peers(items) => f.write_str(&serde_json::to_string(items).map_err(|_| fmt::Error)?),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bounds(bounds) => {
                let bound = |(resource, bound): (&&str, &Bound)| format!("{resource}: {}", bound.text);
                write!(f, "{{{}}}", bounds.iter().map(bound).collect::<Vec<_>>().join(", "))
            }
            Self::Choice(_, word) => f.write_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CPU: &[&str] = &["cpu", "memory"];

    #[test]
    fn what_permits_less_is_told() {
        // The parameter, the strict value and the loose one; null is none.
        let table = [
            (ParamKind::Allowed, json!(["a"]), json!(["a", "b"])),
            (ParamKind::Allowed, json!([]), Value::Null),
            (ParamKind::Granted, Value::Null, json!(["a"])),
            (ParamKind::Registries, json!(["r.io/x"]), json!(["r.io"])),
            (ParamKind::Registries, json!(["r.io"]), Value::Null),
            (ParamKind::Images, json!(["r.io/x"]), json!(["r.io"])),
            (ParamKind::Images, Value::Null, json!(["r.io"])),
            (ParamKind::Networks, json!(["10.1.0.0/16"]), json!(["10.0.0.0/8"])),
            (ParamKind::Peers, json!([]), json!([{"namespace": "a"}])),
            (ParamKind::AtLeast(0, 9), json!(7), json!(2)),
            (ParamKind::AtLeast(0, 9), json!(2), Value::Null),
            (ParamKind::AtMost(0, 9), json!(2), json!(7)),
            (ParamKind::AtMost(0, 9), json!(7), Value::Null),
            (ParamKind::Ceilings(CPU), json!({"cpu": "1500m"}), json!({"cpu": 2})),
            (ParamKind::Ceilings(CPU), json!({"cpu": 2, "memory": "1Gi"}), json!({"cpu": 2})),
            (ParamKind::Ceilings(CPU), json!({"cpu": 2}), Value::Null),
            (ParamKind::Supplies(CPU), json!({"cpu": 1}), json!({"cpu": 2, "memory": "1Gi"})),
            (ParamKind::Supplies(CPU), Value::Null, json!({"cpu": 2})),
            (ParamKind::Choice(&["tag", "digest"]), json!("digest"), json!("tag")),
            (ParamKind::Choice(&["tag", "digest"]), Value::Null, json!("tag")),
        ];
        for (kind, strict, loose) in table {
            let spec = ParamSpec { name: "p", kind, required: false, doc: "" };
            let parse = |value: &Value| (!value.is_null()).then(|| spec.parse(value).unwrap());
            let (strict, loose) = (parse(&strict), parse(&loose));
            assert!(spec.permits_no_more(strict.as_ref(), loose.as_ref()), "{kind:?}");
            assert!(!spec.permits_no_more(loose.as_ref(), strict.as_ref()), "{kind:?} turned round");
            if let (Some(strict), Some(loose)) = (strict, loose) {
                let joined = spec.stricter(&strict, &loose);
                assert!(spec.permits_no_more(Some(&joined), Some(&strict)), "{kind:?} joined");
                assert!(spec.permits_no_more(Some(&joined), Some(&loose)), "{kind:?} joined");
            }
        }
    }

    #[test]
    fn what_means_the_same_permits_no_more() {
        let table = [
            (ParamKind::Granted, json!([]), Value::Null),
            (ParamKind::Networks, json!(["10.0.0.0/8"]), json!(["10.0.0.0/8", "10.1.0.0/16"])),
            (ParamKind::Registries, json!(["r.io"]), json!(["r.io", "r.io/x"])),
            (ParamKind::Ceilings(CPU), json!({"cpu": "2000m"}), json!({"cpu": 2})),
            (ParamKind::Ceilings(CPU), json!({}), Value::Null),
            (ParamKind::Supplies(CPU), json!({}), Value::Null),
            (ParamKind::Choice(&["tag", "digest"]), json!("digest"), Value::Null),
        ];
        for (kind, a, b) in table {
            let spec = ParamSpec { name: "p", kind, required: false, doc: "" };
            let parse = |value: &Value| (!value.is_null()).then(|| spec.parse(value).unwrap());
            let (a, b) = (parse(&a), parse(&b));
            assert!(spec.permits_no_more(a.as_ref(), b.as_ref()), "{kind:?}");
            assert!(spec.permits_no_more(b.as_ref(), a.as_ref()), "{kind:?} turned round");
        }
    }
}
