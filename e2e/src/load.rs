//! A load of creates in governed namespaces, half of them violating, and what became of each.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, PodTemplate};
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::manifests::{self, patched};

/// How often each worker creates something.
const EVERY: Duration = Duration::from_millis(120);

/// How long an answer may take: longer than a call of the webhook may.
const ANSWER: Duration = Duration::from_secs(30);

const CONFORMING: &str = "good";
const VIOLATING: &str = "bad";

/// What became of a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was admitted.
    Admitted,
    /// The webhook denied it.
    Denied(String),
    /// The webhook could not be asked.
    Closed(String),
    /// Anything else: the API server was away, or something behind it.
    Failed(String),
}

/// One create.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it was sent.
    pub begun: Instant,
    /// When its answer was there.
    pub ended: Instant,
    /// Whether the object conforms.
    pub conforms: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// A time in which something was out of order on purpose.
#[derive(Clone, Debug)]
pub struct Window {
    /// What was done.
    pub what: &'static str,
    /// Since when.
    pub from: Instant,
    /// Until when.
    pub until: Instant,
    /// Whether the API server was away; else a replica was.
    pub server: bool,
}

/// What was counted, when nothing was wrong.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    admitted: usize,
    denied: usize,
    missed: Vec<Missed>,
}

/// The calls that a window excuses.
#[derive(Clone, Debug)]
struct Missed {
    window: Window,
    conforming: usize,
    violating: usize,
}

impl Tally {
    /// How many calls failed in the windows of that name.
    pub fn failed_in(&self, what: &str) -> usize {
        let windows = self.missed.iter().filter(|missed| missed.window.what == what);
        windows.map(|missed| missed.conforming + missed.violating).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{} admitted, {} denied", self.admitted, self.denied)?;
        for Missed { window, conforming, violating } in &self.missed {
            let lasted = window.until.duration_since(window.from);
            write!(text, "; {} ({lasted:.1?}): {conforming} conforming and {violating} violating failed", window.what)?;
        }
        Ok(())
    }
}

/// Workers that create until they are stopped.
pub struct Load {
    workers: JoinSet<Vec<Call>>,
    stop: watch::Sender<bool>,
    maker: Maker,
}

/// Creates one object after the other.
#[derive(Clone)]
struct Maker {
    client: Client,
    namespaces: Arc<[String]>,
    count: Arc<AtomicU32>,
}

impl Load {
    /// Starts workers with all rights of a kubeconfig. Nothing is tried twice.
    pub async fn start(kubeconfig: &Path, namespaces: &[String], workers: usize) -> Result<Self> {
        let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let maker = Maker { client: Client::try_from(config)?, namespaces: namespaces.into(), count: Arc::default() };
        let (stop, stopped) = watch::channel(false);
        let mut load = Self { workers: JoinSet::new(), stop, maker };
        for _ in 0..workers {
            let (maker, mut stopped) = (load.maker.clone(), stopped.clone());
            load.workers.spawn(async move {
                let mut calls = Vec::new();
                let mut pace = tokio::time::interval(EVERY);
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = stopped.changed() => return calls,
                        _ = pace.tick() => calls.push(maker.create().await),
                    }
                }
            });
        }
        Ok(load)
    }

    /// So many creates at once, beside those of the workers.
    pub fn burst(&mut self, count: usize) {
        for _ in 0..count {
            let maker = self.maker.clone();
            self.workers.spawn(async move { vec![maker.create().await] });
        }
    }

    /// How many creates were begun.
    pub fn begun(&self) -> u32 {
        self.maker.count.load(Ordering::Relaxed)
    }

    /// Stops the workers; all creates in the order in which they were sent. Fails when an object that violates is there.
    pub async fn stop(self) -> Result<Vec<Call>> {
        self.stop.send_replace(true);
        let mut calls = self.workers.join_all().await.concat();
        calls.sort_by_key(|call| call.begun);
        self.maker.none_violates().await?;
        Ok(calls)
    }
}

impl Maker {
    async fn create(&self) -> Call {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        // Two bits that change independently: whether it conforms, and of which kind it is.
        let conforms = number & 1 == 0;
        let spec = if conforms {
            manifests::pod_spec(&manifests::container())
        } else {
            // Nothing that the API server would refuse without the webhook.
            manifests::spec_with_image("registry.example.gov.pk/portal/api:1")
        };
        let kind = match number / 2 % 4 {
            0 => "PodTemplate",
            1 => "Pod",
            2 => "Deployment",
            _ => "CronJob",
        };
        let place = (number as usize / 8).checked_rem(self.namespaces.len()).unwrap_or_default();
        let namespace = self.namespaces.get(place).map_or("default", String::as_str);
        let name = format!("{}-{number}", if conforms { CONFORMING } else { VIOLATING });
        let mut object = manifests::workload(kind, namespace, &name, &spec);
        if kind == "Deployment" {
            object = patched(object, &json!({"spec": {"replicas": 0}}));
        }
        let begun = Instant::now();
        let answer = tokio::time::timeout(ANSWER, self.send(kind, namespace, object)).await;
        let outcome = match answer {
            Ok(Ok(())) => Outcome::Admitted,
            Ok(Err(error)) => sort(&error),
            Err(_) => Outcome::Failed(format!("no answer in {ANSWER:?}")),
        };
        Call { begun, ended: Instant::now(), conforms, outcome }
    }

