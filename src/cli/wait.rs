//! Waiting for what the hub goes on with: asks until it is over, ever more seldom, for a bounded time. What is waited for goes
//! on whether or not anybody waits.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{Client, Error};
use super::print::pick;
use crate::config::parse_duration;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long to wait.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Within {
    /// How long to wait at most, as an ISO 8601 duration.
    #[arg(long, value_name = "DURATION", default_value = "PT10M", value_parser = parse_duration)]
    timeout: Duration,
}

/// Whether to wait, and how long.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Wait {
    /// Wait until it is over.
    #[arg(long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) within: Within,
}

/// Waits until the operation that an answer names is over. One that did not succeed is an error with its description.
pub(super) async fn operation(client: &Client, answer: &Value, within: Within) -> Result<(), Error> {
    let id = pick(answer, "/operation/id");
    let _busy = client.busy("waiting until it is over");
    let operation = until(within, async || {
        let operation = client.get(&["operations", &id], &[]).await?;
        Ok((pick(&operation, "/state") != "in_progress").then_some(operation))
    })
    .await?;
    match pick(&operation, "/state").as_str() {
        "succeeded" => Ok(()),
        state => Err(failed(&pick(&operation, "/kind"), state, &pick(&operation, "/description"))),
    }
}

/// The error for something that was waited for and went wrong.
pub(super) fn failed(what: &str, state: &str, why: &str) -> Error {
    let what = what.replace('_', " ");
    Error::Outcome(if why.is_empty() { format!("the {what} {state}") } else { format!("the {what} {state}: {why}") })
}

/// Asks until there is something.
pub(super) async fn until<T>(
    within: Within,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let end = Instant::now() + within.timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let seconds = within.timeout.as_secs();
            return Err(Error::Outcome(format!(
                "it is not over after {seconds} s; it goes on, and `bourse operation list --state in_progress` shows it"
            )));
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_time_given_and_says_that_it_goes_on() {
        let within = Within { timeout: Duration::ZERO };
        let error = until::<()>(within, async || Ok(None)).await.unwrap_err();
        assert!(error.to_string().contains("it goes on"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(until(within, async || Ok(Some(7))).await.unwrap(), 7);
    }

    #[test]
    fn a_failure_says_what_failed_and_why() {
        assert_eq!(failed("orphan_mitigation", "failed", "").to_string(), "the orphan mitigation failed");
        assert_eq!(failed("provision", "failed", "no room").to_string(), "the provision failed: no room");
    }
}
