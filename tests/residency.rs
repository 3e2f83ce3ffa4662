//! Where Pods may be scheduled, as the engine decides on it: what is supplied, what contradicts, which nodes are named.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use std::sync::Arc;

use amanat::api::Effect;
use amanat::control::{Kind, Node, Nothing, Operation, Subject, WORKLOADS};
use amanat::engine::{Engine, Request, Verdict};
use fixture::{Registry, conforming_spec, engine, governed, instant, merge};
use serde_json::{Value, json};

const ID: &str = "residency/in-country-scheduling";
const PLACE: &str = "node-restriction.kubernetes.io/amanat-jurisdiction";
const REGION: &str = "topology.kubernetes.io/region";
const POOL: &str = "amanat.dev/data-class";
const CLASS: &str = "Restricted";
const TERMS: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";

fn node(labels: Value, pools: &[&str], takes_pods: bool) -> Arc<Node> {
    Arc::new(fixture::node(labels, pools, takes_pods))
}

/// Nodes in and out of the country, and kept for a class.
fn cluster() -> Registry {
    let mut registry = Registry::usual();
    registry.nodes = [
        ("home", node(json!({PLACE: "PK"}), &[], true)),
        ("own", node(json!({PLACE: "PK", REGION: "lahore"}), &[CLASS], true)),
        ("other", node(json!({PLACE: "PK"}), &["Secret"], true)),
        ("abroad", node(json!({PLACE: "AE"}), &[], true)),
        ("unlabelled", node(json!({}), &[], true)),
    ]
    .into_iter()
    .map(|(name, node)| (name.to_owned(), node))
    .collect();
    registry
}

/// The shipped baseline with other parameters of the control.
fn with_params(params: Value) -> Engine {
    let mut spec = serde_json::to_value(fixture::baseline(json!({}))).unwrap();
    let controls = spec["controls"].as_array_mut().unwrap();
    controls.iter_mut().find(|control| control["id"] == ID).unwrap()["params"] = params;
    engine(json!({"controls": spec["controls"]}))
}

fn spec(changes: Value) -> Value {
    let mut spec = conforming_spec();
    merge(&mut spec, changes);
    spec
}

fn terms(terms: Value) -> Value {
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    json!({"affinity": {"nodeAffinity": required}})
}

fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({"key": key, "operator": operator, "values": values})
}

/// The term that a DaemonSet's controller writes.
fn named(node: &str) -> Value {
    json!({"matchFields": [expression("metadata.name", "In", &[node])]})
}

fn object(kind: Kind, spec: &Value) -> Subject {
    let metadata = json!({"name": "x", "namespace": "a"});
    let template = json!({"spec": {"template": {"spec": spec}}});
    let object = match kind {
        Kind::Pod => json!({"metadata": metadata, "spec": spec}),
        Kind::PodTemplate => json!({"metadata": metadata, "template": {"spec": spec}}),
        Kind::CronJob => json!({"metadata": metadata, "spec": {"jobTemplate": template}}),
        _ => json!({"metadata": metadata, "spec": template["spec"]}),
    };
    Subject::from_manifest(kind, object).unwrap()
}

fn pod(changes: Value) -> Subject {
    object(Kind::Pod, &spec(changes))
}

fn of_daemon_set(mut pod: Subject) -> Subject {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}]);
    pod.metadata.owner_references = serde_json::from_value(owner).unwrap();
    pod
}

fn decide(
    engine: &Engine,
    context: &Registry,
    operation: Operation,
    subject: &Subject,
    old: Option<&Subject>,
) -> Verdict {
    let standing = governed(engine, CLASS, None);
    let now = instant("06-01T00:00:00");
    engine.decide(&Request { operation, subject, old, actor: None, standing: &standing, context, now })
}

fn found(verdict: &Verdict) -> Vec<String> {
    let of_control = verdict.outcomes.iter().filter(|outcome| outcome.finding.control == ID);
    of_control.map(|outcome| format!("{} {}", outcome.finding.path, outcome.finding.message)).collect()
}

/// What is found when an object is made: supplied first, then judged.
fn made(engine: &Engine, subject: &Subject) -> (Subject, Vec<String>) {
    let context = cluster();
    let mut subject = subject.clone();
    engine.supply(&governed(engine, CLASS, None), &context, &mut subject);
    let found = found(&decide(engine, &context, Operation::Create, &subject, None));
    (subject, found)
}

