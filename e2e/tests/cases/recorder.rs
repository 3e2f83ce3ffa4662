//! A webhook of the test's own, which takes what the API server asks and allows it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Cluster;
use e2e::net::{self, Body, Server};
use e2e::pki::Authority;
use e2e::tools::Tools;
use e2e::waiting::until;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

const NAME: &str = "recorder";
const SOON: Duration = Duration::from_secs(60);

type Taken = Arc<Mutex<Vec<Value>>>;

/// Takes the reviews of workloads in one namespace.
pub(crate) struct Recorder {
    _server: Server,
    tools: Tools,
    taken: Taken,
}

impl Recorder {
    /// Registers it, and waits until it is asked.
    pub(crate) async fn start(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let taken = Taken::default();
        let own = Arc::clone(&taken);
        let handler: net::Handler = Arc::new(move |request| Box::pin(take(Arc::clone(&own), request)));
        let host = cluster.webhook_host();
        let server = Server::bind(if host == "127.0.0.1" { "127.0.0.1" } else { "0.0.0.0" }, handler).await?;
        let authority = Authority::new(NAME)?;
        server.set_certificate(&authority.server(NAME, &[&host])?)?;
        let bundle = ByteString(authority.certificate().as_bytes().to_vec());
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": NAME},
            "webhooks": [{
                "name": "recorder.example.com",
                "clientConfig": {"url": format!("https://{host}:{}/", server.address().port()), "caBundle": bundle},
                "rules": [{"apiGroups": ["", "apps", "batch"], "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["pods", "deployments", "cronjobs"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": "Ignore",
            }],
        });
        let tools = cluster.tools();
        tools.apply(&configuration.to_string()).await?.ok()?;
        let recorder = Self { _server: server, tools, taken };
        let canary = super::given::pod(namespace, "canary", &super::given::conforming());
        until(SOON, "the recorder to be asked", async || {
            let create = ["create", "--dry-run=server", "-f", "-"];
            recorder.tools.kubectl_with(&create, &canary).await?.ok()?;
            let mut taken = recorder.taken.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(!taken.is_empty(), "it isn't");
            taken.clear();
            Ok(())
        })
        .await?;
        Ok(recorder)
    }

    /// Ends it, and gives what was asked: each an AdmissionReview.
    pub(crate) async fn end(self) -> Result<Vec<Value>> {
        self.tools.kubectl(&["delete", "validatingwebhookconfiguration", NAME]).await?.ok()?;
        Ok(self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

async fn take(taken: Taken, request: Request<Incoming>) -> Response<Body> {
    let Ok(body) = request.into_body().collect().await else {
        return net::answer(StatusCode::BAD_REQUEST, "the body ended early");
    };
    let review: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let response = json!({"uid": review["request"]["uid"], "allowed": true});
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    taken.lock().unwrap_or_else(PoisonError::into_inner).push(review);
    let mut response = net::answer(StatusCode::OK, &answer.to_string());
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}
