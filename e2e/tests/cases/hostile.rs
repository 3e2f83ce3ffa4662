//! What a stranger, or a broken client, may send straight at the webhook's port.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{self, patched};
use e2e::net;
use e2e::nodes::IN_COUNTRY;
use futures::future::try_join_all;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::downgrade::grant;
use super::given;
use super::says::says;

/// How long the longest wait for a slow client may be.
const BOUND: Duration = Duration::from_secs(60);

/// What is searched for afterwards: it must be nowhere.
const CANARY: &str = "c4n4ry-0d9b1f";

const PATH: &str = "/validate/governed";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("f47_bodies_that_are_no_review", bodies),
        Case::new("f47_slow_clients", slow),
        Case::new("f47_objects_that_cannot_be_read", undecodable),
        Case::new("g58_values_reach_no_log_event_or_metric", canaries),
        Case::new("g58_names_and_users_that_steer_a_terminal", steering),
    ]
}

/// What a body is, the body, its headers, and the status of the answer.
type Row<'a> = (&'a str, &'a [u8], &'a [(&'a str, &'a str)], u16);

/// Where the replicas serve.
pub(crate) async fn addresses(amanat: &Amanat) -> Vec<String> {
    let installation = amanat.installation().await;
    installation.replicas.iter().map(|replica| replica.operator.webhook_address()).collect()
}

async fn bodies(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "hostile").await?;
    // Nothing has given it the class label and its place, as the mutating entry would have.
    let labelled = json!({"request": {"object": {"metadata": {"labels": {CLASS_LABEL: "Restricted"}}}}});
    let placed = patched(given::conforming(), &json!({"nodeSelector": {IN_COUNTRY.0: IN_COUNTRY.1}}));
    let whole = patched(review(&namespace, &placed), &labelled).to_string();
    let truncated = whole.get(..whole.len() / 2).unwrap_or_default().to_owned();
    let older = whole.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let other = whole.replace("AdmissionReview", "SubjectAccessReview");
    let zeros = vec![0_u8; 100_000];
    // A gzip member that holds nothing.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let json = ("content-type", "application/json");
    let table: [Row<'_>; 14] = [
        ("empty", b"", &[json], 400),
        ("blank", b" \n\t", &[json], 400),
        ("garbage", b"\xff\xfe\x00garbage", &[json], 400),
        ("zeros", &zeros, &[json], 400),
        ("another type", b"[]", &[json], 400),
        ("no kind", b"{}", &[json], 400),
        ("no request", br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#, &[json], 400),
        ("truncated", truncated.as_bytes(), &[json], 400),
        ("an older version", older.as_bytes(), &[json], 400),
        ("another kind", other.as_bytes(), &[json], 400),
        ("gzip unsaid", &gzip, &[json], 400),
        ("gzip", &gzip, &[json, ("content-encoding", "gzip")], 415),
        ("no content type", whole.as_bytes(), &[], 415),
        ("YAML", b"kind: AdmissionReview", &[("content-type", "application/yaml")], 415),
    ];
    for address in addresses(&amanat).await {
        for (what, body, headers, expected) in &table {
            let (status, text) = post(&address, PATH, headers, net::whole(Bytes::copy_from_slice(body))).await?;
            ensure!(status == *expected, "{what}: {status} {text}");
        }
        let (status, _) = post(&address, "/validate/elsewhere", &[json], net::whole(whole.clone())).await?;
        ensure!(status == 404, "another path: {status}");
        let (status, _) = net::get(&format!("https://{address}{PATH}")).await?;
        ensure!(status == 405, "GET: {status}");
        over_the_limit(&address).await?;
        let (status, text) = post(&address, PATH, &[json], net::whole(whole.clone())).await?;
        ensure!(status == 200 && text.contains("\"allowed\":true"), "a conforming Pod: {status} {text}");
    }
    serves(&amanat, &namespace).await
}

