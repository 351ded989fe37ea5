//! `/catalog/{offering}/order`: the order of a service. For whom, which plan, what it is called, and a form made of the plan's schema
//! ([`form`](super::form)); beside it what would become of it ([`verdict`]), from the use case of previews.
//!
//! One form with several buttons: those that only turn it (`turn`, `add`, `remove`), `do=check` that asks, and `do=order` that orders. The
//! script asks with `do=look`, which tells nothing at the fields that somebody still fills in.
//! An order by this page never changes what stands under its name.

pub mod program;
pub(super) mod sheet;
pub mod verdict;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde::Deserialize;

use self::sheet::Sheet;
use super::fields::Fields;
use super::kit;
use super::visit::Visit;
use crate::app::people::PersonalOrder;
use crate::app::{self, App};
use crate::domain::name;
use crate::http::detached::attempted;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["plan", "tenant"];

/// What the form begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Begin {
    plan: String,
    tenant: String,
}

/// `GET /catalog/{offering}/order`
///
/// # Errors
/// 404 where there is no such offering, or the tenant is not theirs to order for.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    request: HttpRequest,
    offering: Path<String>,
    begin: Params<Begin>,
) -> Result<HttpResponse, Failure> {
    let mut sheet = Sheet::open(&app, &who.caller, &offering, &begin.0.plan, &begin.0.tenant).await?;
    sheet.state = sheet.form.blank();
    sheet.judge(&app, &who.caller, &observe::call(&request)).await?;
    Ok(sheet.page(&visit, StatusCode::OK))
}

/// `POST /catalog/{offering}/order`
///
/// # Errors
/// 404 where there is no such offering, or the tenant is not theirs to order for; what is wrong with the order is on the page.
pub async fn send(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    request: HttpRequest,
    offering: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let call = observe::call(&request);
    let mut sheet = Sheet::open(&app, &who.caller, &offering, fields.text("plan"), fields.text("tenant")).await?;
    sheet.name = fields.text("name").to_owned();
    let (state, mut turned) = sheet.form.sent(fields.all());
    sheet.state = state;
    let of = fields.text("of");
    if !of.is_empty() && of != sheet.plan {
        // Another plan has another form: whoever chose it sees it before anything is ordered.
        sheet.state = sheet.form.blank().over(&sheet.state);
        turned = true;
    }
    let errand = fields.text("do");
    if turned || !matches!(errand, "check" | "order") {
        sheet.judge(&app, &who.caller, &call).await?;
        return Ok(sheet.page(&visit, StatusCode::OK));
    }
    if errand == "check" || !sheet.is_complete() {
        sheet.judge(&app, &who.caller, &call).await?;
        sheet.tells = true;
        let status = if sheet.is_wrong() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        return Ok(sheet.page(&visit, status));
    }
    let order =
        PersonalOrder { offering: offering.into_inner(), plan: sheet.plan.clone(), parameters: sheet.parameters() };
    let (hub, caller, of_call) = (app.clone(), who.caller.clone(), call.clone());
    let (tenant, name) = (sheet.tenant.clone(), sheet.name.clone());
    // What it takes to place an order is too large for the stack.
    let placed =
        attempted(async move { Box::pin(hub.order_new(&caller, &of_call, &tenant, &name, order)).await }).await;
    match placed {
        Ok(_) => Ok(visit.to(&format!("/services/{}/{}", kit::part(&sheet.tenant), kit::part(&sheet.name)))),
        Err(error) => {
            let status = sheet.refused(error)?;
            sheet.judge(&app, &who.caller, &call).await?;
            sheet.tells = true;
            Ok(sheet.page(&visit, status))
        }
    }
}

/// What the name of an instance must be, where it is not.
pub(super) fn wrong_name(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("Fill this in"),
        text if !name::is_name(text) => Some("Use 1 to 63 small letters, digits and '-'"),
        _ => None,
    }
}

/// The status of a page that shows in its form why something was not done; an error where the form is no place for it.
pub(super) fn shown_in_form(error: app::Error) -> Result<(StatusCode, app::Error), Failure> {
    if error.is_unknown() {
        return Err(error.into());
    }
    let status = match &error {
        app::Error::Answer(answer) | app::Error::Broker(answer) if answer.status < 500 => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        app::Error::Invalid(_)
        | app::Error::Unprocessable { .. }
        | app::Error::Refused { .. }
        | app::Error::OverQuota(_)
        | app::Error::Conflict { .. }
        | app::Error::InUse(_)
        | app::Error::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        app::Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ if error.is_busy() => StatusCode::SERVICE_UNAVAILABLE,
        _ => return Err(error.into()),
    };
    Ok((status, error))
}

/// What an error that is about no field in particular says, with what can be done.
pub(super) fn sentence(error: app::Error) -> String {
    let code = match &error {
        app::Error::Refused { code, .. }
        | app::Error::Conflict { code, .. }
        | app::Error::Unprocessable { code, .. } => *code,
        _ => "",
    };
    let busy = error.is_busy() || matches!(error, app::Error::Unavailable(_));
    let failure = Failure::from(error);
    let said = if failure.status_code().is_server_error() { "the hub could not do it" } else { failure.detail() };
    let remedy = verdict::remedy(code);
    let again = if busy { "Nothing was ordered: send it again in a moment." } else { "" };
    [upper(said).as_str(), remedy, again]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(". ")
        .replace(".. ", ". ")
}

/// With a capital letter.
pub(super) fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
