//! `POST /usage`.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Json};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::binary;
use crate::app::usage::{EVENTS_MAX, Reported};
use crate::app::{self, App};
use crate::clock::Time;
use crate::domain::usage::Verdict;
use crate::http::auth::Reporter;
use crate::http::error::Failure;
use crate::http::input::Raw;

/// Bytes of a batch.
const BATCH_MAX: usize = 4 * 1024 * 1024;
const BATCH_TYPE: &str = "application/cloudevents-batch+json";
const EVENT_TYPE: &str = "application/cloudevents+json";

/// A usage event: CloudEvents 1.0. A list of them is a batch.
#[derive(Debug, ToSchema)]
#[schema(as = UsageEvent)]
#[expect(dead_code, reason = "it describes what `domain::usage` reads, event by event")]
pub struct UsageEventIn {
    /// `1.0`
    specversion: String,
    /// 1 to 255 characters; with `source` the key of the event, for ever.
    id: String,
    /// `/brokers/{name}`
    source: String,
    /// `io.bourse.usage.delta`, `gauge`, `counter` or `correction`.
    #[schema(rename = "type")]
    kind: String,
    /// When it was read, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// The reading.
    data: UsageDataIn,
}

/// One reading.
#[derive(Debug, ToSchema)]
#[schema(as = UsageData)]
#[expect(dead_code, reason = "it describes what `domain::usage` reads")]
struct UsageDataIn {
    /// The id that the instance has at its broker.
    instance_id: String,
    /// The meter's key, as the plan declares it.
    meter: String,
    /// A decimal number, zero or more. A correction without one voids what it corrects.
    quantity: Option<String>,
    /// The meter's unit.
    unit: String,
    /// Of a delta: what it is about. It counts at the start.
    window: Option<UsageWindowIn>,
    /// Of a counter: another one each time that it begins anew.
    reset_id: Option<String>,
    /// Of a correction: the id of the event of the same source that it corrects.
    corrects: Option<String>,
    /// At most 16 texts; what a meter that counts values counts.
    #[schema(value_type = Option<Object>)]
    dimensions: Option<Value>,
}

/// A window of time.
#[derive(Debug, ToSchema)]
#[schema(as = UsageWindow)]
#[expect(dead_code, reason = "it describes what `domain::usage` reads")]
struct UsageWindowIn {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    start: Time,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    end: Time,
}

/// What became of events, in their order.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UsageResults)]
pub struct ResultsOut {
    /// One for each event.
    results: Vec<ResultOut>,
}

/// What became of one event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UsageResult)]
struct ResultOut {
    /// Its source; `null` where it could not be read.
    source: Option<String>,
    /// Its id; `null` where it could not be read.
    id: Option<String>,
    /// What became of it.
    status: Verdict,
    /// A snake-case word for programs, where it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The same word and what is wrong, where it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Reported> for ResultOut {
    fn from(reported: Reported) -> Self {
        let Reported { source, id, verdict, rejection } = reported;
        let code = rejection.as_ref().map(|rejection| rejection.code);
        Self { source, id, status: verdict, code, reason: rejection.map(|rejection| rejection.to_string()) }
    }
}

/// `POST /usage`
///
/// # Errors
/// [`Failure`].
pub async fn report(
    reporter: Reporter,
    app: Data<App>,
    request: HttpRequest,
    body: Raw<BATCH_MAX>,
) -> Result<Json<ResultsOut>, Failure> {
    let documents = documents(&request, &body.0)?;
    let results = app.report_usage(&reporter.0, documents).await?;
    Ok(Json(ResultsOut { results: results.into_iter().map(ResultOut::from).collect() }))
}

/// The events of a request, in whatever form they are sent.
fn documents(request: &HttpRequest, body: &[u8]) -> Result<Vec<Value>, Failure> {
    let headers = request.headers();
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let structured = essence.starts_with("application/cloudevents");
    if !structured && binary::is_binary(headers) {
        return Ok(vec![binary::event(headers, body)?]);
    }
    crate::http::input::shallow(body)?;
    let read =
        serde_json::from_slice(body).map_err(|error| Failure::malformed(format!("the body is no JSON: {error}")))?;
    let invalid = |message: &str| Err(app::Error::invalid("", message).into());
    match (essence.as_str(), read) {
        (EVENT_TYPE, Value::Array(_)) => {
            invalid("one event is an object: a list is application/cloudevents-batch+json")
        }
        (_, Value::Array(events)) if events.len() > EVENTS_MAX => {
            invalid(&format!("a batch may have at most {EVENTS_MAX} events"))
        }
        (_, Value::Array(events)) => Ok(events),
        (BATCH_TYPE, _) => invalid("a batch is a list of events"),
        (_, event @ Value::Object(_)) => Ok(vec![event]),
        _ => invalid("send an event, or a list of them"),
    }
}
