//! Carries a run out, or ends one that was cut off: what that had made is deleted, and what can't be deleted is named.
//!
//! No transaction is open while the broker is called. A run takes half an hour at most; what lets go of it in the middle (the process ends)
//! is found by whoever looks next.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use osb::WireRequest;
use osb::conformance::{self as suite, Made, Options, Parameters, Progress, Report, Sign, Signed};
use serde_json::{Value, json};

use super::super::registry::notice;
use super::super::stamps::{StampFacts, StampPlatform, StampTenant};
use super::super::{App, Error};
use super::{JudgeRequest, report_place, request_place};
use crate::backend::Backend;
use crate::domain::catalog::Plan;
use crate::domain::event::EventKind;
use crate::domain::judgement::{Judgement, RunState, left, outcome};
use crate::domain::platform::{BUILTIN, PlatformKind};
use crate::store::brokers::BrokerRow;
use crate::store::conformance::{self, Ended, RunRow};
use crate::store::{brokers, events, offerings};

/// All cases of one run together; a broker that needs longer is not judged by those that are left.
const CASES_WITHIN: Duration = Duration::from_secs(20 * 60);
/// One operation.
const POLLING_WITHIN: Duration = Duration::from_secs(5 * 60);
/// Deleting what was made.
const CLEANUP_WITHIN: Duration = Duration::from_secs(5 * 60);
/// A run that was claimed that long ago is nobody's any more.
const STALE_AFTER: Duration = Duration::from_secs(60 * 60);
/// Runs of a broker that are kept besides the latest verdicts.
const KEPT: i64 = 20;
/// Between two attempts to read what a run needs, or to write how it ended.
const AGAIN: Duration = Duration::from_secs(2);
/// For whom the instances of a run are, where the broker is told.
const TENANT: &str = "conformance";

/// How a run came out of the suite.
enum Came {
    Report(Box<Report>, Value),
    Nothing { state: RunState, reason: String, left: Vec<String> },
}

