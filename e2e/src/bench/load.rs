//! The client: a connection for each that asks at a time, requests made beforehand, answers read and judged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::Barrier;

use crate::net;

/// A request that is sent again and again.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Its path, with the query.
    pub path: String,
    /// Its body, JSON.
    pub body: Bytes,
}

/// What every answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The API server's 201.
    Created,
    /// The API server's 403.
    Forbidden,
    /// A review that allows.
    Allowed,
}

/// Whom to ask.
#[derive(Clone)]
pub(super) struct Peer {
    /// `host:port`.
    pub address: String,
    /// What is brought to the connection.
    pub tls: Arc<ClientConfig>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// Microseconds from sending a request to having its whole answer, in no order.
    pub latencies: Vec<u32>,
    /// How long it took.
    pub time: Duration,
}

/// Asks `at_a_time` times at once for as long as `time`, each over a connection of its own that has been used before.
pub(super) async fn load(
    peer: &Peer,
    asks: &Arc<[Ask]>,
    expect: Expect,
    at_a_time: usize,
    time: Duration,
) -> Result<Load> {
    let ready = Arc::new(Barrier::new(at_a_time));
    let workers = (0..at_a_time).map(|number| {
        let (peer, asks, ready) = (peer.clone(), Arc::clone(asks), Arc::clone(&ready));
        tokio::spawn(async move {
            // What only the first request of a connection costs isn't measured.
            let client = first(&peer, asks.first(), expect).await;
            // Also where that failed, so that nobody waits for this one.
            ready.wait().await;
            let mut client = client?;
            let mut latencies = Vec::new();
            let started = Instant::now();
            for one in asks.iter().cycle().skip(number) {
                let before = Instant::now();
                if before.duration_since(started) >= time {
                    break;
                }
                ask(&mut client, &peer, one, expect).await?;
                latencies.push(u32::try_from(before.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            anyhow::Ok((latencies, started.elapsed()))
        })
    });
    let mut all = Load::default();
    for worker in futures::future::try_join_all(workers).await? {
        let (latencies, time) = worker?;
        all.latencies.extend(latencies);
        all.time = all.time.max(time);
    }
    Ok(all)
}

/// Asks each once, in their order.
pub(super) async fn once(peer: &Peer, asks: &[Ask], expect: Expect) -> Result<Vec<Bytes>> {
    let mut client = connect(peer).await?;
    let mut answers = Vec::new();
    for one in asks {
        answers.push(ask(&mut client, peer, one, expect).await?);
    }
    Ok(answers)
}

async fn first(peer: &Peer, one: Option<&Ask>, expect: Expect) -> Result<SendRequest<Full<Bytes>>> {
    let mut client = connect(peer).await?;
    ask(&mut client, peer, one.context("there is nothing to ask")?, expect).await?;
    Ok(client)
}

async fn connect(peer: &Peer) -> Result<SendRequest<Full<Bytes>>> {
    let stream = net::connect_with(&peer.address, Arc::clone(&peer.tls)).await?;
    let (client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(client: &mut SendRequest<Full<Bytes>>, peer: &Peer, ask: &Ask, expect: Expect) -> Result<Bytes> {
    let request = Request::post(&ask.path)
        .header(HOST, &peer.address)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::new(ask.body.clone()))?;
    client.ready().await?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let holds = match expect {
        Expect::Created => status == StatusCode::CREATED,
        Expect::Forbidden => status == StatusCode::FORBIDDEN,
        Expect::Allowed => status == StatusCode::OK && String::from_utf8_lossy(&body).contains(r#""allowed":true"#),
    };
    ensure!(holds, "{} answers {status} where {expect:?} is due: {}", ask.path, String::from_utf8_lossy(&body));
    Ok(body)
}

/// The value below which that share of the values lies, in the values' unit; they are sorted here.
pub(super) fn quantile(values: &mut [u32], share: f64) -> f64 {
    values.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is an index")]
    let index = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1);
    values.get(index).copied().map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(quantile(&mut values, 0.5).to_string(), "50");
        assert_eq!(quantile(&mut values, 0.99).to_string(), "99");
        assert_eq!(quantile(&mut [7], 0.99).to_string(), "7");
        assert_eq!(quantile(&mut [], 0.5).to_string(), "0");
    }
}
