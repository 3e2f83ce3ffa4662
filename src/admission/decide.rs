//! One decision: governance, decode, supply, evaluate, and one question to the API server when its answer could turn a
//! refusal.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::entry::Entry;
use super::envelope::{Decoded, Request};
use super::exits::{self, Exit};
use super::respond::{Answer, Decision};
use super::standing::{Unavailable, look_up, look_up_references};
use super::state::AdmissionState;
use super::undecodable;
use crate::api::{DATA_CLASS_LABEL, Effect};
use crate::cluster::LiveContext;
use crate::control::{Actor, Body, Context, Kind, Operation, Standing, Subject, size};
use crate::engine::{self, Engine, NamespaceFacts, Verdict, Want};

/// Set by the kubelet on the Pods that it shows for files on its node.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// The group of every kubelet.
const NODES: &str = "system:nodes";

/// Answers a request of any entry but the registry's.
pub(super) async fn decide(
    state: &AdmissionState,
    entry: Entry,
    request: &Request<'_>,
    decoded: Decoded,
) -> Result<Answer, Unavailable> {
    let Exit::Judge(kind, operation) = exits::of(entry, request) else {
        return Ok(Answer::passed(Decision::NotJudged));
    };
    let namespace = &*request.namespace;
    let of_namespace = !matches!(kind, Kind::Namespace | Kind::CloudWorkload);
    if namespace.is_empty() {
        return Ok(Answer::undecodable(format!("the {kind} can't be judged, because the request names no namespace")));
    }
    if of_namespace && state.settings.is_system(namespace) {
        return Ok(Answer::passed(Decision::System));
    }
    if !state.index.synced() {
        return Err(Unavailable::NotSynced);
    }
    let world = state.index.world();
    let now = state.clock.now();
    let context = LiveContext::new(&world, &state.settings, now);
    let standing = context.standing(namespace).ok_or(Unavailable::NoBaseline)?;
    let found = look_up(state, entry, &standing, namespace, kind, operation).await?;
    let (context, standing) = match &found {
        Some(found) => {
            let context = context.with_found(found);
            (context, context.standing(namespace).ok_or(Unavailable::NoBaseline)?)
        }
        None => (context, standing),
    };
    if entry.supplies() {
        return supply(state, &context, &standing, request, decoded.object);
    }

    let new = (decoded.object, request.object);
    let old = (decoded.old_object, request.old_object);
    let (judged, before) = match operation {
        Operation::Create => (new, None),
        Operation::Update => (new, Some(old)),
        Operation::Delete => (old, None),
    };
    let mut subject = match decode(kind, request, judged) {
        Ok(subject) => subject,
        Err(reason) => return undecodable(&context, namespace, kind, reason),
    };
    let named = look_up_references(state, &context, found.as_deref(), &subject, operation).await?;
    let context = match &named {
        Some(named) => context.with_found(named),
        None => context,
    };
    // An old object that can't be read forgives nothing; an old Namespace is what the new one is judged by.
    let mut old = match before.map(|before| decode(kind, request, before)) {
        Some(Err(reason)) if kind == Kind::Namespace => return undecodable(&context, namespace, kind, reason),
        decoded => decoded.and_then(Result::ok),
    };
    let actor = actor(state, request);
    let engine = engine_for(&context, namespace, &subject).ok_or(Unavailable::NoBaseline)?;
    let standing = match kind {
        Kind::Namespace => {
            engine::standing(&engine.regime, &of_namespace_itself(&context, &subject, old.as_deref()), &context, now)
        }
        // By the baseline of the owner that it names, and with what it refers to.
        Kind::CloudWorkload => engine::standing(&engine.regime, &context.facts(namespace), &context, now),
        _ => standing,
    };
    let notices = match kind {
        // A Pod has been through the supplying entries when it was made.
        Kind::Pod => Vec::new(),
        _ => supply_template(engine, &standing, &context, &mut subject, old.as_deref_mut()),
    };
    let judge = |context: &dyn Context| -> Verdict {
        engine.decide(&engine::Request {
            operation,
            subject: &subject,
            old: old.as_deref(),
            actor: Some(&actor),
            standing: &standing,
            context,
            now,
        })
    };
    let mut verdict = judge(&context);
    match verdict.wants.take() {
        Some(Want::NamespaceGoing) => {
            let going = state.lookup.namespace_going(namespace).await.unwrap_or(false);
            verdict = judge(&context.with_namespace_going(going));
        }
        Some(Want::OwnerCreated(owner)) => {
            if let Some(created) = state.lookup.owner_created(namespace, &owner).await {
                verdict = judge(&context.with_owner_created(created));
            }
        }
        None => {}
    }
    verdict.notices.extend(notices);
    let answer = Answer::of(&verdict, &engine.regime);
    if !answer.allowed() && is_mirror(&subject, operation, &actor) {
        return Ok(answer.admitted_as(Decision::MirrorPod));
    }
    Ok(answer)
}