impl App {
    /// Takes the oldest run that nobody works on, if there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_conformance(&self) -> Result<Option<RunRow>, Error> {
        let now = self.clock().now();
        let stale = crate::clock::Time(now.0.saturating_sub(i64::try_from(STALE_AFTER.as_micros()).unwrap_or(0)));
        let due = self.db().read(|tx| Box::pin(async move { conformance::due(tx, stale).await })).await?;
        let Some(row) = due else { return Ok(None) };
        let next = if row.state == RunState::Waiting { RunState::Running } else { RunState::Cleaning };
        let (owner, claimed) = (self.process().to_owned(), row.clone());
        let taken = self.db().write::<_, Error, _>(move |tx| {
            let (owner, row) = (owner.clone(), row.clone());
            Box::pin(async move { Ok(conformance::claim(tx, &row, next, &owner, (now, stale)).await?) })
        });
        Ok(taken.await?.then_some(RunRow {
            state: next,
            started_at: Some(claimed.started_at.unwrap_or(now)),
            ..claimed
        }))
    }

    /// Carries out a run that was taken by [`App::claim_conformance`], to its end.
    pub async fn carry_out_conformance(&self, row: RunRow) {
        let came = match self.conformance_broker(&row).await {
            Ok((broker, backend, plans)) if row.state == RunState::Cleaning => {
                let _: &BrokerRow = &broker;
                self.cleaned(&row, &backend, &plans).await
            }
            Ok((broker, backend, _)) => self.judged(&row, &broker, &backend).await,
            Err(reason) => {
                let left = self.made_by(&row).await.iter().map(named).collect();
                let state = if row.state == RunState::Cleaning { RunState::Interrupted } else { RunState::Failed };
                Came::Nothing { state, reason, left }
            }
        };
        // Whatever came of it must not be lost to a database that is busy for a moment.
        while let Err(error) = self.end_conformance(&row, &came).await {
            tracing::warn!(run.id = %row.id, %error, "what came of a conformance run could not be written; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The broker of a run, how it is called, and the plans of the offering by the broker's ids; or why it can't be called.
    async fn conformance_broker(&self, row: &RunRow) -> Result<(BrokerRow, Arc<Backend>, Vec<String>), String> {
        // Only what is read decides: a database that is busy for a moment says nothing of the broker.
        let (broker, plans) = loop {
            match self.subject_of(row).await {
                Ok(found) => break found,
                Err(error) => later(row, "its broker", &error).await,
            }
        };
        let Some(broker) = broker.filter(|broker| broker.deleted_at.is_none()) else {
            return Err("the broker is not registered any more".to_owned());
        };
        let backend = self.backend_for(&broker).map_err(|error| error.to_string())?;
        Ok((broker, backend, plans.into_iter().map(|plan| plan.backend_id).collect()))
    }

    /// The broker of a run where it is there still, and the plans of the offering.
    async fn subject_of(&self, row: &RunRow) -> Result<(Option<BrokerRow>, Vec<Plan>), Error> {
        self.points().read()?;
        let (id, offering_id) = (row.broker_id.clone(), row.offering_id.clone());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let broker = brokers::by_id(tx, &id).await?;
                let all = offerings::of_broker(tx, &id).await?;
                let plans = all.into_iter().find(|offering| offering.id == offering_id).map(|offering| offering.plans);
                Ok((broker, plans.unwrap_or_default()))
            })
        });
        read.await
    }

    async fn judged(&self, row: &RunRow, broker: &BrokerRow, backend: &Arc<Backend>) -> Came {
        let request: JudgeRequest = match self.open(&request_place(&row.id), &row.request) {
            Ok(request) => request,
            Err(error) => return failed(&error.to_string()),
        };
        let given = Value::Object(request.parameters.clone().unwrap_or_default());
        let parameters = match request.parameters.clone().map(|given| Parameters::from_value(Value::Object(given))) {
            Some(Ok(parameters)) => parameters,
            Some(Err(message)) => return failed(&message),
            None => Parameters::default(),
        };
        let usual = Options::default();
        let options = Options {
            offering: Some(row.service_id.clone()),
            plan: request.plan,
            parameters,
            context: request.context,
            organization_guid: request.organization_guid.unwrap_or(usual.organization_guid),
            space_guid: request.space_guid.unwrap_or(usual.space_guid),
            rows: Vec::new(),
            exchange: backend.timeout(),
            polling: POLLING_WITHIN,
            overall: CASES_WITHIN,
            cleanup: CLEANUP_WITHIN,
        };
        tracing::info!(run.id = %row.id, broker.name = %broker.name, "a broker is being judged by the conformance suite");
        let diary = Arc::new(Diary { app: self.clone(), run_id: row.id.clone() });
        let target = backend.target().signed_by(self.signer(row, backend));
        match suite::run(&target, options, diary, std::future::pending()).await {
            Ok(report) => Came::Report(Box::new(report), given),
            Err(error) => failed(&error.to_string()),
        }
    }

    /// Deletes what a run had made that was cut off.
    async fn cleaned(&self, row: &RunRow, backend: &Arc<Backend>, plans: &[String]) -> Came {
        let made = self.made_by(row).await;
        let options = Options { exchange: backend.timeout(), cleanup: CLEANUP_WITHIN, ..Options::default() };
        let target = backend.target().signed_by(self.signer(row, backend));
        let cleaned = suite::clean_up_after(&target, options, (&row.service_id, plans), &made).await;
        let left = cleaned.unwrap_or_else(|_| made.iter().map(named).collect());
        let reason = "the process of the hub that ran it ended before the run did: ask for another run".to_owned();
        Came::Nothing { state: RunState::Interrupted, reason, left }
    }

    async fn made_by(&self, row: &RunRow) -> Vec<Made> {
        // What is not read here is never cleaned up: a database that is busy for a moment must not lose it.
        let all = loop {
            let id = row.id.clone();
            match self.db().read(|tx| Box::pin(async move { conformance::made(tx, &id).await })).await {
                Ok(all) => break all,
                Err(error) => later(row, "what it has made", &error.into()).await,
            }
        };
        all.into_iter().map(|[instance, binding, plan_id]| Made { instance, binding, plan_id }).collect()
    }

    fn signer(&self, row: &RunRow, backend: &Arc<Backend>) -> Arc<dyn Sign> {
        Arc::new(Stamper { app: self.clone(), backend: Arc::clone(backend), service_id: row.service_id.clone() })
    }

    async fn end_conformance(&self, row: &RunRow, came: &Came) -> Result<(), Error> {
        let ended = self.ended(row, came)?;
        let (id, broker_id, owner) = (row.id.clone(), row.broker_id.clone(), self.process().to_owned());
        let (hub, at) = (self.config().server.hub.clone(), ended.at);
        let data = json!({
            "run_id": row.id, "offering": row.offering, "state": ended.state.as_str(),
            "outcome": ended.outcome.map(crate::domain::judgement::Outcome::as_str), "failed": ended.failed,
            "requested_by": row.requested_by,
        });
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (id, broker_id, owner) = (id.clone(), broker_id.clone(), owner.clone());
            let (hub, ended, mut data) = (hub.clone(), ended.clone(), data.clone());
            Box::pin(async move {
                if !conformance::end(tx, &id, &owner, &ended).await? {
                    return Ok(false);
                }
                if let Some(broker) = brokers::by_id(tx, &broker_id).await? {
                    data["broker"] = json!(broker.name);
                    let event = notice::event(&broker, EventKind::BrokerJudged, &id, at, data);
                    events::append(tx, &hub, &event, at).await?;
                }
                conformance::forget(tx, &broker_id, KEPT).await?;
                Ok(true)
            })
        });
        if !written.await? {
            tracing::warn!(run.id = %row.id, "another process took a conformance run over: what came of it here is dropped");
        }
        Ok(())
    }

    fn ended(&self, row: &RunRow, came: &Came) -> Result<Ended, Error> {
        let at = self.clock().now();
        let sealed = |judgement: &Judgement| self.seal(&report_place(&row.id), judgement);
        Ok(match came {
            Came::Report(report, given) => {
                let judgement = Judgement::of(report, given);
                Ended {
                    state: RunState::Finished,
                    at,
                    report: Some(sealed(&judgement)?),
                    outcome: Some(outcome(report)),
                    failed: Some(i64::try_from(judgement.failed().len()).unwrap_or(i64::MAX)),
                    reason: judgement.incomplete,
                }
            }
            Came::Nothing { state, reason, left: things } => {
                let judgement = Judgement { left_behind: left(things), ..Judgement::default() };
                let report = Some(sealed(&judgement)?);
                Ended { state: *state, at, report, outcome: None, failed: None, reason: Some(reason.clone()) }
            }
        })
    }
}