fn selection(subject: &Subject) -> Value {
    let spec = subject.pod().unwrap().spec;
    let of_nodes = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = of_nodes.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    json!([required.map(|required| &required.node_selector_terms), spec.tolerations])
}

#[test]
fn what_is_supplied_and_what_is_left() {
    let (here, zone) = (expression(PLACE, "In", &["PK"]), expression("zone", "In", &["a"]));
    let own = json!({"key": POOL, "operator": "Equal", "value": CLASS});
    let other = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"});
    let stated = |value: &str| json!([{"matchExpressions": [expression(PLACE, "In", &[value])]}]);
    let table = [
        ("nothing", json!({}), json!([[{"matchExpressions": [here]}], [own]])),
        ("another affinity", json!({"affinity": {"podAffinity": {}}}), json!([[{"matchExpressions": [here]}], [own]])),
        ("a wish", json!({"affinity": {"nodeAffinity": {}}}), json!([[{"matchExpressions": [here]}], [own]])),
        ("no terms", terms(json!([])), json!([[{"matchExpressions": [here]}], [own]])),
        (
            "every term, but what selects nothing",
            terms(json!([{"matchExpressions": [zone]}, {}, named("home"), {"matchExpressions": [here]}])),
            json!([[{"matchExpressions": [zone, here]}, {},
                {"matchFields": [expression("metadata.name", "In", &["home"])], "matchExpressions": [here]},
                {"matchExpressions": [here]}], [own]]),
        ),
        ("a selector says it", json!({"nodeSelector": {PLACE: "PK"}}), json!([null, [own]])),
        ("another selector", json!({"nodeSelector": {"zone": "a"}}), json!([[{"matchExpressions": [here]}], [own]])),
        ("what contradicts", terms(stated("AE")), json!([stated("AE"), [own]])),
        ("other tolerations", json!({"tolerations": [other]}), json!([[{"matchExpressions": [here]}], [other, own]])),
        (
            "a toleration of a class",
            json!({"tolerations": [{"key": POOL, "operator": "Exists"}]}),
            json!([[{"matchExpressions": [here]}], [{"key": POOL, "operator": "Exists"}]]),
        ),
    ];
    let engine = engine(json!({}));
    for (what, changes, expected) in table {
        assert_eq!(selection(&made(&engine, &pod(changes.clone())).0), expected, "{what}");
        assert_eq!(selection(&made(&engine, &object(Kind::Job, &spec(changes))).0), expected, "{what}, as a template");
    }
    for subject in [object(Kind::DaemonSet, &spec(json!({}))), of_daemon_set(pod(terms(json!([named("home")]))))] {
        assert_eq!(selection(&made(&engine, &subject).0), selection(&subject), "a DaemonSet gets nothing");
    }
}

#[test]
fn what_is_found_in_a_pod_that_is_made() {
    let stated =
        |operator: &str, values: &[&str]| terms(json!([{"matchExpressions": [expression(PLACE, operator, values)]}]));
    let first = |rest: &str| vec![format!("{TERMS}[0].matchExpressions[0] allows nodes outside of {rest}")];
    let selector = vec![format!("spec.nodeSelector[{PLACE}] only PK is allowed")];
    let table = [
        ("nothing is said", json!({}), vec![]),
        ("in the country", stated("In", &["PK"]), vec![]),
        ("by selector", json!({"nodeSelector": {PLACE: "PK"}}), vec![]),
        ("elsewhere", stated("In", &["AE"]), first("PK")),
        ("elsewhere too", stated("In", &["PK", "AE"]), first("PK")),
        ("anywhere known", stated("Exists", &[]), first("PK")),
        ("not there", stated("NotIn", &["AE"]), first("PK")),
        ("by selector elsewhere", json!({"nodeSelector": {PLACE: "AE"}}), selector.clone()),
        ("by selector nowhere", json!({"nodeSelector": {PLACE: ""}}), selector),
        (
            "narrowed twice",
            terms(
                json!([{"matchExpressions": [expression(PLACE, "NotIn", &["AE"]), expression(PLACE, "In", &["PK"])]}]),
            ),
            vec![],
        ),
        (
            "one term of two",
            terms(json!([{"matchExpressions": [expression(PLACE, "In", &["PK"])]},
                {"matchExpressions": [expression(PLACE, "In", &["AE"])]}])),
            vec![format!("{TERMS}[1].matchExpressions[0] allows nodes outside of PK")],
        ),
        ("terms that select nothing", terms(json!([{}])), vec![]),
    ];
    let engine = engine(json!({}));
    for (what, changes, expected) in table {
        for kind in WORKLOADS.iter().copied().filter(|kind| *kind != Kind::DaemonSet) {
            let found = made(&engine, &object(kind, &spec(changes.clone()))).1;
            let spec = kind.pod_spec_path().join(".");
            let expected: Vec<_> = expected.iter().map(|line| line.replacen("spec", &spec, 1)).collect();
            assert_eq!(found, expected, "{what} {kind}");
        }
    }
}

