//! Candidates against a lease as an API server keeps it, by a clock that the test moves.

use super::super::clock::ManualClock;
use super::*;
use hyper::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Mutex;
use tower_test::mock;

/// The lease as an API server keeps it.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
    fails: bool,
    /// How long it takes for a write.
    takes: Duration,
}

impl Server {
    fn answer(&mut self, method: &str, body: &[u8]) -> (StatusCode, Value) {
        let status = |code: u16, reason: &str| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason});
        if self.fails {
            return (StatusCode::INTERNAL_SERVER_ERROR, status(500, "InternalError"));
        }
        if method == "GET" {
            return self
                .lease
                .clone()
                .map_or((StatusCode::NOT_FOUND, status(404, "NotFound")), |lease| (StatusCode::OK, lease));
        }
        let mut lease: Value = serde_json::from_slice(body).unwrap();
        let stored = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        let conflict = match &stored {
            None => false,
            Some(stored) => method == "POST" || lease["metadata"]["resourceVersion"] != *stored,
        };
        if conflict {
            return (StatusCode::CONFLICT, status(409, "Conflict"));
        }
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        (StatusCode::OK, lease)
    }

    fn holder(&self) -> &str {
        self.lease.as_ref().unwrap()["spec"]["holderIdentity"].as_str().unwrap()
    }

    /// Somebody else takes the lease, by whatever way.
    fn taken_by(&mut self, identity: &str) {
        self.version += 1;
        let version = self.version.to_string();
        let lease = self.lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!(identity);
        lease["metadata"]["resourceVersion"] = json!(version);
    }
}

fn client(server: &Arc<Mutex<Server>>, clock: &Arc<ManualClock>) -> Client {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let (server, clock) = (Arc::clone(server), Arc::clone(clock));
    tokio::spawn(async move {
        while let Some((request, respond)) = handle.next_request().await {
            let method = request.method().to_string();
            let body = request.into_body().collect_bytes().await.unwrap();
            let (code, body) = server.lock().unwrap().answer(&method, &body);
            if method != "GET" {
                clock.advance(server.lock().unwrap().takes);
            }
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            respond.send_response(Response::builder().status(code).body(body).unwrap());
        }
    });
    Client::new(service, "default")
}

struct Bench {
    server: Arc<Mutex<Server>>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        Self { server: Arc::default(), clock: Arc::new(ManualClock::at("2026-01-01T00:00:00Z")) }
    }

    fn candidate(&self, identity: &str) -> Election {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let fence = Fence::new(Arc::clone(&clock));
        Election::new(client(&self.server, &self.clock), "amanat-system", "amanat", identity, clock, fence)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn the_first_takes_it_and_the_second_waits() {
    let bench = Bench::new();
    let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
    assert!(a.attempt().await.unwrap());
    assert!(!b.attempt().await.unwrap());
    assert!(a.fence.is_leader() && !b.fence.is_leader());
    for _ in 0..10 {
        bench.pass(2);
        assert!(a.attempt().await.unwrap());
        assert!(!b.attempt().await.unwrap());
    }
    assert_eq!(bench.server.lock().unwrap().holder(), "a");
}

#[tokio::test]
async fn a_holder_that_cannot_renew_stops_writing_before_another_may_take_it() {
    let bench = Bench::new();
    let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
    a.attempt().await.unwrap();
    b.attempt().await.unwrap();
    bench.pass(9);
    assert!(a.fence.is_leader());
    bench.pass(1);
    assert_eq!(a.fence.check(), Err(NotLeader));
    bench.pass(4);
    assert!(!b.attempt().await.unwrap(), "the lease is held for 15 seconds since it was seen renewed");
    bench.pass(1);
    assert!(b.attempt().await.unwrap());
    assert!(b.fence.is_leader());
    assert!(!a.attempt().await.unwrap());
    let lease = bench.server.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn clocks_of_other_machines_are_not_read() {
    let bench = Bench::new();
    bench.server.lock().unwrap().lease = Some(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "amanat", "resourceVersion": "0"},
        "spec": {"holderIdentity": "old", "leaseDurationSeconds": 15, "leaseTransitions": 3,
            "acquireTime": "1999-01-01T00:00:00.000000Z", "renewTime": "1999-01-01T00:00:00.000000Z"}}));
    let mut a = bench.candidate("a");
    assert!(!a.attempt().await.unwrap(), "it was first seen now, whatever it says");
    bench.pass(14);
    assert!(!a.attempt().await.unwrap());
    bench.pass(1);
    assert!(a.attempt().await.unwrap());
}

