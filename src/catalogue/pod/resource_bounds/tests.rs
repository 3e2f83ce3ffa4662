//! Both sides of every bound, and what is built passes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::build::{NAME, Plan};
use super::*;
use crate::api::cloud_workload::Size;
use crate::control::Subject;

fn params(values: &Value) -> Params {
    let mut params = Params::default();
    for (name, value) in values.as_object().unwrap() {
        let spec = RESOURCE_BOUNDS.params.iter().find(|spec| spec.name == name).unwrap();
        params.set(spec.name, spec.parse(value).unwrap());
    }
    params
}

fn usual() -> Params {
    params(&json!({"max": {"cpu": 2, "memory": "2Gi"}, "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m"}}))
}

fn found(spec: &Value, params: &Params, supply: Supply) -> Value {
    let pod = Subject::from_manifest(Kind::Pod, json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
    let mut sink = Sink::new();
    for resource in RESOURCES {
        Demand { resource, params, supply, pod: &pod.pod().unwrap() }.judge(&mut sink);
    }
    let found = sink.into_parts().0;
    found.iter().map(|found| json!([found.path.to_string(), found.container, found.value])).collect()
}

fn one(resources: &Value) -> Value {
    json!({"containers": [{"name": "a", "resources": resources}]})
}

const LIMITS: &str = "spec.containers[0].resources.limits";
const REQUESTS: &str = "spec.containers[0].resources.requests";

#[test]
fn both_sides_of_every_bound() {
    let both = json!({"cpu": "1", "memory": "1Gi"});
    let cpu = |text: &str| json!({"limits": {"cpu": text, "memory": "1Gi"}});
    let at = |path: &str, resource: &str, value: Value| json!([format!("{path}[{resource}]"), "a", value]);
    let table = [
        ("all set", json!({"limits": both, "requests": both}), json!([])),
        ("requests follow from limits", json!({"limits": both}), json!([])),
        ("nothing", json!({}), json!([at(LIMITS, "cpu", json!(null)), at(LIMITS, "memory", json!(null))])),
        ("null", json!(null), json!([at(LIMITS, "cpu", json!(null)), at(LIMITS, "memory", json!(null))])),
        (
            "requests alone",
            json!({"requests": both}),
            json!([at(LIMITS, "cpu", json!(null)), at(LIMITS, "memory", json!(null))]),
        ),
        ("one of two", json!({"limits": {"memory": "1Gi"}}), json!([at(LIMITS, "cpu", json!(null))])),
        ("at the most", cpu("2"), json!([])),
        ("at the most, written otherwise", cpu("2000m"), json!([])),
        ("a nano-unit above", cpu("2.000000001"), json!([at(LIMITS, "cpu", json!("2.000000001"))])),
        ("huge", cpu("9e99"), json!([at(LIMITS, "cpu", json!("9e99"))])),
        ("zero is no limit", cpu("0"), json!([at(LIMITS, "cpu", json!("0"))])),
        ("below zero", cpu("-1"), json!([at(LIMITS, "cpu", json!("-1"))])),
        ("no quantity", cpu("much"), json!([at(LIMITS, "cpu", json!("much"))])),
        ("a number", json!({"limits": {"cpu": 1.5, "memory": 1_073_741_824}}), json!([])),
        (
            "a request of zero",
            json!({"limits": both, "requests": {"cpu": "0m"}}),
            json!([at(REQUESTS, "cpu", json!("0m"))]),
        ),
        (
            "a request above the most",
            json!({"limits": both, "requests": {"cpu": 3}}),
            json!([at(REQUESTS, "cpu", json!("3"))]),
        ),
    ];
    for (what, resources, expected) in table {
        for supply in [Supply::None, Supply::Missed] {
            assert_eq!(found(&one(&resources), &usual(), supply), expected, "{what}");
        }
    }
}

#[test]
fn every_list_but_the_ephemeral_one_and_what_the_pod_sets() {
    let spec = json!({
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}],
        "ephemeralContainers": [{"name": "e"}]});
    let init = |resource: &str| json!([format!("spec.initContainers[0].resources.limits[{resource}]"), "i", null]);
    assert_eq!(found(&spec, &usual(), Supply::None), json!([init("cpu"), init("memory")]));
    let of_pod = |resources: Value| {
        let mut spec = spec.clone();
        spec["resources"] = resources;
        found(&spec, &usual(), Supply::None)
    };
    assert_eq!(of_pod(json!({"limits": {"cpu": 2, "memory": "2Gi"}})), json!([]));
    let above = json!([["spec.resources.limits[cpu]", null, "3"]]);
    assert_eq!(of_pod(json!({"limits": {"cpu": 3, "memory": "2Gi"}})), above);
    let zero = json!([["spec.resources.requests[cpu]", null, "0"]]);
    assert_eq!(of_pod(json!({"limits": {"cpu": 2, "memory": "2Gi"}, "requests": {"cpu": 0}})), zero);
    assert_eq!(of_pod(json!({"requests": {"cpu": 2, "memory": "2Gi"}})), json!([init("cpu"), init("memory")]));
}

