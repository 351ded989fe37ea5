//! What a backend's answer amounts to. Nothing here decides what happens next: that is the domain's.

use osb::client::{Failure, UnknownReason, decode};
use osb::{Bound, Deprovisioned, LastOperation, Maybe, OperationState, Provisioned, Unbound, Updated, WireResponse};

use super::{Body, Job, Outcome};
use crate::domain::operation::{Answer, OperationKind};

/// Reads the answer to the request that an operation consists of.
pub(super) fn mutation(job: &Job, response: Result<WireResponse, Failure>) -> Outcome {
    let response = match response {
        Ok(response) => response,
        Err(failure) => return from_failure(failure).into(),
    };
    let wait = response.retry_after_seconds;
    let in_progress =
        |operation: Maybe<String>| Answer::InProgress { operation: operation.into_option(), retry_after_seconds: wait };
    let read = match job.operation.kind {
        OperationKind::Provision => decode::provision(&response).map(|provisioned| match provisioned {
            Provisioned::Created(body) | Provisioned::Existed(body) => instance(Answer::Done, body),
            Provisioned::Accepted(mut body) => {
                let operation = std::mem::take(&mut body.operation);
                instance(in_progress(operation), body)
            }
        }),
        OperationKind::Update | OperationKind::ContextUpdate => {
            decode::update(&response).map(|updated| match updated {
                Updated::Done(body) => instance(Answer::Done, body),
                Updated::Accepted(mut body) => {
                    let operation = std::mem::take(&mut body.operation);
                    instance(in_progress(operation), body)
                }
            })
        }
        OperationKind::Bind => decode::bind(&response).map(|bound| match bound {
            Bound::Created(body) | Bound::Existed(body) => {
                Outcome { answer: Answer::Done, body: Body::Binding(Box::new(body)) }
            }
            Bound::Accepted(body) => in_progress(body.operation).into(),
        }),
        OperationKind::Deprovision => decode::deprovision(&response).map(deprovisioned(in_progress)),
        OperationKind::Unbind => decode::unbind(&response).map(unbound(in_progress)),
        OperationKind::OrphanMitigation if job.operation.binding_id.is_some() => {
            decode::unbind(&response).map(unbound(in_progress))
        }
        OperationKind::OrphanMitigation => decode::deprovision(&response).map(deprovisioned(in_progress)),
    };
    match read {
        Ok(outcome) => outcome,
        Err(Failure::Rejected(error)) if error.status == 410 && job.operation.kind.deletes() => Answer::NotThere.into(),
        Err(failure) => from_failure(failure).into(),
    }
}

fn deprovisioned(in_progress: impl Fn(Maybe<String>) -> Answer) -> impl Fn(Deprovisioned) -> Outcome {
    move |answer| match answer {
        Deprovisioned::Done(_) => Answer::Done.into(),
        Deprovisioned::Accepted(body) => in_progress(body.operation).into(),
    }
}

fn unbound(in_progress: impl Fn(Maybe<String>) -> Answer) -> impl Fn(Unbound) -> Outcome {
    move |answer| match answer {
        Unbound::Done(_) => Answer::Done.into(),
        Unbound::Accepted(body) => in_progress(body.operation).into(),
    }
}

/// What is kept of an instance's answer: all but `operation`.
fn instance(answer: Answer, body: impl serde::Serialize) -> Outcome {
    let body = match serde_json::to_value(&body) {
        Ok(serde_json::Value::Object(mut object)) => {
            object.shift_remove("operation");
            Body::Instance(object)
        }
        _ => Body::Nothing,
    };
    Outcome { answer, body }
}

/// Reads the answer to a last-operation request.
pub(super) fn last_operation(job: &Job, response: Result<WireResponse, Failure>) -> Answer {
    let read = match response {
        Ok(response) => decode::last_operation(&response),
        Err(failure) => return from_failure(failure),
    };
    match read {
        Ok(last) => match last.state {
            OperationState::InProgress => {
                Answer::InProgress { operation: None, retry_after_seconds: last.retry_after_seconds }
            }
            OperationState::Succeeded => Answer::Done,
            OperationState::Failed => Answer::Failed(failed(last)),
        },
        Err(Failure::Rejected(error)) if error.status == 410 && job.operation.kind.deletes() => Answer::NotThere,
        // A 404 settles no deletion (LOI-08): only a 410 to it, or to its poll, says that nothing is there.
        Err(Failure::Rejected(error)) if error.status == 404 && job.operation.kind.deletes() => {
            unknown("the service broker does not know of the deletion".into(), false)
        }
        Err(Failure::Rejected(error)) if matches!(error.status, 404 | 410) => Answer::NotThere,
        // Any other answer is no answer: go on asking.
        Err(failure) => match from_failure(failure) {
            Answer::Rejected(error) => unknown(format!("the service broker answered {}", error.status), false),
            other => other,
        },
    }
}

fn failed(last: LastOperation) -> osb::Error {
    let description = last.description.into_option().unwrap_or_else(|| "the service broker failed".into());
    let mut error = osb::Error::with(502, "OperationFailed", description);
    error.body.instance_usable = last.instance_usable;
    error.body.update_repeatable = last.update_repeatable;
    error
}

fn unknown(reason: String, timeout: bool) -> Answer {
    Answer::Unknown { reason, timeout }
}

/// What a failure amounts to, in words without host names or secrets.
pub(super) fn from_failure(failure: Failure) -> Answer {
    match failure {
        Failure::Rejected(error) => Answer::Rejected(error),
        Failure::Protocol { error } => Answer::Misfit(error),
        Failure::NotSent { reason } => {
            tracing::warn!(reason, "a request was not sent to a service broker");
            Answer::NotSent { reason: "the service broker cannot be reached at the moment".into() }
        }
        Failure::Unknown { reason, .. } => match reason {
            UnknownReason::Timeout => unknown("the service broker did not answer in time".into(), true),
            UnknownReason::Dropped => {
                unknown("the service broker ended the connection without an answer".into(), false)
            }
            UnknownReason::Status(status) => unknown(format!("the service broker answered {status}"), false),
            UnknownReason::Garbage => unknown("the service broker gave an answer that cannot be read".into(), false),
            UnknownReason::TooLarge => unknown("the service broker gave an answer that is too large".into(), false),
        },
    }
}

/// A backend's refusal as a platform may see it: 400 with the backend's description, its reserved 422 as it is, and on an
/// update also its own 422.
pub(super) fn for_platform(job: &Job, mut outcome: Outcome) -> Outcome {
    if let Answer::Rejected(error) = &mut outcome.answer {
        let update = job.operation.kind == OperationKind::Update;
        let keeps = error.is_reserved() || (update && error.status == 422);
        if !keeps {
            error.status = 400;
        }
        if !(update || job.operation.kind == OperationKind::Deprovision) {
            error.body.instance_usable = Maybe::Absent;
        }
        if !update {
            error.body.update_repeatable = Maybe::Absent;
        }
        if error.description().is_none_or(str::is_empty) {
            let description = format!("service broker {} refused without saying why", job.plan.broker_name);
            error.body.description = Maybe::Present(description);
        }
        error.retry_after_seconds = None;
    }
    outcome
}