/// Before something that a run needs is read again.
async fn later(row: &RunRow, what: &str, error: &Error) {
    tracing::warn!(run.id = %row.id, what, %error, "something that a conformance run needs could not be read; trying again");
    tokio::time::sleep(AGAIN).await;
}

fn failed(reason: &str) -> Came {
    Came::Nothing { state: RunState::Failed, reason: reason.to_owned(), left: Vec::new() }
}

fn named(made: &Made) -> String {
    let reason = "it could not be deleted";
    match made.binding.as_str() {
        "" => format!("instance {}: {reason}", made.instance),
        binding => format!("binding {binding} of instance {}: {reason}", made.instance),
    }
}

/// Writes down what a run is about to make.
struct Diary {
    app: App,
    run_id: String,
}

impl Progress for Diary {
    fn making<'a>(&'a self, made: &'a Made) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let (id, owner, made) = (self.run_id.clone(), self.app.process().to_owned(), made.clone());
            let written = self.app.db().write::<_, Error, _>(move |tx| {
                let (id, owner, made) = (id.clone(), owner.clone(), made.clone());
                Box::pin(async move {
                    let made = [made.instance.as_str(), made.binding.as_str(), made.plan_id.as_str()];
                    Ok(conformance::making(tx, &id, &owner, made).await?)
                })
            });
            written.await.unwrap_or_else(|error| {
                tracing::warn!(run.id = %self.run_id, %error, "what a conformance run makes could not be written: it is not sent");
                false
            })
        })
    }
}

/// Stamps each request as orders are stamped: for a tenant that nobody has.
struct Stamper {
    app: App,
    backend: Arc<Backend>,
    service_id: String,
}

impl Sign for Stamper {
    fn sign<'a>(
        &'a self,
        request: &'a WireRequest,
        instance: &'a str,
        binding: &'a str,
    ) -> Pin<Box<dyn Future<Output = Signed> + Send + 'a>> {
        Box::pin(async move {
            let settings = self.backend.stamp_settings();
            if !settings.header {
                return Ok(None);
            }
            let about = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let tenant = (!instance.is_empty()).then(|| StampTenant {
                id: TENANT.to_owned(),
                name: TENANT.to_owned(),
                display_name: "Conformance".to_owned(),
                ..StampTenant::default()
            });
            let facts = StampFacts {
                platform: tenant.is_some().then(|| StampPlatform {
                    id: BUILTIN.to_owned(),
                    name: BUILTIN.to_owned(),
                    kind: PlatformKind::Bourse.as_str().to_owned(),
                }),
                tenant,
                inst: about(instance),
                bind: about(binding),
                svc: about(instance).and(Some(self.service_id.clone())),
                plan: body.get("plan_id").and_then(Value::as_str).map(str::to_owned),
                via: self.app.via(Vec::new()),
                path_prefix: String::new(),
            };
            let mut facts = facts.narrowed(settings);
            facts.path_prefix = self.backend.path_prefix().to_owned();
            let stamp =
                self.app.stamp(self.backend.name(), request, &facts).await.map_err(|error| error.to_string())?;
            Ok(Some(("X-Bourse-Stamp".to_owned(), stamp)))
        })
    }
}
