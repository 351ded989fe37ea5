//! Submits an offering for publication: its broker is asked for its catalog first, so that what is looked at is what there is.

use serde_json::json;

use super::super::{App, Error, access};
use super::look::Looked;
use super::{document, tell};
use crate::clock::fresh_id;
use crate::domain::caller::Caller;
use crate::domain::event::EventKind;
use crate::domain::permission::Permission;
use crate::domain::review::{Check, REASON_MAX, ReviewState, missing};
use crate::domain::visibility::Stage;
use crate::store::reviews::ReviewRow;
use crate::store::{self, audit, brokers, reviews, visibility};

impl App {
    /// Submits a draft.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where it is no draft or waits already; [`Error::Unprocessable`] where a check that is
    /// required fails, with what to do.
    pub async fn submit_offering(&self, caller: &Caller, name: &str, note: Option<&str>) -> Result<ReviewRow, Error> {
        let note = said("/note", note)?;
        let sight = access::sight(Permission::SubmitOfferings, caller)?;
        let place = self.offering_place(&sight, name).await?;
        no_draft(name, self.look_at(&place, name).await?.lifecycle.at(self.clock().now()))?;
        self.check_broker(&place.broker).await?;
        let looked = self.look_at(&place, name).await?;
        fit(name, &looked.checks)?;
        let now = self.clock().now();
        let row = ReviewRow {
            id: fresh_id(),
            offering_id: looked.offering.id.clone(),
            broker_id: looked.broker.id.clone(),
            offering: looked.offering.name.clone(),
            state: ReviewState::Submitted,
            digest: looked.digest.clone(),
            checks: looked.checks.clone(),
            note,
            submitted_by: caller.actor(),
            submitted_at: now,
            decided_by: None,
            decided_at: None,
            reason: None,
        };
        let audited = self.audit_row(caller, "offering.submit", format!("offerings/{name}"), json!({}));
        let audited = audited.changed(Some(json!({"state": Stage::Draft.as_str()})), Some(document(&row)));
        let (hub, made, name) = (self.config().server.hub.clone(), row.clone(), name.to_owned());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (looked, row, audited) = (looked.clone(), row.clone(), audited.clone());
            let (hub, name) = (hub.clone(), name.clone());
            Box::pin(async move {
                unchanged(tx, &looked).await?;
                no_draft(&name, visibility::lifecycle(tx, &row.offering_id).await?.at(now))?;
                match reviews::insert(tx, &row).await {
                    Err(store::Error::Taken) => {
                        let message = format!("service offering `{name}` is submitted already and waits");
                        return Err(Error::conflict("submitted_already", message));
                    }
                    other => other?,
                }
                tell(tx, &hub, &looked.broker.name, &row, EventKind::ReviewRequested, now).await?;
                Ok(audit::append(tx, &audited).await?)
            })
        });
        written.await?;
        tracing::info!(offering.name = %made.offering, review.id = %made.id, "an offering was submitted for publication");
        Ok(made)
    }
}

/// What somebody said, where it is anything.
pub(super) fn said(pointer: &str, text: Option<&str>) -> Result<Option<String>, Error> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > REASON_MAX || text.contains('\0')) {
        return Err(Error::invalid(pointer, format!("must have at most {REASON_MAX} characters")));
    }
    Ok(text.map(str::to_owned))
}

/// That it is a draft.
pub(super) fn no_draft(name: &str, stage: Stage) -> Result<(), Error> {
    let message = match stage {
        Stage::Draft => return Ok(()),
        Stage::Published | Stage::Deprecated => format!("service offering `{name}` is published already"),
        Stage::Retired => {
            format!(
                "service offering `{name}` is retired: only an operator makes a draft of it again, to be reviewed anew"
            )
        }
    };
    Err(Error::conflict("no_draft", message))
}

/// That nothing that is required is missing.
pub(super) fn fit(name: &str, checks: &[Check]) -> Result<(), Error> {
    let missing = missing(checks);
    if missing.is_empty() {
        return Ok(());
    }
    let sentence = |check: &&Check| {
        let remedy = check.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
        format!("{}: {}{remedy}", check.check, check.message)
    };
    let all = missing.iter().map(sentence).collect::<Vec<_>>().join("; ");
    let message = format!("service offering `{name}` is not fit for publication yet: {all}");
    Err(Error::Unprocessable { code: "checks_failed", message })
}

/// Holds the broker's row and says whether it is as it was looked at.
pub(super) async fn unchanged(tx: &mut store::Tx<'_>, looked: &Looked) -> Result<(), Error> {
    let held = brokers::hold(tx, &looked.broker.name).await?;
    let now = brokers::by_id(tx, &looked.broker.id).await?;
    let same = now.is_some_and(|row| row.version == looked.broker.version && row.deleted_at.is_none());
    if held.as_ref() == Some(&looked.broker.id) && same { Ok(()) } else { Err(changed(&looked.offering.name)) }
}

fn changed(name: &str) -> Error {
    Error::conflict(
        "changed_meanwhile",
        format!("the broker of service offering `{name}` changed meanwhile: try again"),
    )
}
