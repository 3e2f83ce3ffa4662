//! Claims of storage, by themselves and as workloads make them for their Pods.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::subject::or_default;

/// What is read of a claim's spec.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSpec {
    data_source_ref: Option<SourceReference>,
}

/// A claim that a workload makes for each of its Pods.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClaimTemplate {
    #[serde(deserialize_with = "or_default")]
    metadata: ClaimMetadata,
    /// Its spec.
    #[serde(deserialize_with = "or_default")]
    pub spec: ClaimSpec,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct ClaimMetadata {
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct SourceReference {
    namespace: Option<String>,
}

impl ClaimSpec {
    /// The namespace that it fills its volume from; none when that is its own.
    pub fn source_namespace(&self) -> Option<&str> {
        let source = self.data_source_ref.as_ref()?;
        source.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }
}

impl ClaimTemplate {
    /// The labels of the claims.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.metadata.labels
    }
}
