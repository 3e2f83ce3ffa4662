//! The harness's own parts: what they promise to the other topics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::case::{Case, Suite};
use e2e::cluster::{self, Cluster};
use e2e::component::Component;
use e2e::delay::DelayProxy;
use e2e::forwarder::{Backend, Forwarder};
use e2e::net::{self, Server};
use e2e::pki::{Authority, Identity};
use e2e::waiting::until;
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("harness: a guarded program gets SIGTERM, and is killed", a_guarded_program),
        Case::new("harness: the proxy holds watches back and nothing else", watches_are_held_back),
        Case::new("harness: the proxy refuses reads of a path", reads_are_refused),
        Case::new("harness: the forwarder alternates, and leaves out who isn't ready", the_forwarder_alternates)
            .on_own_cluster(),
    ]
}

async fn a_guarded_program(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let arguments = ["guard", "sleep", "600"].map(str::to_owned).to_vec();
    let mut sleep = Component::new("sleep", cluster.binary(), arguments, cluster.fresh_path("sleep.log"));
    sleep.start()?;
    sleep.kill();
    ensure!(!sleep.is_running(), "it lives on after it was killed");

    // A shell that says when it listens: a signal before that would find the guard unprepared.
    let script = "trap 'echo tidied; exit 7' TERM; echo listening; while :; do sleep 0.1; done";
    let arguments = ["guard", "sh", "-c", script].map(str::to_owned).to_vec();
    let mut shell = Component::new("sh", cluster.binary(), arguments, cluster.fresh_path("sh.log"));
    shell.start()?;
    until(SOON, "the shell to listen", async || {
        ensure!(shell.log()?.contains("listening"), "it said nothing");
        Ok(())
    })
    .await?;
    let status = shell.terminate(SOON).await?;
    ensure!(status.code() == Some(7), "it ended with {status}");
    ensure!(shell.log()?.contains("tidied"), "it didn't see the signal");
    Ok(())
}

async fn watches_are_held_back(suite: Arc<Suite>) -> Result<()> {
    let (cluster, proxy) = proxied(&suite).await?;
    let namespace = cluster.namespace("held", &[]).await?;
    let late = Api::<ConfigMap>::namespaced(admin_through(&cluster, &proxy).await?, &namespace);
    let direct = Api::<ConfigMap>::namespaced(cluster.client().clone(), &namespace);

    let version = late.list(&Default::default()).await?.metadata.resource_version.context("a list has a version")?;
    proxy.hold_watches(Duration::MAX);
    let params = WatchParams::default().fields("metadata.name=one");
    let mut watch = late.watch(&params, &version).await?.boxed();
    let mut undelayed = direct.watch(&params, &version).await?.boxed();
    direct.create(&PostParams::default(), &config_map("one")).await?;
    ensure!(late.get("one").await.is_ok(), "a read through the proxy is held back too");
    ensure!(undelayed.try_next().await?.is_some(), "the watch past the proxy ended");
    let early = tokio::time::timeout(Duration::from_millis(500), watch.try_next()).await;
    ensure!(early.is_err(), "the watch wasn't held back: {early:?}");

    proxy.hold_watches(Duration::ZERO);
    match tokio::time::timeout(SOON, watch.try_next()).await.context("the held event never came")?? {
        Some(WatchEvent::Added(added)) => ensure!(added.metadata.name.as_deref() == Some("one"), "{added:?}"),
        other => bail!("the watch said {other:?}"),
    }
    Ok(())
}

async fn reads_are_refused(suite: Arc<Suite>) -> Result<()> {
    let (cluster, proxy) = proxied(&suite).await?;
    let namespace = cluster.namespace("refused", &[]).await?;
    let maps = Api::<ConfigMap>::namespaced(admin_through(&cluster, &proxy).await?, &namespace);
    maps.create(&PostParams::default(), &config_map("one")).await?;
    proxy.refuse_reads(Some("/configmaps/one"));
    ensure!(maps.get("one").await.is_err(), "the read passed");
    ensure!(maps.get_opt("two").await?.is_none(), "two exists");
    proxy.refuse_reads(None);
    maps.get("one").await?;
    Ok(())
}

async fn the_forwarder_alternates(suite: Arc<Suite>) -> Result<()> {
    let cluster = suite.cluster().await?;
    let authority = Authority::new("forwarder")?;
    let identity = authority.server("forwarder", &["127.0.0.1"])?;
    let forwarder = Forwarder::bind("127.0.0.1").await?;
    forwarder.set_certificate(&identity)?;
    let mut webhooks = Vec::new();
    for name in ["one", "two"] {
        let webhook = webhook(&identity).await?;
        let address = webhook.address().to_string();
        let readiness = format!("https://{address}/readyz");
        forwarder.add(Backend { name: name.to_owned(), webhook: address, readiness });
        webhooks.push(webhook);
    }
    forwarder.wait_ready(2, SOON).await?;

    let namespace = cluster.namespace("forwarded", &[]).await?;
    let configuration = configuration(&format!("{}/validate/e2e", forwarder.url()), &authority, &namespace)?;
    let configurations = Api::<ValidatingWebhookConfiguration>::all(cluster.client().clone());
    configurations.create(&PostParams::default(), &configuration).await?;
    let outcome = judged_in_turn(&cluster, &forwarder, &namespace, webhooks).await;
    configurations.delete(&namespace, &DeleteParams::default()).await?;
    outcome
}

