//! F: what reaches the webhook's port without being an API server's request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use e2e::case::{Case, Suite};
use e2e::net;
use futures::future::try_join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::given;
use super::super::hostile::{addresses, post, serves};
use super::super::sent::as_sent;

const SOON: Duration = Duration::from_secs(30);
/// How long a connection of a flood may be kept.
const FLOODED: Duration = Duration::from_secs(120);
/// Connections of a flood.
const FLOOD: usize = 160;
/// The largest body that is read.
const LARGE: usize = 7 * 1_024 * 1_024;
/// The most memory, in MiB, that may be resident meanwhile: what is resident anyhow, and twice what bodies may take at a
/// time. All of them at a time would take more than a GiB.
const MEMORY: u64 = 256 + 2 * 128;
/// Requests of many small parts at a time.
const PARTS_AT_A_TIME: usize = 16;
/// The most memory, in MiB, that may be resident meanwhile. Read without a bound, a single one takes more.
const MEMORY_OF_PARTS: u64 = given::resident_at_most(PARTS_AT_A_TIME as u64);
/// TLS content types.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("f47_floods_of_http_2_and_of_large_bodies", f47).alone(),
        Case::new("f47_objects_of_many_small_parts", small_parts).alone(),
        Case::new("f52_old_versions_and_weak_suites_of_tls", f52),
    ]
}

/// Only HTTP/1.1 is spoken, so that there are no streams to flood a connection with.
async fn f47(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "f47").await?;
    let (address, process) = given::first_webhook(&amanat).await?;
    let mut config = (*net::client_config(None)?).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let spoken = net::connect_with(&address, Arc::new(config)).await;
    ensure!(spoken.is_err(), "it speaks HTTP/2");

    process.forget_peak()?;
    let streams = Bytes::from(streams());
    let head = format!(
        "POST /validate/governed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    // The last byte of each is never sent.
    let body = Bytes::from([head.as_bytes(), &vec![b' '; LARGE - 1]].concat());
    for (what, sent) in [("HTTP/2", streams), ("large bodies", body)] {
        let started = Instant::now();
        let all = (0..FLOOD).map(|_| tokio::spawn(said_to(address.clone(), sent.clone())));
        let answers = try_join_all(all).await?.into_iter().collect::<Result<Vec<_>>>().context(what)?;
        let mut counts = BTreeMap::<String, usize>::new();
        for answer in &answers {
            let status = answer.lines().next().unwrap_or("none");
            ensure!(
                status == "none" || status.starts_with("HTTP/1.1 4") || status.starts_with("HTTP/1.1 503"),
                "{answer}"
            );
            *counts.entry(status.to_owned()).or_default() += 1;
        }
        let peak = process.memory()?.peak / 1_024;
        println!(
            "f47: {FLOOD} connections with {what} ended within {:?}: {counts:?}; at most {peak} MiB",
            started.elapsed()
        );
        ensure!(peak <= MEMORY, "{what}: {peak} MiB were resident, more than {MEMORY}");
    }
    serves(&amanat, &namespace).await
}

