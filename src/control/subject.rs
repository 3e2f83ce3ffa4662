//! The object that is judged, decoded once and lean.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::api::core::v1::{self as core, LimitRangeSpec, ResourceQuotaSpec};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{ClaimSpec, ClaimTemplate, Kind, PodSpec, PodView, WORKLOADS};
use crate::api::CloudWorkloadSpec;

/// The metadata that some control or the engine reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Name; empty while only `generateName` is given.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Prefix of a name that the API server will make.
    #[serde(deserialize_with = "or_default")]
    pub generate_name: String,
    /// Namespace; empty for cluster-scoped objects, and in a manifest that leaves it to the command line.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Owners.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerReference>,
    /// When it was made.
    pub creation_timestamp: Option<Time>,
    /// When its deletion was asked for.
    pub deletion_timestamp: Option<Time>,
}

impl Metadata {
    /// The name to show: a generated name is its prefix with `*`.
    pub fn display_name(&self) -> String {
        if self.name.is_empty() { format!("{}*", self.generate_name) } else { self.name.clone() }
    }

    /// The owner that manages the object, if there is one.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }
}

/// The part of the object that controls judge.
#[derive(Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one lives for the length of one decision, on the stack")]
pub enum Body {
    /// A Pod or a controller with its Pod template.
    Workload(Workload),
    /// A `scale` subresource.
    Scale {
        /// Replicas asked for.
        replicas: i32,
    },
    /// A Namespace: its metadata is all that is judged.
    Namespace,
    /// A NetworkPolicy.
    NetworkPolicy(NetworkPolicySpec),
    /// A ResourceQuota.
    ResourceQuota(ResourceQuotaSpec),
    /// A LimitRange.
    LimitRange(LimitRangeSpec),
    /// A claim of storage.
    Claim(ClaimSpec),
    /// A Service.
    Service {
        /// The name that it stands for, of type ExternalName.
        external_name: Option<String>,
    },
    /// An Ingress: its metadata is all that is judged.
    Ingress,
    /// A permission for objects of other namespaces to refer to objects here.
    ReferenceGrant {
        /// The namespaces, in their order.
        from: Vec<String>,
    },
    /// A declaration.
    CloudWorkload(Box<CloudWorkloadSpec>),
}

/// A Pod's spec and what stands around it.
#[derive(Clone, PartialEq)]
pub struct Workload {
    /// The template that the spec stands in; none of a Pod.
    pub template: Option<Template>,
    /// Replicas of kinds that have them; absent is 1, as the API server defaults it.
    pub replicas: Option<i32>,
    /// The Pod's spec.
    pub spec: PodSpec,
    /// Claims that a StatefulSet makes for each of its Pods.
    pub claims: Vec<ClaimTemplate>,
}

/// A Pod template beside its spec.
#[derive(Clone, PartialEq)]
pub struct Template {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The text of the spec, with what nobody reads: one that changed is judged whole, wherever it changed. As a text it
    /// takes no more memory than it took on the way here; two texts of one value would only be judged once too often.
    pub written: Box<str>,
}

/// An object of a judged kind.
#[derive(Clone, PartialEq)]
pub struct Subject {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub metadata: Metadata,
    /// What is judged.
    pub body: Body,
    /// As somebody wrote it: what admission fills in isn't there yet.
    pub as_written: bool,
}

/// Only what may be logged: never the body, labels or annotations.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({} {}/{})", self.kind, self.metadata.namespace, self.metadata.display_name())
    }
}

