//! Reading and checking an object of one of the kinds.

use kube::{Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::walk::{self, without_nulls};
use super::{
    CloudServiceProvider, CloudServiceProviderSpec, CloudWorkload, CloudWorkloadSpec, Invalid, PublicSectorEntity,
    PublicSectorEntitySpec, SecurityBaseline, SecurityBaselineSpec, WORKLOAD_NAME, baseline_rules,
    cloud_service_provider, cloud_workload, inert_fields_of_cloud_service_provider, inert_fields_of_cloud_workload,
    inert_fields_of_public_sector_entity, inert_fields_of_security_baseline,
};

/// A kind of `amanat.dev`.
pub trait Kind: Resource<DynamicType = ()> + Serialize + DeserializeOwned {
    /// Name of the kind.
    const KIND: &'static str;

    /// What one object can decide by itself beyond its schema: the CEL rules of its definition.
    fn rules(&self) -> Vec<Invalid>;

    /// Fields that are set and not acted upon yet.
    fn inert_fields(&self) -> Vec<&'static str>;

    /// Every problem of the object that the API server would refuse it for; none if it is sound.
    fn validate(&self) -> Vec<Invalid> {
        let Ok(value) = serde_json::to_value(self) else {
            return vec![Invalid::new("", "can't be written as JSON")];
        };
        let mut problems = walk::problems(Self::KIND, &value);
        problems.extend(self.rules());
        problems
    }
}

/// Reads an object, with every problem that the API server would refuse it for. Fields that the kind doesn't have are
/// passed over, as the API server does; [`unknown_fields`] names them.
///
/// # Errors
/// All problems, never an empty list.
pub fn read<K: Kind>(value: &Value) -> Result<K, Vec<Invalid>> {
    let value = without_nulls(value);
    let mut problems = walk::problems(K::KIND, &value);
    match serde_json::from_value::<K>(value) {
        Ok(object) => {
            problems.extend(object.rules());
            if problems.is_empty() { Ok(object) } else { Err(problems) }
        }
        Err(error) if problems.is_empty() => Err(vec![Invalid::new("", error.to_string())]),
        Err(_) => Err(problems),
    }
}

/// Every problem of an object of the kind named, as [`read`] finds them. None for a kind that isn't Amanat's.
#[must_use]
pub fn check(value: &Value, kind: &str) -> Option<Vec<Invalid>> {
    fn of<K: Kind>(value: &Value) -> Option<Vec<Invalid>> {
        Some(read::<K>(value).err().unwrap_or_default())
    }
    match kind {
        CloudWorkload::KIND => of::<CloudWorkload>(value),
        CloudServiceProvider::KIND => of::<CloudServiceProvider>(value),
        PublicSectorEntity::KIND => of::<PublicSectorEntity>(value),
        SecurityBaseline::KIND => of::<SecurityBaseline>(value),
        _ => None,
    }
}

/// Fields of an object that the kind named doesn't have, each with a suggestion where one is near. The API server
/// drops such fields in silence; whoever reads a file must not. Empty for a kind that isn't Amanat's.
#[must_use]
pub fn unknown_fields(value: &Value, kind: &str) -> Vec<Invalid> {
    walk::unknown(kind, value)
}

macro_rules! spec {
    ($($spec:ident of $kind:ident: $rules:expr;)*) => {$(
        impl $spec {
            /// Every problem of the spec that the API server would refuse it for; none if it is sound.
            #[must_use]
            pub fn validate(&self) -> Vec<Invalid> {
                let problems = walk::spec_problems($kind::KIND, serde_json::to_value(self).ok());
                let rules: fn(&Self) -> Vec<Invalid> = $rules;
                // As with the API server, rules are for what is within the schema's limits: some look at every pair.
                if problems.is_empty() { rules(self) } else { problems }
            }
        }
    )*};
}

spec! {
    CloudWorkloadSpec of CloudWorkload: cloud_workload::rules;
    CloudServiceProviderSpec of CloudServiceProvider: cloud_service_provider::rules;
    PublicSectorEntitySpec of PublicSectorEntity: |_| Vec::new();
    SecurityBaselineSpec of SecurityBaseline: baseline_rules::rules;
}

impl Kind for CloudWorkload {
    const KIND: &'static str = "CloudWorkload";

    fn rules(&self) -> Vec<Invalid> {
        let mut problems = cloud_workload::rules(&self.spec);
        if self.name_any() != WORKLOAD_NAME {
            let message = format!("a namespace has one CloudWorkload, named \"{WORKLOAD_NAME}\": rename it");
            problems.push(Invalid::new("metadata.name", message));
        }
        problems
    }

    fn inert_fields(&self) -> Vec<&'static str> {
        inert_fields_of_cloud_workload(&self.spec)
    }
}

impl Kind for CloudServiceProvider {
    const KIND: &'static str = "CloudServiceProvider";

    fn rules(&self) -> Vec<Invalid> {
        cloud_service_provider::rules(&self.spec)
    }

    fn inert_fields(&self) -> Vec<&'static str> {
        inert_fields_of_cloud_service_provider(&self.spec)
    }
}

impl Kind for PublicSectorEntity {
    const KIND: &'static str = "PublicSectorEntity";

    fn rules(&self) -> Vec<Invalid> {
        Vec::new()
    }

    fn inert_fields(&self) -> Vec<&'static str> {
        inert_fields_of_public_sector_entity(&self.spec)
    }
}

impl Kind for SecurityBaseline {
    const KIND: &'static str = "SecurityBaseline";

    fn rules(&self) -> Vec<Invalid> {
        baseline_rules::rules(&self.spec)
    }

    fn inert_fields(&self) -> Vec<&'static str> {
        inert_fields_of_security_baseline(&self.spec)
    }
}
