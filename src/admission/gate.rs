//! How much is taken on at once. What is too much is told so at once: a queue would outlive the API server's patience.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::BODY_LIMIT;

/// Requests in flight.
const REQUESTS: usize = 512;
/// Sum of the bodies in flight, in KiB.
const BODIES_KIB: u32 = 128 * 1_024;

/// Why a body isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Turned {
    /// There are too many requests, or what they hold is too much.
    #[error("too many requests are being answered")]
    Full,
    /// The body is too large.
    #[error("the body is larger than {BODY_LIMIT} bytes")]
    TooLarge,
    /// The body is compressed.
    #[error("a compressed body is not read: send it as it is")]
    Encoded,
    /// The body is said not to be JSON.
    #[error("the content type must be application/json")]
    NotJson,
    /// The body ended early.
    #[error("the body ended early")]
    Truncated,
    /// The body didn't arrive in time.
    #[error("the body took too long to arrive")]
    Slow,
}

impl Turned {
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooLarge => "too-large",
            Self::Encoded => "encoded",
            Self::NotJson => "not-json",
            Self::Truncated => "truncated",
            Self::Slow => "slow",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded | Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Truncated => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// Limits how many requests, and how many bytes of them, are in flight.
pub(super) struct Gate {
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(REQUESTS, BODIES_KIB)
    }
}

/// A place among the requests in flight.
pub(super) struct Place {
    _request: OwnedSemaphorePermit,
    _body: OwnedSemaphorePermit,
}

impl Gate {
    fn new(requests: usize, bodies_kib: u32) -> Self {
        let bodies = usize::try_from(bodies_kib).unwrap_or(usize::MAX);
        Self { requests: Arc::new(Semaphore::new(requests)), bodies: Arc::new(Semaphore::new(bodies)) }
    }

    /// Takes a request by its headers, or turns it away before anything of its body is read.
    pub(super) fn enter(&self, headers: &HeaderMap) -> Result<Place, Turned> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_ascii_lowercase());
        if text(header::CONTENT_ENCODING).is_some_and(|encoding| !matches!(encoding.as_str(), "" | "identity")) {
            return Err(Turned::Encoded);
        }
        let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
        if media_type.split(';').next().map(str::trim) != Some("application/json") {
            return Err(Turned::NotJson);
        }
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok()).unwrap_or(BODY_LIMIT);
        if length > BODY_LIMIT {
            return Err(Turned::TooLarge);
        }
        let kib = u32::try_from(length.div_ceil(1_024)).unwrap_or(u32::MAX);
        let request = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Turned::Full)?;
        let body = Arc::clone(&self.bodies).try_acquire_many_owned(kib).map_err(|_| Turned::Full)?;
        Ok(Place { _request: request, _body: body })
    }
}

/// Reads a whole body, as far as it may be large and slow.
pub(super) async fn read(body: Body, headers: &HeaderMap) -> Result<Bytes, Turned> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let all = async {
        let mut whole = Vec::new();
        let mut stream = body.into_data_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Turned::Truncated)?;
            if whole.is_empty() && said == Some(chunk.len()) {
                return Ok(chunk);
            }
            if whole.len() + chunk.len() > BODY_LIMIT {
                return Err(Turned::TooLarge);
            }
            if whole.is_empty() {
                // Grown step by step, it would take up to twice its length, and be copied each time.
                whole.reserve_exact(said.unwrap_or_default().min(BODY_LIMIT));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(whole))
    };
    tokio::time::timeout(super::BODY_DEADLINE, all).await.map_err(|_| Turned::Slow)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(length: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        headers.insert(header::CONTENT_LENGTH, length.to_string().parse().unwrap());
        headers
    }

    #[test]
    fn what_is_too_much_is_turned_away_and_a_place_that_is_left_is_free() {
        let gate = Gate::new(2, 4);
        let first = gate.enter(&headers(1_024)).ok().unwrap();
        assert_eq!(gate.enter(&headers(4 * 1_024)).err(), Some(Turned::Full), "by bytes");
        let second = gate.enter(&headers(10)).ok().unwrap();
        assert_eq!(gate.enter(&headers(10)).err(), Some(Turned::Full), "by number");
        drop((first, second));
        assert!(gate.enter(&headers(4 * 1_024)).is_ok());
    }

    #[test]
    fn headers_say_what_is_not_read() {
        let gate = Gate::default();
        assert_eq!(gate.enter(&headers(BODY_LIMIT + 1)).err(), Some(Turned::TooLarge));
        let mut encoded = headers(10);
        encoded.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(gate.enter(&encoded).err(), Some(Turned::Encoded));
        let mut other = headers(10);
        other.insert(header::CONTENT_TYPE, "application/yaml".parse().unwrap());
        assert_eq!(gate.enter(&other).err(), Some(Turned::NotJson));
    }

    #[tokio::test]
    async fn an_unsaid_length_is_limited_too() {
        let body = Body::from(vec![b' '; BODY_LIMIT + 1]);
        assert_eq!(read(body, &HeaderMap::new()).await, Err(Turned::TooLarge));
    }
}
