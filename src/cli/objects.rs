//! Documents to objects: what is judged, what is known, what is passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::inputs::{File, Inputs};
use crate::api::{
    self, CloudServiceProvider, CloudServiceProviderSpec, CloudWorkloadSpec, DATA_CLASS_LABEL, GROUP,
    PublicSectorEntity, PublicSectorEntitySpec, SecurityBaseline, VERSION,
};
use crate::control::{Body, Kind, Subject, size};
use crate::manifest::{Item, Node, Place, items};
use crate::report::{InputError, ObjectRef, Source, locate_text};

/// The kinds of Amanat's own group.
const OWN: [&str; 4] = ["CloudWorkload", "CloudServiceProvider", "PublicSectorEntity", "SecurityBaseline"];

/// Where an object was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// The file's place among the files.
    pub(super) order: usize,
    /// The object in it.
    pub(super) item: Item<'a>,
}

/// An object to judge.
#[derive(Debug)]
pub(super) struct Object<'a> {
    /// Where it was read.
    pub(super) origin: Origin<'a>,
    /// Decoded; its namespace is never empty, unless its kind has none.
    pub(super) subject: Subject,
    /// `group/version`.
    api_version: String,
}

/// What the inputs hold.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    /// What is judged, in the order read.
    pub(super) judged: Vec<Object<'a>>,
    /// Providers by name.
    pub(super) providers: BTreeMap<String, (CloudServiceProviderSpec, Origin<'a>)>,
    /// Entities by name.
    pub(super) entities: BTreeMap<String, (PublicSectorEntitySpec, Origin<'a>)>,
    /// Declarations by namespace.
    pub(super) declarations: BTreeMap<String, (CloudWorkloadSpec, Origin<'a>)>,
    /// Baselines.
    pub(super) baselines: Vec<(SecurityBaseline, Origin<'a>)>,
    /// Class labels by namespace.
    pub(super) labels: BTreeMap<String, String>,
    /// Namespaces whose declaration can't be read.
    pub(super) broken: BTreeSet<String>,
    /// Objects of kinds that no control judges.
    pub(super) unjudged: usize,
    /// Documents of walked folders that are no objects.
    pub(super) passed_over: usize,
    /// What could not be read.
    pub(super) errors: Vec<InputError>,
}

impl<'a> Origin<'a> {
    /// The place of the object itself.
    pub(super) fn source(&self) -> Source {
        self.at(self.item.node.place())
    }

    /// A place within the object.
    pub(super) fn at(&self, place: Place) -> Source {
        Source {
            file: self.file.to_owned(),
            document: self.item.document,
            item: self.item.item,
            line: place.line,
            column: place.column,
        }
    }

    /// An error at a field of the object.
    pub(super) fn error(&self, path: &str, message: String) -> InputError {
        let source = self.at(locate_text(self.item.node, path));
        let message = if path.is_empty() { message } else { format!("{path}: {message}") };
        InputError {
            file: source.file,
            document: Some(source.document),
            line: Some(source.line),
            column: Some(source.column),
            message,
        }
    }

    /// True when this is applied before the other.
    pub(super) fn is_before(&self, other: &Origin<'_>) -> bool {
        let place = |origin: &Origin<'_>| (origin.order, origin.item.document, origin.item.item);
        place(self) < place(other)
    }
}

impl Object<'_> {
    /// Its identity.
    pub(super) fn reference(&self) -> ObjectRef {
        let namespace = &self.subject.metadata.namespace;
        ObjectRef {
            api_version: self.api_version.clone(),
            kind: self.subject.kind.name().to_owned(),
            namespace: (self.subject.kind != Kind::Namespace).then(|| namespace.clone()),
            name: self.subject.metadata.display_name(),
        }
    }
}

impl<'a> Objects<'a> {
    /// Sorts the objects of the inputs. A namespaced object that names no namespace gets `namespace`, else that of the
    /// only declaration among the inputs and what is `known` beside them, else `default`.
    pub(super) fn collect(inputs: &'a Inputs, namespace: Option<&str>, known: Option<&Self>) -> Self {
        let mut objects = Self { errors: inputs.errors.clone(), ..Self::default() };
        for (order, file) in inputs.files.iter().enumerate() {
            for document in &file.documents {
                for item in items(document) {
                    objects.sort_in(file, Origin { file: &file.name, order, item });
                }
            }
        }
        let mut declared: BTreeSet<&str> =
            known.into_iter().flat_map(|known| known.declarations.keys()).map(String::as_str).collect();
        declared.extend(objects.judged.iter().filter(|object| object.subject.kind == Kind::CloudWorkload).filter_map(
            |object| Some(object.subject.metadata.namespace.as_str()).filter(|namespace| !namespace.is_empty()),
        ));
        let of_declaration = namespace.unwrap_or("default").to_owned();
        let of_others = match (namespace, declared.first(), declared.len()) {
            (Some(namespace), ..) => namespace.to_owned(),
            (None, Some(only), 1) => (*only).to_owned(),
            _ => "default".to_owned(),
        };
        for object in &mut objects.judged {
            let metadata = &mut object.subject.metadata;
            match object.subject.kind {
                Kind::Namespace => metadata.namespace = String::new(),
                Kind::CloudWorkload if metadata.namespace.is_empty() => metadata.namespace.clone_from(&of_declaration),
                _ if metadata.namespace.is_empty() => metadata.namespace.clone_from(&of_others),
                _ => {}
            }
        }
        objects.learn();
        objects
    }

    /// How many objects of the registry were read: they are known, not judged.
    pub(super) fn registered(&self) -> usize {
        self.providers.len().saturating_add(self.entities.len()).saturating_add(self.baselines.len())
    }

    /// How many objects were read, of whatever kind.
    pub(super) fn count(&self) -> usize {
        self.registered().saturating_add(self.judged.len()).saturating_add(self.unjudged)
    }

    fn sort_in(&mut self, file: &File, origin: Origin<'a>) {
        let value = origin.item.to_value();
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        if api_version.is_empty() || kind.is_empty() {
            // A known kind was meant as an object, wherever it stands.
            let meant = OWN.contains(&kind.as_str()) || Kind::ALL.iter().any(|known| known.name() == kind);
            if file.named || meant {
                self.errors.push(origin.error("", no_object(origin.item.node, &api_version, &kind)));
            } else {
                self.passed_over = self.passed_over.saturating_add(1);
            }
            return;
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if group == GROUP {
            return self.own(&api_version, &kind, &value, origin);
        }
        match Kind::from_group_kind(group, &kind).filter(|kind| *kind != Kind::Scale) {
            Some(kind) if !size::value_fits(&value, size::structure(kind)) => {
                self.errors.push(origin.error("", size::too_large(kind)));
            }
            Some(kind) => match Subject::from_manifest(kind, value) {
                Ok(subject) => self.judged.push(Object { origin, subject, api_version }),
                Err(error) => self.errors.push(origin.error("", format!("{kind} can't be read: {error}"))),
            },
            None => {
                // The groups of Kubernetes itself have no dot: there, the kind is meant and the group is wrong.
                let meant = Kind::ALL.iter().find(|known| known.name() == kind && **known != Kind::Scale);
                match meant.filter(|_| !group.contains('.')) {
                    Some(meant) => {
                        let group =
                            if meant.group().is_empty() { String::new() } else { format!("{}/", meant.group()) };
                        let message =
                            format!("{api_version} has no {kind}; write apiVersion: {group}{}", meant.version());
                        self.errors.push(origin.error("apiVersion", message));
                    }
                    None => self.unjudged = self.unjudged.saturating_add(1),
                }
            }
        }
    }

    /// An object of Amanat's group: read strictly, since the API server would drop what it doesn't know.
    fn own(&mut self, api_version: &str, kind: &str, value: &Value, origin: Origin<'a>) {
        if !OWN.contains(&kind) {
            match api::nearest(kind, OWN) {
                Some(near) => {
                    self.errors.push(origin.error("kind", format!("unknown kind {kind}; did you mean {near}?")));
                }
                None => self.unjudged = self.unjudged.saturating_add(1),
            }
            return;
        }
        let structure = if kind == "CloudWorkload" { size::structure(Kind::CloudWorkload) } else { size::STRUCTURE };
        if !size::value_fits(value, structure) {
            self.errors.push(origin.error("", size::too_large(kind)));
            return self.give_up(kind, value);
        }
        let mut problems = api::unknown_fields(value, kind);
        if api_version != format!("{GROUP}/{VERSION}") {
            let message = format!("unknown version {api_version}; write {GROUP}/{VERSION}");
            problems.push(api::Invalid::new("apiVersion", message));
        }
        problems.extend(api::check(value, kind).into_iter().flatten());
        let sound = problems.is_empty();
        self.errors.extend(problems.into_iter().map(|problem| origin.error(&problem.path, problem.message)));
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind {
            "CloudWorkload" => match Subject::from_manifest(Kind::CloudWorkload, value.clone()) {
                Ok(subject) if sound => {
                    self.judged.push(Object { origin, subject, api_version: api_version.to_owned() });
                }
                _ => self.give_up(kind, value),
            },
            "CloudServiceProvider" => {
                if let Ok(provider) = api::read::<CloudServiceProvider>(value) {
                    note(&mut self.providers, &mut self.errors, kind, name, provider.spec, origin);
                }
            }
            "PublicSectorEntity" => {
                if let Ok(entity) = api::read::<PublicSectorEntity>(value) {
                    note(&mut self.entities, &mut self.errors, kind, name, entity.spec, origin);
                }
            }
            _ => {
                if let Ok(baseline) = api::read::<SecurityBaseline>(value) {
                    self.baselines.push((baseline, origin));
                }
            }
        }
    }

    /// Where a declaration can't be read, nothing is judged as if there were none.
    fn give_up(&mut self, kind: &str, value: &Value) {
        if kind == "CloudWorkload" {
            let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
            self.broken.insert(namespace.to_owned());
        }
    }

    /// Takes the declarations and labels out of what is judged.
    fn learn(&mut self) {
        for object in &self.judged {
            let metadata = &object.subject.metadata;
            match &object.subject.body {
                Body::CloudWorkload(spec) => {
                    let (namespace, spec) = (metadata.namespace.clone(), spec.as_ref().clone());
                    let what = "CloudWorkload of namespace";
                    note(&mut self.declarations, &mut self.errors, what, namespace, spec, object.origin);
                }
                Body::Namespace => {
                    if let Some(class) = metadata.labels.get(DATA_CLASS_LABEL) {
                        self.labels.insert(metadata.name.clone(), class.clone());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Keeps an object by name. Two that differ are an error: which of them is meant can't be known.
fn note<'a, S: PartialEq>(
    known: &mut BTreeMap<String, (S, Origin<'a>)>,
    errors: &mut Vec<InputError>,
    what: &str,
    name: String,
    spec: S,
    origin: Origin<'a>,
) {
    match known.get(&name) {
        Some((other, first)) if *other != spec => {
            let message = format!("{what} {name} is written twice, and differently in {}: leave one out", first.file);
            errors.push(origin.error("", message));
        }
        Some(_) => {}
        None => {
            known.insert(name, (spec, origin));
        }
    }
}

fn no_object(node: &Node, api_version: &str, kind: &str) -> String {
    let lacks = match (api_version.is_empty(), kind.is_empty()) {
        (true, true) => "apiVersion and kind",
        (true, false) => "apiVersion",
        _ => "kind",
    };
    if node.is_mapping() {
        format!("no Kubernetes object: it has no {lacks}")
    } else {
        "no Kubernetes object: expected a mapping with apiVersion and kind".to_owned()
    }
}
