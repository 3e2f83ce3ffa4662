//! Every object of every example of the catalogue, of whatever kind that is judged, in each of the classes.

use std::collections::{BTreeMap, BTreeSet};

use amanat::api::DATA_CLASS_LABEL;
use amanat::catalogue;
use amanat::cli::check::{CheckArgs, check};
use amanat::cli::inputs::Inputs;
use amanat::control::{Kind, POD_SECURITY_MODES, POD_SECURITY_PREFIX};
use serde_json::{Value, json};

use crate::world::{NAMESPACES, registry, webhook};
use crate::written::Written;
use crate::{Checked, Found, agree, through_webhook, told};

/// Objects of kinds that no page shows.
const FURTHER: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, labels: {amanat.dev/data-class: Secret}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: team}
spec: {hard: {pods: 4}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: team}
spec: {limits: [{type: Container, max: {cpu: 1}}]}
";

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn identity(object: &Value) -> [&str; 3] {
    ["/kind", "/metadata/namespace", "/metadata/name"].map(|pointer| text(object, pointer))
}

fn kind_of(object: &Value) -> Option<Kind> {
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    Kind::from_group_kind(group, text(object, "/kind"))
}

/// An example among what is known of the cluster. What lies in a namespace that the example doesn't declare is moved to
/// `namespace`, which is declared.
fn scene(example: &str, namespace: &str) -> Vec<Value> {
    let (documents, errors) = amanat::manifest::read(example, &amanat::manifest::Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    let mut objects: Vec<Value> = documents.iter().map(|document| document.root.to_value()).collect();
    let declarations = objects.iter().filter(|object| text(object, "/kind") == "CloudWorkload");
    let declared: BTreeSet<String> =
        declarations.map(|object| text(object, "/metadata/namespace").to_owned()).collect();
    for object in &mut objects {
        let is_inside = kind_of(object).is_some_and(|kind| kind != Kind::Namespace);
        if is_inside && !declared.contains(text(object, "/metadata/namespace")) {
            object["metadata"]["namespace"] = json!(namespace);
        }
    }
    let own: BTreeSet<[&str; 3]> = objects.iter().map(identity).collect();
    let mut all: Vec<Value> = registry().into_iter().filter(|object| !own.contains(&identity(object))).collect();
    all.extend(objects);
    all
}

/// What `check` says of each document.
fn through_check(objects: &[Value]) -> BTreeMap<usize, Checked> {
    let all = objects.iter().map(|object| format!("---\n{object}\n")).collect::<String>();
    let outcome = check(&CheckArgs::default(), &Inputs::of_text("all.yaml", &all)).unwrap();
    assert!(outcome.report.errors.is_empty(), "{:?}\n{all}", outcome.report.errors);
    assert!(outcome.report.not_assessed.is_empty(), "{:?}\n{all}", outcome.report.not_assessed);
    let mut found: BTreeMap<usize, Checked> = BTreeMap::new();
    for entry in outcome.report.findings {
        found.entry(entry.source.document).or_default().entries.push(entry);
    }
    for notice in outcome.report.notices {
        found.entry(notice.source.document).or_default().notices.push(notice.message);
    }
    found
}

/// A Namespace as Amanat keeps it, and as it is once the manifest is applied over that. It is there before it declares
/// anything, and its class label is Amanat's to write.
fn applied(manifest: &Written) -> (Written, Written) {
    let (mut old, mut new) = (manifest.clone(), manifest.clone());
    let mut labels = json!({});
    for mode in POD_SECURITY_MODES {
        labels[format!("{POD_SECURITY_PREFIX}{mode}")] = json!("restricted");
    }
    for (key, value) in manifest.object["metadata"]["labels"].as_object().into_iter().flatten() {
        if key == DATA_CLASS_LABEL {
            labels[key] = value.clone();
        }
    }
    for (key, value) in labels.as_object().into_iter().flatten() {
        let set = &mut new.object["metadata"]["labels"][key];
        if set.is_null() {
            *set = value.clone();
        }
    }
    old.object["metadata"]["labels"] = labels;
    (old, new)
}

#[tokio::test]
async fn examples_of_every_kind() {
    let mut wrong = Vec::new();
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let of_pages = catalogue::ALL.iter().flat_map(|control| control.examples());
    for example in of_pages.map(|(_, example)| example).chain([FURTHER.to_owned()]) {
        for (namespace, _) in NAMESPACES {
            let objects = scene(&example, namespace);
            let checked = through_check(&objects);
            let router = webhook(&objects);
            for (place, object) in objects.iter().enumerate() {
                let Some(kind) = kind_of(object) else { continue };
                let written = Written { kind, object: object.clone() };
                let webhook = if kind == Kind::Namespace {
                    let (old, new) = applied(&written);
                    through_webhook(&router, "UPDATE", &new, Some(&old)).await
                } else {
                    through_webhook(&router, "CREATE", &written, None).await
                };
                let check = told(&checked.get(&place).cloned().unwrap_or_default());
                if !agree(&webhook, &check) {
                    wrong.push(format!("{object}\nwebhook {webhook:#?}\ncheck {check:#?}"));
                }
                *kinds.entry(kind).or_default() += usize::from(check != Found::default());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Controllers of every kind are made of Pods elsewhere; a Scale is no object that is written.
    let others = |kind: &Kind| !kind.is_workload() && *kind != Kind::Scale;
    let tried: Vec<Kind> = kinds.keys().copied().filter(others).collect();
    assert_eq!(tried, Kind::ALL.iter().copied().filter(others).collect::<Vec<_>>(), "a kind without an example");
    assert!(kinds.values().sum::<usize>() > 100, "{kinds:?}");
}