#[test]
fn tolerations_of_every_taint_and_of_other_classes() {
    let every = "spec.tolerations[0] tolerates every taint, those of other classes too";
    let another = "spec.tolerations[0] tolerates the taint of another class than Restricted";
    let table = [
        (json!({"operator": "Exists"}), Some(every)),
        (json!({"key": "", "operator": "Exists", "effect": "NoExecute"}), Some(every)),
        (json!({"key": POOL, "operator": "Exists"}), Some(another)),
        (json!({"key": POOL, "operator": "Equal", "value": "Secret", "effect": "NoSchedule"}), Some(another)),
        (json!({"key": POOL, "value": ""}), Some(another)),
        (json!({"key": POOL, "operator": "Gt", "value": CLASS}), Some(another)),
        (json!({"key": POOL, "value": CLASS}), None),
        (json!({"key": POOL, "operator": "Equal", "value": CLASS, "effect": "NoExecute"}), None),
        (json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}), None),
        (json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}), None),
    ];
    let engine = engine(json!({}));
    for (toleration, expected) in table {
        let subject = pod(json!({"tolerations": [toleration]}));
        let expected: Vec<_> = expected.map(str::to_owned).into_iter().collect();
        assert_eq!(made(&engine, &subject).1, expected, "{toleration}");
        // It may be added to a Pod that runs.
        let (old, _) = made(&engine, &pod(json!({})));
        let verdict = decide(&engine, &cluster(), Operation::Update, &subject, Some(&old));
        assert_eq!(found(&verdict).iter().any(|line| line.contains("tolerates")), !expected.is_empty());
    }
}

#[test]
fn nodes_that_are_named() {
    let of_node = |name: &str| -> Vec<&str> {
        match name {
            "home" | "own" | "other" => vec![],
            "abroad" => vec![
                "the node's label node-restriction.kubernetes.io/amanat-jurisdiction is AE, and only PK is allowed",
            ],
            "unlabelled" => {
                vec!["the node has no label node-restriction.kubernetes.io/amanat-jurisdiction, and only PK is allowed"]
            }
            _ => vec!["the node is not known, so neither is whether it is in PK"],
        }
    };
    let engine = engine(json!({}));
    for name in ["home", "own", "other", "abroad", "unlabelled", "nowhere"] {
        // By the term of a DaemonSet's Pod; taints are the scheduler's there.
        let subject = of_daemon_set(pod(terms(json!([named(name)]))));
        let expected: Vec<_> = of_node(name).iter().map(|line| format!("{TERMS}[0].matchFields[0] {line}")).collect();
        assert_eq!(made(&engine, &subject).1, expected, "{name}");
        // Past the scheduler.
        let subject = pod(json!({"nodeName": name}));
        let mut expected: Vec<_> = of_node(name).iter().map(|line| format!("spec.nodeName {line}")).collect();
        if name == "other" {
            expected.push("spec.nodeName the node is kept for class Secret, and this is Restricted".to_owned());
        }
        let (bound, found_when_made) = made(&engine, &subject);
        assert_eq!(found_when_made, expected, "{name}");
        let template = object(Kind::Deployment, &spec(json!({"nodeName": name})));
        let of_template: Vec<_> = expected.iter().map(|line| format!("spec.template.{line}")).collect();
        assert_eq!(made(&engine, &template).1, of_template, "{name}");
        // The scheduler names one on a Pod that is there.
        let (old, _) = made(&engine, &pod(json!({})));
        assert_eq!(found(&decide(&engine, &cluster(), Operation::Update, &bound, Some(&old))), [""; 0], "{name}");
    }
    let named_otherwise = terms(json!([{"matchFields": [expression("metadata.name", "NotIn", &["abroad"])]}]));
    let outside = format!("{TERMS}[0] may be scheduled to nodes outside of PK");
    assert_eq!(made(&engine, &of_daemon_set(pod(named_otherwise))).1, [outside]);
}

