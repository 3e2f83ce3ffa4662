//! The plain port: is the process alive, can it serve, and what has it counted.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::certificate::Known;
use super::connections;
use crate::cluster::Index;

/// Connections of the plain port at a time: probes and scrapers are few, and descriptors are the webhook's too.
const CONNECTIONS: usize = 64;

/// Whether this replica can serve.
#[derive(Clone)]
pub struct Readiness {
    index: Arc<Index>,
    certificate: Arc<Known>,
    stopping: watch::Receiver<bool>,
}

impl Readiness {
    /// Of a replica that serves from an index with a certificate until it stops.
    pub fn new(index: Arc<Index>, certificate: Arc<Known>, stopping: watch::Receiver<bool>) -> Self {
        Self { index, certificate, stopping }
    }

    /// Why it can't serve; nothing when it can.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = self.undecided();
        reasons.extend(self.certificate.reasons());
        reasons
    }

    /// Why it could not decide, however it was called.
    fn undecided(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if *self.stopping.borrow() {
            reasons.push("stopping".to_owned());
        }
        let unsynced = self.index.unsynced();
        if !unsynced.is_empty() {
            reasons.push(format!("not synced: {}", unsynced.join(", ")));
        }
        let world = self.index.world();
        if unsynced.is_empty() && world.engines.is_none() {
            reasons.push(format!("no baseline in force: {}", world.baseline.reason()));
        }
        reasons
    }

    /// What the API server is to trust, as soon as this replica could decide: the webhook configuration that says so
    /// can't wait for a replica that is ready, since that waits for the configuration.
    pub fn bundle(&self) -> Option<Vec<u8>> {
        self.undecided().is_empty().then(|| self.certificate.bundle()).flatten()
    }
}

struct Health {
    readiness: Readiness,
    registry: Registry,
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Health { readiness, registry }))
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.readiness.reasons();
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n"))).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &health.registry) {
        Ok(()) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Serves the plain port until the end of the process. Of too many connections the oldest is cut, so that a new one is
/// always served: the kubelet's probes come here too, and end a replica that doesn't answer them.
pub async fn serve(listener: TcpListener, router: Router) {
    let graceful = GracefulShutdown::new();
    let mut open = VecDeque::<AbortHandle>::new();
    loop {
        let Some(stream) = connections::accept(&listener).await else { continue };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let served = connections::converse(stream, router.clone(), graceful.watcher(), |response| response);
        open.push_back(tokio::spawn(served).abort_handle());
    }
}