impl Subject {
    /// Decodes an object of a known kind as the API server sends it. A judged kind without the part that is judged, such
    /// as a Pod without containers, is an error, since passing it would be a pass of what nobody has looked at.
    ///
    /// # Errors
    /// What the deserializer says of fields of the wrong type, or which required part is missing.
    pub fn decode<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Self, D::Error> {
        let missing = |field: &'static str| D::Error::missing_field(field);
        let (metadata, body) = match kind {
            Kind::Pod => {
                let pod = object::<Lean<PodSpec>, D>(deserializer)?;
                let spec = with_containers(pod.spec, ["spec", "spec.containers"])?;
                (pod.metadata, Body::Workload(Workload { template: None, replicas: None, spec, claims: Vec::new() }))
            }
            Kind::PodTemplate => {
                let object = object::<LeanTemplate, D>(deserializer)?;
                let template = object.template.ok_or_else(|| missing("template"))?;
                let fields = ["template.spec", "template.spec.containers"];
                (object.metadata, workload(template, None, Vec::new(), fields)?)
            }
            Kind::CronJob => {
                let object = object::<Lean<CronSpec>, D>(deserializer)?;
                let spec = object.spec.ok_or_else(|| missing("spec"))?;
                let template = spec.job_template.spec.and_then(|spec| spec.template);
                let template = template.ok_or_else(|| missing("spec.jobTemplate.spec.template"))?;
                let fields = ["spec.jobTemplate.spec.template.spec", "spec.jobTemplate.spec.template.spec.containers"];
                (object.metadata, workload(template, None, Vec::new(), fields)?)
            }
            Kind::Deployment
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::Job => {
                let object = object::<Lean<ControllerSpec>, D>(deserializer)?;
                let spec = object.spec.ok_or_else(|| missing("spec"))?;
                let template = spec.template.ok_or_else(|| missing("spec.template"))?;
                let fields = ["spec.template.spec", "spec.template.spec.containers"];
                // No other kind has that field.
                let claims = if kind == Kind::StatefulSet { spec.volume_claim_templates } else { Vec::new() };
                (object.metadata, workload(template, spec.replicas, claims, fields)?)
            }
            Kind::Scale => {
                let object = object::<Lean<ScaleSpec>, D>(deserializer)?;
                // The API server leaves `spec` out of a scale to zero.
                (object.metadata, Body::Scale { replicas: object.spec.unwrap_or_default().replicas })
            }
            Kind::Namespace => (object::<MetadataOnly, D>(deserializer)?.metadata, Body::Namespace),
            Kind::NetworkPolicy => {
                let object = object::<Lean<NetworkPolicySpec>, D>(deserializer)?;
                (object.metadata, Body::NetworkPolicy(object.spec.unwrap_or_default()))
            }
            Kind::ResourceQuota => {
                let object = object::<Lean<ResourceQuotaSpec>, D>(deserializer)?;
                (object.metadata, Body::ResourceQuota(object.spec.unwrap_or_default()))
            }
            Kind::LimitRange => {
                let object = object::<Lean<LimitRangeSpec>, D>(deserializer)?;
                (object.metadata, Body::LimitRange(object.spec.unwrap_or_default()))
            }
            Kind::PersistentVolumeClaim => {
                let object = object::<Lean<ClaimSpec>, D>(deserializer)?;
                (object.metadata, Body::Claim(object.spec.unwrap_or_default()))
            }
            Kind::Service => {
                let object = object::<Lean<ServiceSpec>, D>(deserializer)?;
                let spec = object.spec.unwrap_or_default();
                let external_name = spec.external_name.filter(|_| spec.type_.as_deref() == Some("ExternalName"));
                (object.metadata, Body::Service { external_name })
            }
            Kind::Ingress => (object::<MetadataOnly, D>(deserializer)?.metadata, Body::Ingress),
            Kind::ReferenceGrant => {
                let object = object::<Lean<GrantSpec>, D>(deserializer)?;
                let from = object.spec.unwrap_or_default().from.into_iter().map(|from| from.namespace).collect();
                (object.metadata, Body::ReferenceGrant { from })
            }
            Kind::CloudWorkload => {
                let object = object::<Lean<CloudWorkloadSpec>, D>(deserializer)?;
                let spec = object.spec.ok_or_else(|| missing("spec"))?;
                (object.metadata, Body::CloudWorkload(Box::new(spec)))
            }
        };
        Ok(Self { kind, metadata, body, as_written: false })
    }

    /// Decodes an object as somebody wrote it: with the defaults that the API server would have filled in before it
    /// called the webhook, and with its types as the API server would demand them, also of what nobody judges.
    ///
    /// # Errors
    /// As [`Subject::decode`].
    pub fn from_manifest(kind: Kind, mut object: serde_json::Value) -> Result<Self, serde_json::Error> {
        super::defaulting::volumes(kind, &mut object);
        whole_spec(kind, &object)?;
        let mut subject = Self::decode(kind, object)?;
        subject.as_written = true;
        super::defaulting::host_ports(&mut subject);
        Ok(subject)
    }

