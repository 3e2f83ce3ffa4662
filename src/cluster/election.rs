//! Which replica writes.
//!
//! By client-go's rule: a lease that someone else holds is free only when this replica has *observed* it unchanged for
//! as long as it says it lasts, so that no two clocks are ever compared. What a leader may write ends by its own
//! monotonic clock, counted from before the request that renewed the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;

use super::clock::Clock;

/// How long a lease lasts after it was renewed.
const LEASE: Duration = Duration::from_secs(15);
/// No lease is waited for longer, whatever it says: one that was written to last for years would stop all writing. A
/// holder that lives is safe, since it renews every [`RETRY`] and each renewal is waited for anew; nor is less waited
/// than [`LEASE`], within which a holder stops by itself.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// How long the leader writes after the renewal that it last asked for.
const WRITE: Duration = Duration::from_secs(10);
/// How often the lease is renewed or tried for.
const RETRY: Duration = Duration::from_secs(2);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// This replica doesn't hold the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not lead")]
pub struct NotLeader;

/// Says whether this replica may write now. It closes by itself when the lease wasn't renewed in time, also when the
/// task that renews it hangs.
#[derive(Clone)]
pub struct Fence {
    /// Monotonic milliseconds until which writing is allowed; 0 is never.
    until: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

impl Fence {
    /// A closed fence.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { until: Arc::new(AtomicU64::new(0)), clock }
    }

    /// Whether this replica leads.
    pub fn is_leader(&self) -> bool {
        self.check().is_ok()
    }

    /// To be asked before every write; gives the time that is left for it.
    ///
    /// # Errors
    /// When this replica doesn't lead.
    pub fn check(&self) -> Result<Duration, NotLeader> {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        until.checked_sub(self.clock.monotonic()).filter(|left| !left.is_zero()).ok_or(NotLeader)
    }

    /// One that a test may write behind.
    #[cfg(test)]
    pub(crate) fn open(clock: Arc<dyn Clock>) -> Self {
        let fence = Self::new(clock);
        fence.open_until(Duration::from_secs(1_000_000));
        fence
    }

    pub(super) fn open_until(&self, monotonic: Duration) {
        self.until.store(u64::try_from(monotonic.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn close(&self) {
        self.until.store(0, Ordering::Release);
    }
}

/// What was last seen of the lease, and when that was first seen.
struct Observed {
    version: Option<String>,
    at: Duration,
}

/// The candidacy of this replica.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Arc<dyn Clock>,
    fence: Fence,
    observed: Option<Observed>,
    leading: watch::Sender<bool>,
}

impl Election {
    /// A candidate for the lease of a namespace.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: &str,
        clock: Arc<dyn Clock>,
        fence: Fence,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            clock,
            fence,
            observed: None,
            leading: watch::Sender::new(false),
        }
    }

    /// Whether this replica leads, told on every change.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Tries for the lease and renews it until the shutdown; then gives it up, so that another needn't wait.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let attempt = tokio::time::timeout(ATTEMPT, self.attempt());
            tokio::select! {
                _ = shutdown.wait_for(|down| *down) => break,
                result = attempt => match result {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(error = %error, "the lease could not be read or written"),
                    Err(_) => tracing::debug!("the lease could not be renewed in time"),
                },
            }
            self.tell();
            tokio::select! {
                _ = shutdown.wait_for(|down| *down) => break,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        self.release().await;
    }

    fn tell(&self) {
        let leads = self.fence.is_leader();
        let changed = self.leading.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed {
            tracing::info!(leads, identity = %self.identity, "leadership changed");
        }
    }

    /// One attempt; true when the lease is held after it.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let before = self.clock.monotonic();
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let lease = self.record(None);
            self.api.create(&PostParams::default(), &lease).await?;
            self.fence.open_until(before + WRITE);
            return Ok(true);
        };
        if !self.may_take(&lease) {
            return Ok(false);
        }
        // The resourceVersion makes this fail when another was faster.
        self.api.replace(&self.name, &PostParams::default(), &self.record(Some(&lease))).await?;
        self.fence.open_until(before + WRITE);
        Ok(true)
    }

    /// Whether the lease is ours or free, by what was observed of it.
    fn may_take(&mut self, lease: &Lease) -> bool {
        self.observe(lease);
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        self.fence.close();
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(LEASE, Duration::from_secs).clamp(LEASE, LONGEST_LEASE);
        let since = self.observed.as_ref().map_or(self.clock.monotonic(), |observed| observed.at);
        self.clock.monotonic().saturating_sub(since) >= lasts
    }

    fn observe(&mut self, lease: &Lease) {
        let version = lease.metadata.resource_version.clone();
        let known = self.observed.as_ref().is_some_and(|observed| observed.version == version);
        if !known {
            self.observed = Some(Observed { version, at: self.clock.monotonic() });
        }
    }

    /// The lease as this replica holds it. The times in it are for people.
    fn record(&self, old: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let old_spec = old.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let held = old_spec.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old_spec.lease_transitions.unwrap_or(0);
        Lease {
            metadata: old.map_or_else(
                || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: old_spec.acquire_time.filter(|_| held).or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(if held || old.is_none() {
                    transitions
                } else {
                    transitions.saturating_add(1)
                }),
                ..LeaseSpec::default()
            }),
        }
    }

    async fn release(&mut self) {
        let led = self.fence.is_leader();
        self.fence.close();
        self.tell();
        if !led {
            return;
        }
        if tokio::time::timeout(ATTEMPT, self.give_up()).await.is_err() {
            tracing::debug!("the lease could not be given up in time; it runs out by itself");
        }
    }

    async fn give_up(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
