//! The class of a namespace as the class of what is in it: labels, claims, names and selectors that lead elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use amanat::api::Effect;
use amanat::control::{Acceptance, Actor, Kind, Nothing, Operation, Standing, Subject};
use amanat::engine::{Engine, Request};
use fixture::{Registry, conforming_spec, engine, governed, instant};
use serde_json::{Value, json};

const KEY: &str = "amanat.dev/data-class";
const NAME: &str = "kubernetes.io/metadata.name";

fn subject(kind: Kind, labels: Value, spec: Value) -> Subject {
    let object = json!({"metadata": {"name": "x", "namespace": "a", "labels": labels}, "spec": spec});
    Subject::from_manifest(kind, object).unwrap()
}

/// What the control says, with the effects.
fn found(
    engine: &Engine,
    standing: &Standing,
    operation: Operation,
    new: &Subject,
    old: Option<&Subject>,
    actor: Option<&Actor>,
) -> Vec<(String, Effect)> {
    let mut context = Registry::usual();
    for (namespace, class) in [("a", "Confidential"), ("peer", "Confidential"), ("lower", "Open")] {
        context.classes.insert(namespace.to_owned(), class.to_owned());
    }
    let mut subject = new.clone();
    if operation == Operation::Create {
        engine.supply(standing, &context, &mut subject);
    }
    let now = instant("06-01T00:00:00");
    let request = Request { operation, subject: &subject, old, actor, standing, context: &context, now };
    let outcomes = engine.decide(&request).outcomes.into_iter();
    outcomes
        .filter(|outcome| outcome.finding.control == "placement/class-inherited")
        .map(|outcome| (outcome.finding.path.to_string(), outcome.effect))
        .collect()
}

/// The fields that are denied when an object is made in a Confidential namespace.
fn denied(new: &Subject) -> Vec<String> {
    let engine = engine(json!({}));
    let found = found(&engine, &governed(&engine, "Confidential", None), Operation::Create, new, None, None);
    assert!(found.iter().all(|(_, effect)| *effect == Effect::Deny));
    found.into_iter().map(|(path, _)| path).collect()
}

#[test]
fn the_label_of_a_workload_is_the_class_by_its_own_name() {
    let label = format!("metadata.labels[{KEY}]");
    for (labels, right) in [
        (json!({}), true),
        (json!({KEY: "Confidential"}), true),
        (json!({KEY: "Sensitive"}), false),
        (json!({KEY: "confidential"}), false),
        (json!({KEY: "Secret"}), false),
        (json!({KEY: ""}), false),
    ] {
        let pod = subject(Kind::Pod, labels.clone(), conforming_spec());
        let expected = |path: &str| if right { Vec::new() } else { vec![path.to_owned()] };
        assert_eq!(denied(&pod), expected(&label), "{labels}");
        let template = json!({"template": {"metadata": {"labels": labels}, "spec": conforming_spec()}});
        let of_template = format!("spec.template.{label}");
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Job] {
            let object = subject(kind, json!({KEY: "Open"}), template.clone());
            assert_eq!(denied(&object), expected(&of_template), "{kind} {labels}: its own label says nothing");
        }
        let cron = subject(Kind::CronJob, json!({}), json!({"jobTemplate": {"spec": template}}));
        assert_eq!(denied(&cron), expected(&format!("spec.jobTemplate.{of_template}")));
    }
}

#[test]
fn what_is_absent_is_a_finding_where_nothing_is_supplied() {
    let pod = subject(Kind::Pod, json!({}), conforming_spec());
    let create = |engine: &Engine, standing: &Standing| {
        let found = found(engine, standing, Operation::Create, &pod, None, None);
        found.into_iter().map(|(_, effect)| effect).collect::<Vec<_>>()
    };
    let usual = engine(json!({}));
    assert_eq!(create(&usual, &governed(&usual, "Restricted", None)), []);
    assert_eq!(create(&usual, &governed(&usual, "Open", None)), [Effect::Warn]);
    assert_eq!(create(&usual, &governed(&usual, "Restricted", Some(Effect::Warn))), [Effect::Warn]);
    assert_eq!(create(&usual, &Standing::Undeclared), []);
    assert_eq!(create(&usual, &Standing::Pending(Acceptance::default())), []);
    let mut spec = serde_json::to_value(fixture::baseline(json!({}))).unwrap();
    for control in spec["controls"].as_array_mut().unwrap() {
        if control["id"] == "placement/class-inherited" {
            control["supply"] = json!(false);
        }
    }
    let off = engine(json!({"controls": spec["controls"]}));
    assert_eq!(create(&off, &governed(&off, "Restricted", None)), [Effect::Deny]);
}

