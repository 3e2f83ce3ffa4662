//! The part of the chart's schema that the catalogue makes: which parameters of which controls there are, and what they
//! want.

use amanat::catalogue;
use amanat::control::{Control, ParamKind, ParamSpec};
use serde_json::{Map, Value, json};

/// Where the part begins: it is the last definition of the file.
const BEGINS: &str = "    \"generated\": ";

/// The schema, whose other definitions are written by hand.
pub(crate) fn schema(written: &str) -> String {
    let (head, _) = written.split_once(BEGINS).unwrap();
    let part = serde_json::to_string_pretty(&definitions()).unwrap().replace('\n', "\n    ");
    format!("{head}{BEGINS}{part}\n  }}\n}}\n")
}

fn definitions() -> Value {
    let with_params = || catalogue::ALL.iter().filter(|control| !control.params.is_empty());
    let params: Map<String, Value> = with_params().map(|control| (control.id.to_owned(), params(control))).collect();
    let properties: Map<String, Value> =
        catalogue::ALL.iter().map(|control| (control.id.to_owned(), of(control))).collect();
    json!({
        "bare": change(&json!({"type": "object", "additionalProperties": false})),
        "changes": {
            "type": "object",
            "propertyNames": {"$ref": "#/$defs/controlId"},
            "properties": properties,
            "additionalProperties": {"$ref": "#/$defs/control"},
        },
        "params": params,
    })
}

fn of(control: &Control) -> Value {
    let mut schema = if control.params.is_empty() {
        json!({"$ref": "#/$defs/generated/bare"})
    } else {
        change(&json!({"$ref": format!("#/$defs/generated/params/{}", control.id.replace('/', "~1"))}))
    };
    schema["description"] = json!(control.title);
    schema
}

fn change(params: &Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "effects": {"$ref": "#/$defs/effects"},
            "supply": {"$ref": "#/$defs/supply"},
            "params": params,
            "paramsByClass": {
                "type": "object",
                "description": "Parameters of single classes, by class and name.",
                "propertyNames": {"$ref": "#/$defs/word"},
                "additionalProperties": params,
            },
        },
    })
}

fn params(control: &Control) -> Value {
    let properties: Map<String, Value> =
        control.params.iter().map(|spec| (spec.name.to_owned(), param(spec))).collect();
    json!({
        "type": "object",
        "description": "Parameters, by name.",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn param(spec: &ParamSpec) -> Value {
    let mut schema = match spec.kind {
        ParamKind::Allowed | ParamKind::Granted => json!({
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 253},
            "maxItems": 256,
        }),
        ParamKind::Registries | ParamKind::Images => json!({"$ref": "#/$defs/registries"}),
        ParamKind::Networks => json!({"$ref": "#/$defs/networks"}),
        ParamKind::Peers => json!({"$ref": "#/$defs/peers"}),
        ParamKind::AtLeast(low, high) | ParamKind::AtMost(low, high) => {
            json!({"type": "integer", "minimum": low, "maximum": high})
        }
        ParamKind::Ceilings(resources) | ParamKind::Supplies(resources) => {
            let quantity = |resource: &&str| ((*resource).to_owned(), json!({"type": ["string", "number"]}));
            let properties: Map<String, Value> = resources.iter().map(quantity).collect();
            json!({"type": "object", "additionalProperties": false, "properties": properties})
        }
        ParamKind::Choice(words) => json!({"enum": words}),
    };
    schema["description"] = json!(spec.doc);
    schema
}
