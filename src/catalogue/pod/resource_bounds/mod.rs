//! The control that bounds what containers and namespaces use, and what it has built.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::Amount;
use crate::catalogue::built;
use crate::control::{
    Body, Bound, Case, Check, ContainerList, ContainerView, FieldPath, Finding, Judges, Kind, Operation, PODS,
    ParamKind, ParamSpec, Params, PodView, Point, Severity, Sink, TEMPLATES,
};

pub mod build;
#[cfg(test)]
mod tests;

/// What a container is bounded in.
pub const RESOURCES: &[&str] = &["cpu", "memory"];

crate::control! {
    /// Every container is bounded, and every namespace.
    ///
    /// Each container and init container has a limit and a request of CPU and of memory, above zero and not above `max`.
    /// A request counts as set when the limit of the same resource is; what `spec.resources` of the Pod sets counts for
    /// containers that set nothing, and isn't above `max` then. Ephemeral containers can't have any. A `pods/resize` is
    /// judged like the Pod that it makes.
    ///
    /// In every namespace of the class the operator builds a LimitRange and a ResourceQuota, both named
    /// `amanat-resource-bounds`: the API server gives `default` and `defaultRequest` to the containers of new Pods that
    /// set nothing, and refuses what is above `max` or exceeds `quota`. So a template may leave out what `default` gives;
    /// a Pod that came before the LimitRange is refused, and its controller makes it again. Where that limit would not
    /// fit (a container's request is above it, or the limit of its Pod's `spec.resources` below), the template has to set
    /// its own.
    ///
    /// `spec.size` of the CloudWorkload feeds the quota: what it asks for beyond the class's `quota` isn't given, and is
    /// named in the condition `ControlsApplied`. Tenants can't change or delete what is built; what an administrator
    /// changes is healed. While controllers that are older than the class's grace exist, the LimitRange goes without
    /// `max`, and the ResourceQuota waits: a Pod that they make again must not be refused.
    ///
    /// ## Why
    /// A container without a limit can take a node's CPU and memory from every workload on it; a namespace without a
    /// quota, the cluster's, by mistake or by an attack.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: api}
    /// spec:
    ///   containers:
    ///   - name: api
    ///     image: registry.example.gov.pk/portal/api:1.4
    ///     resources: {limits: {memory: 256Mi}}
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: api}
    /// spec:
    ///   containers:
    ///   - name: api
    ///     image: registry.example.gov.pk/portal/api:1.4
    ///     resources: {limits: {cpu: "640", memory: 256Mi}}
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: api}
    /// spec:
    ///   containers:
    ///   - name: api
    ///     image: registry.example.gov.pk/portal/api:1.4
    ///     resources: {requests: {cpu: 100m}, limits: {cpu: "1", memory: 256Mi}}
    /// ```
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: api}
    /// spec:
    ///   resources: {limits: {cpu: "2", memory: 1Gi}}
    ///   containers:
    ///   - name: api
    ///     image: registry.example.gov.pk/portal/api:1.4
    ///   - name: proxy
    ///     image: registry.example.gov.pk/portal/proxy:1.4
    /// ```
    pub static RESOURCE_BOUNDS = {
        id: "pod/resource-bounds",
        title: "Resource bounds",
        severity: Severity::Medium,
        since: "0.1.0",
        points: &[Point::Admission, Point::Build, Point::Scan],
        judges: &[
            PODS,
            TEMPLATES,
            Judges {
                kinds: &[Kind::ResourceQuota, Kind::LimitRange],
                operations: &[Operation::Create, Operation::Update, Operation::Delete],
                subresources: &[],
            },
        ],
        reads: &[],
        maps: &[
            ("CCM", "IVS-02"), ("ISO27017", "12.1.3"), ("ISO27001", "A.8.6"), ("NIST800-53", "SC-5"),
            ("NIST800-53", "SC-6"), ("NSA", "C-0270"), ("NSA", "C-0271"), ("NSA", "C-0009"),
        ],
        params: &[
            ParamSpec {
                name: "quota",
                kind: ParamKind::Ceilings(build::QUOTA),
                required: false,
                doc: "The most that a namespace may use in all; its CloudWorkload may ask for less.",
            },
            ParamSpec {
                name: "max",
                kind: ParamKind::Ceilings(RESOURCES),
                required: false,
                doc: "The most that a container may have.",
            },
            ParamSpec {
                name: "default",
                kind: ParamKind::Supplies(RESOURCES),
                required: false,
                doc: "Limits of containers that set none.",
            },
            ParamSpec {
                name: "defaultRequest",
                kind: ParamKind::Supplies(RESOURCES),
                required: false,
                doc: "Requests of containers that set neither these nor limits; those of `default` when absent.",
            },
        ],
        check: Check::Case(check),
    }
}

fn check(case: &Case<'_>, params: &Params, sink: &mut Sink) {
    match &case.subject.body {
        Body::ResourceQuota(_) => {
            built::protect(case, &[build::NAME], "ask for spec.size in the namespace's CloudWorkload", sink);
        }
        Body::LimitRange(_) => built::protect(case, &[build::NAME], "set the containers' own resources", sink),
        _ => {
            let Some(pod) = case.subject.pod() else { return };
            let supply = match (case.builds, case.subject.kind == Kind::Pod && !case.subject.as_written) {
                (false, _) => Supply::None,
                (true, false) => Supply::Coming,
                (true, true) => Supply::Missed,
            };
            for resource in RESOURCES {
                Demand { resource, params, supply, pod: &pod }.judge(sink);
            }
        }
    }
}