/// Fills in what a Pod that is made lacks. Where nothing is supplied it isn't read: it still comes to the judging entries.
fn supply(
    state: &AdmissionState,
    context: &LiveContext<'_>,
    standing: &Standing,
    request: &Request<'_>,
    decoded: Option<Box<Subject>>,
) -> Result<Answer, Unavailable> {
    let engine = context.engine(&request.namespace).ok_or(Unavailable::NoBaseline)?;
    if !engine.supplies(standing) {
        return Ok(Answer::passed(Decision::Allowed));
    }
    let mut pod = match decode(Kind::Pod, request, (decoded, request.object)) {
        Ok(pod) => pod,
        Err(reason) => return Ok(Answer::undecodable(reason)),
    };
    if is_mirror(&pod, Operation::Create, &actor(state, request)) {
        return Ok(Answer::passed(Decision::MirrorPod));
    }
    Ok(Answer::supplied(&engine.supply(standing, context, &mut pod)))
}

/// Who asks.
fn actor(state: &AdmissionState, request: &Request<'_>) -> Actor {
    let user = &request.user_info;
    Actor::new(&user.username, user.groups(), &state.settings.own_username, &state.settings.control_plane_users)
}

/// Fills a template in as its Pods will be. Gives what its author should know and wasn't told before.
fn supply_template(
    engine: &Engine,
    standing: &Standing,
    context: &LiveContext<'_>,
    subject: &mut Subject,
    old: Option<&mut Subject>,
) -> Vec<String> {
    let known = old.map(|old| engine.supply(standing, context, old).notices).unwrap_or_default();
    let mut notices = engine.supply(standing, context, subject).notices;
    notices.retain(|notice| !known.contains(notice));
    notices
}

/// The engine of the namespace's owner; of a declaration, that of the owner that it names.
fn engine_for<'a>(context: &LiveContext<'a>, namespace: &str, subject: &Subject) -> Option<&'a Arc<Engine>> {
    match &subject.body {
        Body::CloudWorkload(spec) => context.engine_of_owner(Some(&spec.owner)),
        Body::Namespace => context.engine(&subject.metadata.name),
        _ => context.engine(namespace),
    }
}

/// A Namespace by itself: the class label that it had counts, however far behind the index is.
fn of_namespace_itself<'a>(
    context: &LiveContext<'a>,
    subject: &'a Subject,
    old: Option<&'a Subject>,
) -> NamespaceFacts<'a> {
    let facts = context.facts(&subject.metadata.name);
    let labels = [old, Some(subject)].into_iter().flatten();
    let label = labels.filter_map(|subject| subject.metadata.labels.get(DATA_CLASS_LABEL)).map(String::as_str).next();
    NamespaceFacts { label: label.or(facts.label), ..facts }
}

/// What is judged: as it was decoded, or from its text. The namespace is the request's: that is where the object will be,
/// whatever it says itself.
fn decode(
    kind: Kind,
    request: &Request<'_>,
    object: (Option<Box<Subject>>, Option<&RawValue>),
) -> Result<Box<Subject>, String> {
    let mut subject = match object {
        (Some(decoded), _) => decoded,
        (None, Some(text)) if !size::fits(text.get(), size::structure(kind)) => {
            return Err(size::too_large(kind));
        }
        (None, Some(text)) => {
            let subject = Subject::decode(kind, &mut serde_json::Deserializer::from_str(text.get()));
            Box::new(subject.map_err(|error| undecodable::reason(kind, &request.sub_resource, &error))?)
        }
        (None, None) => return Err(format!("the request carries no {kind}")),
    };
    if kind != Kind::Namespace && subject.metadata.namespace != request.namespace {
        subject.metadata.namespace = request.namespace.to_string();
    }
    Ok(subject)
}

/// What can't be read is refused, but for where nothing that could be in it would be: there, it is said.
fn undecodable(context: &LiveContext<'_>, namespace: &str, kind: Kind, reason: String) -> Result<Answer, Unavailable> {
    let engine = context.engine(namespace).ok_or(Unavailable::NoBaseline)?;
    let of_namespace = !matches!(kind, Kind::Namespace | Kind::CloudWorkload);
    let undeclared = of_namespace && context.standing(namespace) == Some(Standing::Undeclared);
    if undeclared && engine.regime.undeclared < Effect::Deny {
        return Ok(Answer::passed(Decision::Undecodable).with_warning(&reason));
    }
    Ok(Answer::undecodable(reason))
}

/// A static Pod as the kubelet shows it: refusing it stops nothing.
fn is_mirror(subject: &Subject, operation: Operation, actor: &Actor) -> bool {
    subject.kind == Kind::Pod
        && operation == Operation::Create
        && subject.metadata.annotations.contains_key(MIRROR_ANNOTATION)
        && actor.groups.iter().any(|group| group == NODES)
}
