//! Objects to findings, by the webhook's engine.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::context::OfflineContext;
use super::objects::{Object, Objects};
use super::regime::Regime;
use crate::control::{Acceptance, Governed, Kind, NotAssessed, Operation, Standing};
use crate::engine::{Declaration, Engine, NamespaceFacts, Request, standing};
use crate::report::{Entry, InputError, Notice, Report, Unassessed, locate};

/// Namespaces that are the cluster's own everywhere.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// What a class that was named on the command line leaves open.
const ASSUMED: &str = "--class assumes an accepted CloudWorkload";

/// How the command line wants objects judged.
pub struct Question<'a> {
    /// What decides.
    pub regime: &'a Regime,
    /// The class of namespaces that declare none.
    pub class: Option<usize>,
    /// Single controls are evaluated, without a class.
    pub only: bool,
    /// The instant.
    pub now: Timestamp,
}

/// Judges the objects of the inputs, with what is known beside them.
pub fn judge(question: &Question<'_>, inputs: &Objects<'_>, beside: &Objects<'_>) -> Report {
    let regime = &question.regime.effective.regime;
    let mut report = Report {
        baseline: regime.baseline.clone(),
        version: regime.version.clone(),
        skipped: inputs.unjudged.saturating_add(inputs.passed_over).saturating_add(inputs.registered()),
        errors: inputs.errors.clone(),
        ..Report::default()
    };
    let context = OfflineContext { inputs, beside, classes: BTreeMap::new() };
    let classes = classes(question, &context, inputs);
    let context = OfflineContext { classes, ..context };
    let mut unclassed = BTreeSet::new();
    for object in &inputs.judged {
        let namespace = object.subject.metadata.namespace.as_str();
        let owner = context.declaration(namespace).map(|spec| spec.owner.as_str());
        let engine = question.regime.engines.for_owner(owner, &context);
        let standing = match stand(question, engine, &context, object) {
            Stands::Known(standing) => standing,
            Stands::Passed => {
                report.skipped = report.skipped.saturating_add(1);
                continue;
            }
            Stands::Unknown => {
                report.skipped = report.skipped.saturating_add(1);
                if unclassed.insert(namespace.to_owned()) {
                    report.errors.push(no_class(object, namespace));
                }
                continue;
            }
        };
        report.objects = report.objects.saturating_add(1);
        decide(engine, &standing, &context, object, question.now, &mut report);
        early(object, inputs, namespace, &mut report);
    }
    report.sort();
    report
}

enum Stands {
    /// So.
    Known(Standing),
    /// It isn't judged: the cluster's own, or its declaration can't be read, which is told already.
    Passed,
    /// Nobody says which class it has.
    Unknown,
}

fn stand(question: &Question<'_>, engine: &Engine, context: &OfflineContext<'_>, object: &Object<'_>) -> Stands {
    let namespace = object.subject.metadata.namespace.as_str();
    let facts = facts(namespace, context);
    match object.subject.kind {
        Kind::Namespace => return Stands::Known(Standing::Undeclared),
        Kind::CloudWorkload => {
            return Stands::Known(standing(&engine.regime, &facts, context, question.now));
        }
        _ => {}
    }
    if facts.system {
        return Stands::Passed;
    }
    if facts.declaration.is_some() || facts.label.is_some() {
        return Stands::Known(standing(&engine.regime, &facts, context, question.now));
    }
    if context.inputs.broken.contains(namespace) || context.beside.broken.contains(namespace) {
        return Stands::Passed;
    }
    match question.class {
        Some(rank) => Stands::Known(assumed(rank)),
        None if question.only => Stands::Known(Standing::Governed(Governed {
            rank: engine.regime.classes.len().saturating_sub(1),
            acceptance: Acceptance::default(),
            raise: None,
            suspension: None,
            cap: None,
        })),
        None => Stands::Unknown,
    }
}

/// A class that is taken for accepted: what was not looked at is said, never passed.
fn assumed(rank: usize) -> Standing {
    let unknown = ["placement/cloud-model-permitted", "placement/provider-accredited"]
        .map(|control| NotAssessed { control, reason: ASSUMED.to_owned() });
    Standing::Governed(Governed {
        rank,
        acceptance: Acceptance { unknown: unknown.to_vec(), ..Acceptance::default() },
        raise: None,
        suspension: None,
        cap: None,
    })
}

fn facts<'a>(namespace: &'a str, context: &'a OfflineContext<'_>) -> NamespaceFacts<'a> {
    NamespaceFacts {
        name: namespace,
        system: SYSTEM_NAMESPACES.contains(&namespace),
        label: context.label(namespace),
        declaration: context.declaration(namespace).map(|spec| Declaration {
            spec,
            created: None,
            recorded_class: None,
            class_since: None,
            unacceptable_since: None,
        }),
    }
}

/// The classes of the namespaces that declare one, by name.
fn classes(question: &Question<'_>, context: &OfflineContext<'_>, inputs: &Objects<'_>) -> BTreeMap<String, String> {
    let regime = &question.regime.effective.regime;
    let namespaces = inputs.declarations.keys().chain(inputs.labels.keys());
    let class = |namespace: &String| {
        let standing = standing(regime, &facts(namespace, context), context, question.now);
        let rank = standing.governed()?.rank;
        Some((namespace.clone(), regime.class_name(rank).to_owned()))
    };
    namespaces.filter_map(class).collect()
}

fn decide(
    engine: &Engine,
    standing: &Standing,
    context: &OfflineContext<'_>,
    object: &Object<'_>,
    now: Timestamp,
    report: &mut Report,
) {
    let verdict = engine.decide(&Request {
        operation: Operation::Create,
        subject: &object.subject,
        old: None,
        actor: None,
        standing,
        context,
        now,
    });
    let class = verdict.class;
    report.findings.extend(verdict.outcomes.into_iter().map(|outcome| Entry {
        source: object.origin.at(locate(object.origin.item.node, &outcome.finding.path)),
        object: object.reference(),
        class: class.clone(),
        exemption: None,
        outcome,
    }));
    report.not_assessed.extend(verdict.not_assessed.into_iter().map(|unknown| Unassessed {
        control: unknown.control,
        object: object.reference(),
        reason: unknown.reason,
        source: object.origin.source(),
    }));
    report
        .notices
        .extend(verdict.notices.into_iter().map(|message| Notice { source: object.origin.source(), message }));
}

/// `kubectl apply` goes by the order of files: what comes before its declaration is judged as undeclared.
fn early(object: &Object<'_>, inputs: &Objects<'_>, namespace: &str, report: &mut Report) {
    let Some((_, declaration)) = inputs.declarations.get(namespace) else { return };
    if object.subject.kind.is_workload() && object.origin.is_before(declaration) {
        let message = format!(
            "{} is applied before the CloudWorkload of its namespace, in {}: put that first",
            object.reference(),
            declaration.file
        );
        report.notices.push(Notice { source: object.origin.source(), message });
    }
}

fn no_class(object: &Object<'_>, namespace: &str) -> InputError {
    let message = format!("no data class for namespace {namespace}: add its CloudWorkload or pass --class");
    object.origin.error("", message)
}
