//! A cloud provider as the regulator has registered or accredited it.

use jiff::{Timestamp, civil};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::cloud_workload::{CloudModel, ServiceModel};
use super::public_sector_entity::Contact;
use super::schema::{conditions, date, instant, text};
use super::shape::{Country, Digest, Label, Line, Word};
use super::time;

/// What the regulator has recorded about a cloud provider: its grade, how long it holds, and what it may keep.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "amanat.dev",
    version = "v1alpha1",
    kind = "CloudServiceProvider",
    plural = "cloudserviceproviders",
    shortname = "csp",
    category = "amanat",
    status = "CloudServiceProviderStatus",
    derive = "PartialEq",
    doc = "A cloud provider as the regulator has registered or accredited it: grade, validity, and which classes, \
           models, services and sites are in its scope.",
    printcolumn(name = "Grade", type_ = "string", json_path = ".spec.grade", description = "Grade granted"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state", description = "State of the file"),
    printcolumn(
        name = "Effective",
        type_ = "string",
        json_path = ".status.effective",
        description = "What it counts as at this moment"
    ),
    printcolumn(name = "Up-To", type_ = "string", json_path = ".spec.maxDataClass", description = "Highest class"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.validUntil", description = "End of validity"),
    printcolumn(name = "Workloads", type_ = "integer", json_path = ".status.workloads", description = "Namespaces"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it may take workloads"
    ),
    printcolumn(name = "Name", type_ = "string", json_path = ".spec.displayName", description = "Name", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.validFrom) || !has(self.validUntil) || self.validFrom < self.validUntil")
        .message("must be after validFrom")
        .field_path(".validUntil"),
    validation = Rule::new("self.state != 'Active' || (has(self.validFrom) && has(self.validUntil))")
        .message("an Active provider needs validFrom and validUntil")
        .field_path(".state")
)]
pub struct CloudServiceProviderSpec {
    /// Name of the provider in full.
    #[schemars(schema_with = "text::<Line>")]
    pub display_name: String,
    /// Grade that the regulator has granted.
    pub grade: Grade,
    /// Where the provider's file stands; only `Active` may take workloads.
    pub state: ProviderState,
    /// The regulator's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub reference: Option<String>,
    /// First instant at which the grade holds; counted as five seconds later, since the clocks of replicas may differ.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub valid_from: Option<Timestamp>,
    /// Instant at which the grade no longer holds; counted as five seconds earlier, since the clocks of replicas may
    /// differ.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub valid_until: Option<Timestamp>,
    /// Highest class of data in scope.
    #[schemars(schema_with = "text::<Word>")]
    pub max_data_class: String,
    /// Cloud models in scope.
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub models: Vec<CloudModel>,
    /// Service models in scope.
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub services: Vec<ServiceModel>,
    /// Sites in scope.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub sites: Vec<Site>,
    /// Certificates that the provider holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["scheme"]))]
    pub certifications: Vec<Certification>,
    /// The last audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Whom to reach at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<ProviderContacts>,
}

/// What the definition's CEL rules say, in Rust.
pub(super) fn rules(spec: &CloudServiceProviderSpec) -> Vec<Invalid> {
    let mut problems = Vec::new();
    if let (Some(from), Some(until)) = (spec.valid_from, spec.valid_until)
        && from >= until
    {
        problems.push(Invalid::new("spec.validUntil", "must be after validFrom"));
    }
    if spec.state == ProviderState::Active && (spec.valid_from.is_none() || spec.valid_until.is_none()) {
        problems.push(Invalid::new("spec.state", "an Active provider needs validFrom and validUntil"));
    }
    problems
}

/// Grade of a provider, the lower first.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Entered in the regulator's register.
    Registered,
    /// Audited and accredited.
    Accredited,
}

/// Where a provider's file stands.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderState {
    /// Has applied.
    Applied,
    /// Is being examined.
    UnderReview,
    /// Holds its grade.
    Active,
    /// Its grade is suspended.
    Suspended,
    /// Its grade was withdrawn.
    Revoked,
    /// Has left the register.
    Terminated,
}

/// A data centre of a provider.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// Name of the site, unique within the provider.
    #[schemars(schema_with = "text::<Label>")]
    pub name: String,
    /// Country, as two capital letters (ISO 3166-1 alpha-2).
    #[schemars(schema_with = "text::<Country>")]
    pub country: String,
    /// Region within the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub region: Option<String>,
    /// Tier of the data centre, such as `III`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub tier: Option<String>,
}

/// A certificate that a provider holds.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Certification {
    /// Scheme, such as `ISO-27001`; one certificate a scheme.
    #[schemars(schema_with = "text::<Line>")]
    pub scheme: String,
    /// Number of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub number: Option<String>,
    /// Instant at which the certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub valid_until: Option<Timestamp>,
    /// Digest of the evidence, as `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Digest>")]
    pub evidence_digest: Option<String>,
}

/// An audit of a provider.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Who audited.
    pub auditor: Auditor,
    /// Day of the audit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::date")]
    #[schemars(schema_with = "date")]
    pub date: Option<civil::Date>,
}

/// A registered auditor.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Auditor {
    /// Name of the auditor.
    #[schemars(schema_with = "text::<Line>")]
    pub name: String,
    /// Number under which the auditor is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Line>")]
    pub registration: Option<String>,
}

/// Whom to reach at a provider.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProviderContacts {
    /// For security matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Contact>,
    /// At every hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty24x7: Option<Contact>,
}

/// What a provider counts as.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CloudServiceProviderStatus {
    /// The `metadata.generation` that this status describes; -1 before the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What it counts as at this moment: its grade, `NotYetValid`, `Expired`, or its state when that is not `Active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Word>")]
    pub effective: Option<String>,
    /// Since when `effective` holds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub since: Option<Timestamp>,
    /// When the grade expires.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub expires_at: Option<Timestamp>,
    /// Number of CloudWorkloads that name this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<u32>,
    /// `Ready`, `InDate`, `EvidenceCurrent`, and `Partial` when a field is not acted upon yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