#[test]
fn a_running_pod_keeps_what_it_has_and_gets_nothing_worse() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Confidential", None);
    let pod = |labels: &Value| subject(Kind::Pod, labels.clone(), conforming_spec());
    let update =
        |old: Value, new: Value| found(&engine, &standing, Operation::Update, &pod(&new), Some(&pod(&old)), None).len();
    assert_eq!(update(json!({KEY: "Confidential"}), json!({})), 1, "taken away");
    assert_eq!(update(json!({KEY: "Confidential"}), json!({KEY: "Open"})), 1, "changed");
    assert_eq!(update(json!({}), json!({KEY: "Open"})), 1, "set to another");
    assert_eq!(update(json!({}), json!({"app": "x"})), 0, "never had one");
    assert_eq!(update(json!({KEY: "Open"}), json!({KEY: "Open", "app": "x"})), 0, "from before the class was raised");
    assert_eq!(update(json!({KEY: "Open"}), json!({KEY: "Confidential"})), 0, "put right");
}

#[test]
fn what_lies_beside_workloads_stays_in_the_class() {
    let claim = |namespace: Value| json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "d", "namespace": namespace}});
    let external = |name: &str| json!({"type": "ExternalName", "externalName": name});
    let grant = |namespaces: &[&str]| {
        let from: Vec<_> = namespaces.iter().map(|name| json!({"group": "", "kind": "X", "namespace": name})).collect();
        json!({"from": from, "to": [{"group": "", "kind": "Service"}]})
    };
    let (claims, services) = (Kind::PersistentVolumeClaim, Kind::Service);
    let (source, name) = ("spec.dataSourceRef.namespace", "spec.externalName");
    let table = [
        (claims, json!({}), None),
        (claims, json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "d"}, "dataSourceRef": null}), None),
        (claims, claim(Value::Null), None),
        (claims, claim(json!("")), None),
        (claims, claim(json!("a")), None),
        (claims, claim(json!("peer")), None),
        (claims, claim(json!("lower")), Some(source)),
        (claims, claim(json!("nobodys")), Some(source)),
        (services, json!({}), None),
        (services, json!({"type": "ClusterIP", "externalName": "db.lower.svc.cluster.local"}), None),
        (services, external("mail.example.gov.pk"), None),
        (services, external("db.a.svc.cluster.local"), None),
        (services, external("db.peer.svc.cluster.local"), None),
        (services, external("db.lower.svc.cluster.local"), Some(name)),
        (services, external("db.lower.svc"), Some(name)),
        (services, external("DB.Lower.Svc.Cluster.Local."), Some(name)),
        (services, external("10-0-0-1.lower.pod.cluster.local"), Some(name)),
        (services, external("db.nobodys.svc.cluster.local"), Some(name)),
        (services, external("db.lower.svc.k8s.example.org"), Some(name)),
        (services, external("www.public.svc.example.org"), None),
        (Kind::Ingress, json!({}), None),
        (Kind::ReferenceGrant, json!({}), None),
        (Kind::ReferenceGrant, grant(&["a", "peer"]), None),
        (Kind::ReferenceGrant, grant(&["peer", "lower"]), Some("spec.from[1].namespace")),
        (Kind::ReferenceGrant, grant(&["nobodys"]), Some("spec.from[0].namespace")),
    ];
    let label = format!("metadata.labels[{KEY}]");
    for (kind, spec, expected) in table {
        let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
        assert_eq!(denied(&subject(kind, json!({}), spec.clone())), expected, "{kind} {spec}");
        let labelled = |class: &str| denied(&subject(kind, json!({KEY: class}), spec.clone()));
        assert_eq!(labelled("Confidential"), expected, "{kind} {spec}");
        assert_eq!(labelled("Open"), [std::slice::from_ref(&label), &expected].concat(), "{kind} {spec}");
    }
    // Those that workloads make for their Pods are claims too.
    for (labels, from, wrong) in [
        (json!({}), json!("peer"), vec![]),
        (json!({KEY: "Confidential"}), Value::Null, vec![]),
        (json!({KEY: "Open"}), json!("a"), vec![label.as_str()]),
        (json!({}), json!("lower"), vec![source]),
        (json!({KEY: "Open"}), json!("nobodys"), vec![label.as_str(), source]),
    ] {
        let at = |path: &str| wrong.iter().map(|field| format!("{path}.{field}")).collect::<Vec<_>>();
        let template = json!({"metadata": {"labels": labels}, "spec": claim(from)});
        let mut ephemeral = conforming_spec();
        ephemeral["volumes"] = json!([{"name": "e", "ephemeral": {"volumeClaimTemplate": template}}]);
        let pod = subject(Kind::Pod, json!({}), ephemeral);
        assert_eq!(denied(&pod), at("spec.volumes[0].ephemeral.volumeClaimTemplate"), "{template}");
        let spec = json!({"template": {"spec": conforming_spec()}, "volumeClaimTemplates": [{}, template]});
        let made = |kind: Kind| denied(&subject(kind, json!({}), spec.clone()));
        assert_eq!(made(Kind::StatefulSet), at("spec.volumeClaimTemplates[1]"), "{template}");
        assert_eq!(made(Kind::Deployment), [""; 0], "it has no such field, and the API server drops it");
    }
}