#[test]
fn what_is_coming_may_be_left_out_and_what_contradicts_it_may_not() {
    let limits = |resource: &str| json!([format!("{LIMITS}[{resource}]"), "a", null]);
    let table = [
        (json!({}), json!([])),
        (json!({"requests": {"cpu": "500m"}}), json!([])),
        (json!({"requests": {"cpu": "501m"}}), json!([limits("cpu")])),
        (json!({"limits": {"cpu": 0}}), json!([[format!("{LIMITS}[cpu]"), "a", "0"]])),
        (json!({"limits": {"cpu": 3}}), json!([[format!("{LIMITS}[cpu]"), "a", "3"]])),
    ];
    for (resources, expected) in table {
        assert_eq!(found(&one(&resources), &usual(), Supply::Coming), expected, "{resources}");
    }
    let mut small = one(&json!({}));
    small["resources"] = json!({"limits": {"cpu": "200m", "memory": "1Gi"}});
    assert_eq!(found(&small, &usual(), Supply::Coming), json!([limits("cpu")]), "below what is given");
    let nothing = params(&json!({"max": {"cpu": 2}}));
    assert_eq!(found(&one(&json!({})), &nothing, Supply::Coming), json!([limits("cpu"), limits("memory")]));
}

#[test]
fn a_size_counts_up_to_the_ceiling() {
    let params = params(&json!({"quota": {"requests.cpu": 32, "pods": 100, "services.loadbalancers": 0}}));
    let table = [
        (json!(null), json!({"pods": "100", "requests.cpu": "32", "services.loadbalancers": "0"}), 0),
        (
            json!({"cpu": "8", "memory": "64Gi", "pods": 20}),
            json!({"pods": "20", "requests.cpu": "8", "requests.memory": "64Gi", "services.loadbalancers": "0"}),
            0,
        ),
        (
            json!({"cpu": "32001m", "pods": 101}),
            json!({"pods": "100", "requests.cpu": "32", "services.loadbalancers": "0"}),
            2,
        ),
        (json!({"cpu": "32000m"}), json!({"pods": "100", "requests.cpu": "32000m", "services.loadbalancers": "0"}), 0),
    ];
    for (size, expected, beyond) in table {
        let read: Option<Size> = serde_json::from_value(size.clone()).unwrap();
        let plan = Plan { namespace: "n", class: "Restricted", size: read.as_ref(), params: &params, graced: false };
        let hard = plan.build().quota.unwrap().spec.unwrap().hard;
        assert_eq!(serde_json::to_value(hard).unwrap(), expected, "{size}");
        assert_eq!(plan.beyond().len(), beyond, "{size}");
    }
}

