//! Publishes what was submitted, or sends it back. Only somebody else does, and only what still is what was submitted.

use serde_json::json;

use super::super::{App, Error, access};
use super::look::Looked;
use super::submit::{fit, no_draft, said, unchanged};
use super::{document, tell};
use crate::domain::caller::Caller;
use crate::domain::event::EventKind;
use crate::domain::permission::Permission;
use crate::domain::review::ReviewState;
use crate::domain::visibility::{Lifecycle, Stage};
use crate::store::audit::AuditRow;
use crate::store::reviews::{Decided, ReviewRow};
use crate::store::{Tx, audit, reviews, visibility};

/// What becomes of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Everybody whom its plans are for may order it.
    Publish,
    /// Its provider is told why not.
    SendBack,
}

/// All that the transaction of a decision needs.
#[derive(Clone, Debug)]
struct Deciding {
    review: ReviewRow,
    looked: Looked,
    decided: Decided,
    hub: String,
    audited: AuditRow,
}

impl App {
    /// Decides about what was submitted of an offering.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where it is the caller's own; [`Error::Conflict`] where nothing waits, or it changed
    /// meanwhile; [`Error::Unprocessable`] where a check that is required fails by now; [`Error::Invalid`] without a reason.
    pub async fn decide_review(
        &self,
        caller: &Caller,
        name: &str,
        verb: Verb,
        reason: Option<&str>,
    ) -> Result<ReviewRow, Error> {
        let reason = said("/reason", reason)?;
        if verb == Verb::SendBack && reason.is_none() {
            return Err(Error::invalid("/reason", "say what is to be put right"));
        }
        let sight = access::sight(Permission::ManageBrokers, caller)?;
        let place = self.offering_place(&sight, name).await?;
        let waiting = waiting(name, &self.look_at(&place, name).await?)?;
        if verb == Verb::Publish {
            not_ones_own(caller, &waiting)?;
            self.check_broker(&place.broker).await?;
        }
        let looked = self.look_at(&place, name).await?;
        let review = self::waiting(name, &looked)?;
        if verb == Verb::Publish {
            if looked.digest != review.digest {
                return Err(void(name));
            }
            fit(name, &looked.checks)?;
        }
        let (state, action) = match verb {
            Verb::Publish => (ReviewState::Published, "offering.publish"),
            Verb::SendBack => (ReviewState::SentBack, "offering.send_back"),
        };
        let decided = Decided { state, by: Some(caller.actor()), at: self.clock().now(), reason };
        let audited = self.audit_row(caller, action, format!("offerings/{name}"), json!({ "review_id": review.id }));
        let deciding = Deciding { review, looked, decided, hub: self.config().server.hub.clone(), audited };
        let written = self.db().write::<_, Error, _>(move |tx| {
            let deciding = deciding.clone();
            Box::pin(async move { decide(tx, deciding).await })
        });
        let review = written.await?;
        tracing::info!(offering.name = %review.offering, review.id = %review.id, state = state.as_str(), "a submission was decided");
        self.reload_catalog().await?;
        Ok(review)
    }
}

/// The submission that waits.
fn waiting(name: &str, looked: &Looked) -> Result<ReviewRow, Error> {
    match &looked.review {
        Some(review) if review.state == ReviewState::Submitted => Ok(review.clone()),
        Some(review) if review.state == ReviewState::Void => Err(void(name)),
        Some(review) => Err(decided_already(name, review)),
        None => Err(Error::conflict("nothing_submitted", format!("nothing of service offering `{name}` is submitted"))),
    }
}

fn void(name: &str) -> Error {
    let message = format!("service offering `{name}` changed after it was submitted: it has to be submitted again");
    Error::conflict("review_void", message)
}

fn decided_already(name: &str, review: &ReviewRow) -> Error {
    let state = review.state.as_str().replace('_', " ");
    let by = review.decided_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    Error::conflict("already_decided", format!("what was submitted of service offering `{name}` is {state}{by}"))
}

/// Four eyes: neither who submitted it nor who answers for its broker publishes it, whatever else they are.
fn not_ones_own(caller: &Caller, review: &ReviewRow) -> Result<(), Error> {
    if caller.actor() == review.submitted_by {
        let message = "you submitted it yourself: another operator publishes it, or sends it back";
        return Err(Error::Forbidden(message.to_owned()));
    }
    if caller.provides(&review.broker_id) {
        let message = "you answer for its broker: an operator who does not publishes it, or sends it back";
        return Err(Error::Forbidden(message.to_owned()));
    }
    Ok(())
}

/// Locks in the order in which a refresh takes them: the broker, then what is said of offerings.
async fn decide(tx: &mut Tx<'_>, deciding: Deciding) -> Result<ReviewRow, Error> {
    let Deciding { review, looked, decided, hub, audited } = deciding;
    let (now, name) = (decided.at, review.offering.clone());
    let publishes = decided.state == ReviewState::Published;
    if publishes {
        unchanged(tx, &looked).await?;
    }
    let Some(after) = reviews::decide(tx, &review.id, &decided).await? else {
        let latest = reviews::latest(tx, &review.offering_id, &review.broker_id).await?;
        return Err(latest.map_or_else(|| void(&name), |latest| decided_already(&name, &latest)));
    };
    if publishes {
        visibility::changed(tx).await?;
        no_draft(&name, visibility::lifecycle(tx, &review.offering_id).await?.at(now))?;
        let lifecycle = Lifecycle { stage: Stage::Published, ..Lifecycle::default() };
        visibility::put_lifecycle(tx, &review.offering_id, &lifecycle, None, now).await?;
    }
    tell(tx, &hub, &looked.broker.name, &after, EventKind::ReviewDecided, now).await?;
    audit::append(tx, &audited.changed(Some(document(&review)), Some(document(&after)))).await?;
    Ok(after)
}
