//! The HTTP side: one path an entry. A call that is no readable review gets a 4xx, one that can't be answered now a
//! 503 without `Retry-After`, which clients would follow ten times over; everything else is a review.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt;

use super::entry::Entry;
use super::envelope::{self, Decoded, Request};
use super::gate::Turned;
use super::respond::{Answer, Decision};
use super::standing::Unavailable;
use super::state::AdmissionState;
use super::{decide, exits, gate, registry};
use crate::report::escape;

/// The webhook's paths: `POST /validate/{entry}` and `POST /mutate/{entry}`.
pub fn router(state: Arc<AdmissionState>) -> Router {
    Router::new().route("/validate/{entry}", post(validate)).route("/mutate/{entry}", post(mutate)).with_state(state)
}

async fn validate(State(state): State<Arc<AdmissionState>>, Path(entry): Path<String>, http: HttpRequest) -> Response {
    review(state, Entry::validating(&entry), http).await
}

async fn mutate(State(state): State<Arc<AdmissionState>>, Path(entry): Path<String>, http: HttpRequest) -> Response {
    review(state, Entry::mutating(&entry), http).await
}

async fn review(state: Arc<AdmissionState>, entry: Option<Entry>, http: HttpRequest) -> Response {
    let Some(entry) = entry else {
        return plain(StatusCode::NOT_FOUND, "no such entry");
    };
    let (parts, body) = http.into_parts();
    let place = match state.gate.enter(&parts.headers) {
        Ok(place) => place,
        Err(turned) => return reject(&state, entry, turned.status(), turned.category(), &turned.to_string()),
    };
    let body = match gate::read(body, &parts.headers).await {
        Ok(body) => body,
        Err(turned) => return reject(&state, entry, turned.status(), turned.category(), &turned.to_string()),
    };
    let Some(room) = state.rooms.take(entry, &body).await else {
        let full = Turned::Full;
        return reject(&state, entry, full.status(), full.category(), &full.to_string());
    };
    let in_flight = state.metrics.enter();
    let started = state.clock.monotonic();
    let kind = |request: &Request<'_>| exits::decoded(entry, request).filter(|_| room.is_for_all);
    let (request, decoded) = match envelope::read(&body, kind) {
        Ok(read) => read,
        Err(malformed) => {
            let text = malformed.to_string();
            return reject(&state, entry, StatusCode::BAD_REQUEST, malformed.category(), &text);
        }
    };
    let answer = answer(&state, entry, &request, decoded).await;
    let decision = answer.as_ref().map_or(Decision::Unavailable, |answer| answer.decision);
    let seconds = state.clock.monotonic().saturating_sub(started).as_secs_f64();
    state.metrics.answered(entry, decision.as_str(), seconds);
    log(entry, &request, &answer);
    let response = match answer {
        Ok(answer) => json(answer.body(&request)),
        Err(unavailable) => plain(StatusCode::SERVICE_UNAVAILABLE, &unavailable.to_string()),
    };
    drop((in_flight, place, room));
    response
}

/// Answers, whatever happens while it does. A panic refuses this request only; on an entry that fails open it is a
/// failure like any other.
async fn answer(
    state: &AdmissionState,
    entry: Entry,
    request: &Request<'_>,
    decoded: Decoded,
) -> Result<Answer, Unavailable> {
    let answer = async {
        match entry {
            Entry::Registry => registry::decide(state, request).await,
            _ => decide::decide(state, entry, request, decoded).await,
        }
    };
    let answer = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        state.metrics.panicked(entry);
        if entry.fails_closed() { Ok(Answer::panicked()) } else { Err(Unavailable::Panicked) }
    });
    if matches!(answer, Err(Unavailable::Lookup(_))) {
        state.metrics.lookup_failed(entry);
    }
    answer
}

/// Refusals and failures are logged; of the object, only where it is, in what moves no cursor.
fn log(entry: Entry, request: &Request<'_>, answer: &Result<Answer, Unavailable>) {
    let (decision, controls) = match answer {
        Ok(answer) if answer.allowed() => return,
        Ok(answer) => (answer.decision.as_str(), answer.controls()),
        Err(unavailable) => (unavailable.category(), ""),
    };
    tracing::info!(
        %entry,
        decision,
        controls,
        uid = %escape(&request.uid),
        resource = %escape(&request.resource.resource),
        subresource = %escape(&request.sub_resource),
        namespace = %escape(&request.namespace),
        name = %escape(&request.name),
        user = %escape(&request.user_info.username),
        "not admitted"
    );
}

/// What is no request is counted, and logged only where somebody looks for it: strangers could fill the log.
fn reject(state: &AdmissionState, entry: Entry, status: StatusCode, category: &'static str, text: &str) -> Response {
    state.metrics.rejected(category);
    tracing::debug!(%entry, category, "not a request that can be read");
    plain(status, text)
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
}
