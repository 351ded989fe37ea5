//! `/services/{tenant}/{name}/change`: another plan or other parameters for what stands. The form is made of the plan's schema of updates
//! and filled in with what stands; only what is different is sent, and not before whoever sends it has seen what that is.
//!
//! A secret that is left empty stays as it is.

mod sheet;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use self::sheet::Sheet;
use super::fields::Fields;
use super::kit;
use super::visit::Visit;
use crate::app::App;
use crate::http::detached::attempted;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["plan"];

/// What the form begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Begin {
    plan: String,
}

/// `GET /services/{tenant}/{name}/change`
///
/// # Errors
/// 404 where there is no such instance, or it is not theirs to change.
pub async fn show(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
    begin: Params<Begin>,
) -> Result<HttpResponse, Failure> {
    let mut sheet = Sheet::open(&app, &who.caller, &path.0, &path.1, &begin.0.plan).await?;
    sheet.state = sheet.standing();
    sheet.judge(&app, &who.caller, &observe::call(&request)).await?;
    Ok(sheet.page(&visit, StatusCode::OK))
}

/// `POST /services/{tenant}/{name}/change`
///
/// # Errors
/// 404 where there is no such instance, or it is not theirs to change; what is wrong with the change is on the page.
pub async fn send(
    who: Can<Order>,
    visit: Visit,
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let call = observe::call(&request);
    let mut sheet = Sheet::open(&app, &who.caller, &path.0, &path.1, fields.text("plan")).await?;
    let (state, mut turned) = sheet.form.sent(fields.all());
    sheet.state = state;
    let of = fields.text("of");
    if !of.is_empty() && of != sheet.plan() {
        sheet.state = sheet.standing().over(&sheet.state);
        turned = true;
    }
    let errand = fields.text("do");
    sheet.judge(&app, &who.caller, &call).await?;
    if turned || !matches!(errand, "check" | "change") {
        return Ok(sheet.page(&visit, StatusCode::OK));
    }
    sheet.tells = true;
    if sheet.is_wrong() {
        return Ok(sheet.page(&visit, StatusCode::UNPROCESSABLE_ENTITY));
    }
    // What was not seen before is shown first.
    if errand == "check" || sheet.is_idle() || fields.text("seen") != sheet.digest() {
        return Ok(sheet.page(&visit, StatusCode::OK));
    }
    let order = sheet.order();
    let (hub, caller, of_call) = (app.clone(), who.caller.clone(), call.clone());
    let (tenant, name) = path.into_inner();
    let back = format!("/services/{}/{}", kit::part(&tenant), kit::part(&name));
    match attempted(async move { hub.order(&caller, &of_call, &tenant, &name, order).await }).await {
        Ok(_) => Ok(visit.to(&back)),
        Err(error) => {
            let status = sheet.refused(error)?;
            Ok(sheet.page(&visit, status))
        }
    }
}
