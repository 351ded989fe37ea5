//! The five orders as a platform gives them, from the request to the end of the operation, each answer judged.
//!
//! A broker may refuse a first order for reasons of its own (it needs other parameters, it doesn't know the organization): that
//! breaks no requirement, it leaves the run incomplete.

use std::sync::Arc;

use serde_json::Value;

use super::exchange::Exchange;
use super::poll::{End, Pending};
use super::probe::Stop;
use super::request::{Endpoint, Request};
use super::run::{Binding, Instance, Run};
use super::shapes;

/// The rows of an order.
struct Rows {
    /// The status and the form of success at once.
    done: &'static str,
    status: u16,
    /// The status and the form of success later.
    accepted: &'static str,
    operation: &'static str,
}

fn rows(endpoint: Endpoint) -> Rows {
    let (done, status, accepted, operation) = match endpoint {
        Endpoint::Bind => ("BND-07", 201, "BND-09", "BND-09"),
        Endpoint::Update => ("UPD-10", 200, "UPD-11", "UPD-12"),
        Endpoint::Unbind => ("UNB-02", 200, "UNB-03", "UNB-03"),
        Endpoint::Deprovision => ("DEP-03", 200, "DEP-04", "DEP-09"),
        _ => ("PRV-07", 201, "PRV-09", "PRV-14"),
    };
    Rows { done, status, accepted, operation }
}

impl Run {
    /// Orders an instance and waits until it is there.
    pub(super) async fn provision(&self, id: &str, body: Value) -> Result<Instance, Stop> {
        let request = self.request(Endpoint::Provision, id, "").json(&body);
        self.order_instance(request, body).await
    }

    /// The same with a request that is special in some way.
    pub(super) async fn order_instance(&self, request: Request, body: Value) -> Result<Instance, Stop> {
        let id = request.instance.clone();
        let answer = self.send(request).await;
        self.settle(Endpoint::Provision, &id, "", &answer).await?;
        Ok(Instance { id, body, answer })
    }

    /// Binds and waits until the binding is there.
    pub(super) async fn bind(&self, instance: &str, id: &str, body: Value) -> Result<Binding, Stop> {
        let request = self.request(Endpoint::Bind, instance, id).json(&body);
        self.order_binding(request, body).await
    }

    /// The same with a request that is special in some way.
    pub(super) async fn order_binding(&self, request: Request, body: Value) -> Result<Binding, Stop> {
        let (instance, id) = (request.instance.clone(), request.binding.clone());
        let answer = self.send(request).await;
        self.settle(Endpoint::Bind, &instance, &id, &answer).await?;
        Ok(Binding { instance, id, body, answer })
    }

    /// Deletes a binding and waits until it is gone.
    pub(super) async fn unbind(&self, instance: &str, id: &str) -> Result<Arc<Exchange>, Stop> {
        let answer = self.send(self.request(Endpoint::Unbind, instance, id)).await;
        self.settle(Endpoint::Unbind, instance, id, &answer).await?;
        Ok(answer)
    }

    /// Deletes an instance and waits until it is gone.
    pub(super) async fn deprovision(&self, id: &str) -> Result<Arc<Exchange>, Stop> {
        let answer = self.send(self.request(Endpoint::Deprovision, id, "")).await;
        self.settle(Endpoint::Deprovision, id, "", &answer).await?;
        Ok(answer)
    }

    /// Judges the answer to a right order, and sees an asynchronous one to its end.
    pub(super) async fn settle(
        &self,
        endpoint: Endpoint,
        instance: &str,
        binding: &str,
        answer: &Arc<Exchange>,
    ) -> Result<(), Stop> {
        let rows = rows(endpoint);
        if answer.is(202) {
            self.judge_accepted(endpoint, answer);
            let pending = Pending::from(self, endpoint, instance, binding, answer);
            return self.see_through(&pending).await;
        }
        self.judge_done(endpoint, answer)?;
        if rows.status == 200 && matches!(endpoint, Endpoint::Unbind | Endpoint::Deprovision) {
            self.ledger().gone(instance, binding);
        }
        Ok(())
    }

