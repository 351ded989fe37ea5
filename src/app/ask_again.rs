//! The answer to a bind whose kept copy has run out: fetched where the binding can be fetched, else the very same bind is sent
//! once more, which OSB wants answered with the same credentials.
//!
//! That bind makes the binding anew if an unbind gets there first. So the binding is kept as it is, in the database, before
//! the bind is sent and for as long as it may be on its way: nobody unbinds or asks again meanwhile, whichever process asked
//! and whether it still lives. Should the answer come when that time is over all the same, what it may have made is deleted.

use std::time::Duration;

use osb::client::{Failure, decode};
use osb::{BindResponse, Bound, Call};

use super::fetch::as_gateway;
use super::points::Point;
use super::sealed;
use super::{App, Error};
use crate::clock::Time;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::BindingState;
use crate::domain::operation::OperationKind;
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};

/// The least time for which a call that nobody waits for any more may be on its way.
const STILL_COMING_MIN: Duration = Duration::from_secs(10);

/// The refusal while a repeat of the bind may be on its way.
pub(in crate::app) fn under_way() -> Error {
    osb::Error::concurrency("the service broker is being asked for the service binding's credentials; try again later")
        .into()
}

impl App {
    /// The answer to a bind whose kept copy has run out.
    ///
    /// # Errors
    /// 422 where another repeat or an unbind is under way, 5xx where the backend can't be asked.
    pub(in crate::app) async fn answer_again(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        row: &BindingRow,
        call: &Call,
    ) -> Result<BindResponse, Error> {
        if plan.offering.bindings_retrievable.as_option() == Some(&true) {
            return Ok(self.fetched(instance, plan, row, call).await?.binding);
        }
        let operation = self.bind_operation(&row.id).await?;
        let stored: sealed::StoredRequest = self.open(&sealed::operation_request(&operation.id), &operation.request)?;
        let wire = stored.wire()?;
        let timeout = self.backends().get(&plan.broker_id).map_or(Duration::ZERO, |backend| backend.timeout());
        let still_coming = (timeout * 2).max(STILL_COMING_MIN);
        // A place at the broker is waited for as long as an answer.
        let until = self.clock().now().plus(timeout * 2 + still_coming);
        if !self.keep(&row.id, until).await? {
            return Err(under_way());
        }
        self.points().pass(Point::BeforeCall, OperationKind::Bind)?;
        let sent = self.ask_backend(instance, plan, Some(&row.id), call, &wire).await;
        self.points().pass(Point::AfterCall, OperationKind::Bind)?;
        let answer = match sent {
            Ok(sent) => sent.and_then(|response| decode::bind(&response)),
            Err(error) => {
                self.let_go(&row.id, until, None).await?;
                return Err(error);
            }
        };
        let settled = !matches!(answer, Ok(Bound::Accepted(_)) | Err(Failure::Unknown { .. }));
        let still = (!settled).then(|| self.clock().now().plus(still_coming));
        if !self.let_go(&row.id, until, still).await? {
            self.leave_nothing(instance, plan, row, &operation, still).await?;
            return Err(osb::Error::concurrency("the service binding was deleted meanwhile; try again").into());
        }
        match answer.map_err(as_gateway)? {
            Bound::Created(body) | Bound::Existed(body) => Ok(body),
            Bound::Accepted(_) => {
                Err(osb::Error::bad_gateway("the service broker no longer gives the credentials of this binding")
                    .into())
            }
        }
    }

    /// Keeps a ready binding as it is until then. False where it is not ready or already kept.
    async fn keep(&self, id: &str, until: Time) -> Result<bool, Error> {
        let (id, now) = (id.to_owned(), self.clock().now());
        self.db()
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(bindings::ask(tx, &id, until, now).await?) })
            })
            .await
    }

    /// Keeps it no longer, or only for as long as the call may still be on its way. False where it was not kept any more.
    async fn let_go(&self, id: &str, until: Time, still: Option<Time>) -> Result<bool, Error> {
        let id = id.to_owned();
        self.db()
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(bindings::asked(tx, &id, until, still).await?) })
            })
            .await
    }

    /// A bind was sent once more and came to an end after its time: whoever deletes the binding begins anew, and if nobody
    /// does any more, the hub does. Only a deletion that is sent after this (or after `still`) counts.
    async fn leave_nothing(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        row: &BindingRow,
        bind: &OperationRow,
        still: Option<Time>,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        let mut clean_up = self.clean_up_after(bind, instance, plan, now)?;
        clean_up.final_not_before = Some(still.unwrap_or(now));
        let id = row.id.clone();
        self.db()
            .write(move |tx| {
                let (id, clean_up) = (id.clone(), clean_up.clone());
                Box::pin(async move {
                    instances::lock(tx, &clean_up.instance_id).await?;
                    let Some(binding) = bindings::lock(tx, &id).await? else { return Ok(()) };
                    if binding.state == BindingState::Ready {
                        return Ok(());
                    }
                    let deleting = match &binding.operation_id {
                        Some(id) => operations::lock_unfinished(tx, id).await?,
                        None => None,
                    };
                    match deleting {
                        // Saving takes the lease away: what its call is answered meanwhile counts for nothing.
                        Some(mut operation) if operation.kind.deletes() => {
                            operation.final_not_before = operation.final_not_before.max(clean_up.final_not_before);
                            operation.next_at = now;
                            operations::save(tx, &operation).await?;
                        }
                        _ => operations::insert(tx, &clean_up, "").await?,
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
    }
}
