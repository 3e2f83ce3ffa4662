//! The webhook that does nothing: what any webhook costs. It allows what it is asked, and looks at no more than the uid.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::net::server_config;
use crate::pki::Identity;

/// How it is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Noop {
    /// Where it listens.
    #[arg(long)]
    pub address: SocketAddr,
    /// Its certificate, PEM.
    #[arg(long)]
    pub certificate: PathBuf,
    /// The certificate's key, PEM.
    #[arg(long)]
    pub key: PathBuf,
    /// A folder that each request's body is written into, as `NUMBER-PATH.json` with dashes for slashes.
    #[arg(long)]
    pub record: Option<PathBuf>,
}

impl Noop {
    /// Serves until it is killed.
    pub async fn serve(self) -> Result<()> {
        let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
        let identity = Identity { certificate: read(&self.certificate)?, key: read(&self.key)? };
        let acceptor = TlsAcceptor::from(server_config(&identity)?);
        let listener = TcpListener::bind(self.address).await?;
        let recorder = Arc::new(Recorder { folder: self.record, count: AtomicU32::new(0) });
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, recorder) = (acceptor.clone(), Arc::clone(&recorder));
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let stream = TokioIo::new(acceptor.accept(stream).await?);
                let service = service_fn(move |request| answer(Arc::clone(&recorder), request));
                anyhow::Ok(http1::Builder::new().serve_connection(stream, service).await?)
            });
        }
    }
}

struct Recorder {
    folder: Option<PathBuf>,
    count: AtomicU32,
}

async fn answer(recorder: Arc<Recorder>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    let body = body.to_bytes();
    if let Some(folder) = &recorder.folder {
        let number = recorder.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number:06}{}.json", path.replace('/', "-"));
        if let Err(error) = std::fs::write(folder.join(name), &body) {
            eprintln!("noop-webhook: {error}");
        }
    }
    let uid = uid(&body).unwrap_or_default();
    let answer = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{uid}","allowed":true}}}}"#
    );
    let mut response = Response::new(Full::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The first uid of a review: the API server writes the request's before everything else.
fn uid(body: &[u8]) -> Option<&str> {
    const KEY: &[u8] = br#""uid":""#;
    let start = body.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let rest = body.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::uid;

    #[test]
    fn the_uid_is_the_first() {
        assert_eq!(uid(br#"{"kind":"AdmissionReview","request":{"uid":"a-1","x":{"uid":"b"}}}"#), Some("a-1"));
        assert_eq!(uid(b"{}"), None);
    }
}