#[test]
fn of_what_lies_beside_only_what_is_new_counts() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Confidential", None);
    let update = |kind, old: (Value, Value), new: (Value, Value)| {
        let (old, new) = (subject(kind, old.0, old.1), subject(kind, new.0, new.1));
        found(&engine, &standing, Operation::Update, &new, Some(&old), None).len()
    };
    let external = |name: &str| json!({"type": "ExternalName", "externalName": name});
    let wrong = || external("db.lower.svc.cluster.local");
    assert_eq!(update(Kind::Service, (json!({}), wrong()), (json!({"app": "x"}), wrong())), 0);
    assert_eq!(update(Kind::Service, (json!({}), wrong()), (json!({KEY: "Open"}), wrong())), 1);
    assert_eq!(update(Kind::Service, (json!({}), external("example.org")), (json!({}), wrong())), 1);
    // The claims that it makes are a part of what it is.
    let set = |from: &str| {
        let claims = json!([{"spec": {"dataSourceRef": {"kind": "X", "name": "d", "namespace": from}}}]);
        let template = json!({"metadata": {"labels": {KEY: "Confidential"}}, "spec": conforming_spec()});
        (json!({}), json!({"template": template, "volumeClaimTemplates": claims}))
    };
    assert_eq!(update(Kind::StatefulSet, set("lower"), set("lower")), 0);
    assert_eq!(update(Kind::StatefulSet, set("peer"), set("lower")), 1);
    for kind in [Kind::Ingress, Kind::ReferenceGrant, Kind::Service, Kind::PersistentVolumeClaim] {
        assert_eq!(update(kind, (json!({}), json!({})), (json!({KEY: "Open"}), json!({}))), 1, "{kind}");
        assert_eq!(update(kind, (json!({KEY: "Open"}), json!({})), (json!({KEY: "Open", "b": "c"}), json!({}))), 0);
    }
}

