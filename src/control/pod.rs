//! A typed view of a Pod's spec, wherever it is embedded.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, SecurityContext};

use super::{Container, ContainerPort, FieldPath, Handler, Kind, Lifecycle, PodSpec};

/// A Pod's spec and annotations, with the paths that lead there.
#[derive(Clone, Copy)]
pub struct PodView<'a> {
    /// The kind that carries the spec.
    pub kind: Kind,
    /// The annotations of the Pod or of the template.
    pub annotations: &'a BTreeMap<String, String>,
    /// The labels of the Pod or of the template.
    pub labels: &'a BTreeMap<String, String>,
    /// The spec.
    pub spec: &'a PodSpec,
}

/// Which list of the spec a container stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerList {
    /// `initContainers`
    Init,
    /// `containers`
    Main,
    /// `ephemeralContainers`
    Ephemeral,
}

impl ContainerList {
    /// The name of the field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// One container of any of the three lists.
#[derive(Clone, Copy)]
pub struct ContainerView<'a> {
    /// The kind that carries the spec.
    kind: Kind,
    /// The list it stands in.
    pub list: ContainerList,
    /// Its place in that list.
    pub index: usize,
    /// Its name.
    pub name: &'a str,
    /// Its image, when set.
    pub image: Option<&'a str>,
    /// Its pull policy, when set.
    pub image_pull_policy: Option<&'a str>,
    /// Its security context, when set.
    pub security_context: Option<&'a SecurityContext>,
    /// Its ports.
    pub ports: &'a [ContainerPort],
    /// Its resources, when set.
    pub resources: Option<&'a ResourceRequirements>,
    /// Its lifecycle handlers, when set.
    pub lifecycle: Option<&'a Lifecycle>,
    /// Its liveness probe, when set.
    pub liveness_probe: Option<&'a Handler>,
    /// Its readiness probe, when set.
    pub readiness_probe: Option<&'a Handler>,
    /// Its startup probe, when set.
    pub startup_probe: Option<&'a Handler>,
}

impl<'a> ContainerView<'a> {
    fn of(kind: Kind, list: ContainerList, index: usize, container: &'a Container) -> Self {
        Self {
            kind,
            list,
            index,
            name: &container.name,
            image: container.image.as_deref(),
            image_pull_policy: container.image_pull_policy.as_deref(),
            security_context: container.security_context.as_ref(),
            ports: container.ports.as_deref().unwrap_or_default(),
            resources: container.resources.as_ref(),
            lifecycle: container.lifecycle.as_ref(),
            liveness_probe: container.liveness_probe.as_ref(),
            readiness_probe: container.readiness_probe.as_ref(),
            startup_probe: container.startup_probe.as_ref(),
        }
    }
}

impl<'a> PodView<'a> {
    /// The path of the spec.
    pub fn path(&self) -> FieldPath {
        FieldPath::of(self.kind.pod_spec_path())
    }

    /// The path of one annotation.
    pub fn annotation_path(&self, key: &str) -> FieldPath {
        FieldPath::of(self.kind.pod_metadata_path()).field("annotations").key(key)
    }

    /// True when the spec says that the Pod runs on Windows.
    pub fn is_windows(&self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Init containers, containers and ephemeral containers, in this order.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'a>> + use<'a> {
        let kind = self.kind;
        let lists = [
            (ContainerList::Init, self.spec.init_containers.as_deref().unwrap_or_default()),
            (ContainerList::Main, &self.spec.containers),
            (ContainerList::Ephemeral, self.spec.ephemeral_containers.as_deref().unwrap_or_default()),
        ];
        lists.into_iter().flat_map(move |(list, containers)| {
            let of = move |(index, container)| ContainerView::of(kind, list, index, container);
            containers.iter().enumerate().map(of)
        })
    }
}

impl ContainerView<'_> {
    /// The path of the container.
    pub fn path(&self) -> FieldPath {
        FieldPath::of(self.kind.pod_spec_path()).field(self.list.field()).index(self.index)
    }
}
