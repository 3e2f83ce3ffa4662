//! Security contexts of the Pod and of its containers, and how one fills in for the other.

use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

use crate::control::{ContainerView, FieldPath, Finding, PodView};

/// Whose security context a setting stands in. Its path is only built for a finding: most Pods have none.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Pod(PodView<'a>),
    Container(ContainerView<'a>),
}

impl Place<'_> {
    /// A finding at fields of this security context, with the container's name where there is one.
    pub(super) fn finding(
        self,
        fields: &[&'static str],
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let at = |path: FieldPath| path.field("securityContext").fields(fields);
        match self {
            Self::Pod(pod) => Finding::new(at(pod.path()), message, fix),
            Self::Container(container) => Finding::new(at(container.path()), message, fix).container(container.name),
        }
    }
}

/// What containers set, each container with its place; `None` where the field is absent.
pub(super) fn container_settings<'a, T>(
    pod: &PodView<'a>,
    of_container: impl Fn(&'a SecurityContext) -> Option<T>,
) -> impl Iterator<Item = (Place<'a>, Option<T>)> {
    pod.containers()
        .map(move |container| (Place::Container(container), container.security_context.and_then(&of_container)))
}

/// Every place that sets a field, the Pod first. No inheritance: what is set is judged where it is set.
pub(super) fn settings<'a, T>(
    pod: &PodView<'a>,
    of_pod: impl Fn(&'a PodSecurityContext) -> Option<T>,
    of_container: impl Fn(&'a SecurityContext) -> Option<T>,
) -> impl Iterator<Item = (Place<'a>, T)> {
    let of_the_pod = pod.spec.security_context.as_ref().and_then(of_pod).map(|value| (Place::Pod(*pod), value));
    let of_containers = container_settings(pod, of_container).filter_map(|(place, value)| Some((place, value?)));
    of_the_pod.into_iter().chain(of_containers)
}

/// The places that leave a demanded setting unmet: a wrong value wherever it is set, and `None` for a container that
/// sets nothing while the Pod gives it nothing right either. The latter has its own finding beside the Pod's wrong
/// value, since an ephemeral container that is added later must be seen.
pub(super) fn unmet<'a, T: Copy>(
    pod: &PodView<'a>,
    of_pod: impl Fn(&'a PodSecurityContext) -> Option<T>,
    of_container: impl Fn(&'a SecurityContext) -> Option<T>,
    is_met: impl Fn(T) -> bool + Copy,
) -> impl Iterator<Item = (Place<'a>, Option<T>)> {
    let at_pod = pod.spec.security_context.as_ref().and_then(of_pod);
    let inherited = at_pod.is_some_and(is_met);
    let of_the_pod = at_pod.filter(|value| !is_met(*value)).map(|value| (Place::Pod(*pod), Some(value)));
    let of_containers =
        container_settings(pod, of_container).filter(move |(_, value)| !value.map_or(inherited, is_met));
    of_the_pod.into_iter().chain(of_containers)
}

/// True when the Pod has a user namespace of its own, where root is not root of the node.
pub(super) fn in_user_namespace(pod: &PodView<'_>) -> bool {
    pod.spec.host_users == Some(false)
}
