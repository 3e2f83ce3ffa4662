//! The kinds of objects that controls judge, and the operations on them.

use std::fmt;

/// A kind that at least one control judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1 Pod`, with its subresources.
    Pod,
    /// `apps/v1 Deployment`.
    Deployment,
    /// `apps/v1 StatefulSet`.
    StatefulSet,
    /// `apps/v1 DaemonSet`.
    DaemonSet,
    /// `apps/v1 ReplicaSet`.
    ReplicaSet,
    /// `v1 ReplicationController`.
    ReplicationController,
    /// `batch/v1 Job`.
    Job,
    /// `batch/v1 CronJob`.
    CronJob,
    /// `v1 PodTemplate`.
    PodTemplate,
    /// `autoscaling/v1 Scale`, as the `scale` subresource of a controller.
    Scale,
    /// `v1 Namespace`, with `status` and `finalize`.
    Namespace,
    /// `networking.k8s.io/v1 NetworkPolicy`.
    NetworkPolicy,
    /// `v1 ResourceQuota`.
    ResourceQuota,
    /// `v1 LimitRange`.
    LimitRange,
    /// `v1 PersistentVolumeClaim`.
    PersistentVolumeClaim,
    /// `v1 Service`.
    Service,
    /// `networking.k8s.io/v1 Ingress`.
    Ingress,
    /// `gateway.networking.k8s.io/v1beta1 ReferenceGrant`, where a cluster has it.
    ReferenceGrant,
    /// `amanat.dev/v1alpha1 CloudWorkload`.
    CloudWorkload,
}

/// The nine kinds that carry a Pod's spec: Pods first, then those with a template.
pub const WORKLOADS: &[Kind] = &[
    Kind::Pod,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::Job,
    Kind::CronJob,
    Kind::PodTemplate,
];

impl Kind {
    /// Every kind, in the order of the enum.
    pub const ALL: &'static [Kind] = &[
        Kind::Pod,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ReplicaSet,
        Kind::ReplicationController,
        Kind::Job,
        Kind::CronJob,
        Kind::PodTemplate,
        Kind::Scale,
        Kind::Namespace,
        Kind::NetworkPolicy,
        Kind::ResourceQuota,
        Kind::LimitRange,
        Kind::PersistentVolumeClaim,
        Kind::Service,
        Kind::Ingress,
        Kind::ReferenceGrant,
        Kind::CloudWorkload,
    ];

    /// The kind of an object by its API group and kind name; any version of the group counts, since old versions have
    /// the same template path.
    pub fn from_group_kind(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| {
            known.name() == kind && (known.group() == group || (group == "extensions" && known.once_in_extensions()))
        })
    }

    /// Deployments, DaemonSets, ReplicaSets, NetworkPolicies and Ingresses were served by `extensions/v1beta1`; manifests of that
    /// time are still about.
    fn once_in_extensions(self) -> bool {
        matches!(self, Self::Deployment | Self::DaemonSet | Self::ReplicaSet | Self::NetworkPolicy | Self::Ingress)
    }

    /// The kind's name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::PodTemplate => "PodTemplate",
            Self::Scale => "Scale",
            Self::Namespace => "Namespace",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::Ingress => "Ingress",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::CloudWorkload => "CloudWorkload",
        }
    }

    /// The API group; empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Pod
            | Self::ReplicationController
            | Self::PodTemplate
            | Self::Namespace
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::PersistentVolumeClaim
            | Self::Service => "",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps",
            Self::Job | Self::CronJob => "batch",
            Self::Scale => "autoscaling",
            Self::NetworkPolicy | Self::Ingress => "networking.k8s.io",
            Self::ReferenceGrant => "gateway.networking.k8s.io",
            Self::CloudWorkload => crate::api::GROUP,
        }
    }

    /// The preferred version, for messages.
    pub fn version(self) -> &'static str {
        match self {
            Self::ReferenceGrant => "v1beta1",
            Self::CloudWorkload => crate::api::VERSION,
            _ => "v1",
        }
    }

    /// The version for webhook rules. Which ones an API has that doesn't come with Kubernetes, the cluster's own
    /// installation of it decides.
    pub fn rule_version(self) -> &'static str {
        if self == Self::ReferenceGrant { "*" } else { self.version() }
    }

    /// The plural resource name; a [`Kind::Scale`] has none of its own.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ReplicaSet => "replicasets",
            Self::ReplicationController => "replicationcontrollers",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
            Self::PodTemplate => "podtemplates",
            Self::Scale => "scale",
            Self::Namespace => "namespaces",
            Self::NetworkPolicy => "networkpolicies",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
            Self::Service => "services",
            Self::Ingress => "ingresses",
            Self::ReferenceGrant => "referencegrants",
            Self::CloudWorkload => "cloudworkloads",
        }
    }

    /// True for the nine kinds that carry a Pod's spec.
    pub fn is_workload(self) -> bool {
        WORKLOADS.contains(&self)
    }

    /// True for the kinds that a `scale` subresource exists for.
    pub fn is_scalable(self) -> bool {
        matches!(self, Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::ReplicationController)
    }

    /// The fields that lead to the Pod's spec; empty for kinds without one.
    pub fn pod_spec_path(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &["spec"],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
            Self::PodTemplate => &["template", "spec"],
            Self::Deployment
            | Self::StatefulSet
            | Self::DaemonSet
            | Self::ReplicaSet
            | Self::ReplicationController
            | Self::Job => &["spec", "template", "spec"],
            Self::Scale
            | Self::Namespace
            | Self::NetworkPolicy
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::PersistentVolumeClaim
            | Self::Service
            | Self::Ingress
            | Self::ReferenceGrant
            | Self::CloudWorkload => &[],
        }
    }

    /// The fields that lead to the Pod's metadata.
    pub fn pod_metadata_path(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &["metadata"],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template", "metadata"],
            Self::PodTemplate => &["template", "metadata"],
            _ => &["spec", "template", "metadata"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// It is made. What `check` judges is judged as if it were made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
}

impl Operation {
    /// The word of webhook rules and AdmissionReviews.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// The objects and operations that a control judges: webhook rules are generated from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judges {
    /// The kinds.
    pub kinds: &'static [Kind],
    /// The operations on them.
    pub operations: &'static [Operation],
    /// Subresources beside the resource itself; `*` is every one.
    pub subresources: &'static [&'static str],
}

/// Pods when they are made or changed, every subresource included.
pub const PODS: Judges =
    Judges { kinds: &[Kind::Pod], operations: &[Operation::Create, Operation::Update], subresources: &["*"] };

/// The eight kinds with a Pod template when they are made or changed.
pub const TEMPLATES: Judges = Judges {
    kinds: match WORKLOADS {
        [Kind::Pod, templates @ ..] => templates,
        all => all,
    },
    operations: &[Operation::Create, Operation::Update],
    subresources: &[],
};

/// What a control of Pods judges: the nine workload kinds.
pub const POD_SPECS: &[Judges] = &[PODS, TEMPLATES];
