//! What stands where the webhook's Service would stand: it alternates between the replicas that are ready, request by
//! request, or connection by connection.

mod connections;
mod probe;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::net::{self, Body, Certificates, Server};
use crate::pki::Identity;
use crate::waiting::until;

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

/// A loopback server before the replicas.
///
/// A replica is asked for its readiness every second. One that says it isn't ready gets nothing new, and keeps what is
/// connected; one that says nothing at all is given up, and what is connected is cut.
pub struct Forwarder {
    front: Front,
    url: String,
    state: Arc<Mutex<State>>,
}

enum Front {
    /// Ends TLS.
    Requests(Server),
    /// Leaves TLS to the replicas.
    Connections(JoinHandle<()>),
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    added: u64,
    turn: usize,
    closes: bool,
    judged: Vec<Judged>,
}

struct Entry {
    id: u64,
    backend: Backend,
    ready: bool,
    answers: watch::Sender<bool>,
}

impl Forwarder {
    /// Binds a free port, ends TLS there, and passes each request on by itself; `host` is how the API server reaches this
    /// machine, usually `127.0.0.1`.
    ///
    /// It serves once it has a certificate, and knows what was judged.
    pub async fn bind(host: &str) -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        let handler: net::Handler = Arc::new(move |request| Box::pin(forward(Arc::clone(&own), request)));
        let server = Server::bind(interface(host), handler).await?;
        Ok(Self { url: url(host, server.address()), front: Front::Requests(server), state })
    }

    /// Binds a free port and passes connections on, as a Service does: TLS is between the API server and the replica, and
    /// a connection that the API server keeps stays with its replica. Nothing is known of what is judged.
    pub async fn bind_connections(host: &str) -> Result<Self> {
        let listener = TcpListener::bind((interface(host), 0)).await.context("bind a port for the forwarder")?;
        let url = url(host, listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = tokio::spawn(connections::accept(listener, Arc::clone(&state)));
        Ok(Self { front: Front::Connections(accepting), url, state })
    }

    /// What the webhook configuration has as its URL, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its leaf is set by someone else, as far as it ends TLS.
    pub fn certificates(&self) -> Certificates {
        match &self.front {
            Front::Requests(server) => server.certificates(),
            Front::Connections(_) => Certificates::default(),
        }
    }

    /// The leaf that it serves with, where it ends TLS.
    pub fn set_certificate(&self, identity: &Identity) -> Result<()> {
        match &self.front {
            Front::Requests(server) => server.set_certificate(identity),
            Front::Connections(_) => Ok(()),
        }
    }

    /// Closes each connection after its answer from now on, so that the API server shakes hands for each request.
    pub fn close_each(&self) {
        lock(&self.state).closes = true;
    }

    /// Adds a replica. It gets requests once its readiness URL answers 200, and none while it doesn't.
    pub fn add(&self, backend: Backend) {
        let mut state = lock(&self.state);
        let id = state.added;
        state.added += 1;
        state.entries.push(Entry { id, backend, ready: false, answers: watch::Sender::new(true) });
        drop(state);
        tokio::spawn(probe::ask(Arc::downgrade(&self.state), id));
    }

    /// Removes a replica.
    pub fn remove(&self, name: &str) {
        lock(&self.state).entries.retain(|entry| entry.backend.name != name);
    }

    /// Gives the next request to the replica of that name; from there it alternates as usual.
    pub fn turn_to(&self, name: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let found = state.entries.iter().position(|entry| entry.backend.name == name);
        state.turn = found.with_context(|| format!("no backend is called {name}"))?;
        Ok(())
    }

    /// The names of the replicas that are ready.
    pub fn ready(&self) -> Vec<String> {
        let state = lock(&self.state);
        state.entries.iter().filter(|entry| entry.ready).map(|entry| entry.backend.name.clone()).collect()
    }

    /// Waits until the replica of that name gets nothing new.
    pub async fn wait_out(&self, name: &str, deadline: Duration) -> Result<()> {
        until(deadline, format!("{name} to be taken out by the forwarder"), async || {
            ensure!(!self.ready().iter().any(|ready| ready == name), "it is ready");
            Ok(())
        })
        .await
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
        if let Front::Connections(accepting) = &self.front {
            accepting.abort();
        }
    }
}

fn interface(host: &str) -> &str {
    if host == "127.0.0.1" { host } else { "0.0.0.0" }
}

fn url(host: &str, address: SocketAddr) -> String {
    format!("https://{host}:{}", address.port())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The next ready replica, and whether it goes on answering.
    fn next(&mut self) -> Option<(Backend, watch::Receiver<bool>)> {
        for _ in 0..self.entries.len() {
            let index = self.turn % self.entries.len();
            self.turn = index + 1;
            if let Some(entry) = self.entries.get(index).filter(|entry| entry.ready) {
                return Some((entry.backend.clone(), entry.answers.subscribe()));
            }
        }
        None
    }

    fn readiness(&self, id: u64) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        Some(entry.backend.readiness.clone())
    }

    fn told(&mut self, id: u64, ready: bool, answers: bool) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.ready = ready;
            entry.answers.send_replace(answers);
        }
    }
}

async fn forward(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Response<Body> {
    let Some((backend, _)) = lock(&state).next() else {
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
