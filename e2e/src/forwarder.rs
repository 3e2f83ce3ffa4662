//! What stands where the webhook's Service would stand: it alternates between the replicas, request by request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::net::{self, Body, Certificates, Server};
use crate::pki::Identity;
use crate::waiting::until;

const PROBE_EVERY: Duration = Duration::from_millis(200);

/// A replica behind the forwarder.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its name, as in [`Judged::backend`].
    pub name: String,
    /// The `host:port` where it serves its webhook by TLS.
    pub webhook: String,
    /// The URL that answers 200 while it is ready.
    pub readiness: String,
}

/// One request that the forwarder passed on.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The replica that judged it.
    pub backend: String,
    /// The URL's path, such as `/validate/governed`.
    pub path: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`; empty when the body was no AdmissionReview. So with the next three.
    pub operation: String,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name, empty when it is generated.
    pub name: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// Whether the answer allows it; nothing when it isn't an AdmissionReview.
    pub allowed: Option<bool>,
}

/// A loopback server that ends TLS and passes each request to the next ready replica.
pub struct Forwarder {
    server: Server,
    url: String,
    state: Arc<Mutex<State>>,
    probing: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    backends: Vec<(Backend, bool)>,
    turn: usize,
    closes: bool,
    judged: Vec<Judged>,
}

impl Forwarder {
    /// Binds a free port; `host` is how the API server reaches this machine, usually `127.0.0.1`.
    ///
    /// It serves once it has a certificate.
    pub async fn bind(host: &str) -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        let handler: net::Handler = Arc::new(move |request| Box::pin(forward(Arc::clone(&own), request)));
        let server = Server::bind(if host == "127.0.0.1" { host } else { "0.0.0.0" }, handler).await?;
        let url = format!("https://{host}:{}", server.address().port());
        let probing = tokio::spawn(probe(Arc::clone(&state)));
        Ok(Self { server, url, state, probing })
    }

    /// What the webhook configuration has as its URL, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its leaf is set by someone else.
    pub fn certificates(&self) -> Certificates {
        self.server.certificates()
    }

    /// The leaf that it serves with.
    pub fn set_certificate(&self, identity: &Identity) -> Result<()> {
        self.server.set_certificate(identity)
    }

    /// Closes each connection after its answer from now on, so that the API server shakes hands for each request.
    pub fn close_each(&self) {
        lock(&self.state).closes = true;
    }

    /// Adds a replica. It gets requests once its readiness URL answers 200, and none while it doesn't.
    pub fn add(&self, backend: Backend) {
        lock(&self.state).backends.push((backend, false));
    }

    /// Removes a replica.
    pub fn remove(&self, name: &str) {
        lock(&self.state).backends.retain(|(backend, _)| backend.name != name);
    }

    /// Gives the next request to the replica of that name; from there it alternates as usual.
    pub fn turn_to(&self, name: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let found = state.backends.iter().position(|(backend, _)| backend.name == name);
        state.turn = found.with_context(|| format!("no backend is called {name}"))?;
        Ok(())
    }

    /// The names of the replicas that are ready.
    pub fn ready(&self) -> Vec<String> {
        lock(&self.state).backends.iter().filter(|(_, ready)| *ready).map(|(one, _)| one.name.clone()).collect()
    }

    /// Waits until exactly `count` replicas are ready.
    pub async fn wait_ready(&self, count: usize, deadline: Duration) -> Result<()> {
        until(deadline, format!("{count} ready replicas behind the forwarder"), async || {
            let ready = self.ready();
            ensure!(ready.len() == count, "ready are {ready:?}");
            Ok(())
        })
        .await
    }

    /// Every request passed on since the start or the last [`Forwarder::forget`], oldest first.
    pub fn judged(&self) -> Vec<Judged> {
        lock(&self.state).judged.clone()
    }

    /// Forgets what was judged.
    pub fn forget(&self) {
        lock(&self.state).judged.clear();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn next(&mut self) -> Option<Backend> {
        for _ in 0..self.backends.len() {
            let index = self.turn % self.backends.len();
            self.turn = index + 1;
            if let Some((backend, true)) = self.backends.get(index) {
                return Some(backend.clone());
            }
        }
        None
    }
}

async fn probe(state: Arc<Mutex<State>>) {
    loop {
        let backends = lock(&state).backends.clone();
        for (backend, _) in backends {
            let ready = matches!(net::get(&backend.readiness).await, Ok((200, _)));
            if let Some(entry) = lock(&state).backends.iter_mut().find(|(one, _)| one.name == backend.name) {
                entry.1 = ready;
            }
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

async fn forward(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Response<Body> {
    let Some(backend) = lock(&state).next() else {
        return net::answer(StatusCode::SERVICE_UNAVAILABLE, "no replica is ready");
    };
    match pass_on(&backend, request).await {
        Ok((judged, mut response)) => {
            let mut state = lock(&state);
            state.judged.push(judged);
            if state.closes {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        Err(error) => net::answer(StatusCode::BAD_GATEWAY, &format!("{}: {error:#}", backend.name)),
    }
}

async fn pass_on(backend: &Backend, request: Request<Incoming>) -> Result<(Judged, Response<Body>)> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let asked = body.collect().await?.to_bytes();
    let response = net::send(true, &backend.webhook, Request::from_parts(head, net::whole(asked.clone()))).await?;
    let (head, body) = response.into_parts();
    let answered = body.collect().await?.to_bytes();
    let review = parse(&asked);
    let text = |pointer: &str| review.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let judged = Judged {
        backend: backend.name.clone(),
        path,
        operation: text("/request/operation"),
        kind: text("/request/kind/kind"),
        namespace: text("/request/namespace"),
        name: text("/request/name"),
        status: head.status.as_u16(),
        allowed: parse(&answered).pointer("/response/allowed").and_then(Value::as_bool),
    };
    Ok((judged, Response::from_parts(head, net::whole(answered))))
}

fn parse(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