    /// The Pod's spec with its labels and annotations, when the object carries one.
    pub fn pod(&self) -> Option<PodView<'_>> {
        let Body::Workload(workload) = &self.body else { return None };
        let (labels, annotations) = match &workload.template {
            Some(template) => (&template.labels, &template.annotations),
            None => (&self.metadata.labels, &self.metadata.annotations),
        };
        Some(PodView { kind: self.kind, annotations, labels, spec: &workload.spec })
    }

    /// How many Pods it asks for, when it is of a kind that says so.
    pub fn replicas(&self) -> Option<i32> {
        match &self.body {
            Body::Scale { replicas } => Some(*replicas),
            Body::Workload(workload) if self.kind.is_scalable() => Some(workload.replicas.unwrap_or(1)),
            _ => None,
        }
    }
}

/// Reads a Pod's spec with all that nobody judges, and keeps nothing of it.
fn whole_spec(kind: Kind, object: &Value) -> Result<(), serde_json::Error> {
    if !WORKLOADS.contains(&kind) {
        return Ok(());
    }
    let spec = kind.pod_spec_path().iter().try_fold(object, |value, field| value.get(field));
    Option::<core::PodSpec>::deserialize(spec.unwrap_or(&Value::Null)).map(drop)
}

fn workload<E: serde::de::Error>(
    template: PodTemplate,
    replicas: Option<i32>,
    claims: Vec<ClaimTemplate>,
    fields: [&'static str; 2],
) -> Result<Body, E> {
    let written = template.spec.ok_or_else(|| E::missing_field(fields[0]))?;
    let spec = serde_json::from_str(written.get()).map_err(|error| E::custom(without_place(&error)))?;
    let spec = with_containers(spec, fields)?;
    let Metadata { labels, annotations, .. } = template.metadata;
    let template = Some(Template { labels, annotations, written: written.into() });
    Ok(Body::Workload(Workload { template, replicas, spec, claims }))
}

/// What is wrong, without the place: it would be one in the spec, and be taken for one in the object.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// A Pod's spec that has something to run. What is missing otherwise is one of two fields: the spec, or its containers.
fn with_containers<E: serde::de::Error>(
    spec: Option<PodSpec>,
    [field, containers]: [&'static str; 2],
) -> Result<PodSpec, E> {
    let spec = spec.ok_or_else(|| E::missing_field(field))?;
    if spec.containers.is_empty() { Err(E::missing_field(containers)) } else { Ok(spec) }
}

/// Metadata and spec; managedFields and status are skipped by the deserializer without being kept.
#[derive(Deserialize)]
struct Lean<S> {
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(default = "none")]
    spec: Option<S>,
}

#[derive(Deserialize)]
struct LeanTemplate {
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    template: Option<PodTemplate>,
}

#[derive(Deserialize)]
struct MetadataOnly {
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct PodTemplate {
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    spec: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ControllerSpec {
    replicas: Option<i32>,
    template: Option<PodTemplate>,
    #[serde(default, deserialize_with = "or_default")]
    volume_claim_templates: Vec<ClaimTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CronSpec {
    #[serde(default, deserialize_with = "or_default")]
    job_template: JobTemplate,
}

#[derive(Default, Deserialize)]
struct JobTemplate {
    spec: Option<ControllerSpec>,
}

#[derive(Default, Deserialize)]
struct ScaleSpec {
    #[serde(default, deserialize_with = "or_default")]
    replicas: i32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    #[serde(rename = "type")]
    type_: Option<String>,
    external_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GrantSpec {
    #[serde(deserialize_with = "or_default")]
    from: Vec<GrantFrom>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GrantFrom {
    #[serde(deserialize_with = "or_default")]
    namespace: String,
}

/// Reads an object from a map alone: what is derived takes a list of its fields too, which no API server means by one.
fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Fields<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Fields(PhantomData))
}

fn none<T>() -> Option<T> {
    None
}

/// `null` where a value could stand is as good as nothing, to the API server and so to us.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
