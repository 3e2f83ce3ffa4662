//! Volumes of a Pod, as far as they are read: what makes a type one that needs no trust, and all of the others.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::ClaimTemplate;
use super::subject::or_default;

/// A volume. That it has one source is for the API server to demand.
#[derive(Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "of these sources nothing is read but that they are there")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// True for a `configMap`.
    pub config_map: bool,
    /// A driver's volume.
    pub csi: Option<CsiSource>,
    /// True for a `downwardAPI`.
    pub downward_api: bool,
    /// True for an `emptyDir`.
    pub empty_dir: bool,
    /// A claim that is made for the Pod.
    pub ephemeral: Option<Box<EphemeralSource>>,
    /// An image.
    pub image: Option<ImageSource>,
    /// True for a `persistentVolumeClaim`.
    pub persistent_volume_claim: bool,
    /// Several sources in one folder.
    pub projected: Option<ProjectedSource>,
    /// True for a `secret`.
    pub secret: bool,
    /// Sources of the other types that the API knows, by the names of their fields.
    pub others: BTreeMap<&'static str, Map<String, Value>>,
}

/// The fields of the sources that trust the Pod's author. What isn't known is no source.
const OTHERS: [&str; 21] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    HOST_PATH,
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];
const HOST_PATH: &str = "hostPath";

/// What is read of a `csi` source.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CsiSource {
    /// The driver's name.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
}

/// What is read of an `ephemeral` source.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EphemeralSource {
    /// The claim.
    pub volume_claim_template: Option<ClaimTemplate>,
}

/// What is read of an `image` source.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ImageSource {
    /// The image's reference.
    pub reference: Option<String>,
}

/// What is read of a `projected` source.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProjectedSource {
    /// What it is made of, in its order.
    #[serde(deserialize_with = "or_default")]
    pub sources: Vec<Projection>,
}

/// One source of a `projected` one.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Projection {
    /// A ConfigMap.
    pub config_map: Option<ProjectedConfigMap>,
    /// True for a `downwardAPI`.
    #[serde(rename = "downwardAPI", deserialize_with = "is_there")]
    pub downward_api: bool,
    /// A token of the Pod's ServiceAccount.
    pub service_account_token: Option<ProjectedToken>,
}

/// What is read of a ConfigMap that is projected.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProjectedConfigMap {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// A token that is projected.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProjectedToken {
    /// For whom it is; the API server itself when unset or empty.
    pub audience: Option<String>,
    /// How long it lasts, in seconds.
    pub expiration_seconds: Option<i64>,
    /// Its file.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
}

impl Volume {
    /// The path of the node that it is; empty when it names none.
    pub fn host_path(&self) -> Option<&str> {
        let source = self.others.get(HOST_PATH)?;
        Some(source.get("path").and_then(Value::as_str).unwrap_or_default())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Name,
    ConfigMap,
    Csi,
    #[serde(rename = "downwardAPI")]
    DownwardApi,
    EmptyDir,
    Ephemeral,
    Image,
    PersistentVolumeClaim,
    Projected,
    Secret,
    Other(String),
}

impl<'de> Deserialize<'de> for Volume {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Volume;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a volume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Volume, A::Error> {
        let mut volume = Volume::default();
        let mut name = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Name => once(&mut name, map.next_value()?)?,
                Field::ConfigMap => there_once(&mut volume.config_map, map.next_value()?)?,
                Field::Csi => once(&mut volume.csi, map.next_value()?)?,
                Field::DownwardApi => there_once(&mut volume.downward_api, map.next_value()?)?,
                Field::EmptyDir => there_once(&mut volume.empty_dir, map.next_value()?)?,
                Field::Ephemeral => once(&mut volume.ephemeral, map.next_value()?)?,
                Field::Image => once(&mut volume.image, map.next_value()?)?,
                Field::PersistentVolumeClaim => there_once(&mut volume.persistent_volume_claim, map.next_value()?)?,
                Field::Projected => once(&mut volume.projected, map.next_value()?)?,
                Field::Secret => there_once(&mut volume.secret, map.next_value()?)?,
                Field::Other(other) => match OTHERS.iter().find(|known| **known == other) {
                    Some(known) => {
                        let mut source = volume.others.remove(known);
                        once(&mut source, map.next_value()?)?;
                        volume.others.extend(source.map(|source| (*known, source)));
                    }
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
            }
        }
        volume.name = name.unwrap_or_default();
        Ok(volume)
    }
}

/// A field that stands twice is taken by some readers as it stood first and by others as it stood last.
fn once<T, E: Error>(slot: &mut Option<T>, value: Option<T>) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::custom("a volume has a field twice"));
    }
    *slot = value;
    Ok(())
}

/// [`once`] for a source of which nothing is read.
fn there_once<E: Error>(there: &mut bool, source: Option<Source>) -> Result<(), E> {
    let mut slot = there.then_some(Source);
    once(&mut slot, source)?;
    *there = slot.is_some();
    Ok(())
}

/// An object of which nothing is read.
struct Source;

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Source {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self)
    }
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<Source>::deserialize(deserializer).map(|source| source.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::core::v1 as core;
    use serde_json::json;

    use super::*;

    /// The fields of the API's own type.
    fn fields() -> BTreeSet<String> {
        let schema = serde_json::to_value(schemars::schema_for!(core::Volume)).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_type_of_the_api_is_seen() {
        let nothing = serde_json::from_value::<Volume>(json!({"name": "v"})).unwrap();
        let mut seen = 0;
        for field in fields().iter().filter(|field| *field != "name") {
            let volume: Volume = serde_json::from_value(json!({"name": "v", field: {}})).unwrap();
            assert!(volume != nothing, "{field}");
            let null: Volume = serde_json::from_value(json!({"name": "v", field: null})).unwrap();
            assert!(null == nothing, "{field}");
            for wrong in [json!(1), json!("a")] {
                assert!(
                    serde_json::from_value::<Volume>(json!({"name": "v", field: wrong})).is_err(),
                    "{field} {wrong}"
                );
            }
            seen += 1;
        }
        assert_eq!(seen, OTHERS.len() + 9);
        assert!(serde_json::from_value::<Volume>(json!({"name": "v", "moonDisk": {}})).unwrap() == nothing);
    }

    #[test]
    fn every_field_stands_once() {
        for field in fields() {
            let value = if field == "name" { json!("v") } else { json!({}) };
            for second in [value.clone(), Value::Null] {
                let twice = format!(r#"{{"{field}": {value}, "{field}": {second}}}"#);
                assert!(serde_json::from_str::<Volume>(&twice).is_err(), "{twice}");
            }
        }
    }

    #[test]
    fn a_path_of_the_node_is_found() {
        let table = [
            (json!({"hostPath": {"path": "/etc", "type": "Directory"}}), Some("/etc")),
            (json!({"hostPath": {}}), Some("")),
            (json!({"emptyDir": {}}), None),
        ];
        for (volume, path) in table {
            assert_eq!(serde_json::from_value::<Volume>(volume).unwrap().host_path(), path);
        }
    }
}
