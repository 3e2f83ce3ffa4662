//! One table of accepted and rejected objects: here on `validate()`, and by the cluster tests on the API server.
//!
//! `tests/kinds/<plural>/accepted-<what>.yaml` is sound; the first line of `rejected-<what>.yaml` is a comment that
//! says where the problem is.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;

use amanat::api::{
    self, CloudServiceProvider, CloudWorkload, Invalid, Kind, PublicSectorEntity, SecurityBaseline, nearest,
};
use serde_json::{Value, json};

struct Case {
    name: String,
    place: Option<String>,
    value: Value,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds").join(folder);
    let mut cases: Vec<Case> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let place = name
                .starts_with("rejected-")
                .then(|| text.lines().next().and_then(|line| line.strip_prefix("# ")).expect(&name).trim().to_owned());
            assert!(place.is_some() || name.starts_with("accepted-"), "{name}");
            let (documents, errors) = amanat::manifest::read(&text, &amanat::manifest::Limits::default());
            assert!(errors.is_empty() && documents.len() == 1, "{name}: {errors:?}");
            Case { value: documents[0].root.to_value(), name, place }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn table<K: Kind>(folder: &str) {
    let cases = cases(folder);
    assert!(cases.iter().any(|case| case.place.is_none()) && cases.iter().any(|case| case.place.is_some()));
    for Case { name, place, value } in cases {
        let read = api::read::<K>(&value);
        assert_eq!(read.as_ref().err().cloned().unwrap_or_default(), api::check(&value, K::KIND).unwrap(), "{name}");
        match (place, read) {
            (None, Ok(object)) => {
                assert_eq!(object.validate(), [], "{name}");
                assert_eq!(api::unknown_fields(&value, K::KIND), [], "{name}");
                let again = serde_json::to_value(&object).unwrap();
                assert_eq!(api::read::<K>(&again).map_err(|p| format!("{p:?}")).map(|_| ()), Ok(()), "{name}");
            }
            (None, Err(problems)) => panic!("{name} is refused: {problems:?}"),
            (Some(place), Err(problems)) => {
                let places: BTreeSet<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
                assert_eq!(places, BTreeSet::from([place.as_str()]), "{name}: {problems:?}");
                // What can be read all the same must be refused by validate() alone.
                if let Ok(object) = serde_json::from_value::<K>(value) {
                    let places: BTreeSet<String> = object.validate().into_iter().map(|problem| problem.path).collect();
                    assert_eq!(places, BTreeSet::from([place]), "{name}");
                }
            }
            (Some(_), Ok(_)) => panic!("{name} is accepted"),
        }
    }
}

#[test]
fn cloud_workloads() {
    table::<CloudWorkload>("cloudworkloads");
}

#[test]
fn cloud_service_providers() {
    table::<CloudServiceProvider>("cloudserviceproviders");
}

#[test]
fn public_sector_entities() {
    table::<PublicSectorEntity>("publicsectorentities");
}

#[test]
fn security_baselines() {
    table::<SecurityBaseline>("securitybaselines");
}

#[test]
fn every_folder_is_a_kind() {
    let plurals: BTreeSet<String> = api::crds().into_iter().map(|crd| crd.spec.names.plural).collect();
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds")).unwrap();
    let folders: BTreeSet<String> = folders.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(plurals, folders);
}

fn whole(folder: &str) -> Value {
    cases(folder).into_iter().find(|case| case.name == "accepted-whole.yaml").expect(folder).value
}

/// The list that shrinks: fields of the kinds whose behaviour isn't built yet.
#[test]
fn fields_not_acted_upon() {
    let inert = |fields: Vec<&'static str>| fields;
    let workload: CloudWorkload = api::read(&whole("cloudworkloads")).unwrap();
    assert_eq!(inert(workload.inert_fields()), ["spec.sla", "spec.exitPlan", "spec.tags"]);
    let provider: CloudServiceProvider = api::read(&whole("cloudserviceproviders")).unwrap();
    assert_eq!(inert(provider.inert_fields()), ["spec.certifications", "spec.audit", "spec.contacts"]);
    let entity: PublicSectorEntity = api::read(&whole("publicsectorentities")).unwrap();
    assert_eq!(inert(entity.inert_fields()), ["spec.criticalInfrastructure", "spec.access", "spec.contacts"]);
    let baseline: SecurityBaseline = api::read(&whole("securitybaselines")).unwrap();
    assert_eq!(inert(baseline.inert_fields()), ["spec.clusterScoped", "spec.exemptions", "spec.approvers"]);
}

/// An object with every field set shows that no field of the schema is missing from the table above.
#[test]
fn whole_objects_set_every_field() {
    for crd in api::crds() {
        let value = whole(&crd.spec.names.plural);
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let fields = schema["openAPIV3Schema"]["properties"]["spec"]["properties"].as_object().unwrap().clone();
        // An overlay is another object.
        let missing: Vec<&String> =
            fields.keys().filter(|name| value["spec"].get(*name).is_none() && *name != "overlay").collect();
        assert_eq!(missing, Vec::<&String>::new(), "{}", crd.spec.names.kind);
    }
}

#[test]
fn unknown_fields_are_named_with_a_suggestion() {
    let mut value = whole("securitybaselines");
    value["spec"]["clases"] = json!([]);
    value["spec"]["controls"][0]["effect"] = json!({});
    value["spec"]["controls"][0]["params"] = json!({"anything": {"goes": 1}});
    let found = api::unknown_fields(&value, "SecurityBaseline");
    let expected = [
        Invalid::new("spec.clases", "is not a field of this kind: did you mean classes?"),
        Invalid::new("spec.controls[0].effect", "is not a field of this kind: did you mean effects?"),
    ];
    assert_eq!(found, expected);
    assert_eq!(api::unknown_fields(&value, "Deployment"), []);
    assert_eq!(nearest("Restrictd", ["Open", "Restricted"]), Some("Restricted"));
}

/// Structural schemas with everything bounded: what isn't, the API server's cost estimate of a rule can refuse.
#[test]
fn schemas_are_documented_and_bounded() {
    fn look(path: &str, schema: &Value, problems: &mut Vec<String>) {
        let has = |key: &str| schema.get(key).is_some();
        match schema["type"].as_str() {
            Some("string") if !has("maxLength") && !has("enum") && !has("format") => problems.push(path.to_owned()),
            Some("array") if !has("maxItems") || !has("x-kubernetes-list-type") => problems.push(path.to_owned()),
            Some("object") if has("additionalProperties") && !has("maxProperties") => problems.push(path.to_owned()),
            None if schema.get("x-kubernetes-int-or-string").is_none() => problems.push(path.to_owned()),
            _ => {}
        }
        if has("nullable") || has("oneOf") || has("default") && path != ".status" {
            problems.push(format!("{path}: not structural or with a default"));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if field.get("description").is_none() {
                problems.push(format!("{path}.{name}: not documented"));
            }
            look(&format!("{path}.{name}"), field, problems);
        }
        for of in ["items", "additionalProperties"] {
            if let Some(of) = schema.get(of) {
                look(&format!("{path}[]"), of, problems);
            }
        }
    }
    for crd in api::crds() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let mut problems = Vec::new();
        look("", &schema["openAPIV3Schema"], &mut problems);
        assert_eq!(problems, Vec::<String>::new(), "{}", crd.spec.names.kind);
        assert_eq!(schema["openAPIV3Schema"]["properties"]["status"]["default"], json!({"observedGeneration": -1}));
    }
}
