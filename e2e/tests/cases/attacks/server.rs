//! F: what reaches the webhook's port without being an API server's request.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::hostile::addresses;

const SOON: Duration = Duration::from_secs(30);
/// TLS content types.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("f52_old_versions_and_weak_suites_of_tls", f52)]
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
