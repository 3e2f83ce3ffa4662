//! The plain port: is the process alive, can it serve, and what has it counted.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::certificate::Known;
use crate::cluster::Index;

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

/// Serves the plain port until the end of the process.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router).await
}