/// Whether the LimitRange gives what a container leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// None is built here.
    None,
    /// When the Pod is made.
    Coming,
    /// The Pod was made, and the LimitRange was not there.
    Missed,
}

/// What is demanded of one resource of a Pod.
struct Demand<'a> {
    resource: &'static str,
    params: &'a Params,
    supply: Supply,
    pod: &'a PodView<'a>,
}

impl Demand<'_> {
    fn judge(&self, sink: &mut Sink) {
        let of_pod = self.pod.spec.resources.as_ref();
        let mut leans = false;
        for container in self.pod.containers().filter(|container| container.list != ContainerList::Ephemeral) {
            let place = Place { path: container.path(), container: Some(container) };
            let (limit, request) = (self.limit(container.resources), self.request(container.resources));
            self.amount(&place, "limits", limit, sink);
            // Absent, it is the limit's: the API server writes that out.
            self.amount(&place, "requests", request.filter(|_| request != limit), sink);
            if limit.is_some() {
                continue;
            }
            match build::default_limit(self.params, self.resource).filter(|_| self.supply == Supply::Coming) {
                Some(given) => self.given(&place, &given, request, sink),
                None if self.limit(of_pod).is_some() => leans = true,
                None => self.unbounded(&place, sink),
            }
        }
        if leans {
            let place = Place { path: self.pod.path(), container: None };
            let (limit, request) = (self.limit(of_pod), self.request(of_pod));
            self.amount(&place, "limits", limit, sink);
            self.amount(&place, "requests", request.filter(|_| request != limit), sink);
        }
    }

    fn limit<'r>(&self, resources: Option<&'r ResourceRequirements>) -> Option<&'r Quantity> {
        self.of(resources?.limits.as_ref())
    }

    fn request<'r>(&self, resources: Option<&'r ResourceRequirements>) -> Option<&'r Quantity> {
        self.of(resources?.requests.as_ref())
    }

    fn of<'r>(&self, quantities: Option<&'r BTreeMap<String, Quantity>>) -> Option<&'r Quantity> {
        quantities?.get(self.resource)
    }

    /// A quantity that is set bounds something, and is within the class's bound. A limit of zero is none.
    fn amount(&self, place: &Place<'_>, field: &'static str, quantity: Option<&Quantity>, sink: &mut Sink) {
        let Some(Quantity(text)) = quantity else { return };
        let (resource, word) = (self.resource, field.trim_end_matches('s'));
        let amount = Amount::parse(text).filter(|amount| amount.is_positive());
        let max = self.params.bound("max", resource);
        let (message, fix) = match (amount, max) {
            (None, _) => (
                format!("the {resource} {word} {text} bounds nothing"),
                format!("set resources.{field}.{resource} to a quantity above zero"),
            ),
            (Some(amount), Some(max)) if amount > max.amount => (
                format!(
                    "the {resource} {word} {text} is above {}, the most that the class gives a container",
                    max.text
                ),
                format!("set resources.{field}.{resource} to {} or less", max.text),
            ),
            _ => return,
        };
        sink.push(place.finding(field, resource, message, fix).value(text.as_str()));
    }

    /// The limit that the LimitRange gives is not above the Pod's, and not below the container's request: the API server
    /// would refuse the Pod.
    fn given(&self, place: &Place<'_>, given: &Bound, request: Option<&Quantity>, sink: &mut Sink) {
        let resource = self.resource;
        let amount = |quantity: Option<&Quantity>| quantity.and_then(|quantity| Amount::parse(&quantity.0));
        let of_pod = self.limit(self.pod.spec.resources.as_ref());
        let misfit = if amount(request).is_some_and(|request| request > given.amount) {
            "its request is above"
        } else if amount(of_pod).is_some_and(|limit| limit < given.amount) {
            "the limit of the Pod's spec.resources is below"
        } else {
            return;
        };
        let limit_range = build::NAME;
        let message =
            format!("sets no {resource} limit, and {misfit} {}, which LimitRange {limit_range} gives", given.text);
        sink.push(place.finding("limits", resource, message, format!("set resources.limits.{resource}")));
    }

    fn unbounded(&self, place: &Place<'_>, sink: &mut Sink) {
        let resource = self.resource;
        let missed = self.supply == Supply::Missed && build::default_limit(self.params, resource).is_some();
        let (message, fix) = if missed {
            let limit_range = build::NAME;
            (
                format!("sets no {resource} limit, and LimitRange {limit_range}, which gives one, was not there yet"),
                format!("set resources.limits.{resource}, or create it again; a controller does that by itself"),
            )
        } else {
            (format!("sets no {resource} limit"), format!("set resources.limits.{resource}"))
        };
        sink.push(place.finding("limits", resource, message, fix));
    }
}

/// A container, or the Pod.
struct Place<'a> {
    path: FieldPath,
    container: Option<ContainerView<'a>>,
}

impl Place<'_> {
    fn finding(&self, field: &'static str, resource: &str, message: String, fix: String) -> Finding {
        let finding = Finding::new(self.path.clone().fields(&["resources", field]).key(resource), message, fix);
        match self.container {
            Some(container) => finding.container(container.name),
            None => finding,
        }
    }
}
