//! The kinds that declarations refer to. They need no engine: a baseline that doesn't compile is refused, and one that
//! does must get in while there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::envelope::Request;
use super::respond::{Answer, Decision};
use super::standing::Unavailable;
use super::state::AdmissionState;
use crate::api::{
    CloudServiceProviderSpec, GROUP, Invalid, PublicSectorEntitySpec, SecurityBaseline, SecurityBaselineSpec,
    inert_fields_of_cloud_service_provider, inert_fields_of_public_sector_entity, inert_fields_of_security_baseline,
};
use crate::baseline::{Effective, Mode, Problems};
use crate::cluster::baselines::choose;
use crate::cluster::{Fate, World};
use crate::control::{Actor, Metadata, Operation, size};

/// Answers a request of the registry's entry.
pub(super) async fn decide(state: &AdmissionState, request: &Request<'_>) -> Result<Answer, Unavailable> {
    let (Some(operation), "", GROUP) = (request.operation(), &*request.sub_resource, &*request.resource.group) else {
        return Ok(Answer::passed(Decision::NotJudged));
    };
    // They name the same; where they don't, one that is known has to be judged.
    let is = |kind: &str, resource: &str| request.kind.kind == kind || request.resource.resource == resource;
    match operation {
        Operation::Delete if is("SecurityBaseline", "securitybaselines") => delete_baseline(state, request).await,
        _ if is("SecurityBaseline", "securitybaselines") => Ok(baseline(state, request)),
        Operation::Create | Operation::Update if is("CloudServiceProvider", "cloudserviceproviders") => {
            Ok(object::<CloudServiceProviderSpec>(request, "CloudServiceProvider", |provider| {
                (provider.validate(), inert_fields_of_cloud_service_provider(provider))
            }))
        }
        Operation::Create | Operation::Update if is("PublicSectorEntity", "publicsectorentities") => {
            Ok(object::<PublicSectorEntitySpec>(request, "PublicSectorEntity", |entity| {
                (entity.validate(), inert_fields_of_public_sector_entity(entity))
            }))
        }
        _ => Ok(Answer::passed(Decision::NotJudged)),
    }
}

/// What is read of an object.
#[derive(Deserialize)]
struct Object<S> {
    metadata: Metadata,
    spec: S,
}

fn parse<S: DeserializeOwned>(object: Option<&RawValue>, kind: &str) -> Result<Object<S>, String> {
    let Some(object) = object else { return Err(format!("the request carries no {kind}")) };
    if !size::fits(object.get(), size::STRUCTURE) {
        return Err(size::too_large(kind));
    }
    serde_json::from_str(object.get()).map_err(|error| format!("the {kind} can't be read (byte {})", error.column()))
}

