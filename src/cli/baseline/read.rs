//! Baselines out of files, whatever is wrong with them that doesn't keep them from being read.

use serde_json::Value;

use super::super::inputs::Inputs;
use super::super::objects::Origin;
use crate::api::{self, GROUP, Invalid, SecurityBaseline, VERSION};
use crate::baseline::SHIPPED;
use crate::manifest::items;
use crate::report::InputError;

/// How the shipped baseline is named on the command line and in output.
pub(super) const SHIPPED_NAME: &str = "shipped";

/// A baseline that was read.
pub(super) struct Read<'a> {
    pub(super) baseline: SecurityBaseline,
    pub(super) origin: Origin<'a>,
    /// What the API server would refuse or drop.
    pub(super) problems: Vec<Invalid>,
}

impl Read<'_> {
    pub(super) fn name(&self) -> &str {
        self.baseline.metadata.name.as_deref().unwrap_or_default()
    }
}

/// The shipped baseline as an input.
pub(super) fn shipped() -> Inputs {
    Inputs::of_text(SHIPPED_NAME, SHIPPED)
}

/// The baselines among inputs, and what could not be read. Other objects are passed over.
pub(super) fn baselines(inputs: &Inputs) -> (Vec<Read<'_>>, Vec<InputError>) {
    let (mut found, mut errors) = (Vec::new(), inputs.errors.clone());
    for (order, file) in inputs.files.iter().enumerate() {
        for item in file.documents.iter().flat_map(items) {
            let origin = Origin { file: &file.name, order, item };
            let value = item.to_value();
            let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            if kind != "SecurityBaseline" || !(api_version.is_empty() || api_version.starts_with(GROUP)) {
                continue;
            }
            let wanted = format!("{GROUP}/{VERSION}");
            if api_version != wanted {
                errors.push(origin.error("apiVersion", format!("unknown version {api_version:?}; write {wanted}")));
                continue;
            }
            let checked = api::check(&value, kind).into_iter().flatten();
            match serde_json::from_value(value.clone()) {
                Ok(baseline) => {
                    let problems = api::unknown_fields(&value, kind).into_iter().chain(checked).collect();
                    found.push(Read { baseline, origin, problems });
                }
                Err(_) => errors.extend(checked.map(|problem| origin.error(&problem.path, problem.message))),
            }
        }
    }
    (found, errors)
}
