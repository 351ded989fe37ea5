//! Asking: polling what a backend works on, and finding out what became of a request whose answer was lost.

use osb::client::{Failure, decode};

use super::classify;
use super::{App, Body, Error, Job, Outcome};
use crate::backend::Purpose;
use crate::domain::operation::{Answer, OperationKind};

/// Polls of a deletion answered "not found" after which the deletion itself is sent again: its 410 settles what a 404 can't.
const NOT_FOUND_POLLS: i64 = 2;

impl App {
    /// Asks for the last operation.
    pub(super) async fn poll(&self, job: &Job) -> Result<Outcome, Error> {
        let response = self.exchange(job, &last_operation(job), Purpose::Ask).await?;
        let not_found = response.as_ref().is_ok_and(|response| response.status == 404);
        if not_found && job.operation.kind.deletes() && job.operation.attempts >= NOT_FOUND_POLLS {
            return self.call(job).await;
        }
        let answer = classify::last_operation(job, response);
        if answer == Answer::Done && matches!(job.operation.kind, OperationKind::Provision | OperationKind::Bind) {
            // What came about asynchronously is learnt by fetching it, where it can be fetched.
            let found = self.fetch(job).await?;
            if found.answer == Answer::Done {
                return Ok(found);
            }
        }
        Ok(answer.into())
    }

    /// Finds out what became of a request: fetch it, ask for the last operation, repeat the identical request.
    ///
    /// Whoever deletes or updates just repeats: both are safe to repeat, and only their answer settles it.
    pub(super) async fn ask(&self, job: &Job) -> Result<Outcome, Error> {
        if !job.operation.kind.creates() {
            return self.call(job).await;
        }
        let found = self.fetch(job).await?;
        if found.answer == Answer::Done {
            return Ok(found);
        }
        let response = self.exchange(job, &last_operation(job), Purpose::Ask).await?;
        let answer = classify::last_operation(job, response);
        if matches!(answer, Answer::InProgress { .. } | Answer::Failed(_)) {
            return Ok(answer.into());
        }
        self.call(job).await
    }

    /// Fetches the instance or binding, where its offering says that it can be fetched. [`Answer::Done`] where it is there
    /// and ours.
    pub(super) async fn fetch(&self, job: &Job) -> Result<Outcome, Error> {
        let offering = &job.plan.offering;
        let (service_id, plan_id) = hints(job);
        let promise = match job.binding {
            None => &offering.instances_retrievable,
            Some(_) => &offering.bindings_retrievable,
        };
        if promise.as_option() != Some(&true) {
            return Ok(Answer::NotThere.into());
        }
        let instance_id = job.instance.id.clone();
        let request = match &job.binding {
            None => osb::WireRequest::from(&osb::FetchInstanceRequest { instance_id, service_id, plan_id }),
            Some(binding) => osb::WireRequest::from(&osb::FetchBindingRequest {
                instance_id,
                binding_id: binding.id.clone(),
                service_id,
                plan_id,
            }),
        };
        let response = match self.exchange(job, &request, Purpose::Ask).await? {
            Ok(response) => response,
            Err(failure) => return Ok(classify::from_failure(failure).into()),
        };
        let read = match job.binding {
            None => decode::fetch_instance(&response).map(|body| instance(job, body)),
            Some(_) => decode::fetch_binding(&response)
                .map(|body| Outcome { answer: Answer::Done, body: Body::Binding(Box::new(body.binding)) }),
        };
        Ok(read.unwrap_or_else(|failure| match failure {
            Failure::Rejected(_) | Failure::Protocol { .. } => Answer::NotThere.into(),
            other => classify::from_failure(other).into(),
        }))
    }
}

/// An instance that was fetched is ours where it does not say otherwise.
fn instance(job: &Job, body: osb::FetchInstanceResponse) -> Outcome {
    let other = |given: &osb::Maybe<String>, ours: &str| given.as_option().is_some_and(|given| given != ours);
    if other(&body.service_id, &job.plan.offering_backend_id) || other(&body.plan_id, &job.plan.plan_backend_id) {
        return Answer::NotThere.into();
    }
    let mut kept = osb::Object::new();
    for (name, value) in [
        ("dashboard_url", body.dashboard_url.into_option().map(serde_json::Value::String)),
        ("metadata", body.metadata.into_option().map(serde_json::Value::Object)),
    ] {
        if let Some(value) = value {
            kept.insert(name.to_owned(), value);
        }
    }
    Outcome { answer: Answer::Done, body: Body::Instance(kept) }
}

fn hints(job: &Job) -> (Option<String>, Option<String>) {
    (Some(job.plan.offering_backend_id.clone()), Some(job.plan.plan_backend_id.clone()))
}

fn last_operation(job: &Job) -> osb::WireRequest {
    let (service_id, plan_id) = hints(job);
    let operation = job.operation.backend_operation.clone();
    let instance_id = job.instance.id.clone();
    match &job.binding {
        None => osb::WireRequest::from(&osb::InstanceOperationRequest { instance_id, service_id, plan_id, operation }),
        Some(binding) => osb::WireRequest::from(&osb::BindingOperationRequest {
            instance_id,
            binding_id: binding.id.clone(),
            service_id,
            plan_id,
            operation,
        }),
    }
}
