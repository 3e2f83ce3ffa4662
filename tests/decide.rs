//! What the engine decides for requests: updates, scales, deletions, labels, declarations and grace.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/fixture.rs"]
mod fixture;

use amanat::api::Effect;
use amanat::control::{Acceptance, Actor, Grace, Kind, Operation, Standing, Subject};
use amanat::engine::{Engine, Request, Softened, Verdict, Want};
use fixture::{Registry, conforming_spec, engine, governed, instant, placed_spec, provider};
use serde_json::{Value, json};

/// Stands in a class, and nothing new may come in.
fn unacceptable(engine: &Engine) -> Standing {
    let mut registry = Registry::usual();
    registry.providers.insert("ntc".to_owned(), provider(json!({"state": "Suspended"})));
    let Standing::Governed(mut governed) = governed(engine, "Restricted", None) else { panic!("no class holds") };
    let now = instant("06-01T00:00:00");
    governed.acceptance =
        amanat::catalogue::placement::acceptance(&fixture::declaration(json!({})), &engine.regime, &registry, now);
    Standing::Governed(governed)
}

fn subject(kind: Kind, object: Value) -> Subject {
    Subject::from_manifest(kind, object).unwrap()
}

fn deployment(replicas: i32, spec: Value) -> Subject {
    subject(
        Kind::Deployment,
        json!({"metadata": {"name": "app", "namespace": "a"}, "spec": {"replicas": replicas, "template": {"spec": spec}}}),
    )
}

fn privileged() -> Value {
    let mut spec = placed_spec();
    spec["containers"][0]["securityContext"]["privileged"] = json!(true);
    spec
}

fn ask(engine: &Engine, operation: Operation, new: &Subject, old: Option<&Subject>, standing: &Standing) -> Verdict {
    let registry = Registry::usual();
    let now = instant("06-01T00:00:00");
    let supplied = |subject: &Subject| {
        let mut subject = subject.clone();
        engine.supply(standing, &registry, &mut subject);
        subject
    };
    let (new, old) = (supplied(new), old.map(supplied));
    let (subject, old) = (&new, old.as_ref());
    engine.decide(&Request { operation, subject, old, actor: None, standing, context: &registry, now })
}

fn denials(verdict: &Verdict) -> Vec<&'static str> {
    verdict.with(Effect::Deny).map(|outcome| outcome.finding.control).collect()
}

#[test]
fn a_conforming_workload_passes_and_each_fault_is_named() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Restricted", None);
    let create = |spec| ask(&engine, Operation::Create, &deployment(1, spec), None, &standing);
    assert_eq!(create(conforming_spec()), Verdict { class: Some("Restricted".to_owned()), ..Verdict::default() });
    assert_eq!(denials(&create(privileged())), ["pod/privileged"]);
    let mut foreign = conforming_spec();
    foreign["containers"][0]["image"] = json!("docker.io/nginx:1");
    foreign["containers"][0]["imagePullPolicy"] = json!("Always");
    assert_eq!(denials(&create(foreign)), ["image/approved-registries", "image/digest-pinned"]);
}

#[test]
fn a_template_is_judged_when_it_changes_and_only_then() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Restricted", None);
    let update =
        |new: &Subject, old: &Subject| denials(&ask(&engine, Operation::Update, new, Some(old), &standing)).len();
    let old = deployment(1, privileged());
    assert_eq!(update(&deployment(1, privileged()), &old), 0, "metadata alone");
    assert_eq!(update(&deployment(0, privileged()), &old), 0, "scaled to zero");
    assert_eq!(update(&deployment(5, privileged()), &old), 0, "scaled up where new workloads may come");
    let mut changed = privileged();
    changed["terminationGracePeriodSeconds"] = json!(5);
    assert_eq!(update(&deployment(1, changed), &old), 1, "a changed template is judged whole");
}

