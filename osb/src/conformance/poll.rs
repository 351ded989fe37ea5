//! Polling: from a 202 to the end of the operation, each answer judged on the way.
//!
//! It waits as long as `Retry-After` says, within bounds, and gives up after the plan's `maximum_polling_duration` or the suite's
//! own limit, whichever is shorter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::exchange::Exchange;
use super::probe::Stop;
use super::request::{Endpoint, Request};
use super::run::Run;
use crate::operation::OPERATION_CHARS;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// So many answers in a row that say nothing are too many: a platform would go on until its limit.
const INVALID_MAX: usize = 3;

/// An operation that goes on.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// What was asked for.
    pub(super) of: Endpoint,
    pub(super) instance: String,
    pub(super) binding: String,
    /// What the 202 held.
    pub(super) operation: Option<String>,
    pub(super) plan_id: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    Failed,
    /// 410, or 404: what was deleted isn't there.
    Gone,
}

/// What one poll said.
enum Polled {
    InProgress,
    Over(End),
    /// Nothing that tells how it stands.
    Invalid,
}

impl Pending {
    /// The operation that an answer 202 announces.
    pub(super) fn from(run: &Run, of: Endpoint, instance: &str, binding: &str, answer: &Exchange) -> Self {
        Self {
            of,
            instance: instance.to_owned(),
            binding: binding.to_owned(),
            // One that is longer than allowed is found out about elsewhere; sent back, no server would read it.
            operation: answer
                .text("operation")
                .filter(|text| !text.is_empty() && text.chars().count() <= OPERATION_CHARS)
                .map(str::to_owned),
            plan_id: run.ledger().plan_of(instance).unwrap_or(&run.plan.plan_id).to_owned(),
        }
    }

    /// Whether it deletes.
    pub(super) fn deletes(&self) -> bool {
        matches!(self.of, Endpoint::Deprovision | Endpoint::Unbind)
    }

    fn is_of_binding(&self) -> bool {
        !self.binding.is_empty()
    }

    /// The row for the form of an answer to polling.
    fn form_row(&self) -> &'static str {
        if self.is_of_binding() { "LOB-01" } else { "LOI-04" }
    }

    /// The request that polls it.
    pub(super) fn request(&self, run: &Run) -> Request {
        let endpoint = if self.is_of_binding() { Endpoint::BindingOperation } else { Endpoint::InstanceOperation };
        let request = Request::new(endpoint, &self.instance, &self.binding)
            .query("service_id", &run.plan.service_id)
            .query("plan_id", &self.plan_id);
        match &self.operation {
            Some(operation) => request.query("operation", operation),
            None => request,
        }
    }
}

impl Run {
    /// Polls until the operation is over.
    pub(super) async fn finish(&self, pending: &Pending) -> Result<End, Stop> {
        let limit = self.plan.maximum_polling.unwrap_or(self.options.polling).min(self.options.polling);
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut invalid = 0;
        loop {
            let seen = self.send(pending.request(self)).await;
            match self.read_poll(pending, &seen)? {
                Polled::Over(end) => {
                    self.expect("ASY-02", &seen, true, "");
                    return Ok(end);
                }
                Polled::Invalid if invalid + 1 >= INVALID_MAX => return Err(self.no_state(pending, &seen).await),
                Polled::Invalid => invalid += 1,
                Polled::InProgress => invalid = 0,
            }
            let wait = self.retry_after(&seen).map_or(pause, |wait| wait.min(LONGEST_RETRY_AFTER));
            if began.elapsed() + wait > limit {
                let expected = format!("an end within {} seconds", limit.as_secs());
                self.trouble();
                self.expect("ASY-02", &seen, false, &expected);
                return Err(Stop::because("ASY-02"));
            }
            self.pause(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Which requirement it is that keeps the state of an operation from being told.
    async fn no_state(&self, pending: &Pending, seen: &Arc<Exchange>) -> Stop {
        self.trouble();
        let bare = pending.request(self).without_query("operation");
        let unhinted = pending.request(self).without_query("service_id").without_query("plan_id");
        let tells = |seen: &Exchange| seen.is(200) && seen.text("state").is_some();
        let row = if pending.operation.is_some() && tells(self.send(bare).await.as_ref()) {
            "LOI-02"
        } else if tells(self.send(unhinted).await.as_ref()) {
            "LOI-01"
        } else {
            pending.form_row()
        };
        self.expect(row, seen, false, "status 200 with the state of the operation");
        Stop::because(row)
    }

    /// Polls once: whether the operation still goes on.
    pub(super) async fn still_going(&self, pending: &Pending) -> Result<bool, Stop> {
        let seen = self.send(pending.request(self)).await;
        Ok(matches!(self.read_poll(pending, &seen)?, Polled::InProgress))
    }

    /// LOI-09: a number of seconds is recommended.
    fn retry_after(&self, seen: &Arc<Exchange>) -> Option<Duration> {
        let seconds = seen.header("Retry-After")?.trim().parse().ok();
        self.expect("LOI-09", seen, seconds.is_some(), "Retry-After as a number of seconds");
        seconds.map(Duration::from_secs)
    }

    fn read_poll(&self, pending: &Pending, seen: &Arc<Exchange>) -> Result<Polled, Stop> {
        let row = pending.form_row();
        let gone_row = if pending.is_of_binding() { "LOB-02" } else { "LOI-07" };
        match seen.status {
            Some(200) => {}
            Some(410 | 404) if pending.deletes() => return Ok(Polled::Over(End::Gone)),
            Some(410) => {
                self.trouble();
                self.expect(gone_row, seen, false, "no 410, since nothing is being deleted");
                return Err(Stop::because(gone_row));
            }
            _ => return Ok(Polled::Invalid),
        }
        let state = seen.text("state").unwrap_or_default();
        let known = ["in progress", "succeeded", "failed"].contains(&state);
        if !self.expect(row, seen, known, "state: in progress, succeeded or failed") {
            self.trouble();
            return Err(Stop::because(row));
        }
        self.poll_fields(pending, seen, row);
        if !pending.deletes() {
            self.expect(gone_row, seen, true, "");
        }
        if pending.operation.is_some() && !pending.is_of_binding() {
            self.expect("LOI-02", seen, true, "");
        }
        Ok(match state {
            "succeeded" => Polled::Over(End::Succeeded),
            "failed" => Polled::Over(End::Failed),
            _ => Polled::InProgress,
        })
    }

    fn poll_fields(&self, pending: &Pending, seen: &Arc<Exchange>, row: &'static str) {
        if let Some(description) = seen.field("description") {
            // Of a binding's operation the specification doesn't say that it isn't empty.
            let non_empty = pending.is_of_binding() || description.as_str() != Some("");
            let holds = description.is_string() && non_empty;
            self.expect(row, seen, holds, "description, where it is there, as a non-empty string");
        }
        let of_update = pending.of == Endpoint::Update;
        let of_either = of_update || pending.of == Endpoint::Deprovision;
        for (name, own, allowed) in
            [("instance_usable", "ERR-03", of_either), ("update_repeatable", "ERR-04", of_update)]
        {
            let given = seen.field(name);
            let holds = given.is_none_or(|given| allowed && given.is_boolean());
            let rows = if pending.is_of_binding() { [own, row] } else { [own, "LOI-10"] };
            if given.is_some_and(Value::is_boolean) || !holds {
                for row in rows {
                    self.expect(
                        row,
                        seen,
                        holds,
                        &format!("{name} only of an operation that may have it, as a boolean"),
                    );
                }
            }
        }
    }
}
