//! A small HTTPS client and server for what stands between the components.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::pki::Identity;

/// A body of whatever kind.
pub type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// What a [`Server`] does with a request.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync>;

const ANSWER: Duration = Duration::from_secs(5);

/// An address of this machine by which others reach it, IPv4 and no loopback; nothing when it has none.
pub fn own_address() -> Option<IpAddr> {
    // Nothing is sent: the kernel only says by which of its addresses it would.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A body that is all there.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A response with a text.
pub fn answer(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(whole(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// Asks a loopback URL and returns the status and the body. Certificates are not verified.
pub async fn get(url: &str) -> Result<(u16, String)> {
    let (tls, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => bail!("{url} is neither http:// nor https://"),
    };
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = Request::get(format!("/{path}")).header("host", address).body(whole(""))?;
    let exchange = async {
        let response = send(tls, address, request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(ANSWER, exchange).await.with_context(|| format!("{url} gave no answer in {ANSWER:?}"))?
}

/// A connection by TLS over which nothing was sent yet. The certificate is not verified.
pub async fn connect(address: &str) -> Result<TlsStream<TcpStream>> {
    connect_with(address, client_config(None)?).await
}

/// The same with a configuration of [`client_config`].
pub async fn connect_with(address: &str, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = ServerName::try_from(host.to_owned())?;
    TlsConnector::from(config).connect(name, stream).await.context("TLS handshake")
}

/// Shakes hands by TLS as the API server would: the certificate must verify by a bundle (PEM), for the address's host.
pub async fn verified(address: &str, bundle: &[u8]) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle) {
        roots.add(authority.context("read the bundle")?)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    connect_with(address, Arc::new(config)).await?;
    Ok(())
}

/// Sends one request over a connection of its own. Certificates are not verified.
pub async fn send(tls: bool, address: &str, request: Request<Body>) -> Result<Response<Incoming>> {
    if tls {
        exchange(TokioIo::new(connect(address).await?), request).await
    } else {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        exchange(TokioIo::new(stream), request).await
    }
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<Response<Incoming>>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    // The connection lives as long as the response's body is being read; its errors come out there.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The certificate that a [`Server`] gives to new connections.
#[derive(Clone, Default)]
pub struct Certificates(Arc<Mutex<Option<Arc<ServerConfig>>>>);

impl Certificates {
    /// Sets it.
    pub fn set(&self, identity: &Identity) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(server_config(identity)?);
        Ok(())
    }

    fn get(&self) -> Option<Arc<ServerConfig>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A loopback server that hands each request to a handler. It ends, with its connections, when dropped.
pub struct Server {
    address: SocketAddr,
    certificates: Certificates,
    accepting: JoinHandle<()>,
    cuts: watch::Sender<()>,
}

impl Server {
    /// Binds a free port of `host` and serves TLS there as soon as it has a certificate; until then it closes
    /// connections.
    pub async fn bind(host: &str, handler: Handler) -> Result<Self> {
        let listener = TcpListener::bind((host, 0)).await.with_context(|| format!("bind a port of {host}"))?;
        let address = listener.local_addr()?;
        let certificates = Certificates::default();
        let cuts = watch::Sender::new(());
        let accepting = tokio::spawn(accept(listener, certificates.clone(), handler, cuts.subscribe()));
        Ok(Self { address, certificates, accepting, cuts })
    }

    /// Cuts every connection that is open, in the middle of whatever it carries. New ones are served.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its certificate is set.
    pub fn certificates(&self) -> Certificates {
        self.certificates.clone()
    }

    /// The certificate for new connections.
    pub fn set_certificate(&self, identity: &Identity) -> Result<()> {
        self.certificates.set(identity)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, certificates: Certificates, handler: Handler, mut cuts: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            Ok(()) = cuts.changed() => {
                connections.abort_all();
                continue;
            }
        };
        let Ok((stream, _)) = stream else { continue };
        let Some(config) = certificates.get() else { continue };
        connections.spawn(connection(stream, config, Arc::clone(&handler)));
    }
}

async fn connection(stream: TcpStream, config: Arc<ServerConfig>, handler: Handler) {
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A peer that goes away in the middle is no news.
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a client brings to a TLS connection: no demands on the server's certificate, and its own if it has one.
pub fn client_config(identity: Option<&Identity>) -> Result<Arc<ClientConfig>> {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    Ok(Arc::new(match identity {
        Some(identity) => {
            let (chain, key) = read(identity)?;
            config.with_client_auth_cert(chain, key).context("the certificate and its key don't fit together")?
        }
        None => config.with_no_client_auth(),
    }))
}

/// What a server brings: its certificate, and `http/1.1` as its only protocol.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>> {
    let (chain, key) = read(identity)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.context("the certificate and its key don't fit together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    Ok((chain.context("read the certificate")?, key.context("read the private key")?))
}

/// Takes every certificate: both ends are this harness's own, on loopback.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