    async fn send(&self, kind: &str, namespace: &str, object: Value) -> Result<(), kube::Error> {
        let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        let version = object.types.as_ref().map(|types| types.api_version.clone()).unwrap_or_default();
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind));
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
        api.create(&PostParams::default(), &object).await.map(|_| ())
    }

    async fn none_violates(&self) -> Result<()> {
        let all = ListParams::default();
        for namespace in self.namespaces.iter() {
            let client = || self.client.clone();
            let pods = Api::<Pod>::namespaced(client(), namespace).list(&all).await?;
            let templates = Api::<PodTemplate>::namespaced(client(), namespace).list(&all).await?;
            let deployments =
                Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(client(), namespace).list(&all).await?;
            let jobs = Api::<k8s_openapi::api::batch::v1::CronJob>::namespaced(client(), namespace).list(&all).await?;
            let names = [
                pods.items.into_iter().map(|object| object.metadata.name).collect::<Vec<_>>(),
                templates.items.into_iter().map(|object| object.metadata.name).collect(),
                deployments.items.into_iter().map(|object| object.metadata.name).collect(),
                jobs.items.into_iter().map(|object| object.metadata.name).collect(),
            ];
            let violating = names.concat().into_iter().flatten().filter(|name| name.starts_with(VIOLATING));
            let violating: Vec<_> = violating.collect();
            ensure!(violating.is_empty(), "admitted in {namespace} though they violate: {violating:?}");
        }
        Ok(())
    }
}

fn sort(error: &kube::Error) -> Outcome {
    let text = format!("{error:#}");
    let kind = match error {
        kube::Error::Api(_) if text.contains("failed calling webhook") => Outcome::Closed,
        kube::Error::Api(_) if text.contains("denied the request") => Outcome::Denied,
        _ => Outcome::Failed,
    };
    kind(text)
}

/// Demands that every call ended as it must, or fell into one of the windows.
///
/// A violating object must be denied, a conforming one admitted. Within a window in which a replica was away, the
/// webhook may not have been reached; in one in which the API server was, anything may have failed.
pub fn judge(calls: &[Call], windows: &[Window]) -> Result<Tally> {
    let none = |window: &Window| Missed { window: window.clone(), conforming: 0, violating: 0 };
    let mut tally = Tally { missed: windows.iter().map(none).collect(), ..Tally::default() };
    for call in calls {
        let excused = match &call.outcome {
            Outcome::Admitted if call.conforms => {
                tally.admitted += 1;
                continue;
            }
            Outcome::Denied(_) if !call.conforms => {
                tally.denied += 1;
                continue;
            }
            Outcome::Admitted | Outcome::Denied(_) => None,
            outcome => tally.missed.iter_mut().find(|Missed { window, .. }| {
                let overlaps = call.begun <= window.until && call.ended >= window.from;
                overlaps && (window.server || matches!(outcome, Outcome::Closed(_)))
            }),
        };
        let missed = excused.with_context(|| unexcused(call, windows))?;
        *(if call.conforms { &mut missed.conforming } else { &mut missed.violating }) += 1;
    }
    ensure!(tally.admitted > 0 && tally.denied > 0, "of {} calls: {tally}", calls.len());
    Ok(tally)
}

fn unexcused(call: &Call, windows: &[Window]) -> String {
    let first = windows.first().map_or(call.begun, |window| window.from);
    let at = |instant: Instant| match instant.checked_duration_since(first) {
        Some(after) => format!("+{after:.1?}"),
        None => format!("-{:.1?}", first.duration_since(instant)),
    };
    let windows = windows.iter().map(|one| format!("{} {} to {}", one.what, at(one.from), at(one.until)));
    format!(
        "a {} object, sent at {} and answered at {}, was {:?}; windows: {}",
        if call.conforms { CONFORMING } else { VIOLATING },
        at(call.begun),
        at(call.ended),
        call.outcome,
        windows.collect::<Vec<_>>().join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_falls_into_a_window_is_excused_and_never_a_wrong_decision() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let window = |server| Window { what: "x", from: at(10), until: at(20), server };
        let call = |begun, conforms, outcome| Call { begun: at(begun), ended: at(begun + 1), conforms, outcome };
        let good = [call(0, true, Outcome::Admitted), call(0, false, Outcome::Denied(String::new()))];
        let outcome = |more: Call, server| {
            let calls = [good.as_slice(), &[more]].concat();
            judge(&calls, &[window(server)]).is_ok()
        };
        let closed = || Outcome::Closed(String::new());
        let failed = || Outcome::Failed(String::new());
        assert!(outcome(call(9, true, closed()), false));
        assert!(outcome(call(20, false, closed()), false));
        assert!(outcome(call(15, true, failed()), true));
        for server in [false, true] {
            assert!(!outcome(call(15, false, Outcome::Admitted), server));
            assert!(!outcome(call(15, true, Outcome::Denied(String::new())), server));
            assert!(!outcome(call(21, true, closed()), server));
            assert!(!outcome(call(8, false, closed()), server));
        }
        assert!(!outcome(call(15, true, failed()), false));
        assert!(judge(&good[..1], &[]).is_err(), "nothing was denied");

        let calls = [good.as_slice(), &[call(15, true, closed()), call(15, false, closed())]].concat();
        let tally = judge(&calls, &[window(false)]).unwrap();
        assert_eq!([tally.failed_in("x"), tally.failed_in("y")], [2, 0], "{tally}");
    }
}
