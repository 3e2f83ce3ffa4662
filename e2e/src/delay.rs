//! A proxy between one operator and the API server that holds back what its watches say.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::kubeconfig::Endpoint;
use crate::net::{self, Body, Server};
use crate::pki::Authority;

/// A TLS server that looks like the API server, and passes everything on; watch events arrive late.
pub struct DelayProxy {
    server: Server,
    endpoint: Endpoint,
    delay: watch::Sender<Duration>,
    refused: Arc<Mutex<Option<String>>>,
}

impl DelayProxy {
    /// A proxy before an API server. It ends TLS, so that tokens pass it and client certificates don't.
    pub async fn bind(before: &Endpoint) -> Result<Self> {
        let (delay, late) = watch::channel(Duration::ZERO);
        let refused = Arc::new(Mutex::new(None));
        let (upstream, refusals) = (before.address().to_owned(), Arc::clone(&refused));
        let handler: net::Handler = Arc::new(move |request| {
            let (upstream, late, refusals) = (upstream.clone(), late.clone(), Arc::clone(&refusals));
            Box::pin(async move { pass_on(&upstream, late, &refusals, request).await })
        });
        let server = Server::bind("127.0.0.1", handler).await?;
        let authority = Authority::new("proxy")?;
        server.set_certificate(&authority.server("proxy", &["127.0.0.1"])?)?;
        let authority = authority.certificate().to_owned();
        let endpoint = Endpoint { server: format!("https://{}", server.address()), authority };
        Ok(Self { server, endpoint, delay, refused })
    }

    /// What takes the API server's place in a kubeconfig.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Holds back what watches say, from its arrival here; also what is being held back at this moment.
    ///
    /// With [`Duration::MAX`] watches say nothing until another delay is set. Other requests pass at once.
    pub fn hold_watches(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Cuts every connection of the operator, its watches with them; it may connect again at once.
    pub fn cut(&self) {
        self.server.cut();
    }

    /// Answers 500 to GETs, other than watches, of a path that contains `text`; to none with `None`.
    pub fn refuse_reads(&self, text: Option<&str>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = text.map(str::to_owned);
    }
}

async fn pass_on(
    upstream: &str,
    late: watch::Receiver<Duration>,
    refused: &Mutex<Option<String>>,
    request: Request<Incoming>,
) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let is_watch = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
    let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refuses = |text: String| request.uri().path().contains(&text);
    if !is_watch && request.method() == Method::GET && refused.is_some_and(refuses) {
        return net::answer(StatusCode::INTERNAL_SERVER_ERROR, "refused by the proxy");
    }
    let (head, body) = request.into_parts();
    match net::send(true, upstream, Request::from_parts(head, body.boxed_unsync())).await {
        Ok(response) => response.map(|body| if is_watch { held(body, late) } else { body.boxed_unsync() }),
        Err(error) => net::answer(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// The body, each frame as late as the delay says.
fn held(mut body: Incoming, late: watch::Receiver<Duration>) -> Body {
    let (sender, frames) = mpsc::unbounded_channel::<(Instant, Result<Frame<bytes::Bytes>, hyper::Error>)>();
    tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = sender.closed() => None,
            };
            let Some(frame) = frame else { return };
            if sender.send((Instant::now(), frame)).is_err() {
                return;
            }
        }
    });
    let frames = stream::unfold((frames, late), |(mut frames, mut late)| async move {
        let (arrived, frame) = frames.recv().await?;
        loop {
            let delay = *late.borrow_and_update();
            let due = async {
                match arrived.checked_add(delay) {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => break,
                Ok(()) = late.changed() => {}
            }
        }
        Some((frame, (frames, late)))
    });
    StreamBody::new(frames).boxed_unsync()
}
