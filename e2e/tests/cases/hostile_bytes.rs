//! Ten thousand damaged requests, straight at the webhook's port of a replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::amanat::{Amanat, CLASS_LABEL};
use e2e::case::{Case, Suite};
use e2e::manifests::{self, patched};
use e2e::net;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{given, sent};

#[path = "../../../tests/support/damage.rs"]
mod damage;
#[path = "hostile_bytes/protocol.rs"]
mod protocol;
#[path = "../../../tests/support/random.rs"]
mod random;

use damage::{Damaged, OF_WORKLOADS, Oracle, Reviewed, Whole, damaged};
use random::Random;

/// An image that is neither pinned nor from an approved registry: no small change makes it so.
const REFUSED: &str = "docker.io/library/app:1";
/// How many requests; every fifth is damaged as a protocol, the others as JSON.
const REQUESTS: usize = 10_000;
/// How many at a time.
const AT_A_TIME: usize = 16;
/// How long an answer may take, the connection and a body of seven mebibytes included.
const ANSWER: Duration = Duration::from_secs(60);
/// The most memory, in MiB, that may ever be resident meanwhile.
const MEMORY: u64 = given::resident_at_most(AT_A_TIME as u64);

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("hostile bytes: ten thousand damaged requests, and none is allowed", storm).alone()]
}

/// The seed: `E2E_SEED`, else always the same.
fn seed() -> Result<u64> {
    match std::env::var("E2E_SEED") {
        Ok(text) => text.parse().with_context(|| format!("E2E_SEED={text} is no number")),
        Err(_) => Ok(0x0a3a_4a75),
    }
}

async fn storm(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "bytes").await?;
    let whole = Arc::new(whole(&amanat, &namespace).await?);
    let (address, process, before) = {
        let installation = amanat.installation().await;
        let operator = &installation.replicas.first().context("there is no replica")?.operator;
        (operator.webhook_address(), operator.process()?, panics(&operator.metrics().await?))
    };
    proper(&address, &whole).await.context("before the storm")?;
    process.forget_peak()?;
    let seed = seed()?;
    println!("hostile bytes: E2E_SEED={seed}");
    let (started, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let workers = (0..AT_A_TIME).map(|_| {
        let (address, whole, next) = (address.clone(), Arc::clone(&whole), Arc::clone(&next));
        tokio::spawn(async move { work(&address, &whole, seed, &next).await })
    });
    let mut answers = Tally::default();
    for worker in try_join_all(workers).await? {
        answers.add(&worker?);
    }
    let memory = process.memory()?;
    println!(
        "hostile bytes: {REQUESTS} in {:?}: {answers:?}; resident {} MiB, at most {} MiB",
        started.elapsed(),
        memory.resident / 1_024,
        memory.peak / 1_024
    );
    ensure!(memory.peak / 1_024 <= MEMORY, "{} KiB were resident, more than {MEMORY} MiB", memory.peak);
    proper(&address, &whole).await.context("after the storm")?;
    let mut installation = amanat.installation().await;
    let operator = &mut installation.replicas.first_mut().context("there is no replica")?.operator;
    ensure!(operator.is_running(), "the replica has ended");
    let (status, why) = operator.readiness().await?;
    ensure!(status == 200, "the replica isn't ready: {why}");
    let after = panics(&operator.metrics().await?);
    ensure!(after == before, "decisions have panicked: {after:?}, before {before:?}");
    let log = operator.log()?;
    let panicked = log.lines().find(|line| line.contains("panicked"));
    ensure!(panicked.is_none(), "the log tells of a panic: {panicked:?}");
    Ok(())
}

fn panics(metrics: &str) -> Vec<String> {
    metrics.lines().filter(|line| line.starts_with("amanat_admission_panics_total")).map(str::to_owned).collect()
}

/// How requests ended.
#[derive(Clone, Debug, Default)]
struct Tally {
    refused: usize,
    turned_away: usize,
    allowed: usize,
    hung_up: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.refused += other.refused;
        self.turned_away += other.turned_away;
        self.allowed += other.allowed;
        self.hung_up += other.hung_up;
    }

    fn count(&mut self, answer: Option<(u16, &str)>) {
        *match answer {
            None => &mut self.hung_up,
            Some((200, text)) if text.contains("\"allowed\":true") => &mut self.allowed,
            Some((200, _)) => &mut self.refused,
            Some(_) => &mut self.turned_away,
        } += 1;
    }
}

