//! Objects to findings, by the engine that the webhook uses.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::OfflineContext;
use super::objects::{Object, Objects};
use super::regime::Regime;
use crate::catalogue::placement;
use crate::control::{Acceptance, Body, Control, Governed, Kind, NotAssessed, Operation, Standing, Supplied};
use crate::engine::governance::cap;
use crate::engine::{Declaration, Engine, NamespaceFacts, Request, standing};
use crate::report::{Entry, Notice, Report, Source, Unassessed, locate};

/// The cluster's own namespaces, and Amanat's.
const SYSTEM: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "amanat-system"];

/// What is asked.
pub(super) struct Question<'a> {
    /// The class that namespaces hold that declare none.
    pub(super) class: Option<usize>,
    /// The controls that are evaluated alone; none means the class's.
    pub(super) only: &'a [&'static Control],
    /// Further namespaces that are the cluster's own.
    pub(super) system: &'a [String],
    /// The instant.
    pub(super) now: Timestamp,
}

/// How the objects of a namespace are judged.
enum Stance {
    /// Not at all: the cluster's own.
    System,
    /// Not at all: its declaration can't be read, which is an error already.
    Broken,
    /// Not at all: nobody says which class it holds.
    Classless,
    /// By an engine, once for each standing. The class shows in findings when somebody named it.
    Judged { engine: Arc<Engine>, standings: Vec<Standing>, named: bool },
}

/// Judges everything, into `report`.
pub(super) fn judge(
    objects: &Objects<'_>,
    context: &mut OfflineContext<'_>,
    regime: &Regime,
    question: &Question<'_>,
    report: &mut Report,
) {
    // What is judged may reach into namespaces of which only the context tells.
    let beside = context.beside;
    let around = beside.declarations.keys().chain(beside.labels.keys()).map(String::as_str);
    let namespaces: BTreeSet<&str> = objects.judged.iter().map(home).chain(around).collect();
    let stances: BTreeMap<&str, Stance> =
        namespaces.into_iter().map(|namespace| (namespace, stance(namespace, context, regime, question))).collect();
    context.classes = classes(&stances, question);
    let mut classless = BTreeSet::new();
    for object in &objects.judged {
        let namespace = home(object);
        match stances.get(namespace) {
            Some(Stance::Judged { engine, standings, named }) => {
                // What speaks of a namespace is judged once, as it stands.
                let once = matches!(object.subject.body, Body::CloudWorkload(_) | Body::Namespace);
                let standings = if once { standings.get(..1).unwrap_or_default() } else { standings };
                one(object, engine, standings, *named || once, context, question, report);
            }
            Some(Stance::Classless) if object.subject.kind == Kind::Namespace => {
                let engine = regime.engines.default_engine();
                one(object, engine, &[Standing::Undeclared], false, context, question, report);
            }
            Some(Stance::Classless) => {
                if classless.insert(namespace) {
                    report.errors.push(object.origin.error("", no_class(namespace)));
                }
            }
            Some(Stance::System) => report.skipped = report.skipped.saturating_add(1),
            Some(Stance::Broken) | None => {}
        }
    }
}

/// What is known of the class of each namespace: those of the cluster have none, and neither has `default`, unless one
/// is assumed for what names no namespace.
fn classes(stances: &BTreeMap<&str, Stance>, question: &Question<'_>) -> BTreeMap<String, Option<String>> {
    let system = SYSTEM.into_iter().chain(question.system.iter().map(String::as_str));
    let mut classes: BTreeMap<String, Option<String>> =
        system.chain(["default"]).map(|namespace| (namespace.to_owned(), None)).collect();
    for (namespace, stance) in stances {
        if let Stance::Judged { engine, standings, named: true } = stance
            && let Some(governed) = standings.first().and_then(Standing::governed)
        {
            classes.insert((*namespace).to_owned(), Some(engine.regime.class_name(governed.rank).to_owned()));
        }
    }
    classes
}

/// The namespace that an object is judged by; of a Namespace, itself.
fn home<'o>(object: &'o Object<'_>) -> &'o str {
    let metadata = &object.subject.metadata;
    if object.subject.kind == Kind::Namespace { &metadata.name } else { &metadata.namespace }
}

fn no_class(namespace: &str) -> String {
    if namespace == "default" {
        return "no data class for namespace default: say which namespace is meant by -n, with its CloudWorkload among the \
                inputs or in --context, or pass --class"
            .to_owned();
    }
    format!("no data class for namespace {namespace}: add its CloudWorkload or pass --class")
}