/// A body that says it is too large, and one that is so without saying it. The replica may hang up before it has read
/// them.
async fn over_the_limit(address: &str) -> Result<()> {
    const TOO_LARGE: usize = 8 * 1_024 * 1_024;
    let json = ("content-type", "application/json");
    let said = post(address, PATH, &[json], net::whole(vec![b' '; TOO_LARGE])).await;
    let chunks = stream::iter((0..TOO_LARGE / 65_536).map(|_| Ok(Frame::data(Bytes::from_static(&[b' '; 65_536])))));
    let unsaid = post(address, PATH, &[json], StreamBody::new(chunks).boxed_unsync()).await;
    for (what, answer) in [("said", said), ("unsaid", unsaid)] {
        match answer {
            Ok((status, text)) => ensure!(status == 413, "too large, {what}: {status} {text}"),
            Err(error) => println!("hostile: too large, {what}: the replica hung up: {error:#}"),
        }
    }
    Ok(())
}

async fn slow(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "slow").await?;
    let addresses = addresses(&amanat).await;
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    let starts = [
        "",
        "POST /val",
        head.as_str(),
        &format!("{head}content-length: 100\r\n\r\n"),
        &format!("{head}content-length: 100\r\n\r\n{{\"ap"),
    ];
    let mut waits = Vec::new();
    for address in &addresses {
        // Many at a time, so that one that held a worker would be noticed.
        for _ in 0..20 {
            waits.extend(starts.iter().map(|start| (address.clone(), Some((*start).to_owned()))));
            waits.push((address.clone(), None));
        }
    }
    let started = Instant::now();
    let let_go = try_join_all(waits.into_iter().map(|(address, start)| let_go(address, start)));
    let meanwhile = async {
        for round in 0..10 {
            let pod = given::pod(&namespace, &format!("meanwhile-{round}"), &given::conforming());
            amanat.tools().create(&pod).await?.ok()?;
        }
        println!("hostile: ten Pods were judged within {:?} meanwhile", started.elapsed());
        anyhow::Ok(())
    };
    let (answers, meanwhile) = futures::future::join(let_go, meanwhile).await;
    meanwhile?;
    println!("hostile: {} slow clients were let go within {:?}", answers?.len(), started.elapsed());
    serves(&amanat, &namespace).await
}

/// Opens a connection, by TLS when there is something to say, says it, and waits to be answered or hung up on.
async fn let_go(address: String, start: Option<String>) -> Result<String> {
    let wait = async {
        match &start {
            None => ended(TcpStream::connect(&address).await?).await,
            Some(start) => {
                let mut stream = net::connect(&address).await?;
                stream.write_all(start.as_bytes()).await?;
                stream.flush().await?;
                ended(stream).await
            }
        }
    };
    let answer = tokio::time::timeout(BOUND, wait).await;
    let answer = answer.map_err(|_| anyhow::anyhow!("after {start:?} it waits longer than {BOUND:?}"))??;
    let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
    ensure!(refused, "after {start:?} the answer is {answer}");
    Ok(answer)
}

async fn ended(mut stream: impl AsyncRead + Unpin) -> Result<String> {
    let mut answer = Vec::new();
    // However it ends, it ends.
    let _cut = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn undecodable(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "undecodable").await?;
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(100), "]".repeat(100)))?;
    let unreadable = [
        ("a text", json!("text")),
        ("a list", json!([])),
        ("a number where a name is", patched(pod(&namespace), &json!({"metadata": {"name": 7}}))),
        ("a text where a spec is", patched(pod(&namespace), &json!({"spec": "text"}))),
        ("lists where containers are", patched(pod(&namespace), &json!({"spec": {"containers": deep}}))),
        ("nothing", Value::Null),
    ];
    for address in addresses(&amanat).await {
        for (what, object) in &unreadable {
            let review = with_object(&namespace, object);
            let (status, text) = send(&address, PATH, &review).await?;
            let answer: Value = serde_json::from_str(&text).with_context(|| format!("{what}: {status} {text}"))?;
            let response = &answer["response"];
            let refused = response["allowed"] == false && response["uid"] == review["request"]["uid"];
            ensure!(status == 200 && refused, "{what}: {status} {text}");
            let message = response["status"]["message"].as_str().unwrap_or_default();
            ensure!(!message.is_empty(), "{what}: it says no reason: {text}");
        }
        let endless = "[".repeat(200_000);
        let body = with_object(&namespace, &json!("DEEP")).to_string();
        let body = body.replace("\"DEEP\"", &format!("{endless}{}", "]".repeat(200_000)));
        let headers = [("content-type", "application/json")];
        let (status, text) = post(&address, PATH, &headers, net::whole(body)).await?;
        let refused = status == 400 || (status == 200 && text.contains("\"allowed\":false"));
        ensure!(refused, "two hundred thousand levels: {status} {text}");
    }
    serves(&amanat, &namespace).await
}

