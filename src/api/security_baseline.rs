//! The regime: classes, where each may be placed, and what each control does in each class.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cloud_service_provider::Grade;
use super::cloud_workload::CloudModel;
use super::duration;
use super::effect::{Effect, Undeclared};
use super::schema::{conditions, instant, max_days, params, params_by_class, set, text};
use super::shape::{ControlId, Countries, Glob, Group, KubernetesVersion, Line, Prose, SemVer, Span, Word};
use super::time;

/// The regime that an authority sets: classes in order, placement, and each control's effect per class.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "amanat.dev",
    version = "v1alpha1",
    kind = "SecurityBaseline",
    plural = "securitybaselines",
    shortname = "sb",
    category = "amanat",
    status = "SecurityBaselineStatus",
    derive = "PartialEq",
    doc = "The regime that an authority sets: data classes in order, where each may be placed, and what each control \
           does in each class. One is the cluster's default; overlays tighten it for a jurisdiction.",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", description = "Version of the text"),
    printcolumn(
        name = "Default",
        type_ = "boolean",
        json_path = ".spec.default",
        description = "The cluster's default"
    ),
    printcolumn(
        name = "In-Force",
        type_ = "boolean",
        json_path = ".status.inForce",
        description = "Whether it decides"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it compiled"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(name = "Title", type_ = "string", json_path = ".spec.title", description = "Title", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.overlay) || (has(self.classes) && size(self.classes) > 0)")
        .message("a baseline that is no overlay needs classes")
        .field_path(".classes"),
    validation = Rule::new("!has(self.overlay) || !has(self.classes) || size(self.classes) == 0")
        .message("an overlay takes the classes of the default baseline: remove them")
        .field_path(".classes"),
    validation = Rule::new("!has(self.overlay) || !has(self.undeclared)")
        .message("an overlay says nothing about undeclared namespaces: remove it")
        .field_path(".undeclared"),
    validation = Rule::new("!has(self.overlay) || !has(self.default) || !self.default")
        .message("an overlay can't be the default: remove it")
        .field_path(".default"),
    validation = Rule::new(
        "!has(self.classes) || self.classes.all(c, !has(c.aliases) || c.aliases.all(a, \
         !self.classes.exists(d, d.name == a)))"
    )
    .message("an alias is the name of a class: remove it")
    .field_path(".classes"),
    validation = Rule::new(
        "!has(self.classes) || self.classes.all(c, !has(c.aliases) || c.aliases.all(a, \
         self.classes.exists_one(d, has(d.aliases) && a in d.aliases)))"
    )
    .message("an alias belongs to two classes: keep one")
    .field_path(".classes"),
    validation = Rule::new(
        "!has(self.classes) || !has(self.placement) || self.placement.all(r, \
         self.classes.exists(c, c.name == r.class))"
    )
    .message("a row names a class that the baseline doesn't have")
    .field_path(".placement"),
    validation = Rule::new(
        "!has(self.classes) || !has(self.controls) || self.controls.all(k, !has(k.effects) || \
         k.effects.all(e, self.classes.exists(c, c.name == e)))"
    )
    .message("effects name a class that the baseline doesn't have")
    .field_path(".controls"),
    validation = Rule::new(
        "!has(self.classes) || !has(self.controls) || self.controls.all(k, !has(k.paramsByClass) || \
         k.paramsByClass.all(e, self.classes.exists(c, c.name == e)))"
    )
    .message("paramsByClass names a class that the baseline doesn't have")
    .field_path(".controls"),
    validation = Rule::new(
        "!has(self.classes) || !has(self.exemptions) || !has(self.exemptions.maxDays) || \
         self.exemptions.maxDays.all(e, self.classes.exists(c, c.name == e))"
    )
    .message("maxDays names a class that the baseline doesn't have")
    .field_path(".exemptions")
)]
pub struct SecurityBaselineSpec {
    /// Title, for people.
    #[schemars(schema_with = "text::<Line>")]
    pub title: String,
    /// Version of the text.
    #[schemars(schema_with = "text::<Line>")]
    pub version: String,
    /// Whether it is the cluster's default; of two, the oldest is in force.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Makes it an overlay: joined with the default for owners of certain jurisdictions, and only ever tightening it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// The release of Amanat that it was written for, as a semantic version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<SemVer>")]
    pub catalogue: Option<String>,
    /// Version of the Pod Security Standards by which Pods are judged, such as `v1.37`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<KubernetesVersion>")]
    pub pod_security_version: Option<String>,
    /// The classes of data, the lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub classes: Vec<DataClass>,
    /// Effect on workloads in namespaces that declare nothing; `Warn` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeclared: Option<Undeclared>,
    /// Highest effect on objects that belong to no namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_scoped: Option<Effect>,
    /// How long Pods are still re-created after a declaration became unacceptable, such as `720h`, which holds when
    /// left out. It ends five seconds early, since the clocks of replicas may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Span>")]
    pub grace_on_suspension: Option<String>,
    /// How long Pods are still re-created after a class was declared or raised, such as `168h`, which holds when left
    /// out. It ends five seconds early, since the clocks of replicas may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::<Span>")]
    pub grace_on_raise: Option<String>,
    /// Where each class may be placed: the first row that fits decides, and without one the placement is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement: Vec<PlacementRow>,
    /// What each control does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub controls: Vec<ControlSpec>,
    /// Whether a class may deny less than a lower one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_non_monotone: bool,
    /// Limits of exemptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemptions: Option<ExemptionLimits>,
    /// Who may restore namespaces together with their class label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restorers: Option<Groups>,
    /// Whose changes to built objects are admitted and healed; everyone else's are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrators: Option<Groups>,
    /// Whose Approvals count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Groups>,
    /// Caps on effects in named namespaces until a date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub rollout: Vec<Rollout>,
}

