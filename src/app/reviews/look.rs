//! What is found of an offering that is to be published, as things stand; and the list of what was submitted.

use super::super::{App, Error, Listed, Page, access};
use crate::domain::catalog::{Offering, State};
use crate::domain::judgement::Verdict;
use crate::domain::permission::{Access, Sight, Thing};
use crate::domain::review::{Check, Evidence, ReviewState, checks, digest};
use crate::domain::visibility::Lifecycle;
use crate::store::brokers::{self, BrokerRow};
use crate::store::conformance::RunRow;
use crate::store::reviews::{self, Filter, ReviewRow};
use crate::store::{conformance, offerings, visibility};

/// An offering, and what was found of it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its broker.
    pub broker: BrokerRow,
    /// The offering.
    pub offering: Offering,
    /// Which form of it this is.
    pub digest: String,
    /// How far it has come.
    pub lifecycle: Lifecycle,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// Its latest submission.
    pub review: Option<ReviewRow>,
}

/// What a list of submissions is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct ReviewFilter {
    /// By state.
    pub state: Option<ReviewState>,
    /// By the offering's name.
    pub offering: Option<String>,
}

/// Where an offering is.
pub(super) struct Place {
    pub(super) broker: String,
    broker_id: String,
    offering_id: String,
}

impl App {
    /// What is found of an offering as it is stored now. Its broker is not asked.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn offering_checks(&self, sight: &Sight, name: &str) -> Result<Looked, Error> {
        let place = self.offering_place(sight, name).await?;
        self.look_at(&place, name).await
    }

    /// Submissions in the order in which they were made.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reviews(&self, sight: &Sight, filter: ReviewFilter, page: &Page) -> Result<Listed<ReviewRow>, Error> {
        let filter = Filter { state: filter.state, offering: filter.offering, brokers: sight.brokers() };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self.db().read(|tx| Box::pin(async move { reviews::list(tx, &filter, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| row.id.clone()))
    }

    /// The offering of that name that is in sight: the one that can be ordered, else another that has it.
    pub(super) async fn offering_place(&self, sight: &Sight, name: &str) -> Result<Place, Error> {
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let standing = catalog.parts().iter().filter(|part| !part.deleted);
        let called = standing
            .flat_map(|part| part.offerings.iter().map(move |offering| (part, offering)))
            .filter(|(_, offering)| offering.name == name && offering.state != State::Removed);
        let thing = |broker_id: &str| sight.of(&Thing { broker: Some(broker_id), ..Thing::default() });
        let found = called.max_by_key(|(part, offering)| {
            let access = match thing(&part.broker_id) {
                Access::Allowed => 2,
                Access::Forbidden => 1,
                Access::Hidden => 0,
            };
            (access, offering.state == State::Available)
        });
        let (part, offering) = found.ok_or_else(|| Error::not_found("offering", name))?;
        access::check(sight, "offering", name, &Thing { broker: Some(&part.broker_id), ..Thing::default() })?;
        Ok(Place {
            broker: part.broker_name.clone(),
            broker_id: part.broker_id.clone(),
            offering_id: offering.id.clone(),
        })
    }

    /// Looks at an offering as it is stored now.
    pub(super) async fn look_at(&self, place: &Place, name: &str) -> Result<Looked, Error> {
        let tariffs = self.tariffs().await?;
        let (broker_id, offering_id) = (place.broker_id.clone(), place.offering_id.clone());
        let gone = Error::not_found("offering", name);
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let Some(broker) = brokers::by_id(tx, &broker_id).await?.filter(|row| row.deleted_at.is_none()) else {
                    return Err(gone);
                };
                let all = offerings::of_broker(tx, &broker_id).await?;
                let Some(offering) = all.into_iter().find(|offering| offering.id == offering_id) else {
                    return Err(gone);
                };
                let lifecycle = visibility::lifecycle(tx, &offering_id).await?;
                let verdict = conformance::verdict(tx, &broker_id, &offering_id).await?;
                let review = reviews::latest(tx, &offering_id, &broker_id).await?;
                Ok((broker, offering, lifecycle, verdict, review))
            })
        });
        let (broker, offering, lifecycle, run, review) = read.await?;
        let verdict = match &run {
            Some(run) => Some(self.verdict_of(run)?),
            None => None,
        };
        let digest = digest(&broker.url, &offering);
        let evidence = Evidence {
            offering: &offering,
            broker: broker.status,
            digest: &digest,
            verdict: verdict.as_ref(),
            tariffs: tariffs.as_deref(),
        };
        let checks = checks(&evidence);
        Ok(Looked { broker, offering, digest, lifecycle, checks, review })
    }

    /// What a review looks at of a run with a verdict.
    fn verdict_of(&self, run: &RunRow) -> Result<Verdict, Error> {
        let judgement = self.judgement_of(run)?.unwrap_or_default();
        Ok(Verdict {
            digest: run.digest.clone(),
            outcome: run.outcome.unwrap_or(crate::domain::judgement::Outcome::Incomplete),
            failed: judgement.failed(),
            reason: judgement.incomplete,
            at: run.finished_at.unwrap_or(run.requested_at),
        })
    }
}
