//! Asking the replicas whether they are ready, as a kubelet does.

use std::sync::{Mutex, Weak};
use std::time::Duration;

use super::{State, lock};
use crate::net;

/// How often a replica that is ready is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How often one that isn't: nobody waits for it without need.
const UNREADY: Duration = Duration::from_millis(200);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often in a row it may say nothing at all until it is given up.
const SILENCES: u32 = 2;

/// Asks one replica until it is removed. An answer counts at once; silence only when it lasts.
pub(super) async fn ask(state: Weak<Mutex<State>>, id: u64) {
    let mut silences = 0;
    loop {
        let Some(url) = state.upgrade().and_then(|state| lock(&state).readiness(id)) else { return };
        let answer = tokio::time::timeout(ANSWER, net::get(&url)).await;
        let Some(state) = state.upgrade() else { return };
        let pause = match answer {
            Ok(Ok((status, _))) => {
                silences = 0;
                lock(&state).told(id, status == 200, true);
                if status == 200 { PERIOD } else { UNREADY }
            }
            _ => {
                silences += 1;
                if silences >= SILENCES {
                    lock(&state).told(id, false, false);
                }
                if silences >= SILENCES { UNREADY } else { PERIOD }
            }
        };
        drop(state);
        tokio::time::sleep(pause).await;
    }
}
