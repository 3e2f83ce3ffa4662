//! The kinds of `amanat.dev`: one file a kind, each with its schema, the rules that one object can decide by itself
//! (as CEL for the API server and as Rust for everything offline), and its status.

mod baseline_rules;
#[expect(unreachable_pub, reason = "KubeSchema copies the spec into a function, `pub` and all")]
#[expect(clippy::duplicated_attributes, reason = "printer columns of one type")]
pub mod cloud_service_provider;
#[expect(unreachable_pub, reason = "KubeSchema copies the spec into a function, `pub` and all")]
pub mod cloud_workload;
pub mod condition;
mod crds;
pub mod duration;
mod effect;
mod inert;
mod invalid;
mod kind;
#[expect(unreachable_pub, reason = "KubeSchema copies the spec into a function, `pub` and all")]
#[expect(clippy::duplicated_attributes, reason = "printer columns of one type")]
pub mod public_sector_entity;
mod quantity;
mod schema;
#[expect(unreachable_pub, reason = "KubeSchema copies the spec into a function, `pub` and all")]
#[expect(clippy::duplicated_attributes, reason = "printer columns of one type")]
pub mod security_baseline;
mod shape;
mod suggest;
pub mod time;
mod walk;

pub use cloud_service_provider::{
    CloudServiceProvider, CloudServiceProviderSpec, CloudServiceProviderStatus, Grade, ProviderState, Site,
};
pub use cloud_workload::{CloudModel, CloudWorkload, CloudWorkloadSpec, CloudWorkloadStatus, ServiceModel};
pub use crds::{crd_files, crds};
pub use effect::{Effect, Undeclared};
pub use inert::{
    inert_fields_of_cloud_service_provider, inert_fields_of_cloud_workload, inert_fields_of_public_sector_entity,
    inert_fields_of_security_baseline,
};
pub use invalid::Invalid;
pub use kind::{Kind, check, read, unknown_fields};
pub use public_sector_entity::{PublicSectorEntity, PublicSectorEntitySpec, PublicSectorEntityStatus};
pub use quantity::Amount;
pub use security_baseline::{
    ControlSpec, DataClass, Groups, PlacementRow, Rollout, SecurityBaseline, SecurityBaselineSpec,
    SecurityBaselineStatus,
};
pub use suggest::nearest;

/// API group of every kind.
pub const GROUP: &str = "amanat.dev";
/// Version of every kind.
pub const VERSION: &str = "v1alpha1";
/// Label of a namespace that remembers its data class.
pub const DATA_CLASS_LABEL: &str = "amanat.dev/data-class";

/// The label that says in which country a node stands. Its prefix keeps kubelets from writing it on their own nodes.
pub const JURISDICTION_LABEL: &str = "node-restriction.kubernetes.io/amanat-jurisdiction";

/// The label that says in which region a node stands.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// Field manager of everything that Amanat writes.
pub const FIELD_MANAGER: &str = "amanat";
/// Name of every CloudWorkload.
pub const WORKLOAD_NAME: &str = "workload";
