//! The webhook's listener. The API server keeps its connections open for 90 seconds after the last request and reuses
//! them, so that an idle one is kept longer than that here, also when the replica is to end: closed from this side, it
//! could be closed under a request that is just being sent, and that request is lost. What is slow, or too many, is
//! bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::certificate::ServedCertificate;
use super::connections;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 1_024;
/// How long the end is put off for connections that nobody uses: the API server lets go of one after 90 seconds.
const REUSE: Duration = Duration::from_secs(95);
/// How long requests in flight may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// How far the end has come. It only goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    #[default]
    Serve,
    /// Serving on, and asking with every answer that its connection be closed: the next request goes elsewhere.
    Retire,
    /// The same until no connection is open, for as long as the API server may still use one.
    Leave,
    /// Taking no more requests; what is in flight is answered.
    Close,
}

/// The TLS side: 1.2 and 1.3 with the provider's suites, `http/1.1` alone, as the API server calls webhooks.
///
/// # Errors
/// When the provider supports neither version.
pub fn config(certificate: Arc<ServedCertificate>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves until the last phase, or until nobody is left to be served.
pub async fn serve(listener: TcpListener, config: ServerConfig, router: Router, mut phase: watch::Receiver<Phase>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let open = watch::Sender::new(0_usize);
    let mut left = Box::pin(left(phase.clone(), open.subscribe()));
    loop {
        let (stream, place) = tokio::select! {
            _ = phase.wait_for(|phase| *phase == Phase::Close) => break,
            () = &mut left => break,
            accepted = accept(&listener, &places) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let acceptor = acceptor.clone();
        let router = router.clone();
        let watcher = graceful.watcher();
        let (phase, counted) = (phase.clone(), Counted::new(&open));
        tokio::spawn(async move {
            let _held = (place, counted);
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
            let last = move |mut response: Response| {
                if *phase.borrow() >= Phase::Retire {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            };
            connections::converse(stream, router, watcher, last).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight at the end of the drain");
    }
}

/// Ends when the replica leaves, and no connection is open or has been used for long.
async fn left(mut phase: watch::Receiver<Phase>, mut open: watch::Receiver<usize>) {
    if phase.wait_for(|phase| *phase >= Phase::Leave).await.is_ok() {
        let _ = tokio::time::timeout(REUSE, open.wait_for(|open| *open == 0)).await;
    }
}

/// An open connection, counted.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open = open.saturating_add(1));
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

/// The next connection, with its place among the open ones.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    connections::accept(listener).await.map(|stream| (stream, place))
}
