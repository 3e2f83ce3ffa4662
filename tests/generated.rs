//! Files that the code generates are the ones that stand in the tree. `UPDATE=1 cargo test --test generated` writes
//! them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/docs.rs"]
mod docs;
#[path = "support/values.rs"]
mod values;

use std::path::Path;

use amanat::api;

/// Path from the root of the project, and content, of every generated file. Folders listed in [`WHOLE`] hold nothing
/// else.
fn generated() -> Vec<(String, String)> {
    let mut files = docs::pages();
    for (name, yaml) in api::crd_files().unwrap() {
        for folder in ["crds", "charts/amanat/crds"] {
            files.push((format!("{folder}/{name}"), yaml.clone()));
        }
    }
    files.push(("charts/amanat/files/baseline.yaml".to_owned(), amanat::baseline::SHIPPED.to_owned()));
    let schema = "charts/amanat/values.schema.json";
    let written = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(schema)).unwrap();
    files.push((schema.to_owned(), values::schema(&written)));
    files
}

/// Folders that hold generated files alone.
const WHOLE: &[&str] = &["crds", "charts/amanat/crds", "charts/amanat/files", "docs/controls", "docs/kinds"];

/// Every file of a folder, by its path from the root of the project.
fn under(root: &Path, folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).into_iter().flatten() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(under(root, &path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("UPDATE").is_some();
    let files = generated();
    let mut stale = Vec::new();
    for (path, content) in &files {
        let place = root.join(path);
        if std::fs::read_to_string(&place).is_ok_and(|found| found == *content) {
            continue;
        }
        if update {
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(&place, content).unwrap();
        } else {
            stale.push(path.clone());
        }
    }
    for path in WHOLE.iter().flat_map(|folder| under(root, folder)) {
        if !files.iter().any(|(known, _)| *known == path) {
            if update {
                std::fs::remove_file(root.join(&path)).unwrap();
            } else {
                stale.push(path);
            }
        }
    }
    assert!(stale.is_empty(), "run `UPDATE=1 cargo test --test generated`; not current: {}", stale.join(", "));
}

/// kubectl reads `yes`, `on` and `12:30` as something else than strings: what is written must come back as it was.
#[test]
fn yaml_comes_back_as_written() {
    for (crd, (name, yaml)) in api::crds().iter().zip(api::crd_files().unwrap()) {
        // The reader is held against kubectl's answers elsewhere.
        let (documents, errors) = amanat::manifest::read(&yaml, &amanat::manifest::Limits::default());
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let read = documents[0].root.to_value();
        let reread: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_json::from_value(read).unwrap();
        assert_eq!(*crd, reread, "{name}");
        assert!(yaml.len() < 200_000, "{name} has {} bytes", yaml.len());
    }
}
