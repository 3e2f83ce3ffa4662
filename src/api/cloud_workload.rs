//! The declaration: what class of data a namespace holds, whose it is, and which cloud keeps it.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::effect::Effect;
use super::schema::{conditions, date, instant, list, ports, quantity, set, text};
use super::shape::{ControlId, Label, Line, Name, Percent, Span, Word};
use super::time;

/// What a namespace declares about itself: the class of its data, its owner, and the cloud that keeps it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "amanat.dev",
    version = "v1alpha1",
    kind = "CloudWorkload",
    plural = "cloudworkloads",
    shortname = "cw",
    category = "amanat",
    namespaced,
    status = "CloudWorkloadStatus",
    derive = "PartialEq",
    doc = "The declaration of a namespace: which class of data it holds, whose it is, and which cloud provider keeps \
           it. One a namespace, always named `workload`.",
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.dataClass", description = "Declared data class"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider", description = "Cloud provider"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model", description = "Cloud model"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status",
        description = "Whether the placement is permitted"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Accepted, and what the class requires is built"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", description = "Entity", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age"),
    validation = Rule::new("self.metadata.name == 'workload'")
        .message("a namespace has one CloudWorkload, named \"workload\": rename it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.tags) || self.tags.all(k, size(k) <= 63)")
        .message("a key has at most 63 characters")
        .field_path(".tags")
)]
pub struct CloudWorkloadSpec {
    /// Name of the PublicSectorEntity that owns the data.
    #[schemars(schema_with = "text::<Name>")]
    pub owner: String,
    /// Class of the data: a class of the SecurityBaseline in force, or one of its aliases.
    #[schemars(schema_with = "text::<Word>")]
    pub data_class: String,
    /// Name of the CloudServiceProvider that keeps the data.
    #[schemars(schema_with = "text::<Name>")]
    pub provider: String,
    /// Deployment model of the cloud.
    pub model: CloudModel,
    /// Service model under which the provider is used.
    pub service: ServiceModel,
    /// Site of the provider; may be left out when the provider has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Label>")]
    pub site: Option<String>,
    /// Network flows that the workload asks for; granted as far as the class permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpec>,
    /// Who in the namespace needs the Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_access: Option<ApiAccess>,
    /// How much the namespace may use, within the ceiling of its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Service level agreed with the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<ServiceLevel>,
    /// How the workload leaves this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_plan: Option<ExitPlan>,
    /// Words for accounting, such as a cost centre and a project.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "super::schema::tags")]
    pub tags: BTreeMap<String, String>,
}

/// What the definition's CEL rules say of the spec, in Rust.
pub(super) fn rules(spec: &CloudWorkloadSpec) -> Vec<Invalid> {
    let long = spec.tags.keys().any(|key| key.chars().count() > 63);
    long.then(|| Invalid::new("spec.tags", "a key has at most 63 characters")).into_iter().collect()
}

/// Deployment model of a cloud.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloudModel {
    /// Shared by any number of public and private bodies.
    Public,
    /// Shared among public sector entities.
    Government,
    /// For one entity alone.
    Private,
    /// A combination of the others.
    Hybrid,
}

/// Service model of a cloud.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceModel {
    /// Software as a service.
    SaaS,
    /// Platform as a service.
    PaaS,
    /// Infrastructure as a service.
    IaaS,
}

/// Network flows between namespaces that a workload asks for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    /// Namespaces whose Pods may connect to this namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace"])
    )]
    pub ingress_from: Vec<Flow>,
    /// Namespaces to whose Pods this namespace may connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace"])
    )]
    pub egress_to: Vec<Flow>,
}

/// The other end of a network flow.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Name of the other namespace.
    #[schemars(schema_with = "text::<Label>")]
    pub namespace: String,
    /// TCP ports of the listening side; none listed means every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ports")]
    pub ports: Vec<u16>,
}

/// Who in the namespace needs the Kubernetes API.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiAccess {
    /// Names of ServiceAccounts whose Pods may carry a token; the class decides whether declaring them is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "set::<Name, 64>")]
    pub service_accounts: Vec<String>,
}

/// How much a namespace may use.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    /// Sum of the CPU requests, as a quantity in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity")]
    pub cpu: Option<Quantity>,
    /// Sum of the memory requests, as a quantity in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity")]
    pub memory: Option<Quantity>,
    /// Number of Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub pods: Option<u32>,
}

/// Service level agreed with the provider.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLevel {
    /// Share of the window in which the workload is available, in percent, such as "99.9".
    #[schemars(schema_with = "text::<Percent>")]
    pub availability_percent: String,
    /// Time over which availability is measured, such as `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Span>")]
    pub window: Option<String>,
}

/// How the workload leaves its provider.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExitPlan {
    /// Format in which workload and data are handed over, such as `OCI+SQL`.
    #[schemars(schema_with = "text::<Line>")]
    pub export_format: String,
    /// Time within which the workload runs elsewhere, such as `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Span>")]
    pub rto: Option<String>,
    /// Day on which the plan was last tried, such as "2026-09-01".
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::date")]
    #[schemars(schema_with = "date")]
    pub last_tested_at: Option<civil::Date>,
}

/// What Amanat found and did for a CloudWorkload.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CloudWorkloadStatus {
    /// The `metadata.generation` that this status describes; -1 before the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The class in effect, by its canonical name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Word>")]
    pub class: Option<String>,
    /// Security level of the class in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Word>")]
    pub level: Option<String>,
    /// The baseline that decides, and the overlays joined with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineRef>,
    /// Counts of the last scan; absent until one has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Controls that fail, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["control"]))]
    pub failing: Vec<Failing>,
    /// Controls whose effect a rollout of the baseline caps in this namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["control"]))]
    pub capped: Vec<Capped>,
    /// Since when the class in effect holds; grace after a raise runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub class_since: Option<Timestamp>,
    /// Since when the declaration is no longer acceptable; grace after a suspension runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time::instant_option")]
    #[schemars(schema_with = "instant")]
    pub unacceptable_since: Option<Timestamp>,
    /// `Accepted`, `ControlsApplied`, `Schedulable`, `Compliant`, `Ready`, and `Partial` when a field is not acted upon yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// The baseline that decides for a namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BaselineRef {
    /// Name of the SecurityBaseline.
    #[schemars(schema_with = "text::<Name>")]
    pub name: String,
    /// Its `spec.version`.
    #[schemars(schema_with = "text::<Line>")]
    pub version: String,
    /// Names of the overlays joined with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "list::<Name, 16>")]
    pub overlays: Vec<String>,
}

/// Counts of the findings of a scan.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Controls that pass.
    pub pass: u32,
    /// Controls that fail at `Deny`.
    pub fail: u32,
    /// Controls that fail at `Warn` or `Audit`.
    pub warn: u32,
    /// Controls that fail under an exemption.
    pub exempt: u32,
    /// Controls that could not be assessed.
    pub not_assessable: u32,
}

/// A control that fails.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Id of the control.
    #[schemars(schema_with = "text::<ControlId>")]
    pub control: String,
    /// Number of objects that fail it.
    pub count: u32,
}

/// A control whose effect is capped by a rollout.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Capped {
    /// Id of the control.
    #[schemars(schema_with = "text::<ControlId>")]
    pub control: String,
    /// The effect that the class demands.
    pub effect: Effect,
    /// The effect that holds until the cap ends.
    pub cap: Effect,
    /// When the cap ends: five seconds before the instant that the baseline names.
    #[serde(deserialize_with = "time::instant")]
    #[schemars(schema_with = "instant")]
    pub until: Timestamp,
}