#[test]
fn a_daemon_set_says_it_by_its_template() {
    let engine = engine(json!({}));
    let missing = format!("spec.template.{TERMS} may be scheduled to nodes outside of PK");
    assert_eq!(made(&engine, &object(Kind::DaemonSet, &spec(json!({})))).1, [missing]);
    let zone = terms(json!([{"matchExpressions": [expression("zone", "In", &["a"])]}]));
    let missing = format!("spec.template.{TERMS}[0] may be scheduled to nodes outside of PK");
    assert_eq!(made(&engine, &object(Kind::DaemonSet, &spec(zone))).1, [missing]);
    let said = terms(json!([{"matchExpressions": [expression(PLACE, "In", &["PK"])]}]));
    assert_eq!(made(&engine, &object(Kind::DaemonSet, &spec(said))).1, [""; 0]);
    let selects = json!({"nodeSelector": {PLACE: "PK"}});
    assert_eq!(made(&engine, &object(Kind::DaemonSet, &spec(selects))).1, [""; 0]);
}

#[test]
fn regions_narrow_what_jurisdictions_allow() {
    let engine = with_params(json!({"allowedJurisdictions": ["PK"], "regions": ["lahore", "islamabad"]}));
    let outside = |kind: &str| format!("{kind}{TERMS}[0] may be scheduled to nodes outside of islamabad, lahore");
    let in_pakistan = terms(json!([{"matchExpressions": [expression(PLACE, "In", &["PK"])]}]));
    for kind in WORKLOADS.iter().copied() {
        let expected: Vec<_> = (kind == Kind::DaemonSet).then(|| outside("spec.template.")).into_iter().collect();
        let found = made(&engine, &object(kind, &spec(in_pakistan.clone()))).1;
        assert_eq!(found, expected, "{kind}: what is left out is supplied, but to a DaemonSet");
    }
    let both = json!([expression(PLACE, "In", &["PK"]), expression(REGION, "In", &["islamabad", "lahore"])]);
    let (supplied, found) = made(&engine, &pod(json!({})));
    assert_eq!((&selection(&supplied)[0], found.as_slice()), (&json!([{"matchExpressions": both}]), &[][..]));
    let lahore = json!([{"matchExpressions": [expression(REGION, "In", &["lahore"])]}]);
    let (supplied, found) = made(&engine, &pod(terms(lahore)));
    let narrowed =
        json!([{"matchExpressions": [expression(REGION, "In", &["lahore"]), expression(PLACE, "In", &["PK"])]}]);
    assert_eq!((&selection(&supplied)[0], found.as_slice()), (&narrowed, &[][..]));
    let (supplied, found) = made(&engine, &pod(json!({"nodeSelector": {REGION: "lahore"}})));
    let here = json!([{"matchExpressions": [expression(PLACE, "In", &["PK"])]}]);
    assert_eq!((&selection(&supplied)[0], found.as_slice()), (&here, &[][..]));
    let half = json!([{"matchExpressions": [expression(PLACE, "In", &["PK"])]}, {}]);
    let (supplied, found) = made(&engine, &pod(terms(half)));
    assert_eq!((&selection(&supplied)[0], found.as_slice()), (&json!([{"matchExpressions": both}, {}]), &[][..]));
    let (supplied, found) = made(&engine, &pod(json!({"nodeSelector": {PLACE: "PK"}})));
    let cities = json!([{"matchExpressions": [expression(REGION, "In", &["islamabad", "lahore"])]}]);
    assert_eq!((&selection(&supplied)[0], found.as_slice()), (&cities, &[][..]));
    let whole = json!({"nodeSelector": {PLACE: "PK", REGION: "lahore"}});
    assert_eq!(selection(&made(&engine, &pod(whole)).0)[0], Value::Null);
    let no_region = format!("spec.nodeName the node has no label {REGION}, and only islamabad, lahore is allowed");
    assert_eq!(made(&engine, &pod(json!({"nodeName": "home"}))).1, [no_region]);
    assert_eq!(made(&engine, &pod(json!({"nodeName": "own"}))).1, [""; 0]);
}

