//! `/api/v1/price-books`: prices, each book for ever as it was added, and how they are shown elsewhere.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::prices::{BookView, PlanPrice};
use crate::app::simulate::{Change, ChangedLine, Simulation, SimulationOf};
use crate::clock::Time;
use crate::domain::catalog::Finding;
use crate::domain::decimal::{minor_digits, plain, rounded};
use crate::domain::period::Month;
use crate::domain::price::{BookDocument, Rule};
use crate::http::admin::brokers::FindingOut;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePrices, SeeOfferings};

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
pub async fn create(
    who: Can<ManagePrices>,
    app: Data<App>,
    body: Body<BookDocument, BOOK_MAX>,
) -> Result<HttpResponse, Failure> {
    let made = PriceBookOut::new(app.create_price_book(&who.caller, body.0).await?);
    let place = format!("/api/v1/price-books/{}", made.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, place)).json(made))
}

/// `GET /price-books`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeeOfferings>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<PriceBookOut>>, Failure> {
    Ok(Json(app.price_book_list(&params.0.page()?).await?.map(PriceBookOut::from).into()))
}

/// `GET /price-books/{id}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeeOfferings>, app: Data<App>, id: Path<String>) -> Result<Json<PriceBookOut>, Failure> {
    Ok(Json(PriceBookOut::new(app.price_book(&id).await?)))
}

/// A book to try out on a month.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SimulationOf)]
pub struct SimulationIn {
    /// The book; it counts for the whole month here, whatever it says from when on it does.
    book: BookDocument,
    /// The month, such as `2026-10`.
    #[schema(value_type = String)]
    period: Month,
    /// One tenant only, by name.
    tenant: Option<String>,
}

/// What a month would have cost by a book.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Simulation)]
pub struct SimulationOut {
    /// ISO 4217.
    currency: String,
    /// The month.
    #[schema(value_type = String)]
    period: Month,
    #[serde(flatten)]
    total: ChangeOut,
    /// By name; those without costs are left out.
    tenants: Vec<TenantChange>,
    /// What changes most, at most 100 lines.
    lines: Vec<ChangedLineOut>,
    /// What has a price and would have none, at most 1000 lines; `quantity` is how much.
    unpriced: Vec<ChangedLineOut>,
    /// What of the book meets nothing in the catalog now, and what of the catalog it leaves without a price.
    findings: Vec<FindingOut>,
}

/// Two amounts, rounded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeOut {
    /// By the prices that there are.
    old: String,
    /// By the book.
    new: String,
    /// How much more.
    difference: String,
}

/// What one tenant's month would cost.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TenantChange {
    /// By name.
    tenant: String,
    #[serde(flatten)]
    change: ChangeOut,
}

/// What a tenant used of one meter under one plan, and what that would cost.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ChangedLine)]
pub struct ChangedLineOut {
    tenant: String,
    offering: String,
    plan: String,
    meter: String,
    /// Of what the quantity is.
    unit: String,
    quantity: String,
    #[serde(flatten)]
    change: ChangeOut,
}

impl ChangeOut {
    fn new(change: &Change, digits: u32) -> Self {
        let [old, new, difference] =
            [&change.old, &change.new, &change.difference()].map(|amount| rounded(amount, digits));
        Self { old, new, difference }
    }
}

impl ChangedLineOut {
    fn new(line: ChangedLine, digits: u32) -> Self {
        let change = ChangeOut::new(&line.change, digits);
        let ChangedLine { tenant, offering, plan, meter, unit, quantity, change: _ } = line;
        Self { tenant, offering, plan, meter, unit, quantity: plain(&quantity), change }
    }
}

/// `POST /price-books/simulate`
///
/// # Errors
/// [`Failure`].
pub async fn simulate(
    _: Can<ManagePrices>,
    app: Data<App>,
    body: Body<SimulationIn, BOOK_MAX>,
) -> Result<Json<SimulationOut>, Failure> {
    let SimulationIn { book, period, tenant } = body.0;
    let currency = book.currency.clone();
    let simulation = app.simulate(SimulationOf { book, period, tenant }).await?;
    Ok(Json(SimulationOut::new(&currency, period, simulation)))
}

impl SimulationOut {
    /// As it is answered.
    pub(super) fn new(currency: &str, period: Month, simulation: Simulation) -> Self {
        let digits = minor_digits(currency);
        let tenant =
            |(tenant, change): (String, Change)| TenantChange { tenant, change: ChangeOut::new(&change, digits) };
        let lines = |lines: Vec<ChangedLine>| lines.into_iter().map(|line| ChangedLineOut::new(line, digits)).collect();
        Self {
            currency: currency.to_owned(),
            period,
            total: ChangeOut::new(&simulation.total, digits),
            tenants: simulation.tenants.into_iter().map(tenant).collect(),
            lines: lines(simulation.lines),
            unpriced: lines(simulation.unpriced),
            findings: simulation.findings.iter().map(FindingOut::from).collect(),
        }
    }
}