fn stance(namespace: &str, context: &OfflineContext<'_>, regime: &Regime, question: &Question<'_>) -> Stance {
    if SYSTEM.contains(&namespace) || question.system.iter().any(|name| name == namespace) {
        return Stance::System;
    }
    let (declaration, label) = (context.declaration(namespace), context.label(namespace));
    let owner = declaration.map(|spec| spec.owner.as_str());
    let engine = Arc::clone(regime.engines.for_owner(owner, context));
    let judged = |standings, named| Stance::Judged { engine: Arc::clone(&engine), standings, named };
    let assumed = |rank, unknown| {
        let cap = cap(&engine.regime, namespace, question.now);
        let acceptance = Acceptance { unknown, ..Acceptance::default() };
        Standing::Governed(Governed { rank, acceptance, raise: None, suspension: None, cap })
    };
    if declaration.is_some() || (label.is_some() && question.class.is_none()) {
        let declaration = declaration.map(|spec| Declaration {
            spec,
            created: None,
            recorded_class: None,
            class_since: None,
            unacceptable_since: None,
        });
        let facts = NamespaceFacts { name: namespace, system: false, label, declaration };
        return judged(vec![standing(&engine.regime, &facts, context, question.now)], true);
    }
    if let Some(class) = question.class {
        let rank = label.and_then(|label| engine.regime.rank(label)).map_or(class, |labelled| labelled.max(class));
        let unknown = |control: &Control| NotAssessed {
            control: control.id,
            reason: "--class assumes an accepted declaration".to_owned(),
        };
        let unknown = vec![unknown(&placement::CLOUD_MODEL_PERMITTED), unknown(&placement::PROVIDER_ACCREDITED)];
        return judged(vec![assumed(rank, unknown)], true);
    }
    let broken = |objects: &Objects<'_>| objects.broken.contains(namespace);
    if broken(context.inputs) || broken(context.beside) {
        return Stance::Broken;
    }
    if question.only.is_empty() {
        return Stance::Classless;
    }
    // Single controls need no class: those of the standing see a namespace that declares nothing, the others one that
    // holds the strictest class.
    let strictest = engine.regime.classes.len().saturating_sub(1);
    judged(vec![Standing::Undeclared, assumed(strictest, Vec::new())], false)
}

fn one(
    object: &Object<'_>,
    engine: &Engine,
    standings: &[Standing],
    named: bool,
    context: &OfflineContext<'_>,
    question: &Question<'_>,
    report: &mut Report,
) {
    report.objects = report.objects.saturating_add(1);
    for standing in standings {
        // A Pod is supplied when it is made, a template is judged as what its Pods will be.
        let (subject, supplied) = if object.subject.kind.is_workload() {
            let mut subject = object.subject.clone();
            let supplied = engine.supply(standing, context, &mut subject);
            (Cow::Owned(subject), supplied)
        } else {
            (Cow::Borrowed(&object.subject), Supplied::default())
        };
        let request = Request {
            operation: Operation::Create,
            subject: &subject,
            old: None,
            actor: None,
            standing,
            context,
            now: question.now,
        };
        let verdict = engine.decide(&request);
        let class = verdict.class.filter(|_| named);
        let source: Source = object.origin.source();
        report.findings.extend(verdict.outcomes.into_iter().map(|outcome| Entry {
            source: object.origin.at(locate(object.origin.item.node, &outcome.finding.path)),
            outcome,
            class: class.clone(),
            object: object.reference(),
            exemption: None,
        }));
        report.not_assessed.extend(verdict.not_assessed.into_iter().map(|unknown| Unassessed {
            control: unknown.control,
            object: object.reference(),
            reason: unknown.reason,
            source: source.clone(),
        }));
        if question.only.is_empty() {
            let notice = |message| Notice { source: source.clone(), message };
            report.notices.extend(verdict.notices.into_iter().chain(supplied.notices).map(notice));
        }
    }
}

/// Files whose objects are applied before the CloudWorkload that governs them, one warning a file and namespace.
pub(super) fn out_of_order(objects: &Objects<'_>) -> Vec<String> {
    let mut warned = BTreeSet::new();
    for object in &objects.judged {
        let namespace = object.subject.metadata.namespace.as_str();
        if matches!(object.subject.kind, Kind::CloudWorkload | Kind::Namespace) {
            continue;
        }
        let Some((_, declaration)) = objects.declarations.get(namespace) else { continue };
        if object.origin.is_before(declaration) {
            warned.insert((object.origin.file, namespace, declaration.file));
        }
    }
    let warning = |(file, namespace, declared): (&str, &str, &str)| {
        if file == declared {
            format!("{file}: the CloudWorkload of namespace {namespace} stands behind what it governs: put it first")
        } else {
            format!(
                "{file} sorts before {declared}, whose CloudWorkload governs namespace {namespace}: what is applied first \
                 is not judged by it; rename it, or apply the CloudWorkload first"
            )
        }
    };
    warned.into_iter().map(warning).collect()
}
