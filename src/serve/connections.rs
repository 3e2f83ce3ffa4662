//! One connection of a listener: accepted, served, and not waited for without end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// How long a connection may wait for the head of its next request: idle time included, so longer than the 90 seconds
/// after which the API server closes it.
const HEAD: Duration = Duration::from_secs(120);
/// How long a new connection may take until its first request has arrived: nobody connects to say nothing.
const FIRST: Duration = Duration::from_secs(15);
/// How long to wait after a failed accept: the process is out of descriptors, and spinning frees none.
const BACKOFF: Duration = Duration::from_millis(100);

/// The next connection; none when it failed.
pub(super) async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small: waiting to fill a segment would only delay them.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(BACKOFF).await;
            None
        }
    }
}

/// Answers what is asked over a connection until it ends, or nothing was asked in time. Every response passes `last`.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
    last: impl Fn(Response) -> Response + Clone,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let service = hyper::service::service_fn({
        let asked = Arc::clone(&asked);
        move |request| {
            asked.store(true, Ordering::Relaxed);
            let (answer, last) = (router.clone().oneshot(request), last.clone());
            async move { answer.await.map(last) as Result<_, Infallible> }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A connection ends by an error whenever a client goes away.
        _ = watcher.watch(connection) => {}
        () = silence(&asked) => {}
    }
}

/// Ends when nothing was asked in time.
async fn silence(asked: &AtomicBool) {
    tokio::time::sleep(FIRST).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