async fn canaries(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "canary").await?;
    let open = amanat.cluster().namespace("canary-open", &[]).await?;
    let tools = amanat.tools();
    let (tenant, outsider) = (grant(&amanat, &namespace).await?, grant(&amanat, &open).await?);
    let secret = json!([{"name": "PASSWORD", "value": CANARY}]);
    let marked = |namespace: &str, kind: &str, name: &str, mut spec: Value| -> String {
        spec["containers"][0]["env"] = secret.clone();
        spec["containers"][0]["args"] = json!([CANARY]);
        let mark = json!({"metadata": {"annotations": {"example.com/note": CANARY}}});
        patched(manifests::workload(kind, namespace, name, &spec), &mark).to_string()
    };
    for kind in ["Pod", "Deployment"] {
        tenant.create(&marked(&namespace, kind, "bad", given::violating())).await?.forbidden()?;
        tenant.create(&marked(&namespace, kind, "good", given::conforming())).await?.ok()?;
        outsider.create(&marked(&open, kind, "open", given::violating())).await?.ok()?;
    }
    given::available(amanat.cluster(), &namespace, "good").await?;

    let mut answers = Vec::new();
    for address in addresses(&amanat).await {
        for path in ["governed", "undeclared", "declarations", "registry", "namespaces", CANARY] {
            let path = format!("/validate/{path}");
            let object =
                patched(pod(&namespace), &json!({"metadata": {"labels": CANARY}, "spec": {"containers": CANARY}}));
            answers.push(send(&address, &path, &with_object(&namespace, &object)).await?);
            let broken = format!("{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"{CANARY}\",{CANARY}");
            let headers = [("content-type", "application/json"), ("x-note", CANARY)];
            answers.push(post(&address, &path, &headers, net::whole(broken)).await?);
        }
        let mut violating = given::violating();
        violating["containers"][0]["env"] = secret.clone();
        answers.push(send(&address, PATH, &review(&namespace, &violating)).await?);
    }
    for (status, text) in answers {
        ensure!(!text.contains(CANARY), "an answer ({status}) has it: {text}");
    }

    let events = tools.kubectl(&["get", "events", "--all-namespaces", "-o", "json"]).await?.ok()?;
    ensure!(!events.contains(CANARY), "an Event has it");
    let status = tools.kubectl(&["get", "cw,csp,pse,sb", "--all-namespaces", "-o", "json"]).await?.ok()?;
    ensure!(!status.contains(CANARY), "an object of Amanat's has it");
    let installation = amanat.installation().await;
    for replica in &installation.replicas {
        let operator = &replica.operator;
        let log = operator.log()?;
        ensure!(!log.is_empty(), "{} has logged nothing", operator.name());
        if let Some(line) = log.lines().find(|line| line.contains(CANARY)) {
            bail!("the log of {} has it: {line}", operator.name());
        }
        ensure!(!operator.metrics().await?.contains(CANARY), "a metric of {} has it", operator.name());
    }
    Ok(())
}

