//! Asks for a run, and shows what came of it.

use osb::conformance::Parameters;
use serde_json::{Value, json};

use super::super::{App, Error, access};
use super::{JudgeRequest, request_place};
use crate::clock::fresh_id;
use crate::domain::caller::Caller;
use crate::domain::catalog::{Offering, State};
use crate::domain::judgement::{Judgement, RunState};
use crate::domain::permission::{Sight, Thing};
use crate::domain::review::digest;
use crate::store::brokers::BrokerRow;
use crate::store::conformance::{self, RunRow};
use crate::store::{self, audit, offerings};

/// Characters of a guid that stands in orders.
const GUID_MAX: usize = 255;

/// A run as people see it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run.
    pub row: RunRow,
    /// What is kept of its report.
    pub judgement: Option<Judgement>,
    /// Whether the offering still is what was judged.
    pub current: bool,
}

/// A broker's runs.
#[derive(Clone, Debug)]
pub struct ConformanceView {
    /// The latest one, of the offering that was asked for where one was.
    pub run: Option<RunView>,
    /// The latest with a verdict of each offering, without the rows.
    pub verdicts: Vec<RunView>,
}

impl App {
    /// Asks for a run against a broker. A worker of some process does it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where nobody said yes, or what is named is not there; [`Error::Conflict`] where one is
    /// under way.
    pub async fn judge_broker(&self, caller: &Caller, name: &str, request: JudgeRequest) -> Result<RunView, Error> {
        self.may_change_broker(caller, name).await?;
        check(&request)?;
        // What is judged is what there is now.
        let broker = self.check_broker(name).await?;
        let offering = self.offering_to_judge(&broker, &request).await?;
        let now = self.clock().now();
        let id = fresh_id();
        let row = RunRow {
            request: self.seal(&request_place(&id), &request)?,
            id,
            broker_id: broker.id.clone(),
            offering_id: offering.id.clone(),
            offering: offering.name.clone(),
            service_id: offering.backend_id.clone(),
            state: RunState::Waiting,
            digest: digest(&broker.url, &offering),
            catalog_version: broker.version,
            requested_by: caller.actor(),
            requested_at: now,
            started_at: None,
            finished_at: None,
            report: None,
            outcome: None,
            failed: None,
            reason: None,
        };
        let told = json!({ "run_id": row.id, "offering": row.offering, "plan": request.plan });
        let audited = self.audit_row(caller, "broker.judge", format!("brokers/{name}"), json!({}));
        let audited = audited.changed(None, Some(told));
        let (made, name) = (row.clone(), name.to_owned());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (row, audited, name) = (row.clone(), audited.clone(), name.clone());
            Box::pin(async move {
                if !store::brokers::stands(tx, &row.broker_id).await? {
                    return Err(Error::not_found("broker", name));
                }
                match conformance::insert(tx, &row).await {
                    Err(store::Error::Taken) => {
                        let message = format!("a run against broker `{name}` is under way: wait until it is over");
                        return Err(Error::conflict("conformance_running", message));
                    }
                    other => other?,
                }
                Ok(audit::append(tx, &audited).await?)
            })
        });
        written.await?;
        Ok(RunView { row: made, judgement: None, current: true })
    }

    /// What is known of a broker's conformance; of one offering by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn conformance(
        &self,
        sight: &Sight,
        name: &str,
        offering: Option<String>,
    ) -> Result<ConformanceView, Error> {
        let broker = self.broker_row(name).await?;
        access::check(sight, "broker", name, &Thing { broker: Some(&broker.id), ..Thing::default() })?;
        let id = broker.id.clone();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let latest = conformance::latest(tx, &id, offering.as_deref()).await?;
                Ok((latest, conformance::verdicts(tx, &id).await?, offerings::of_broker(tx, &id).await?))
            })
        });
        let (latest, verdicts, all) = read.await?;
        let current = |row: &RunRow| {
            let form = all.iter().find(|offering| offering.id == row.offering_id);
            form.is_some_and(|offering| digest(&broker.url, offering) == row.digest)
        };
        let run = match latest {
            Some(row) => Some(RunView { judgement: self.judgement_of(&row)?, current: current(&row), row }),
            None => None,
        };
        let brief = |row: RunRow| RunView { current: current(&row), judgement: None, row };
        Ok(ConformanceView { run, verdicts: verdicts.into_iter().map(brief).collect() })
    }

    async fn offering_to_judge(&self, broker: &BrokerRow, request: &JudgeRequest) -> Result<Offering, Error> {
        let id = broker.id.clone();
        let all = self.db().read(|tx| Box::pin(async move { offerings::of_broker(tx, &id).await })).await?;
        let mut usable: Vec<Offering> = all.into_iter().filter(|offering| offering.state == State::Available).collect();
        let names = usable.iter().map(|offering| offering.name.clone()).collect::<Vec<_>>().join(", ");
        let found = match &request.offering {
            Some(name) => usable.into_iter().find(|offering| offering.name == *name).ok_or_else(|| {
                Error::invalid(
                    "/offering",
                    format!("broker `{}` has no such offering in order; it has: {names}", broker.name),
                )
            })?,
            None if usable.len() == 1 => usable.remove(0),
            None if usable.is_empty() => {
                return Err(Error::invalid(
                    "/offering",
                    format!("broker `{}` has no offering that is in order", broker.name),
                ));
            }
            None => return Err(Error::invalid("/offering", format!("say which: {names}"))),
        };
        let plans = || found.plans.iter().filter(|plan| plan.state == State::Available);
        match &request.plan {
            Some(name) if plans().all(|plan| plan.name != *name) => {
                let names = plans().map(|plan| plan.name.clone()).collect::<Vec<_>>().join(", ");
                Err(Error::invalid("/plan", format!("offering `{}` has no such plan; it has: {names}", found.name)))
            }
            _ => Ok(found),
        }
    }
}

fn check(request: &JudgeRequest) -> Result<(), Error> {
    if !request.makes_instances {
        let message = "must be true: some twenty instances of one plan, and bindings, are really made at the broker and deleted again";
        return Err(Error::invalid("/makes_instances", message));
    }
    if let Some(parameters) = &request.parameters {
        let read = Parameters::from_value(Value::Object(parameters.clone()));
        read.map_err(|message| Error::invalid("/parameters", message))?;
    }
    for (pointer, guid) in [("/organization_guid", &request.organization_guid), ("/space_guid", &request.space_guid)] {
        if guid.as_ref().is_some_and(|guid| guid.is_empty() || guid.chars().count() > GUID_MAX) {
            return Err(Error::invalid(pointer, format!("must have 1 to {GUID_MAX} characters")));
        }
    }
    Ok(())
}
