//! The CustomResourceDefinitions of the kinds, as values and as files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Number, Value, json};

use super::{CloudServiceProvider, CloudWorkload, PublicSectorEntity, SecurityBaseline};

/// The CustomResourceDefinition of every kind.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [CloudWorkload::crd(), CloudServiceProvider::crd(), PublicSectorEntity::crd(), SecurityBaseline::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

/// File name and YAML of the CustomResourceDefinition of every kind.
///
/// # Errors
/// When a definition can't be written as YAML.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    crds()
        .into_iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            let mut value = serde_yaml::to_value(&crd).and_then(serde_yaml::from_value::<Value>)?;
            whole_numbers(&mut value);
            Ok((name, serde_yaml::to_string(&value)?))
        })
        .collect()
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
            // A client that waits for observedGeneration must not pass before the operator has looked.
            status.default = Some(JSON(json!({"observedGeneration": -1})));
            status.description = Some("What Amanat found and did; only Amanat writes it.".to_owned());
        }
        if let Some(spec) = schema.properties.as_mut().and_then(|properties| properties.get_mut("spec")) {
            spec.description = Some("What is wanted; only users write it.".to_owned());
        }
    }
    crd
}

fn tidy(schema: &mut JSONSchemaProps) {
    // Without `nullable` the API server drops nulls, so a rule never meets one.
    schema.nullable = None;
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    for child in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(child);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Bounds are floating-point numbers in the type, and whole ones in every file that people read.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15);
            if let Some(whole) = whole.and_then(|f| format!("{f:.0}").parse::<i64>().ok()) {
                *number = Number::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}
