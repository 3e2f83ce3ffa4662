//! Fields that are part of the kinds and whose behaviour isn't built yet: they give a warning at admission and the
//! condition `Partial`.

use super::{CloudServiceProviderSpec, CloudWorkloadSpec, PublicSectorEntitySpec, SecurityBaselineSpec};

fn set<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

/// Fields of a CloudWorkload that are set and not acted upon yet.
#[must_use]
pub fn inert_fields_of_cloud_workload(spec: &CloudWorkloadSpec) -> Vec<&'static str> {
    set([
        ("spec.sla", spec.sla.is_some()),
        ("spec.exitPlan", spec.exit_plan.is_some()),
        ("spec.tags", !spec.tags.is_empty()),
    ])
}

/// Fields of a CloudServiceProvider that are set and not acted upon yet.
#[must_use]
pub fn inert_fields_of_cloud_service_provider(spec: &CloudServiceProviderSpec) -> Vec<&'static str> {
    set([
        ("spec.certifications", !spec.certifications.is_empty()),
        ("spec.audit", spec.audit.is_some()),
        ("spec.contacts", spec.contacts.is_some()),
    ])
}

/// Fields of a PublicSectorEntity that are set and not acted upon yet.
#[must_use]
pub fn inert_fields_of_public_sector_entity(spec: &PublicSectorEntitySpec) -> Vec<&'static str> {
    set([
        ("spec.criticalInfrastructure", spec.critical_infrastructure),
        ("spec.access", spec.access.is_some()),
        ("spec.contacts", spec.contacts.is_some()),
    ])
}

/// Fields of a SecurityBaseline that are set and not acted upon yet.
#[must_use]
pub fn inert_fields_of_security_baseline(spec: &SecurityBaselineSpec) -> Vec<&'static str> {
    set([
        ("spec.clusterScoped", spec.cluster_scoped.is_some()),
        ("spec.exemptions", spec.exemptions.is_some()),
        ("spec.approvers", spec.approvers.is_some()),
    ])
}