/// What is wrong with an object, and the fields of it that are not acted upon.
type Looked = (Vec<Invalid>, Vec<&'static str>);

fn object<S: DeserializeOwned>(request: &Request<'_>, kind: &str, look: impl Fn(&S) -> Looked) -> Answer {
    let spec = match parse::<S>(request.object, kind) {
        Ok(object) => object.spec,
        Err(reason) => return Answer::undecodable(reason),
    };
    let (invalid, inert) = look(&spec);
    if !invalid.is_empty() {
        return refuse(kind, &invalid);
    }
    Answer::warned(inert_warnings(&inert))
}

fn inert_warnings(inert: &[&'static str]) -> Vec<String> {
    inert.iter().map(|field| format!("{field} is not acted upon yet")).collect()
}

fn refuse(kind: &str, invalid: &[Invalid]) -> Answer {
    let list: Vec<String> = invalid.iter().take(20).map(Invalid::to_string).collect();
    let more = invalid.len().saturating_sub(list.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    Answer::invalid(format!("the {kind} is not valid: {}{more}", list.join("; ")), invalid)
}

/// A baseline must compile, and must leave what decides together with it compiling.
fn baseline(state: &AdmissionState, request: &Request<'_>) -> Answer {
    let Object { metadata, spec } = match parse::<SecurityBaselineSpec>(request.object, "SecurityBaseline") {
        Ok(object) => object,
        Err(reason) => return Answer::undecodable(reason),
    };
    let old = parse::<SecurityBaselineSpec>(request.old_object, "SecurityBaseline").ok();
    // Labels and finalizers of one that got in otherwise can still be changed, and one that is going may go.
    if old.is_some_and(|old| old.spec == spec) {
        return Answer::passed(Decision::Allowed);
    }
    let name = if metadata.name.is_empty() { request.name.to_string() } else { metadata.name };
    let mut baseline = SecurityBaseline::new(&name, spec);
    baseline.metadata.creation_timestamp = Some(metadata.creation_timestamp.unwrap_or_else(|| Time(state.clock.now())));
    let inert = inert_warnings(&inert_fields_of_security_baseline(&baseline.spec));
    let world = state.index.world();
    match problems(&world, &name, baseline) {
        Ok(None) => Answer::warned(inert),
        Ok(Some(warning)) => Answer::warned(inert).with_warning(&warning),
        Err(Problems::Invalid(problems)) => {
            let invalid: Vec<Invalid> =
                problems.into_iter().map(|problem| Invalid::new(problem.path, problem.message)).collect();
            refuse("SecurityBaseline", &invalid)
        }
        Err(Problems::NewerCatalogue { catalogue, .. }) => Answer::warned(inert).with_warning(&format!(
            "written for catalogue {catalogue}, newer than this replica: what is in force stays until all are upgraded"
        )),
    }
}

/// What stands against a baseline, or what should be known about one that compiles.
fn problems(world: &World, name: &str, baseline: SecurityBaseline) -> Result<Option<String>, Problems> {
    if baseline.spec.overlay.is_none() {
        Effective::resolve(name, &baseline.spec, Mode::Cluster)?;
    }
    let mut baselines: BTreeMap<String, Arc<SecurityBaseline>> = (*world.baselines).clone();
    baselines.insert(name.to_owned(), Arc::new(baseline));
    let (_, mut state) = choose(&baselines);
    match state.fates.remove(name) {
        Some(Fate::Problems(problems)) => return Err(problems),
        Some(Fate::AnotherDefault { older }) => {
            return Ok(Some(format!("{older} is older and stays the default: this one is not in force")));
        }
        Some(Fate::NoDefault) => {
            return Ok(Some("there is no default baseline that this overlay could tighten".to_owned()));
        }
        Some(Fate::NotDefault) => {
            return Ok(Some("it is neither the default nor an overlay: it is not in force".to_owned()));
        }
        Some(Fate::InForce | Fate::Waiting { .. }) | None => {}
    }
    // One that compiled before and doesn't any more fails because of this one.
    let broken = state.fates.iter().find_map(|(other, fate)| match (fate, world.baseline.fates.get(other)) {
        (Fate::Problems(_), Some(Fate::Problems(_))) => None,
        (Fate::Problems(problems), _) => Some((other, problems)),
        _ => None,
    });
    match broken {
        Some((other, Problems::Invalid(problems))) => {
            let message = problems.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("with it, SecurityBaseline {other} no longer compiles: {message}");
            Err(Problems::Invalid(vec![crate::baseline::Problem { path: "spec".to_owned(), message }]))
        }
        _ => Ok(None),
    }
}

/// What is in force is deleted by administrators alone, while Amanat stays.
async fn delete_baseline(state: &AdmissionState, request: &Request<'_>) -> Result<Answer, Unavailable> {
    if !state.index.synced() {
        return Err(Unavailable::NotSynced);
    }
    let world = state.index.world();
    let name = &*request.name;
    let Some(engines) = &world.engines else { return Ok(Answer::passed(Decision::Allowed)) };
    let regime = &engines.default_engine().regime;
    let in_force = regime.baseline == name || world.baseline.fates.get(name) == Some(&Fate::InForce);
    let settings = &state.settings;
    let actor = Actor::new(
        &request.user_info.username,
        request.user_info.groups(),
        &settings.own_username,
        &settings.control_plane_users,
    );
    if !in_force || actor.amanat || actor.control_plane || actor.is_in(&regime.administrators) {
        return Ok(Answer::passed(Decision::Allowed));
    }
    if state.lookup.anchor_is_gone(&settings.anchor).await == Some(true) {
        return Ok(Answer::passed(Decision::Allowed));
    }
    let administrators = if regime.administrators.is_empty() {
        "it names none: name them in spec.administrators first".to_owned()
    } else {
        format!("the groups {}", regime.administrators.join(", "))
    };
    Ok(Answer::forbidden(format!(
        "SecurityBaseline {name} is in force: only its administrators delete it ({administrators}); to remove Amanat, \
         delete ClusterRole {} first",
        settings.anchor
    )))
}
