//! An owner of workloads: a ministry, a department, an agency, a public corporation.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{conditions, text};
use super::security_baseline::Groups;
use super::shape::{Email, Line, Phone, Word};

/// What the regulator has recorded about an owner of workloads.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "amanat.dev",
    version = "v1alpha1",
    kind = "PublicSectorEntity",
    plural = "publicsectorentities",
    shortname = "pse",
    category = "amanat",
    status = "PublicSectorEntityStatus",
    derive = "PartialEq",
    doc = "An owner of workloads: its jurisdiction, which decides the overlays of the baseline that hold for it, and \
           whom to reach.",
    printcolumn(
        name = "Jurisdiction",
        type_ = "string",
        json_path = ".spec.jurisdiction",
        description = "Jurisdiction"
    ),
    printcolumn(
        name = "Critical",
        type_ = "boolean",
        json_path = ".spec.criticalInfrastructure",
        description = "Critical infrastructure"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether its workloads can be accepted"
    ),
    printcolumn(name = "Name", type_ = "string", json_path = ".spec.displayName", description = "Name", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age")
)]
#[serde(rename_all = "camelCase")]
pub struct PublicSectorEntitySpec {
    /// Name of the entity in full.
    #[schemars(schema_with = "text::<Line>")]
    pub display_name: String,
    /// Jurisdiction it belongs to, such as `Federal` or `Punjab`; overlays of the baseline name these words.
    #[schemars(schema_with = "text::<Word>")]
    pub jurisdiction: String,
    /// Sector it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub sector: Option<String>,
    /// Whether it is declared critical information infrastructure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical_infrastructure: bool,
    /// Groups bound to the persona roles in the entity's namespaces; none listed, none bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<EntityAccess>,
    /// Whom to reach at the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<EntityContacts>,
}

/// Groups bound to the persona roles.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EntityAccess {
    /// May read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<Groups>,
    /// May operate workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<Groups>,
    /// May read what an audit needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auditors: Option<Groups>,
}

/// Whom to reach at an entity.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EntityContacts {
    /// For security matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Contact>,
    /// For personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_protection: Option<Contact>,
    /// At every hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty24x7: Option<Contact>,
}

/// A person or desk.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// Name of the person or desk.
    #[schemars(schema_with = "text::<Line>")]
    pub name: String,
    /// Electronic mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Email>")]
    pub email: Option<String>,
    /// Telephone number, with country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Phone>")]
    pub phone: Option<String>,
}

/// What Amanat found about an entity.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PublicSectorEntityStatus {
    /// The `metadata.generation` that this status describes; -1 before the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, and `Partial` when a field is not acted upon yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