async fn judged_in_turn(
    cluster: &Cluster,
    forwarder: &Forwarder,
    namespace: &str,
    mut webhooks: Vec<Server>,
) -> Result<()> {
    let maps = Api::<ConfigMap>::namespaced(cluster.client().clone(), namespace);
    let mark = cluster.audit_mark()?;
    until(SOON, "the webhook to be called", async || {
        maps.create(&PostParams { dry_run: true, ..PostParams::default() }, &config_map("probe")).await?;
        ensure!(!forwarder.judged().is_empty(), "nothing has come");
        Ok(())
    })
    .await?;
    forwarder.turn_to("two")?;
    forwarder.forget();
    for name in ["a", "b", "c", "d"] {
        maps.create(&PostParams::default(), &config_map(name)).await?;
    }
    let by = forwarder.judged().into_iter().map(|one| one.backend).collect::<Vec<_>>();
    ensure!(by == ["two", "one", "two", "one"], "judged by {by:?}");

    webhooks.pop();
    forwarder.wait_ready(1, SOON).await?;
    forwarder.forget();
    for name in ["e", "f"] {
        maps.create(&PostParams::default(), &config_map(name)).await?;
    }
    let judged = forwarder.judged();
    ensure!(judged.iter().all(|one| one.backend == "one" && one.allowed == Some(true)), "{judged:?}");
    ensure!(judged.iter().map(|one| one.name.as_str()).eq(["e", "f"]), "{judged:?}");

    until(SOON, "the webhook's annotation in the audit log", async || {
        let events = cluster.audit_since(mark)?;
        let annotated = |event: &Value| event.pointer("/annotations/e2e.webhook.example~1decision").is_some();
        ensure!(events.iter().any(annotated), "none of {} events has it", events.len());
        Ok(())
    })
    .await
}

/// A webhook that admits everything, and is ready.
async fn webhook(identity: &Identity) -> Result<Server> {
    let handler: net::Handler = Arc::new(|request: Request<Incoming>| {
        Box::pin(async move {
            if request.uri().path() == "/readyz" {
                return net::answer(StatusCode::OK, "ok");
            }
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let review: Value = serde_json::from_slice(&body).unwrap_or_default();
            let answer = json!({
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {
                    "uid": review.pointer("/request/uid"),
                    "allowed": true,
                    "auditAnnotations": {"decision": "admit"},
                },
            });
            net::answer(StatusCode::OK, &answer.to_string())
        })
    });
    let server = Server::bind("127.0.0.1", handler).await?;
    server.set_certificate(identity)?;
    Ok(server)
}

fn configuration(url: &str, authority: &Authority, namespace: &str) -> Result<ValidatingWebhookConfiguration> {
    let bundle = k8s_openapi::ByteString(authority.certificate().as_bytes().to_vec());
    Ok(serde_json::from_value(json!({
        "metadata": {"name": namespace},
        "webhooks": [{
            "name": "e2e.webhook.example",
            "clientConfig": {"url": url, "caBundle": bundle},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            "matchConditions": [{"name": "not-the-control-plane", "expression": "!request.name.startsWith('kube-')"}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
        }],
    }))?)
}

async fn proxied(suite: &Suite) -> Result<(Arc<Cluster>, DelayProxy)> {
    let cluster = suite.cluster().await?;
    let proxy = DelayProxy::bind(cluster.endpoint()).await?;
    Ok((cluster, proxy))
}

/// A client with all rights whose requests go through the proxy. Only a token passes a proxy that ends TLS.
async fn admin_through(cluster: &Cluster, proxy: &DelayProxy) -> Result<kube::Client> {
    let namespace = cluster.namespace("proxied", &[]).await?;
    let subject = format!("--serviceaccount={namespace}:default");
    let binding = ["create", "clusterrolebinding", &namespace, "--clusterrole=cluster-admin", &subject];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let kubeconfig = cluster.service_account(&namespace, "default", proxy.endpoint()).await?;
    let client = cluster::client(&kubeconfig).await?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    until(SOON, "the binding to count", async || Ok(maps.list(&Default::default()).await.map(|_| ())?)).await?;
    Ok(client)
}

fn config_map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map
}
