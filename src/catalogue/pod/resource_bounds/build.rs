//! The ResourceQuota and the LimitRange that the control has built.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, LimitRangeSpec, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::RESOURCES;
use crate::api::cloud_workload::Size;
use crate::catalogue::built;
use crate::control::{Bound, Bounds, Params};

/// The name of both.
pub const NAME: &str = "amanat-resource-bounds";

/// What a ResourceQuota can hold down.
pub const QUOTA: &[&str] = &[
    "limits.cpu",
    "limits.memory",
    "persistentvolumeclaims",
    "pods",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "services.loadbalancers",
    "services.nodeports",
];

/// What the two are built from.
pub struct Plan<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Its class.
    pub class: &'a str,
    /// The size that its CloudWorkload asks for.
    pub size: Option<&'a Size>,
    /// The control's parameters for the class.
    pub params: &'a Params,
    /// Pods of older controllers must come back, whatever they use.
    pub graced: bool,
}

/// What is built, without owner references.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Built {
    /// The ResourceQuota; none when nothing is bounded.
    pub quota: Option<ResourceQuota>,
    /// The LimitRange; none when nothing is given or bounded.
    pub limit_range: Option<LimitRange>,
}

impl Plan<'_> {
    /// Builds.
    pub fn build(&self) -> Built {
        let hard = quota(self.params, self.size);
        let quota = ResourceQuota {
            metadata: built::metadata(self.namespace, NAME),
            spec: Some(ResourceQuotaSpec { hard: Some(quantities(&hard)), ..Default::default() }),
            status: None,
        };
        let limits = self.limits();
        let empty = LimitRangeItem::default();
        let limit_range = LimitRange {
            metadata: built::metadata(self.namespace, NAME),
            spec: Some(LimitRangeSpec {
                limits: vec![LimitRangeItem { type_: "Container".to_owned(), ..limits.clone() }],
            }),
        };
        Built { quota: (!hard.is_empty()).then_some(quota), limit_range: (limits != empty).then_some(limit_range) }
    }

    /// Written out as the API server would complete it, so that what is read back is the same.
    fn limits(&self) -> LimitRangeItem {
        let mut of = LimitRangeItem::default();
        let set = |map: &mut Option<BTreeMap<String, Quantity>>, resource: &str, bound: &Bound| {
            map.get_or_insert_default().insert(resource.to_owned(), Quantity(bound.text.clone()));
        };
        for resource in RESOURCES {
            let most = self.params.bound("max", resource);
            let max = most.filter(|_| !self.graced);
            let default = default_limit(self.params, resource).or_else(|| max.cloned());
            let request = self.params.bound("defaultRequest", resource).cloned();
            let request = match (request, default.as_ref().or(most)) {
                (Some(request), Some(most)) => Some(request.lower(most)),
                (request, _) => request.or_else(|| default.clone()),
            };
            if let Some(max) = max {
                set(&mut of.max, resource, max);
            }
            if let Some(default) = &default {
                set(&mut of.default, resource, default);
            }
            if let Some(request) = &request {
                set(&mut of.default_request, resource, request);
            }
        }
        of
    }

    /// What the CloudWorkload asks for beyond the class's ceiling.
    pub fn beyond(&self) -> Vec<String> {
        beyond(self.params, self.size, self.class)
    }
}

/// The limit that a container gets which sets none.
pub fn default_limit(params: &Params, resource: &str) -> Option<Bound> {
    let default = params.bound("default", resource)?.clone();
    Some(match params.bound("max", resource) {
        Some(max) => default.lower(max),
        None => default,
    })
}

/// What a size asks for, by the field and the quota that it feeds.
fn asked(size: Option<&Size>) -> Vec<(&'static str, &'static str, Bound)> {
    let Some(size) = size else { return Vec::new() };
    let of = |field, resource, text: Option<&str>| Some((field, resource, Bound::parse(text?)?));
    let text = |quantity: &'_ Option<Quantity>| quantity.as_ref().map(|quantity| quantity.0.clone());
    let pods = size.pods.map(|pods| pods.to_string());
    let asked = [
        of("cpu", "requests.cpu", text(&size.cpu).as_deref()),
        of("memory", "requests.memory", text(&size.memory).as_deref()),
        of("pods", "pods", pods.as_deref()),
    ];
    asked.into_iter().flatten().collect()
}

/// The quota: of the class's ceiling and the size, the lower.
fn quota(params: &Params, size: Option<&Size>) -> Bounds {
    let mut hard = params.bounds("quota").cloned().unwrap_or_default();
    for (_, resource, bound) in asked(size) {
        let lower = match hard.get(resource) {
            Some(ceiling) => bound.lower(ceiling),
            None => bound,
        };
        hard.insert(resource, lower);
    }
    hard
}

/// What a size asks for beyond the ceiling of a class.
pub fn beyond(params: &Params, size: Option<&Size>, class: &str) -> Vec<String> {
    let above = |(field, resource, bound): (&str, &str, Bound)| {
        let ceiling = params.bound("quota", resource).filter(|ceiling| bound.amount > ceiling.amount)?;
        let (asked, given) = (&bound.text, &ceiling.text);
        Some(format!("spec.size.{field}: {asked} is above {given}, the most that class {class} gives, which holds"))
    };
    asked(size).into_iter().filter_map(above).collect()
}

fn quantities(bounds: &Bounds) -> BTreeMap<String, Quantity> {
    bounds.iter().map(|(resource, bound)| ((*resource).to_owned(), Quantity(bound.text.clone()))).collect()
}