#[test]
fn a_network_policy_stays_in_the_class() {
    let policy = |name: &str, selector: &Value, rule: &str, peer: &str| {
        let types = if rule == "ingress" { "Ingress" } else { "Egress" };
        let spec = json!({"podSelector": {}, "policyTypes": [types],
            rule: [{peer: [{"podSelector": {}}, {"namespaceSelector": selector}]}]});
        let object = json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec});
        Subject::from_manifest(Kind::NetworkPolicy, object).unwrap()
    };
    let among =
        |key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
    let table = [
        (json!({"matchLabels": {KEY: "Confidential"}}), true),
        (json!({"matchLabels": {KEY: "Confidential", "team": "x"}}), true),
        (json!({"matchLabels": {KEY: "Open"}}), false),
        (json!({"matchLabels": {NAME: "a"}}), true),
        (json!({"matchLabels": {NAME: "peer"}}), true),
        (json!({"matchLabels": {NAME: "kube-system"}}), true),
        (json!({"matchLabels": {NAME: "lower"}}), false),
        (json!({"matchLabels": {NAME: "lower", KEY: "Confidential"}}), true),
        (among(NAME, &["a", "peer"]), true),
        (among(NAME, &["a", "lower"]), false),
        (among(KEY, &["Confidential"]), true),
        (among(KEY, &["Confidential", "Open"]), false),
        (json!({"matchLabels": {"team": "x"}}), false),
        (json!({"matchExpressions": [{"key": KEY, "operator": "NotIn", "values": ["Open"]}]}), false),
        (json!({"matchExpressions": [{"key": KEY, "operator": "Exists"}]}), false),
        // Every namespace: network/default-deny says so.
        (json!({}), true),
    ];
    for (selector, right) in table {
        for (rule, peer) in [("ingress", "from"), ("egress", "to")] {
            let path = format!("spec.{rule}[0].{peer}[1].namespaceSelector");
            let expected = if right { Vec::new() } else { vec![path] };
            assert_eq!(denied(&policy("own", &selector, rule, peer)), expected, "{rule} {selector}");
        }
    }
    let engine = engine(json!({}));
    let standing = governed(&engine, "Confidential", None);
    let built = policy("amanat-allow-declared", &json!({"matchLabels": {NAME: "lower"}}), "ingress", "from");
    let by = |user: &str| {
        let actor = Actor::new(user, Vec::new(), "amanat", &[]);
        found(&engine, &standing, Operation::Create, &built, None, Some(&actor)).len()
    };
    assert_eq!((by("amanat"), by("alice")), (0, 1), "a gateway may have another class");
    assert_eq!(denied(&built), [""; 0], "what is built is judged where it is built");
}

#[test]
fn what_leads_into_a_namespace_that_nobody_knows_is_not_assessed() {
    let claim = |namespace: &str| json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "d", "namespace": namespace}});
    let external = |name: &str| json!({"type": "ExternalName", "externalName": name});
    let policy = |name: &str| {
        let selector = json!({"matchLabels": {NAME: name}});
        json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": selector}]}]})
    };
    let mut pod = conforming_spec();
    pod["volumes"] = json!([{"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": claim("peer")}}}]);
    let (claims, services, policies) = (Kind::PersistentVolumeClaim, Kind::Service, Kind::NetworkPolicy);
    let engine = engine(json!({}));
    let standing = governed(&engine, "Confidential", None);
    for (kind, spec, known) in [
        (claims, claim("peer"), false),
        (claims, claim("a"), true),
        (Kind::Pod, pod, false),
        (services, external("db.peer.svc.cluster.local"), false),
        (services, external("db.peer.svc.k8s.example.org"), false),
        (services, external("db.a.svc"), true),
        (services, external("mail.example.gov.pk"), true),
        (policies, policy("peer"), false),
        (policies, policy("a"), true),
    ] {
        let mut subject = subject(kind, json!({}), spec.clone());
        engine.supply(&standing, &Nothing, &mut subject);
        let (old, actor, now) = (None, None, instant("06-01T00:00:00"));
        let (operation, subject, standing) = (Operation::Create, &subject, &standing);
        let request = Request { operation, subject, old, actor, standing, context: &Nothing, now };
        let verdict = engine.decide(&request);
        let found = verdict.outcomes.iter().any(|outcome| outcome.finding.control == "placement/class-inherited");
        assert!(!found, "{kind} {spec}: {verdict:?}");
        let unknown = verdict.not_assessed.iter().filter(|unknown| unknown.control == "placement/class-inherited");
        let unknown: Vec<&str> = unknown.map(|unknown| unknown.reason.as_str()).collect();
        let expected: &[&str] = if known { &[] } else { &["the class of namespace peer is not known"] };
        assert_eq!(unknown, expected, "{kind} {spec}");
    }
}
