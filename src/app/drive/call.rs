//! Sending: the stored bytes of an operation, or a question about it, under a fresh stamp.

use std::time::Duration;

use osb::client::Failure;

use super::classify;
use super::{App, Error, Job, Outcome};
use crate::app::measure;
use crate::backend::{Backend, Purpose};
use crate::domain::operation::{Answer, OperationKind};
use crate::domain::stamp::StampFacts;

impl App {
    /// Sends an operation's stored request and classifies the answer.
    pub(super) async fn call(&self, job: &Job) -> Result<Outcome, Error> {
        let purpose = match job.operation.kind {
            OperationKind::OrphanMitigation => Purpose::CleanUp,
            _ if job.operation.maybe_sent || job.operation.attempts > 0 => Purpose::CleanUp,
            _ => Purpose::Order { deadline: self.order_deadline(job) },
        };
        let response = self.exchange(job, &job.request.wire()?, purpose).await?;
        let outcome = classify::mutation(job, response);
        if let Answer::Rejected(error) = &outcome.answer
            && error.code() == Some(osb::error::MAINTENANCE_INFO_CONFLICT)
        {
            self.look_soon(&job.operation.broker_id).await;
        }
        if let Answer::Rejected(error) = &outcome.answer
            && error.status == 409
            && job.operation.kind.creates()
        {
            // The id is fresh and ours: an earlier try whose answer was lost may have made it.
            let found = self.fetch(job).await?;
            return Ok(if found.answer == Answer::Done { found } else { classify::for_platform(job, outcome) });
        }
        Ok(classify::for_platform(job, outcome))
    }

    /// What the stamp of a job's calls says.
    fn stamp_facts(&self, job: &Job) -> StampFacts {
        let mut facts = StampFacts::of(&job.tenant, &job.platform);
        facts.via = self.via(job.request.via.clone());
        facts.inst = Some(job.instance.id.clone());
        facts.bind = job.binding.as_ref().map(|binding| binding.id.clone());
        facts.svc = Some(job.plan.offering_backend_id.clone());
        facts.plan = Some(job.plan.plan_backend_id.clone());
        facts
    }

    fn order_deadline(&self, job: &Job) -> tokio::time::Instant {
        // An order that waited for an approval began when it was decided.
        let begun = job.operation.created_at.max(job.operation.next_at);
        let age = self.clock().now().since(begun);
        let left = self.config().server.answer_within.saturating_sub(age).saturating_sub(Duration::from_secs(1));
        tokio::time::Instant::now() + left
    }

    /// Sends a request to the operation's broker, stamped for the instance's tenant.
    ///
    /// The outer error is the hub's own (it could not sign, say): then nothing was sent.
    pub(super) async fn exchange(
        &self,
        job: &Job,
        request: &osb::WireRequest,
        purpose: Purpose,
    ) -> Result<Result<osb::WireResponse, Failure>, Error> {
        let Some(backend) = self.backends().get(&job.operation.broker_id) else {
            return Ok(Err(Failure::NotSent { reason: "the service broker is not registered any more".into() }));
        };
        let call = self.backend_call(&backend, request, &self.stamp_facts(job), &Origin::of(job)).await;
        match call {
            Ok(call) => Ok(self.send_to(&backend, &call, request, purpose).await),
            // Fail closed: without a stamp nothing is sent.
            Err(error) => {
                tracing::error!(operation.id = job.operation.id, error = %error, "a call could not be stamped");
                Ok(Err(Failure::NotSent { reason: "the call could not be signed".into() }))
            }
        }
    }
}

/// The headers that a call carries on from the order that caused it.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Origin {
    /// `X-Broker-API-Originating-Identity`; none for what the hub does by itself.
    pub(in crate::app) originating_identity: Option<String>,
    /// `X-Broker-API-Request-Identity`.
    pub(in crate::app) request_identity: String,
    /// `traceparent`.
    pub(in crate::app) traceparent: Option<String>,
}

impl Origin {
    fn of(job: &Job) -> Self {
        let by_itself = matches!(job.operation.kind, OperationKind::OrphanMitigation | OperationKind::ContextUpdate);
        Self {
            originating_identity: job.request.originating_identity.clone().filter(|_| !by_itself),
            request_identity: job.request.request_identity.clone(),
            traceparent: job.operation.traceparent.clone(),
        }
    }
}

impl App {
    /// Sends a request to a backend, counted and timed.
    ///
    /// # Errors
    /// As [`Backend::send`].
    pub(in crate::app) async fn send_to(
        &self,
        backend: &Backend,
        call: &osb::Call,
        request: &osb::WireRequest,
        purpose: Purpose,
    ) -> Result<osb::WireResponse, Failure> {
        let started = tokio::time::Instant::now();
        let answer = backend.send(call, request, purpose).await;
        let outcome = measure::outcome_word(&answer);
        self.metrics().broker_call(verb(request), backend.name(), outcome, started.elapsed());
        answer
    }

    /// The headers of a call to a backend, stamped.
    ///
    /// # Errors
    /// Where it can't be signed; then nothing may be sent.
    pub(in crate::app) async fn backend_call(
        &self,
        backend: &Backend,
        request: &osb::WireRequest,
        facts: &StampFacts,
        origin: &Origin,
    ) -> Result<osb::Call, Error> {
        let stamp = if backend.stamp_settings().header {
            let mut facts = facts.narrowed(backend.stamp_settings());
            facts.path_prefix = backend.path_prefix().to_owned();
            Some(self.stamp(backend.name(), request, &facts).await?)
        } else {
            None
        };
        Ok(osb::Call {
            api_version: None,
            request_identity: Some(origin.request_identity.clone()),
            originating_identity: origin.originating_identity.clone().map(osb::OriginatingIdentity),
            traceparent: origin.traceparent.clone(),
            stamp,
            if_none_match: None,
            wire: None,
        })
    }
}

/// The word for what a request asks, in metrics.
fn verb(request: &osb::WireRequest) -> &'static str {
    let path = request.path_and_query.as_str();
    let binding = path.contains("/service_bindings/");
    match (request.method.as_str(), binding) {
        ("PUT", true) => "bind",
        ("PUT", false) => "provision",
        ("PATCH", _) => "update",
        ("DELETE", true) => "unbind",
        ("DELETE", false) => "deprovision",
        _ if path.contains("/last_operation") => "last_operation",
        _ => "fetch",
    }
}