/// What no API server lets through, in each field of a review that is logged or told: it moves no cursor, and begins no
/// line of its own.
async fn steering(suite: Arc<Suite>) -> Result<()> {
    const STEERS: &str = "st33r\u{1b}[2J\u{202e}\r\nforged: ";
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "steering").await?;
    let object = json!({"metadata": {"name": STEERS, "labels": {STEERS: STEERS}},
        "spec": {"containers": [{"name": STEERS, "image": STEERS}]}});
    let request = json!({
        "name": STEERS,
        "userInfo": {"username": STEERS, "groups": [STEERS]},
        "object": object,
    });
    let within = patched(review(&namespace, &given::violating()), &json!({"request": request}));
    let elsewhere = patched(within.clone(), &json!({"request": {"namespace": STEERS}}));
    let unknown = patched(within.clone(), &json!({"request": {"subResource": STEERS, "operation": STEERS}}));
    for address in addresses(&amanat).await {
        for entry in ["governed", "undeclared", "declarations", "registry", "namespaces"] {
            for tried in [&within, &elsewhere, &unknown] {
                let (status, text) = send(&address, &format!("/validate/{entry}"), tried).await?;
                steers_nothing(&for_people(&text)).with_context(|| format!("the answer of {entry}, {status}"))?;
            }
        }
        let (_, text) = send(&address, PATH, &within).await?;
        says(&text, &["st33r", "image/digest-pinned"])?;
    }
    let installation = amanat.installation().await;
    for replica in &installation.replicas {
        let operator = &replica.operator;
        for told in [operator.log()?, operator.metrics().await?] {
            steers_nothing(&told).with_context(|| operator.name().to_owned())?;
        }
    }
    drop(installation);
    serves(&amanat, &namespace).await
}

/// What of an answer is shown to people: the rest of a review is data, such as the name that was asked about.
fn for_people(text: &str) -> String {
    let Ok(answer) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let response = &answer["response"];
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let told = [&response["status"]["message"]].into_iter().chain(warnings).filter_map(Value::as_str);
    told.collect::<Vec<_>>().join("\n")
}

fn steers_nothing(text: &str) -> Result<()> {
    ensure!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "it steers: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("forged"));
    ensure!(forged.is_none(), "a line is forged: {forged:?}");
    Ok(())
}

/// Both replicas still judge, through the API server.
pub(crate) async fn serves(amanat: &Amanat, namespace: &str) -> Result<()> {
    let mut installation = amanat.installation().await;
    for replica in &mut installation.replicas {
        ensure!(replica.operator.is_running(), "{} has ended", replica.operator.name());
        let (status, why) = replica.operator.readiness().await?;
        ensure!(status == 200, "{} isn't ready: {why}", replica.operator.name());
    }
    drop(installation);
    for round in 0..2 {
        let bad = given::deployment(namespace, &format!("bad-{round}"), &given::violating());
        says(&amanat.tools().create(&bad).await?.forbidden()?, &["[Restricted] pod/privileged"])?;
        let good = given::pod(namespace, &format!("good-{round}"), &given::conforming());
        amanat.tools().create(&good).await?.ok()?;
    }
    Ok(())
}

fn pod(namespace: &str) -> Value {
    manifests::workload("Pod", namespace, "one", &given::conforming())
}

/// A review of a Pod of that spec that is made in a namespace.
pub(crate) fn review(namespace: &str, spec: &Value) -> Value {
    with_object(namespace, &manifests::workload("Pod", namespace, "one", spec))
}

/// A review of a Pod that is made in a namespace, with that object in the Pod's place.
fn with_object(namespace: &str, object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "8f5d7a6e-3b0b-4a53-9b3f-6f1d4c3c2b1a",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "one",
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "stranger", "groups": ["system:authenticated"]},
            "object": object,
            "oldObject": null,
            "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
}

pub(crate) async fn send(address: &str, path: &str, review: &Value) -> Result<(u16, String)> {
    post(address, path, &[("content-type", "application/json")], net::whole(review.to_string())).await
}

pub(crate) async fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: net::Body,
) -> Result<(u16, String)> {
    let mut request = Request::post(path).header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let exchange = async {
        let response = net::send(true, address, request.body(body)?).await?;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, String::from_utf8_lossy(&text).into_owned()))
    };
    tokio::time::timeout(BOUND, exchange).await.with_context(|| format!("no answer within {BOUND:?}"))?
}
