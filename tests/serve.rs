//! The listeners, over TCP and TLS: what they offer, whom they wait for, and how they end.

#![cfg(feature = "operator")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reads the clock, and fails by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amanat::cluster::{Clock, SystemClock};
use amanat::serve::tls::Phase;
use amanat::serve::{Certificate, ServedCertificate, health, tls};
use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than the listener waits for anybody who says nothing.
const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n";

struct Server {
    address: SocketAddr,
    connector: TlsConnector,
    phase: watch::Sender<Phase>,
    served: tokio::task::JoinHandle<()>,
    /// Lets the requests of `/slow` end.
    release: Arc<Notify>,
    /// Tells that one has begun.
    begun: Arc<Notify>,
}

impl Server {
    async fn start() -> Self {
        let now = SystemClock::new().now();
        let made = Certificate::make(&["127.0.0.1".to_owned()], now).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&made.ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let certificate = Arc::new(ServedCertificate::default());
        certificate.set(made).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (phase, phases) = watch::channel(Phase::Serve);
        let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (ends, begins) = (Arc::clone(&release), Arc::clone(&begun));
        let slow = move || async move {
            begins.notify_one();
            ends.notified().await;
            "slow"
        };
        let router = Router::new().route("/ok", get(|| async { "ok" })).route("/slow", get(slow));
        let config = tls::config(certificate).unwrap();
        let served = tokio::spawn(tls::serve(listener, config, router, phases));
        Self { address, connector: TlsConnector::from(Arc::new(client)), phase, served, release, begun }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        self.connector.connect(name, TcpStream::connect(self.address).await.unwrap()).await.unwrap()
    }
}

/// Reads until the text is there.
async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut read = Vec::new();
    let all = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            if stream.read_buf(&mut read).await.unwrap() == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    let read = String::from_utf8(read).unwrap();
    assert!(read.contains(text), "{read}");
    read
}

/// Waits until the other side has closed.
async fn closed(mut stream: impl AsyncReadExt + Unpin) {
    let mut rest = Vec::new();
    // Closed without a word, or with an alert: both are an end.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn a_connection_speaks_http_1_1_and_is_kept() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    for _ in 0..3 {
        stream.write_all(REQUEST).await.unwrap();
        let answer = read_until(&mut stream, "ok").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn who_says_nothing_or_nonsense_is_not_waited_for_and_nobody_waits_for_them() {
    let server = Server::start().await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half_hello = TcpStream::connect(server.address).await.unwrap();
    half_hello.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let shaken = server.connect().await;
    let mut half_head = server.connect().await;
    half_head.write_all(b"GET /ok HTTP/1.1\r\nhost:").await.unwrap();
    let mut garbage = server.connect().await;
    garbage.write_all(b"\x00\x01\x02\r\n\r\n").await.unwrap();

    let mut stream = server.connect().await;
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "ok").await;
    tokio::join!(closed(silent), closed(half_hello), closed(plain), closed(shaken), closed(half_head), closed(garbage));
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "ok").await;
}

#[tokio::test]
async fn at_the_end_requests_in_flight_are_answered_and_idle_connections_closed() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    read_until(&mut idle, "ok").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, server.begun.notified()).await.unwrap();

    server.phase.send(Phase::Close).unwrap();
    closed(idle).await;
    server.release.notify_one();
    let answer = read_until(&mut busy, "slow").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(PATIENCE, server.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn who_uses_a_kept_connection_of_a_replica_that_retires_is_answered_and_sent_elsewhere() {
    let server = Server::start().await;
    let mut kept = [server.connect().await, server.connect().await];
    for stream in &mut kept {
        stream.write_all(REQUEST).await.unwrap();
        let answer = read_until(stream, "ok").await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    for (phase, mut stream) in [Phase::Retire, Phase::Leave].into_iter().zip(kept) {
        server.phase.send(phase).unwrap();
        let new = server.connect().await;
        for stream in [&mut stream, &mut { new }] {
            stream.write_all(REQUEST).await.unwrap();
            let answer = read_until(stream, "ok").await;
            assert!(answer.contains("connection: close"), "{phase:?}: {answer}");
        }
        closed(stream).await;
    }
    tokio::time::timeout(PATIENCE, server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_replica_leaves_when_the_last_connection_is_gone_and_not_before() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    read_until(&mut idle, "ok").await;
    server.phase.send(Phase::Leave).unwrap();
    for _ in 0..3 {
        let mut other = server.connect().await;
        other.write_all(REQUEST).await.unwrap();
        read_until(&mut other, "ok").await;
    }
    assert!(!server.served.is_finished(), "a connection is open");
    drop(idle);
    tokio::time::timeout(PATIENCE, server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_plain_port_waits_for_nobody_and_always_takes_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(health::serve(listener, Router::new().route("/ok", get(|| async { "ok" }))));
    let connect = || async { TcpStream::connect(address).await.unwrap() };
    let silent = connect().await;
    let mut half_head = connect().await;
    half_head.write_all(b"GET /ok HTTP/1.1\r\nhost:").await.unwrap();
    tokio::join!(closed(silent), closed(half_head));

    let mut kept = Vec::new();
    for _ in 0..200 {
        let mut stream = connect().await;
        stream.write_all(REQUEST).await.unwrap();
        let answer = read_until(&mut stream, "ok").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        kept.push(stream);
    }
    let mut newest = kept.pop().unwrap();
    newest.write_all(REQUEST).await.unwrap();
    read_until(&mut newest, "ok").await;
    // All of them would wait for their next request for longer than this does.
    closed(kept.remove(0)).await;
}
