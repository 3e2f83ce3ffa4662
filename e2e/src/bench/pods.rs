//! The Pods that are made.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::manifests::{bare_spec, container, patched, pod_spec};

/// The name of every Pod: nothing is stored, so that one does for all.
const NAME: &str = "bench";

/// A Pod in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// It carries all that its class demands.
    Complete,
    /// What can be supplied is left to be supplied.
    Bare,
    /// It is refused.
    Denied,
}

impl Shape {
    /// Its name in the tables.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Bare => "bare",
            Self::Denied => "denied",
        }
    }
}

/// A Pod as its author writes it who knows what Amanat supplies.
pub(super) fn bare() -> Value {
    pod(&bare_spec())
}

/// A Pod that image/digest-pinned refuses.
pub(super) fn denied() -> Value {
    pod(&pod_spec(&patched(container(), &json!({"image": "registry.example.gov.pk/portal/api:1"}))))
}

/// A Pod that carries what was supplied to one that was made: what the API server answered, less what it alone writes.
pub(super) fn complete(made: &Value) -> Result<Value> {
    let mut spec = made.get("spec").cloned().context("the Pod that was made has no spec")?;
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("nodeName");
    }
    let of_metadata = |key: &str| made.pointer(&format!("/metadata/{key}")).cloned().unwrap_or_else(|| json!({}));
    let metadata = json!({"name": NAME, "labels": of_metadata("labels"), "annotations": of_metadata("annotations")});
    Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
}

fn pod(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": {"app": "bench"}}, "spec": spec})
}