/// A text of three bytes may become a structure of kilobytes.
async fn small_parts(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "f47-parts").await?;
    let (address, process) = given::first_webhook(&amanat).await?;
    let pod = ("", "Pod", "pods");
    let deployment = ("apps", "Deployment", "deployments");
    let baseline = ("amanat.dev", "SecurityBaseline", "securitybaselines");
    let governed = "/validate/governed";
    // The path, the kind, an object with a place for the parts, and a part.
    let table = [
        (
            governed,
            deployment,
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"a","env":[PARTS]}]}}}}"#,
            r#"{"name":"a"}"#,
        ),
        (governed, deployment, r#"{"spec":{"template":{"spec":{"containers":[PARTS]}}}}"#, "{}"),
        (governed, pod, r#"{"spec":{"containers":[PARTS]}}"#, "{}"),
        (governed, pod, r#"{"spec":{"containers":[{"name":"a"}],"volumes":[PARTS]}}"#, "{}"),
        (governed, pod, r#"{"metadata":{"ownerReferences":[PARTS]},"spec":{"containers":[{"name":"a"}]}}"#, "{}"),
        ("/mutate/supply", pod, r#"{"spec":{"containers":[PARTS]}}"#, "{}"),
        (
            "/validate/registry",
            baseline,
            r#"{"metadata":{"name":"a"},"spec":{"title":"a","version":"1","controls":[{"id":"a/b","params":{"a":[PARTS]}}]}}"#,
            r#"{"a":1}"#,
        ),
        (
            "/validate/registry",
            baseline,
            r#"{"metadata":{"name":"a","managedFields":[{"fieldsV1":{"a":[PARTS]}}]},"spec":{"title":"a","version":"1"}}"#,
            r#"{"a":1}"#,
        ),
        (
            "/validate/registry",
            baseline,
            r#"{"metadata":{"name":"a"},"spec":{"title":"a","version":"1","classes":[PARTS]}}"#,
            r#"{"name":"A","level":"L"}"#,
        ),
    ];
    process.forget_peak()?;
    for (path, kind, object, part) in table {
        // Of all that are read, and of one at a time that fills a body.
        for parts in [4_000, LARGE / (part.len() + 1) - 1_000] {
            let body = Bytes::from(reviewed(kind, &namespace, &object.replace("PARTS", &vec![part; parts].join(","))));
            let json = [("content-type", "application/json")];
            let all = (0..PARTS_AT_A_TIME).map(|_| post(&address, path, &json, net::whole(body.clone())));
            for (status, text) in try_join_all(all).await? {
                // What supplies doesn't judge.
                let read = path.starts_with("/mutate") && parts == 4_000;
                let refused = status == 503 || status == 200 && (read || text.contains("\"allowed\":false"));
                ensure!(refused, "{path}, {parts} of {part}: {status} {text}");
            }
            let peak = process.memory()?.peak / 1_024;
            println!("f47: {PARTS_AT_A_TIME} of {parts} parts {part} at {path}: at most {peak} MiB until now");
            ensure!(peak <= MEMORY_OF_PARTS, "{path}, {part}: {peak} MiB were resident, more than {MEMORY_OF_PARTS}");
        }
    }
    serves(&amanat, &namespace).await
}

/// A review of the creation of an object of that text.
fn reviewed((group, kind, resource): (&str, &str, &str), namespace: &str, object: &str) -> String {
    let request = json!({"uid": "f47", "operation": "CREATE", "namespace": namespace, "name": "a",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "stranger"}, "object": "OBJECT"});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    as_sent(&review).replace("\"OBJECT\"", object)
}

/// The preface of HTTP/2, and streams that are opened and reset at once.
fn streams() -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for number in 0..10_000 {
        // HEADERS of a POST to / by https, which end them, and RST_STREAM with CANCEL.
        bytes.extend(frame(1, 4, 2 * number + 1, &[0x83, 0x84, 0x87]));
        bytes.extend(frame(3, 0, 2 * number + 1, &[0, 0, 0, 8]));
    }
    bytes
}

/// Sends that over a connection of its own, and waits to be answered or hung up on.
async fn said_to(address: String, bytes: Bytes) -> Result<String> {
    let (mut from, mut to) = tokio::io::split(net::connect(&address).await?);
    let mut answer = Vec::new();
    // It may be answered before all was sent, and then nobody reads on. However it ends, it ends.
    let exchange = async {
        let (_sent, _cut) = tokio::join!(to.write_all(&bytes), from.read_to_end(&mut answer));
    };
    tokio::time::timeout(FLOODED, exchange).await.map_err(|_| anyhow::anyhow!("it waits longer than {FLOODED:?}"))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn f52(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    // Forward secret with an AEAD, CBC, RC4, and nothing but a static key.
    let (strong, cbc, rc4, fixed) = (0xc02b, 0xc009, 0x0005, 0x009c);
    for address in addresses(&amanat).await {
        for (what, version, suites, expected) in [
            ("TLS 1.2", [3, 3], &[strong, 0xc02f][..], HANDSHAKE),
            ("SSL 3.0", [3, 0], &[strong, cbc, rc4], ALERT),
            ("TLS 1.0", [3, 1], &[strong, cbc], ALERT),
            ("TLS 1.1", [3, 2], &[strong, cbc], ALERT),
            ("TLS 1.2 with CBC", [3, 3], &[cbc, 0xc013], ALERT),
            ("TLS 1.2 with RC4", [3, 3], &[rc4], ALERT),
            ("TLS 1.2 without forward secrecy", [3, 3], &[fixed], ALERT),
        ] {
            let answer = answer_to(&address, &hello(version, suites)).await.with_context(|| what)?;
            ensure!(answer == Some(expected), "{what}: the answer is {answer:?}");
        }
        let stream = net::connect(&address).await?;
        let chosen = stream.get_ref().1.protocol_version();
        ensure!(chosen == Some(rustls::ProtocolVersion::TLSv1_3), "who can both gets {chosen:?}");
    }
    Ok(())
}

/// The content type of the first record that comes back, if one does.
async fn answer_to(address: &str, hello: &[u8]) -> Result<Option<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(hello).await?;
    let mut first = [0_u8; 1];
    let read = tokio::time::timeout(SOON, stream.read(&mut first)).await.context("no answer in time")?;
    Ok(read.ok().filter(|read| *read == 1).map(|_| first[0]))
}

/// A ClientHello of at most that version, with those suites, P-256, and the usual signatures.
fn hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    fn sized(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], bytes].concat()
    }
    let words = |words: &[u16]| sized(&words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>());
    let extension = |number: u16, body: &[u8]| [&number.to_be_bytes()[..], &sized(body)].concat();
    let extensions = [
        extension(10, &words(&[0x001d, 0x0017])),
        extension(11, &[1, 0]),
        extension(13, &words(&[0x0403, 0x0503, 0x0804, 0x0401])),
        extension(23, &[]),
    ]
    .concat();
    let body = [&version[..], &[7; 32], &[0], &words(suites), &[1, 0], &sized(&extensions)].concat();
    let handshake = [&[1, 0][..], &sized(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&handshake)].concat()
}