#[test]
fn of_a_pod_only_what_is_new_counts() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Restricted", None);
    let pod = |spec: Value| subject(Kind::Pod, json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec}));
    let update =
        |new: Value, old: Value| denials(&ask(&engine, Operation::Update, &pod(new), Some(&pod(old)), &standing));
    let mut image = privileged();
    image["containers"][0]["image"] = json!("registry.example.gov.pk/app:2");
    image["containers"][0]["imagePullPolicy"] = json!("Always");
    assert_eq!(update(image, privileged()), ["image/digest-pinned"], "the image is new, the privilege is not");
    let mut ephemeral = privileged();
    ephemeral["ephemeralContainers"] = json!([{"name": "debug", "image": "docker.io/busybox",
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]);
    assert_eq!(update(ephemeral, privileged()), ["image/approved-registries", "image/digest-pinned"]);
    // An element put before another shifts indices, and forgives nothing more.
    let mut two = privileged();
    let first = two["containers"][0].clone();
    two["containers"] =
        json!([{"name": "new", "image": first["image"], "securityContext": first["securityContext"]}, first]);
    assert_eq!(update(two, privileged()), ["pod/privileged"]);
}

#[test]
fn an_annotation_that_a_control_reads_is_no_mere_metadata() {
    let engine = engine(json!({"podSecurityVersion": "v1.29"}));
    let standing = governed(&engine, "Restricted", None);
    let key = "container.apparmor.security.beta.kubernetes.io/app";
    let with = |annotations: Value| {
        subject(
            Kind::Deployment,
            json!({"metadata": {"name": "app", "namespace": "a"},
                "spec": {"template": {"metadata": {"annotations": annotations}, "spec": conforming_spec()}}}),
        )
    };
    let update =
        |new: Value, old: Value| denials(&ask(&engine, Operation::Update, &with(new), Some(&with(old)), &standing));
    assert_eq!(update(json!({key: "unconfined"}), json!({})), ["pod/apparmor-profile"]);
    assert_eq!(update(json!({key: "unconfined", "x": "y"}), json!({key: "unconfined"})), [""; 0]);
}

#[test]
fn nothing_new_comes_into_an_unacceptable_namespace() {
    let engine = engine(json!({}));
    let standing = unacceptable(&engine);
    let create = ask(&engine, Operation::Create, &deployment(1, conforming_spec()), None, &standing);
    assert_eq!(denials(&create), ["placement/provider-accredited"]);
    let old = deployment(2, conforming_spec());
    let scale = |replicas| {
        let new = deployment(replicas, conforming_spec());
        denials(&ask(&engine, Operation::Update, &new, Some(&old), &standing)).len()
    };
    assert_eq!([scale(3), scale(2), scale(1), scale(0)], [1, 0, 0, 0]);
    let scale = |replicas: Option<i32>| {
        let spec = replicas.map_or(json!({}), |replicas| json!({"replicas": replicas}));
        subject(Kind::Scale, json!({"metadata": {"name": "app", "namespace": "a"}, "spec": spec}))
    };
    let subresource =
        |before, after| denials(&ask(&engine, Operation::Update, &scale(after), Some(&scale(before)), &standing)).len();
    assert_eq!(subresource(Some(1), Some(2)), 1);
    assert_eq!(subresource(None, Some(1)), 1, "from zero");
    assert_eq!(subresource(Some(2), None), 0, "to zero");
    let mut image = conforming_spec();
    image["containers"][0]["image"] = json!(format!("registry.example.gov.pk/app@sha256:{}", "1".repeat(64)));
    let changed = deployment(2, image);
    assert_eq!(denials(&ask(&engine, Operation::Update, &changed, Some(&old), &standing)).len(), 1);
}

#[test]
fn undeclared_namespaces_get_the_effect_that_the_baseline_gives_them() {
    for (undeclared, effect) in [("Deny", Some(Effect::Deny)), ("Warn", Some(Effect::Warn)), ("Disabled", None)] {
        let engine = engine(json!({"undeclared": undeclared}));
        let verdict = ask(&engine, Operation::Create, &deployment(1, privileged()), None, &Standing::Undeclared);
        let found: Vec<_> = verdict.outcomes.iter().map(|outcome| (outcome.finding.control, outcome.effect)).collect();
        let expected: Vec<_> = effect.map(|effect| ("placement/data-class-declared", effect)).into_iter().collect();
        assert_eq!(found, expected, "{undeclared}");
    }
}

