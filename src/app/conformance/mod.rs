//! Brokers judged by the conformance suite: asked for ([`ask`]), and run by a worker ([`run`]).
//!
//! The judging is `osb::conformance`, over the way and with the credentials of orders. It makes real instances, so somebody has to say
//! yes. Invariant: what a run is about to make is in the database before the broker hears of it, so whoever finds a run that was cut
//! off deletes what it made and names what is left.

mod ask;
mod run;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{App, Error};
use crate::domain::judgement::Judgement;
use crate::store::conformance::RunRow;

pub use ask::{ConformanceView, RunView};

/// What is to be judged, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConformanceRequest)]
pub struct JudgeRequest {
    /// Must be `true`: some twenty instances of one plan and a good number of bindings are really made at the broker, and deleted again.
    #[serde(default)]
    pub makes_instances: bool,
    /// The offering, by its name here; may be left out where the broker has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offering: Option<String>,
    /// The plan that instances are made of, by its name; the first that is usable where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Parameters of a provision, or `{"create":{},"update":{},"bind":{}}`; made from the plan's schemas where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// The context of orders; one of Cloud Foundry's form where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Map<String, Value>>,
    /// `organization_guid` of orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_guid: Option<String>,
    /// `space_guid` of orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_guid: Option<String>,
}

fn request_place(id: &str) -> String {
    format!("conformance_runs/{id}/request")
}

fn report_place(id: &str) -> String {
    format!("conformance_runs/{id}/report")
}

impl App {
    /// What is kept of a run's report; nothing where there is none.
    pub(in crate::app) fn judgement_of(&self, run: &RunRow) -> Result<Option<Judgement>, Error> {
        run.report.as_ref().map(|report| self.open(&report_place(&run.id), report)).transpose()
    }
}