#[tokio::test]
async fn a_wall_clock_that_is_set_moves_no_lease() {
    let bench = Bench::new();
    let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
    a.attempt().await.unwrap();
    b.attempt().await.unwrap();
    bench.clock.set("2030-01-01T00:00:00Z");
    assert!(a.fence.is_leader(), "forward");
    assert!(!b.attempt().await.unwrap(), "forward");
    bench.pass(9);
    bench.clock.set("2020-01-01T00:00:00Z");
    assert!(a.fence.is_leader(), "back");
    bench.pass(1);
    assert!(!a.fence.is_leader(), "back: the deadline holds");
    assert!(!b.attempt().await.unwrap(), "back: seen renewed 10 seconds ago");
    bench.pass(5);
    assert!(b.attempt().await.unwrap(), "15 seconds later, by whichever date");
}

#[tokio::test]
async fn an_error_opens_nothing_and_closes_nothing_before_the_deadline() {
    let bench = Bench::new();
    let mut a = bench.candidate("a");
    a.attempt().await.unwrap();
    bench.server.lock().unwrap().fails = true;
    bench.pass(5);
    assert!(a.attempt().await.is_err());
    assert!(a.fence.is_leader());
    bench.pass(5);
    assert!(a.attempt().await.is_err());
    assert!(!a.fence.is_leader());
}

#[tokio::test]
async fn of_two_that_write_at_once_one_fails() {
    let bench = Bench::new();
    let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
    let (first, second) = tokio::join!(a.attempt(), b.attempt());
    let won = [first, second].into_iter().filter(|outcome| matches!(outcome, Ok(true))).count();
    assert_eq!(won, 1);
    assert!(a.fence.is_leader() != b.fence.is_leader());
}

#[tokio::test]
async fn a_holder_that_stops_gives_it_back() {
    let bench = Bench::new();
    let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
    a.attempt().await.unwrap();
    b.attempt().await.unwrap();
    let fence = a.fence.clone();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(a.run(stopped));
    stop.send_replace(true);
    running.await.unwrap();
    assert!(!fence.is_leader());
    assert!(b.attempt().await.unwrap());
}

#[tokio::test]
async fn the_time_that_the_request_took_is_no_time_to_write() {
    let bench = Bench::new();
    let mut a = bench.candidate("a");
    for (takes, left) in [(4, 6), (3, 7)] {
        bench.server.lock().unwrap().takes = Duration::from_secs(takes);
        assert!(a.attempt().await.unwrap());
        assert_eq!(a.fence.check(), Ok(Duration::from_secs(left)), "made first, then renewed");
    }
}

#[tokio::test]
async fn who_sees_another_holder_stops_at_once() {
    let bench = Bench::new();
    let mut a = bench.candidate("a");
    a.attempt().await.unwrap();
    bench.server.lock().unwrap().taken_by("b");
    assert!(a.fence.is_leader(), "nobody has looked");
    assert!(!a.attempt().await.unwrap());
    assert!(!a.fence.is_leader());
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_holder_says_within_bounds() {
    let table = [
        (json!(30), 30),
        (json!(60), 60),
        (json!(i32::MAX), 60),
        (json!(14), 15),
        (json!(0), 15),
        (json!(-1), 15),
        (json!(null), 15),
    ];
    for (says, lasts) in table {
        let bench = Bench::new();
        let (mut a, mut b) = (bench.candidate("a"), bench.candidate("b"));
        a.attempt().await.unwrap();
        bench.server.lock().unwrap().lease.as_mut().unwrap()["spec"]["leaseDurationSeconds"] = says.clone();
        assert!(!b.attempt().await.unwrap());
        bench.pass(lasts - 1);
        assert!(!b.attempt().await.unwrap(), "{says}");
        bench.pass(1);
        assert!(b.attempt().await.unwrap(), "{says}");
    }
}

#[tokio::test]
async fn who_stops_gives_back_nothing_that_another_holds() {
    let bench = Bench::new();
    let mut a = bench.candidate("a");
    a.attempt().await.unwrap();
    bench.server.lock().unwrap().taken_by("b");
    let (_stop, stopped) = watch::channel(true);
    a.run(stopped).await;
    assert_eq!(bench.server.lock().unwrap().holder(), "b");
}