async fn work(address: &str, whole: &Whole, seed: u64, next: &AtomicUsize) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut open = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= REQUESTS {
            return Ok(tally);
        }
        // A request depends on the seed and its number alone, whoever sends it.
        let mut random = Random(seed ^ (number as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let told = || format!("request {number} of E2E_SEED={seed}");
        if number % 5 == 4 {
            let raw = protocol::raw(&whole.refused[0].review, number / 5, &mut random);
            let said = tokio::time::timeout(ANSWER, protocol::send(address, &raw));
            let said = said.await.map_err(|_| anyhow::anyhow!("{}: {}: no end in {ANSWER:?}", told(), raw.what))?;
            let answer = protocol::first(&said);
            if let Some(wrong) = protocol::wrong(&said, answer.as_ref()) {
                bail!("{}: {}: {wrong}\nsent: {}", told(), raw.what, shown(&raw.bytes));
            }
            tally.count(answer.as_ref().map(|(status, text)| (*status, text.as_str())));
            continue;
        }
        let damaged = damaged(whole, number - number / 5, &mut random);
        let answer = tokio::time::timeout(ANSWER, post(address, &mut open, &damaged)).await;
        let answer = answer.map_err(|_| anyhow::anyhow!("{}: {}: no answer in {ANSWER:?}", told(), damaged.what))?;
        match answer {
            Ok((status, text)) => {
                if let Some(wrong) = damaged.wrong(status, &text) {
                    bail!("{}: {} at {}: {wrong}\nsent: {}", told(), damaged.what, damaged.path, shown(&damaged.body));
                }
                tally.count(Some((status, &text)));
            }
            // What is too large need not be read to its end.
            Err(_) if damaged.body.len() > whole.limit => tally.count(None),
            Err(error) => return Err(error.context(format!("{}: {} at {}", told(), damaged.what, damaged.path))),
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..4_000).unwrap_or(bytes)).into_owned()
}

/// Sends one body over the connection that is open, or a new one, and reads the answer.
async fn post(address: &str, open: &mut Option<TlsStream<TcpStream>>, damaged: &Damaged) -> Result<(u16, String)> {
    let reused = open.is_some();
    let mut stream = match open.take() {
        Some(stream) => stream,
        None => net::connect(address).await?,
    };
    match exchange(&mut stream, damaged).await {
        Ok((status, text, stays)) => {
            *open = stays.then_some(stream);
            Ok((status, text))
        }
        // The other side may have closed it after the last answer.
        Err(_) if reused => {
            let mut stream = net::connect(address).await?;
            exchange(&mut stream, damaged).await.map(|(status, text, _)| (status, text))
        }
        Err(error) => Err(error),
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>, damaged: &Damaged) -> Result<(u16, String, bool)> {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: amanat\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        damaged.path,
        damaged.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let sent = async {
        stream.write_all(&damaged.body).await?;
        stream.flush().await
    };
    // An answer may come before all is sent.
    let sent = sent.await;
    let mut said = Vec::new();
    loop {
        let mut piece = [0; 8_192];
        let read = stream.read(&mut piece).await?;
        said.extend_from_slice(&piece[..read]);
        if let Some((status, text, stays)) = answered(&said) {
            return Ok((status, text, stays && sent.is_ok()));
        }
        ensure!(read > 0, "the replica hung up after {:?}", String::from_utf8_lossy(&said));
    }
}

/// A whole answer: its status, its body, and whether the connection stays open.
fn answered(said: &[u8]) -> Option<(u16, String, bool)> {
    let end = said.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&said[..end]).to_ascii_lowercase();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let body = said.get(end + 4..end + 4 + length)?;
    Some((status, String::from_utf8_lossy(body).into_owned(), !head.contains("connection: close")))
}

/// What is whole is answered as ever: refused or allowed, by the right uid.
async fn proper(address: &str, whole: &Whole) -> Result<()> {
    for (reviews, allowed) in [(&whole.refused, false), (&whole.allowed, true)] {
        for Reviewed { paths, review } in reviews {
            let body = review.to_string().into_bytes();
            let damaged = Damaged { what: "nothing", path: paths[0], body, oracle: Oracle::Answered };
            let (status, text) = post(address, &mut None, &damaged).await?;
            let wrong = damaged.wrong(status, &text);
            let right = wrong.is_none() && text.contains(&format!("\"allowed\":{allowed}"));
            ensure!(right, "a whole review is answered {status} {text}, where allowed is {allowed}: {wrong:?}");
        }
    }
    Ok(())
}