#[test]
fn a_class_is_not_lowered_and_its_declaration_stays() {
    let engine = engine(json!({}));
    let standing = governed(&engine, "Confidential", None);
    let declared = |class: &str| {
        let spec = serde_json::to_value(fixture::declaration(json!({"dataClass": class}))).unwrap();
        subject(Kind::CloudWorkload, json!({"metadata": {"name": "workload", "namespace": "a"}, "spec": spec}))
    };
    let old = declared("Confidential");
    let update = |class: &str| denials(&ask(&engine, Operation::Update, &declared(class), Some(&old), &standing));
    assert_eq!(update("Restricted"), ["placement/no-silent-downgrade"]);
    assert_eq!(update("Sensitive"), [""; 0], "an alias of the same class");
    let behind = governed(&engine, "Restricted", None);
    let lowered = ask(&engine, Operation::Update, &declared("Restricted"), Some(&old), &behind);
    assert_eq!(denials(&lowered), ["placement/no-silent-downgrade"], "the index hasn't seen the raise yet");
    let create = ask(&engine, Operation::Create, &declared("Open"), None, &standing);
    assert!(denials(&create).contains(&"placement/no-silent-downgrade"), "deleted and made again: {create:?}");
    let delete = |standing: &Standing, going: bool| {
        let registry = Registry { going, ..Registry::usual() };
        let now = instant("06-01T00:00:00");
        let request = Request {
            operation: Operation::Delete,
            subject: &old,
            old: None,
            actor: None,
            standing,
            context: &registry,
            now,
        };
        denials(&engine.decide(&request)).len()
    };
    assert_eq!(delete(&standing, false), 1);
    assert_eq!(delete(&standing, true), 0, "the namespace is going");
    assert_eq!(delete(&Standing::Pending(Acceptance::default()), false), 0, "never accepted");
}

#[test]
fn only_amanat_writes_the_class_label() {
    let engine = engine(json!({"restorers": {"groups": ["backup"]}}));
    let namespace = |label: Option<&str>| {
        let labels = label.map_or(json!({}), |label| json!({"amanat.dev/data-class": label}));
        subject(Kind::Namespace, json!({"metadata": {"name": "a", "labels": labels}}))
    };
    let tenant = Actor::new("alice", vec!["devs".to_owned()], "amanat", &[]);
    let amanat = Actor::new("amanat", Vec::new(), "amanat", &[]);
    let restorer = Actor::new("velero", vec!["backup".to_owned()], "amanat", &[]);
    let registry = Registry::usual();
    let ask = |operation, new: &Subject, old: Option<&Subject>, actor: &Actor| {
        let standing = Standing::Undeclared;
        let now = instant("06-01T00:00:00");
        let request =
            Request { operation, subject: new, old, actor: Some(actor), standing: &standing, context: &registry, now };
        denials(&engine.decide(&request)).join(",")
    };
    let (none, open, secret) = (namespace(None), namespace(Some("Open")), namespace(Some("Secret")));
    let update = |new: &Subject, old: &Subject, actor: &Actor| ask(Operation::Update, new, Some(old), actor);
    assert_eq!(update(&open, &none, &tenant), "placement/data-class-declared");
    assert_eq!(update(&secret, &open, &tenant), "placement/data-class-declared");
    assert_eq!(update(&open, &secret, &tenant), "placement/no-silent-downgrade");
    assert_eq!(update(&none, &open, &tenant), "placement/no-silent-downgrade");
    assert_eq!(update(&open, &open, &tenant), "");
    assert_eq!(update(&secret, &none, &amanat), "");
    assert_eq!(ask(Operation::Create, &open, None, &tenant), "placement/data-class-declared");
    assert_eq!(ask(Operation::Create, &open, None, &restorer), "");
    assert_eq!(update(&open, &none, &restorer), "placement/data-class-declared", "only when it is made");
}

