//! `/api/v1/events`: the feed, and what sinks did not take.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::dead_letters::DeadLetter;
use crate::app::feed::{FeedPage, FeedQuery, LIMIT_MAX};
use crate::app::page::LIMIT_DEFAULT;
use crate::app::{self, App};
use crate::clock::Time;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManageEvents, SeeDeadLetters, SeeEvents};

/// The query of the feed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedParams {
    /// `next` of the page before.
    after: Option<String>,
    /// Events at most.
    limit: Option<u32>,
    /// A CloudEvents type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// A tenant's name, or its id where it is deleted.
    tenant: Option<String>,
}

/// A page of the feed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub struct FeedOut {
    /// CloudEvents 1.0, in the order in which they were committed.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// The cursor to go on with; also there when nothing is new.
    next: String,
}

impl From<FeedPage> for FeedOut {
    fn from(page: FeedPage) -> Self {
        Self { items: page.items, next: page.next }
    }
}

/// `GET /events`
///
/// # Errors
/// [`Failure`].
pub async fn list(who: Can<SeeEvents>, app: Data<App>, params: Params<FeedParams>) -> Result<Json<FeedOut>, Failure> {
    let FeedParams { after, limit, kind, tenant } = params.0;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(app::Error::invalid("", format!("limit must be 1 to {LIMIT_MAX}")).into());
    }
    let tenant_id = match tenant {
        Some(tenant) => Some(app.tenant_in_sight(&who.sight, &tenant).await?),
        None => None,
    };
    Ok(Json(app.feed(FeedQuery { after, limit, kind, tenant_id, sight: who.sight }).await?.into()))
}

/// The query of the list of dead letters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterParams {
    /// One sink only.
    sink: Option<String>,
    /// Entries at most.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// An event that a sink did not take.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct DeadLetterOut {
    /// The sink.
    sink: String,
    /// The event.
    event_id: String,
    /// How often it was tried.
    attempts: i64,
    /// Why the last attempt failed.
    error: String,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Whether it waits to be tried once more.
    redelivering: bool,
}

impl From<DeadLetter> for DeadLetterOut {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { sink, event_id, sequence: _, attempts, error, at, redeliver } = letter;
        Self { sink, event_id, attempts, error, at, redelivering: redeliver }
    }
}

/// `GET /events/dead-letters`
///
/// # Errors
/// [`Failure`].
pub async fn dead_letters(
    _: Can<SeeDeadLetters>,
    app: Data<App>,
    params: Params<DeadLetterParams>,
) -> Result<Json<PageOut<DeadLetterOut>>, Failure> {
    let page = page(params.0.limit, params.0.cursor.as_deref())?;
    Ok(Json(app.dead_letters(params.0.sink.as_deref(), &page).await?.map(DeadLetterOut::from).into()))
}

/// Whose dead letters are to be tried once more.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Redelivery)]
pub struct RedeliveryIn {
    /// The sink.
    sink: String,
}

/// What will be tried once more.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RedeliveryQueued)]
pub struct RedeliveryOut {
    /// The sink.
    sink: String,
    /// So many events.
    queued: u64,
}

/// `POST /events/dead-letters/redeliver`
///
/// # Errors
/// [`Failure`].
pub async fn redeliver(
    who: Can<ManageEvents>,
    app: Data<App>,
    body: Body<RedeliveryIn>,
) -> Result<Json<RedeliveryOut>, Failure> {
    let RedeliveryIn { sink } = body.0;
    let queued = app.redeliver(&who.caller.actor(), &sink).await?;
    Ok(Json(RedeliveryOut { sink, queued }))
}