/// Reviews as the API server sends them: recorded by a webhook of the test's own.
async fn whole(amanat: &Amanat, namespace: &str) -> Result<Whole> {
    let recorder = super::recorder::Recorder::start(amanat.cluster(), namespace).await?;
    let tools = amanat.tools();
    let labels = json!({"metadata": {"labels": {"app": "bytes"}}});
    // A Pod that the in-tree plugin refuses never gets to a webhook.
    let of_image = manifests::spec_with_image(REFUSED);
    for (kind, name, bad) in [
        ("Pod", "bytes-pod", &of_image),
        ("Deployment", "bytes-deployment", &violating()),
        ("CronJob", "bytes-cronjob", &violating()),
    ] {
        let made = |spec: &Value| patched(manifests::workload(kind, namespace, name, spec), &labels).to_string();
        tools.create(&made(bad)).await?.forbidden()?;
        tools.create(&made(&given::conforming())).await?.ok()?;
    }
    let bad = given::deployment(namespace, "bytes-deployment", &violating());
    tools.apply(&bad).await?.forbidden()?;
    let reviews = recorder.end().await?;
    let reviews = reviews.into_iter().map(|review| Reviewed { paths: OF_WORKLOADS, review });
    let (mut refused, mut allowed): (Vec<Reviewed>, Vec<Reviewed>) =
        reviews.partition(|reviewed| reviewed.review["request"]["object"].to_string().contains(REFUSED));
    println!("hostile bytes: recorded {} reviews that are refused, {} allowed", refused.len(), allowed.len());
    ensure!(refused.len() >= 3 && allowed.len() >= 3, "too few reviews were recorded");
    beside(amanat, namespace, &mut refused, &mut allowed).await?;
    Ok(Whole { refused, allowed, limit: amanat::admission::BODY_LIMIT })
}

/// Reviews of what isn't a workload, about the objects that there are.
async fn beside(
    amanat: &Amanat,
    namespace: &str,
    refused: &mut Vec<Reviewed>,
    allowed: &mut Vec<Reviewed>,
) -> Result<()> {
    let tools = amanat.tools();
    let get = async |kind: &str, name: &str| -> Result<Value> {
        let arguments = ["get", kind, "-n", namespace, name, "-o", "json", "--show-managed-fields"];
        Ok(serde_json::from_str(&tools.kubectl(&arguments).await?.ok()?)?)
    };
    let review = |operation: &str, resource: &str, object: &Value, old: &Value| {
        let one = if object.is_null() { old } else { object };
        let (group, version) = one["apiVersion"].as_str()?.split_once('/').unwrap_or(("", "v1"));
        let request = json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation,
            "kind": {"group": group, "version": version, "kind": one["kind"]},
            "resource": {"group": group, "version": version, "resource": resource},
            "name": one["metadata"]["name"], "namespace": namespace, "object": object, "oldObject": old,
            "userInfo": {"username": "stranger", "groups": ["system:authenticated"]}});
        Some(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}))
    };
    let add = |reviews: &mut Vec<Reviewed>, paths, review: Option<Value>| -> Result<()> {
        reviews.push(Reviewed { paths, review: review.context("an object has no apiVersion")? });
        Ok(())
    };
    let none = Value::Null;

    let labelled = get("namespace", namespace).await?;
    let mut bare = labelled.clone();
    bare["metadata"]["labels"].as_object_mut().context("it has no labels")?.remove(CLASS_LABEL);
    add(refused, &["/validate/namespaces"], review("UPDATE", "namespaces", &bare, &labelled))?;

    // Damage is done to labels too.
    let declared = get("cloudworkload", "workload").await?;
    let declared = patched(declared, &json!({"metadata": {"labels": {"a": "b"}}}));
    let lowered = patched(declared.clone(), &json!({"spec": {"dataClass": "Open"}}));
    let tagged = patched(declared.clone(), &json!({"spec": {"tags": {"a": "b"}}}));
    let declarations = &["/validate/declarations"];
    add(refused, declarations, review("UPDATE", "cloudworkloads", &lowered, &declared))?;
    add(refused, declarations, review("DELETE", "cloudworkloads", &none, &declared))?;
    add(allowed, declarations, review("UPDATE", "cloudworkloads", &tagged, &declared))?;

    let names = tools.kubectl(&["get", "securitybaselines", "-o", "name"]).await?.ok()?;
    let name = names.lines().next().and_then(|line| line.rsplit('/').next()).context("there is no baseline")?;
    let baseline = get("securitybaseline", name).await?;
    let wrong = json!({"spec": {"placement": [{"class": "None", "models": ["Private"], "countries": ["PK"],
        "grade": "Registered"}], "controls": [{"id": "no/such", "effects": {"None": "Deny"}}, {"id": "nor/such"}]}});
    let (wrong, newer) = (
        patched(baseline.clone(), &wrong),
        patched(baseline.clone(), &json!({"metadata": {"labels": {"a": "b"}}, "spec": {"version": "next"}})),
    );
    add(refused, &["/validate/registry"], review("UPDATE", "securitybaselines", &wrong, &baseline))?;
    add(allowed, &["/validate/registry"], review("UPDATE", "securitybaselines", &newer, &baseline))?;

    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "bytes", "namespace": namespace, "labels": {CLASS_LABEL: "Open"}},
        "spec": {"ports": [{"port": 80}]}});
    add(refused, &["/validate/governed"], review("CREATE", "services", &service, &none))
}

/// A Pod's spec that is refused for so many reasons that no small change makes it admissible.
fn violating() -> Value {
    patched(given::violating(), &json!({"hostPID": true, "hostNetwork": true}))
}