#[test]
fn built_policies_are_changed_by_those_who_may() {
    let engine = engine(json!({"administrators": {"groups": ["admins"]}}));
    let standing = governed(&engine, "Restricted", None);
    let policy = |name: &str, spec: Value| {
        subject(Kind::NetworkPolicy, json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec}))
    };
    let deny = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let built = policy("amanat-default-deny", deny.clone());
    let emptied = policy("amanat-default-deny", json!({"podSelector": {"matchLabels": {"a": "b"}}}));
    let decide = |operation, new: &Subject, old: Option<&Subject>, user: &str, groups: &[&str], going: bool| {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let actor = Actor::new(user, groups, "amanat", &[]);
        let registry = Registry { going, ..Registry::usual() };
        let now = instant("06-01T00:00:00");
        let request =
            Request { operation, subject: new, old, actor: Some(&actor), standing: &standing, context: &registry, now };
        denials(&engine.decide(&request)).len()
    };
    let collector = "system:serviceaccount:kube-system:generic-garbage-collector";
    assert_eq!(decide(Operation::Delete, &built, None, "alice", &[], false), 1);
    assert_eq!(decide(Operation::Delete, &built, None, "alice", &[], true), 0, "the namespace is going");
    assert_eq!(decide(Operation::Delete, &built, None, collector, &[], false), 0);
    assert_eq!(decide(Operation::Delete, &built, None, "bob", &["admins"], false), 0, "healed, not refused");
    assert_eq!(decide(Operation::Update, &emptied, Some(&built), "alice", &[], false), 1);
    assert_eq!(decide(Operation::Update, &built, Some(&built), "alice", &[], false), 0, "metadata alone");
    assert_eq!(decide(Operation::Create, &built, None, "alice", &[], false), 1, "squatting");
    let own = policy("own", deny.clone());
    assert_eq!(decide(Operation::Delete, &own, None, "alice", &[], false), 0);
    let owners = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "x"}]);
    let owned = |name: &str, spec: &Value| {
        let metadata = json!({"name": name, "namespace": "a", "ownerReferences": owners});
        subject(Kind::NetworkPolicy, json!({"metadata": metadata, "spec": spec}))
    };
    let disowned = owned("amanat-default-deny", &deny);
    assert_eq!(decide(Operation::Update, &disowned, Some(&built), "alice", &[], false), 1, "it would be collected");
    assert_eq!(decide(Operation::Update, &disowned, Some(&built), collector, &[], false), 0);
    let everybody = json!({"podSelector": {}, "ingress": [{}]});
    let (open, given) = (policy("own", everybody.clone()), owned("own", &everybody));
    assert_eq!(decide(Operation::Create, &open, None, "alice", &[], false), 1);
    assert_eq!(decide(Operation::Update, &given, Some(&open), "alice", &[], false), 0, "what was there is forgiven");
}

#[test]
fn pods_of_older_controllers_come_back_within_the_grace() {
    let engine = engine(json!({}));
    let grace = Grace { from: instant("05-01T00:00:00"), until: instant("07-01T00:00:00") };
    let Standing::Governed(mut terms) = unacceptable(&engine) else { panic!("no class holds") };
    (terms.raise, terms.suspension) = (Some(grace), Some(grace));
    let standing = Standing::Governed(terms);
    let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}]);
    let metadata = json!({"generateName": "r-", "namespace": "a", "ownerReferences": owner,
        "labels": {"amanat.dev/data-class": "Restricted"}});
    let pod = subject(Kind::Pod, json!({"metadata": metadata, "spec": privileged()}));
    let decide = |user: &str, created: Option<&str>| {
        let actor = Actor::new(user, Vec::new(), "amanat", &[]);
        let registry = Registry { owner_created: created.map(instant), ..Registry::usual() };
        let now = instant("06-01T00:00:00");
        engine.decide(&Request {
            operation: Operation::Create,
            subject: &pod,
            old: None,
            actor: Some(&actor),
            standing: &standing,
            context: &registry,
            now,
        })
    };
    let controller = "system:serviceaccount:kube-system:replicaset-controller";
    let older = decide(controller, Some("04-01T00:00:00"));
    assert!(!older.denied(), "{older:?}");
    assert!(older.outcomes.iter().all(|outcome| outcome.softened == Some(Softened::Grace(grace.until))));
    assert_eq!(older.outcomes.len(), 2, "admitted and reported");
    assert!(decide(controller, Some("05-01T00:00:00")).denied(), "made at the instant: not older");
    assert!(decide("alice", Some("04-01T00:00:00")).denied(), "not by a controller");
    let unknown = decide(controller, None);
    assert!(unknown.denied() && matches!(unknown.wants, Some(Want::OwnerCreated(_))), "{unknown:?}");
}