#[test]
fn where_nothing_is_allowed_nothing_is_supplied_and_nothing_passes() {
    let engine = with_params(json!({"allowedJurisdictions": []}));
    let (supplied, found) = made(&engine, &pod(json!({})));
    assert_eq!(selection(&supplied)[0], Value::Null);
    assert_eq!(found, [format!("{TERMS} may be scheduled to nodes outside of nowhere")]);
}

#[test]
fn the_effect_is_the_class_s_and_unknown_nodes_are_refused_offline() {
    let engine = engine(json!({}));
    let now = instant("06-01T00:00:00");
    let effects = |class: &str| -> Vec<Effect> {
        let standing = governed(&engine, class, None);
        let mut subject = pod(json!({"nodeName": "home"}));
        engine.supply(&standing, &Nothing, &mut subject);
        let request = Request {
            operation: Operation::Create,
            subject: &subject,
            old: None,
            actor: None,
            standing: &standing,
            context: &Nothing,
            now,
        };
        let outcomes = engine.decide(&request).outcomes;
        outcomes.iter().filter(|outcome| outcome.finding.control == ID).map(|outcome| outcome.effect).collect()
    };
    assert_eq!(effects("Open"), []);
    assert_eq!(effects("Public"), [Effect::Warn; 2], "nothing is supplied, and the node is not known");
    assert_eq!(effects("Confidential"), [Effect::Deny]);
}

#[test]
fn a_template_is_warned_of_when_no_node_takes_its_pods() {
    let engine = engine(json!({}));
    let notices = |nodes: Vec<Arc<Node>>, kind: Kind| {
        let mut context = cluster();
        context.nodes = nodes.into_iter().enumerate().map(|(number, node)| (number.to_string(), node)).collect();
        let subject = object(kind, &spec(json!({"nodeSelector": {PLACE: "PK"}})));
        decide(&engine, &context, Operation::Create, &subject, None).notices
    };
    let told = format!("no node takes class Restricted: kubectl label node NAME {PLACE}=PK");
    let with_regions = with_params(json!({"allowedJurisdictions": ["PK"], "regions": ["islamabad"]}));
    let verdict = |engine: &Engine| {
        decide(engine, &Registry::default(), Operation::Create, &object(Kind::Job, &spec(json!({}))), None)
    };
    let at_length = verdict(&with_regions).notices;
    assert_eq!(at_length, ["no node takes class Restricted: see the CloudWorkload's condition Schedulable"]);
    assert_eq!(verdict(&engine).notices, [told.as_str()]);
    let here = || json!({PLACE: "PK"});
    let table = [
        ("none", vec![], true),
        ("not labelled", vec![node(json!({}), &[], true)], true),
        ("abroad", vec![node(json!({PLACE: "AE"}), &[], true)], true),
        ("not ready", vec![node(here(), &[], false)], true),
        ("kept for another class", vec![node(here(), &["Secret"], true), node(here(), &["Secret", CLASS], true)], true),
        ("kept for the class", vec![node(json!({}), &[], true), node(here(), &[CLASS], true)], false),
        ("for all", vec![node(here(), &[], true)], false),
    ];
    for (what, nodes, warned) in table {
        for kind in [Kind::Deployment, Kind::DaemonSet, Kind::CronJob] {
            let expected: Vec<_> = warned.then(|| told.clone()).into_iter().collect();
            assert_eq!(notices(nodes.clone(), kind), expected, "{what}, {kind}");
        }
        assert_eq!(notices(nodes, Kind::Pod), [""; 0], "{what}: a Pod waits, and its namespace's status says it");
    }
    assert!(told.len() <= 120, "a warning that is cut says less");
}