impl SecurityBaselineSpec {
    /// How long Pods are still re-created after a declaration became unacceptable.
    #[must_use]
    pub fn grace_on_suspension(&self) -> SignedDuration {
        let text = self.grace_on_suspension.as_deref();
        text.and_then(duration::parse).unwrap_or(SignedDuration::from_hours(720))
    }

    /// How long Pods are still re-created after a class was declared or raised.
    #[must_use]
    pub fn grace_on_raise(&self) -> SignedDuration {
        self.grace_on_raise.as_deref().and_then(duration::parse).unwrap_or(SignedDuration::from_hours(168))
    }

    /// The class that a word names, by name or alias, and its rank: 0 is the lowest.
    #[must_use]
    pub fn class(&self, word: &str) -> Option<(usize, &DataClass)> {
        let named = |class: &DataClass| class.name == word || class.aliases.iter().any(|alias| alias == word);
        self.classes.iter().enumerate().find(|(_, class)| named(class))
    }
}

/// Whom an overlay applies to.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Overlay {
    /// Jurisdictions of the owners whose workloads it applies to.
    #[schemars(schema_with = "super::schema::some::<Word, 32>")]
    pub jurisdictions: Vec<String>,
}

/// A class of data.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DataClass {
    /// Name of the class; also the value of the namespace label.
    #[schemars(schema_with = "text::<Word>")]
    pub name: String,
    /// Security level of the class.
    #[schemars(schema_with = "text::<Word>")]
    pub level: String,
    /// Other words by which a CloudWorkload may name the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "set::<Word, 8>")]
    pub aliases: Vec<String>,
}

/// A place that a class may have.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRow {
    /// Class that the row is about.
    #[schemars(schema_with = "text::<Word>")]
    pub class: String,
    /// Cloud models that fit.
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub models: Vec<CloudModel>,
    /// Countries of the site that fit, as two capital letters each; `*` is every country.
    #[schemars(schema_with = "super::schema::some::<Countries, 256>")]
    pub countries: Vec<String>,
    /// Lowest grade of the provider that fits.
    pub grade: Grade,
    /// Whether each workload needs an Approval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

/// What a control does.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.effects) || self.effects.all(k, size(k) <= 63)")
        .message("the name of a class has at most 63 characters")
        .field_path(".effects"),
    validation = Rule::new("!has(self.paramsByClass) || self.paramsByClass.all(k, size(k) <= 63)")
        .message("the name of a class has at most 63 characters")
        .field_path(".paramsByClass")
)]
pub struct ControlSpec {
    /// Id of the control, such as `image/digest-pinned`.
    #[schemars(schema_with = "text::<ControlId>")]
    pub id: String,
    /// Effect per class; a class left out is `Disabled`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub effects: BTreeMap<String, Effect>,
    /// Whether the control supplies what it demands, where it can; true when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply: Option<bool>,
    /// Parameters, by name. One that an overlay leaves out is the default baseline's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "params")]
    pub params: BTreeMap<String, Value>,
    /// Parameters of single classes, by class and name; each replaces the one of `params`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "params_by_class")]
    pub params_by_class: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Limits of exemptions.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.maxDays) || self.maxDays.all(k, size(k) <= 63)")
        .message("the name of a class has at most 63 characters")
        .field_path(".maxDays")
)]
pub struct ExemptionLimits {
    /// Longest exemption per class, in days.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "max_days")]
    pub max_days: BTreeMap<String, u32>,
    /// Ids of controls that can't be exempted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "set::<ControlId, 128>")]
    pub non_waivable: Vec<String>,
}

/// Groups of users.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Groups {
    /// Names of the groups, as the API server knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "set::<Group, 64>")]
    pub groups: Vec<String>,
}

/// A cap on effects in named namespaces until a date.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.effectCap != 'Deny'").message("a cap of Deny caps nothing").field_path(".effectCap"))]
pub struct Rollout {
    /// Namespaces, by name; `*` stands for any characters.
    #[schemars(schema_with = "super::schema::some::<Glob, 64>")]
    pub namespaces: Vec<String>,
    /// Highest effect there.
    pub effect_cap: Effect,
    /// Instant at which the cap ends; counted as five seconds earlier, since the clocks of replicas may differ.
    #[serde(deserialize_with = "time::instant")]
    #[schemars(schema_with = "instant")]
    pub until: Timestamp,
    /// Why.
    #[schemars(schema_with = "text::<Prose>")]
    pub reason: String,
}

/// What became of a baseline.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecurityBaselineStatus {
    /// The `metadata.generation` that this status describes; -1 before the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it decides: as the default, or as an overlay of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<bool>,
    /// Classes of the baseline, the lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::list::<Word, 16>")]
    pub classes: Vec<String>,
    /// Number of controls that are not `Disabled` in every class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<u32>,
    /// Number of CloudWorkloads that it decides for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<u32>,
    /// `Ready`, and `Partial` when a field is not acted upon yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
