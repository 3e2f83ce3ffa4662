//! Waiting on a condition with a deadline: never on the clock alone.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Asks `attempt` again and again until it succeeds, and returns its value.
///
/// An attempt that fails is "not yet": its error is the state, and the error after `deadline` names what was awaited
/// and the last state. An attempt that is still running at the deadline is dropped.
pub async fn until<T>(
    deadline: Duration,
    what: impl Display,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    let mut last = anyhow!("the first attempt didn't return");
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left.max(FIRST_PAUSE), attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(state)) => last = state,
            Err(_) => return Err(anyhow!("waited {deadline:?} for {what}; an attempt hangs; before it: {last:#}")),
        }
        if Instant::now() + pause >= end {
            return Err(anyhow!("waited {deadline:?} for {what}; last state: {last:#}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn succeeds_when_the_condition_does() {
        let mut asked = 0;
        let value = until(Duration::from_secs(10), "three", async || {
            asked += 1;
            if asked == 3 { Ok(asked) } else { Err(anyhow!("{asked}")) }
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test]
    async fn says_what_was_awaited_and_the_last_state() {
        let error = until(Duration::from_millis(30), "rain", async || -> Result<()> { Err(anyhow!("clear sky")) })
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("for rain") && error.contains("clear sky"), "{error}");
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_ends_at_the_deadline() {
        let error =
            until(Duration::from_millis(30), "an answer", async || -> Result<()> { std::future::pending().await })
                .await
                .unwrap_err()
                .to_string();
        assert!(error.contains("for an answer") && error.contains("hangs"), "{error}");
    }
}
