//! Schemas of the fields: bounded, and mergeable by server-side apply.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::shape::{Line, Shape};

/// Quantities as Kubernetes writes them, non-negative.
pub(super) const QUANTITY: &str = r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$";

/// A string of a shape.
pub(super) fn text<S: Shape>(_: &mut SchemaGenerator) -> Schema {
    text_schema::<S>()
}

fn text_schema<S: Shape>() -> Schema {
    let mut schema = json_schema!({"type": "string", "minLength": S::MIN, "maxLength": S::MAX});
    if let Some(pattern) = S::PATTERN {
        schema.insert("pattern".into(), pattern.into());
    }
    schema
}

/// A list of strings of a shape.
pub(super) fn list<S: Shape, const MAX: u64>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": MAX, "x-kubernetes-list-type": "atomic", "items": text_schema::<S>()})
}

/// A set of strings of a shape.
pub(super) fn set<S: Shape, const MAX: u64>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": MAX, "x-kubernetes-list-type": "set", "items": text_schema::<S>()})
}

/// A set of strings of a shape, at least one.
pub(super) fn some<S: Shape, const MAX: u64>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = set::<S, MAX>(generator);
    schema.insert("minItems".into(), 1.into());
    schema
}

/// An instant.
pub(super) fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 35})
}

/// A day.
pub(super) fn date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date", "maxLength": 10})
}

/// Port numbers.
pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535},
    })
}

/// A quantity; numbers are read too, as everywhere in Kubernetes.
pub(super) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true,
        "maxLength": 32, "pattern": QUANTITY,
    })
}

/// Words for accounting.
pub(super) fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 32, "additionalProperties": text_schema::<Line>(),
    })
}

/// Parameters of a control: whatever it declares.
pub(super) fn params(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 32, "x-kubernetes-preserve-unknown-fields": true})
}

/// Parameters of a control, by class.
pub(super) fn params_by_class(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 16, "additionalProperties": params(generator)})
}

/// A number of days per class.
pub(super) fn max_days(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16,
        "additionalProperties": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 3660},
    })
}

/// Conditions, as Kubernetes bounds them.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the object's state.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "minLength": 1, "description": "Which aspect."},
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether the aspect holds.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "description": "Why, as one word for programs.",
                },
                "message": {"type": "string", "maxLength": 32768, "description": "Why, for people."},
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "Since when the status holds.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The `metadata.generation` that the condition describes.",
                },
            },
        },
    })
}
