//! The client that reconcilers get: whatever writes through it passes the fence, also a write that forgot to ask.

use std::task::{Context, Poll};

use axum::http::{Method, Request};
use futures::future::{Either, MapErr, Ready, ready};
use futures::{FutureExt, TryFutureExt};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

use super::election::Fence;

/// Puts the fence before a client's requests. A read passes.
#[derive(Clone)]
pub struct FenceLayer(Fence);

impl FenceLayer {
    /// A layer that lets the leader's writes through.
    pub fn new(fence: Fence) -> Self {
        Self(fence)
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { fence: self.0.clone(), inner }
    }
}

/// A client's requests behind the fence.
#[derive(Clone)]
pub struct Fenced<S> {
    fence: Fence,
    inner: S,
}

type Refused<T> = Ready<Result<T, BoxError>>;

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<Refused<S::Response>, MapErr<S::Future, fn(S::Error) -> BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        match self.fence.check() {
            Err(closed) if !reads => ready(Err(closed.into())).left_future(),
            _ => self.inner.call(request).map_err(Into::into as fn(S::Error) -> BoxError).right_future(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::http::Response;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
    use kube::{Api, Client};
    use serde_json::json;

    use super::*;
    use crate::cluster::ApplyError;
    use crate::cluster::clock::{Clock, ManualClock};

    #[tokio::test]
    async fn reads_pass_and_no_write_of_any_sort_does_once_the_time_is_up() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let server = tower::service_fn(move |request: Request<Body>| {
            log.lock().unwrap().push(request.method().to_string());
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}).to_string();
            async { Ok::<_, Infallible>(Response::new(Body::from(body.into_bytes()))) }
        });
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let fence = Fence::new(Arc::clone(&clock) as Arc<dyn Clock>);
        fence.open_until(Duration::from_secs(10));
        let client = Client::new(FenceLayer::new(fence).layer(server), "default");
        let api = Api::<Namespace>::all(client);
        let write = async || {
            let (post, patch) = (PostParams::default(), PatchParams::apply("a"));
            let written = [
                api.create(&post, &Namespace::default()).await.map(|_| ()),
                api.replace("a", &post, &Namespace::default()).await.map(|_| ()),
                api.patch("a", &patch, &Patch::Apply(json!({}))).await.map(|_| ()),
                api.patch_status("a", &patch, &Patch::Merge(json!({}))).await.map(|_| ()),
                api.delete("a", &DeleteParams::default()).await.map(|_| ()),
            ];
            written.map(|written| written.map_err(ApplyError::from))
        };
        assert!(write().await.iter().all(Result::is_ok));
        assert_eq!(asked.lock().unwrap().drain(..).count(), 5);
        clock.advance(Duration::from_secs(10));
        for refused in write().await {
            assert_eq!(refused.unwrap_err().category(), "not-leader");
        }
        api.get("a").await.unwrap();
        assert_eq!(*asked.lock().unwrap(), ["GET"]);
    }
}