#[test]
fn what_nothing_is_set_for_is_not_built_and_a_grace_bounds_no_container() {
    let build = |params: &Params, graced| Plan { namespace: "n", class: "C", size: None, params, graced }.build();
    let nothing = build(&Params::default(), false);
    assert_eq!((nothing.quota, nothing.limit_range), (None, None));
    let limits =
        |graced| serde_json::to_value(build(&usual(), graced).limit_range.unwrap().spec.unwrap().limits).unwrap();
    let given = json!({"type": "Container", "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "512Mi"}});
    assert_eq!(limits(true), json!([given]));
    let mut bounded = given;
    bounded["max"] = json!({"cpu": "2", "memory": "2Gi"});
    assert_eq!(limits(false), json!([bounded]));
    let most = build(&params(&json!({"max": {"cpu": 2}})), false).limit_range.unwrap();
    let completed =
        json!([{"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}}]);
    assert_eq!(serde_json::to_value(most.spec.unwrap().limits).unwrap(), completed, "as the API server completes it");
}

fn quantities() -> impl Strategy<Value = Value> {
    let quantity = prop::sample::select(vec!["1m", "100m", "0.5", "1", "2", "64Mi", "1Gi", "1e9"]);
    let of =
        |resource: &'static str| (prop::bool::ANY, quantity.clone()).prop_map(move |(set, text)| (resource, set, text));
    (of("cpu"), of("memory")).prop_map(|both| {
        let set = [both.0, both.1].into_iter().filter(|(_, set, _)| *set);
        set.map(|(resource, _, text)| (resource.to_owned(), json!(text))).collect::<serde_json::Map<_, _>>().into()
    })
}

/// A bare container as the API server completes it by a LimitRange.
fn completed(limit_range: Option<&k8s_openapi::api::core::v1::LimitRange>) -> Value {
    let item = limit_range.and_then(|built| built.spec.as_ref()?.limits.first().cloned()).unwrap_or_default();
    json!({"limits": item.default, "requests": item.default_request})
}

proptest! {
    #[test]
    fn what_is_built_is_sound_and_what_it_gives_passes(
        max in quantities(), default in quantities(), request in quantities(), graced in prop::bool::ANY,
    ) {
        let params = params(&json!({"max": max, "default": default, "defaultRequest": request}));
        let built = Plan { namespace: "n", class: "C", size: None, params: &params, graced }.build();
        let resources = completed(built.limit_range.as_ref());
        if let Some(limit_range) = &built.limit_range {
            prop_assert_eq!(limit_range.metadata.name.as_deref(), Some(NAME));
            let item = &limit_range.spec.as_ref().unwrap().limits[0];
            let amount = |map: &Option<BTreeMap<String, Quantity>>, resource: &str| {
                map.as_ref().and_then(|map| Amount::parse(&map.get(resource)?.0))
            };
            for resource in RESOURCES {
                let chain = [amount(&item.default_request, resource), amount(&item.default, resource), amount(&item.max, resource)];
                prop_assert!(chain.into_iter().flatten().is_sorted(), "{item:?}");
            }
        }
        // Whatever a template may leave out is given, and passes as what a Pod has.
        let bare = found(&one(&json!({})), &params, Supply::Coming);
        let made = found(&one(&resources), &params, Supply::Missed);
        let missing = |found: &Value| found.as_array().unwrap().iter().map(|found| found[0].to_string()).collect::<Vec<_>>();
        for path in missing(&made) {
            prop_assert!(missing(&bare).contains(&path), "{path}: {resources}");
        }
    }

    #[test]
    fn a_lower_bound_never_loosens(
        a in quantities(), b in quantities(), limits in quantities(), requests in quantities(),
    ) {
        let spec = RESOURCE_BOUNDS.params.iter().find(|spec| spec.name == "max").unwrap();
        let joined = spec.stricter(&spec.parse(&a).unwrap(), &spec.parse(&b).unwrap());
        let mut stricter = Params::default();
        stricter.set("max", joined);
        let pod = one(&json!({"limits": limits, "requests": requests}));
        let after = found(&pod, &stricter, Supply::None);
        for max in [a, b] {
            for denial in found(&pod, &params(&json!({"max": max})), Supply::None).as_array().unwrap() {
                prop_assert!(after.as_array().unwrap().contains(denial), "{denial} {after}");
            }
        }
    }
}