    /// An answer that is as good as any other: what it began is seen to its end, whatever that is.
    pub(super) async fn settle_whatever(
        &self,
        endpoint: Endpoint,
        instance: &str,
        binding: &str,
        answer: &Arc<Exchange>,
    ) -> Result<(), Stop> {
        let pending = Pending::from(self, endpoint, instance, binding, answer);
        let over = !answer.is(202) || self.finish(&pending).await? != End::Failed;
        if pending.deletes() && answer.is_any(&[200, 202]) && over {
            self.ledger().gone(instance, binding);
        }
        Ok(())
    }

    /// An operation that goes on is polled to its end, which must be a good one.
    pub(super) async fn see_through(&self, pending: &Pending) -> Result<(), Stop> {
        match self.finish(pending).await? {
            End::Failed => {
                let reason = format!("the service broker said that its operation failed ({:?})", pending.of);
                self.incomplete(reason.clone());
                Err(Stop::reason(reason))
            }
            End::Succeeded | End::Gone => {
                if pending.deletes() {
                    self.ledger().gone(&pending.instance, &pending.binding);
                }
                Ok(())
            }
        }
    }

    /// An answer 202: an object, with an operation that can be sent back, and nothing that is not known yet.
    pub(super) fn judge_accepted(&self, endpoint: Endpoint, answer: &Arc<Exchange>) {
        let rows = rows(endpoint);
        let Some(body) = answer.object() else {
            self.expect(rows.accepted, answer, false, "a JSON object");
            return;
        };
        self.expect(rows.accepted, answer, true, "");
        // Null is allowed by name in the answer to a provision; elsewhere it counts as absent (AMB-06), but for an update.
        let null_is_fine = endpoint != Endpoint::Update;
        self.forms(answer, shapes::operation(body, rows.operation, null_is_fine));
        let wrong = shapes::operation(body, rows.operation, true).iter().any(|(_, result)| result.is_err());
        self.expect("AMB-06", answer, !wrong, "operation absent, null or a string of at most 10,000 characters");
        match endpoint {
            Endpoint::Provision | Endpoint::Update => self.forms(answer, shapes::instance(body)),
            Endpoint::Bind => {
                let holds = !body.contains_key("credentials");
                self.expect(rows.accepted, answer, holds, "no credentials in a 202");
            }
            _ => {}
        }
    }

    /// An answer to an order that is carried out at once.
    pub(super) fn judge_done(&self, endpoint: Endpoint, answer: &Arc<Exchange>) -> Result<(), Stop> {
        let rows = rows(endpoint);
        if answer.not_sent {
            return Err(Stop::reason("the service broker can't be reached"));
        }
        if answer.is_refused() {
            return Err(self.refused(endpoint, answer, rows.done));
        }
        let status = self.expect_status(rows.done, answer, &[rows.status]);
        self.expect("SYN-01", answer, status, &format!("status {}", rows.status));
        if !answer.is_success() {
            return Err(Stop::because(rows.done));
        }
        let Some(body) = answer.object() else {
            self.expect(rows.done, answer, false, "a JSON object");
            return Ok(());
        };
        match endpoint {
            Endpoint::Provision | Endpoint::Update => self.forms(answer, shapes::instance(body)),
            Endpoint::Bind => self.forms(answer, shapes::binding(body, &self.plan.requires)),
            _ => {}
        }
        Ok(())
    }

    /// A right order that was refused: what was made can't be deleted, or what is needed can't be made.
    fn refused(&self, endpoint: Endpoint, answer: &Arc<Exchange>, row: &'static str) -> Stop {
        let deletes = matches!(endpoint, Endpoint::Unbind | Endpoint::Deprovision);
        if deletes || answer.is_any(&[404, 405, 410, 411, 412, 415]) {
            self.expect(row, answer, false, "the order to be carried out");
            return Stop::because(row);
        }
        let what = if endpoint == Endpoint::Bind { "bind" } else { "order" };
        let advice = "where it needs more, give it with --params, --context, --organization-guid and --space-guid";
        let reason = format!("the service broker refused a plain {what} ({}): {advice}", answer.came());
        self.incomplete(reason.clone());
        Stop::reason(reason)
    }
}
