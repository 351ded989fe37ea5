//! `/api/v1/price-books`: prices, each book for ever as it was added, and how they are shown elsewhere.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::prices::{BookView, PlanPrice};
use crate::clock::Time;
use crate::domain::catalog::Finding;
use crate::domain::price::{BookDocument, Rule};
use crate::http::admin::brokers::FindingOut;
use crate::http::auth::Admin;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};

/// Bytes of a price book in a body: all its rules fit, if they are not all of the longest.
pub const BOOK_MAX: usize = 4 * 1024 * 1024;

/// A price book.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PriceBook)]
pub struct PriceBookOut {
    /// For ever the same.
    id: String,
    #[serde(flatten)]
    document: BookDocument,
    /// Whether it counts now.
    in_force: bool,
    /// Since when it is known.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// What of it meets nothing in the catalog now, and what of the catalog it leaves without a price; lists leave this out.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<FindingOut>>,
}

impl From<BookView> for PriceBookOut {
    fn from(view: BookView) -> Self {
        let BookView { book, in_force } = view;
        Self { id: book.id, document: book.document, in_force, created_at: book.created_at, findings: None }
    }
}

impl PriceBookOut {
    fn new((view, findings): (BookView, Vec<Finding>)) -> Self {
        Self { findings: Some(findings.iter().map(FindingOut::from).collect()), ..Self::from(view) }
    }
}

/// What a plan costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub struct PriceOut {
    /// The id of the price book that says so.
    price_book: String,
    /// ISO 4217.
    currency: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    effective_from: Time,
    /// A line a meter.
    lines: Vec<PriceLine>,
}

/// What one meter of a plan costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PriceLine {
    /// `instance`, `setup`, or the key of a meter that the plan declares.
    meter: String,
    /// What one of the price's units is, such as `month`, `GB` or `GB·month`.
    unit: String,
    /// The price in one sentence.
    words: String,
    /// The rule of the price book.
    rule: Rule,
}

impl From<PlanPrice> for PriceOut {
    fn from(price: PlanPrice) -> Self {
        let PlanPrice { tariffs, lines } = price;
        let line = |line: crate::domain::tariff::Line| PriceLine {
            words: line.words(&tariffs.currency),
            meter: line.meter,
            unit: line.unit,
            rule: line.rule,
        };
        Self {
            lines: lines.into_iter().map(line).collect(),
            price_book: tariffs.book.clone(),
            currency: tariffs.currency.clone(),
            effective_from: tariffs.effective_from,
        }
    }
}

/// `POST /price-books`
///
/// # Errors
/// [`Failure`].
pub async fn create(admin: Admin, app: Data<App>, body: Body<BookDocument, BOOK_MAX>) -> Result<HttpResponse, Failure> {
    let made = PriceBookOut::new(app.create_price_book(&admin.0, body.0).await?);
    let place = format!("/api/v1/price-books/{}", made.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, place)).json(made))
}

/// `GET /price-books`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Admin,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<PriceBookOut>>, Failure> {
    Ok(Json(app.price_book_list(&params.0.page()?).await?.map(PriceBookOut::from).into()))
}

/// `GET /price-books/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Admin, app: Data<App>, id: Path<String>) -> Result<Json<PriceBookOut>, Failure> {
    Ok(Json(PriceBookOut::new(app.price_book(&id).await?)))
}
