//! `/provider/brokers/{name}/change` and `/operator/brokers/{name}/change`: how a broker is reached and treated. Only what is another than
//! before is sent on; what is secret stays as it is where nothing is typed.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;

use super::inputs::{For, inputs};
use super::register::{PLACES, operates};
use super::typed::Typed;
use super::{around, within_catalog};
use crate::app::registry::BrokerView;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::http::error::Failure;
use crate::http::permits::{Can, ChangeBrokers};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit;
use crate::http::portal::visit::Visit;

/// `GET …/brokers/{name}/change`
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn show(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    Ok(page(&who.caller, &visit, &view, &Typed::of(&view), &Wrong::default()))
}

/// `POST …/brokers/{name}/change`
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn change(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    let typed = Typed::read(&fields);
    let wrong = match typed.change(&view) {
        Err(wrong) => wrong,
        Ok(None) => Wrong::field("", "Nothing here is another than it stands"),
        Ok(Some(change)) => {
            let expected = typed.version.parse().map_err(|_| app::Error::Stale);
            let changed = match expected {
                Ok(expected) => app.patch_broker(&who.caller, &name, change, Some(expected)).await,
                Err(error) => Err(error),
            };
            match changed {
                Ok(_) => {
                    let place = visit.path().trim_end_matches("/change");
                    return Ok(visit.to(&format!("{place}?done=changed")));
                }
                Err(error) => Wrong::of(within_catalog(error), PLACES)?,
            }
        }
    };
    let view = app.broker(&who.sight, &name).await?;
    Ok(page(&who.caller, &visit, &view, &typed, &wrong))
}

fn page(caller: &Caller, visit: &Visit, view: &BrokerView, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let name = view.row.name.as_str();
    let title = format!("Change {name}");
    let whose = For { operator: operates(caller), change: true, told_all: view.row.settings.stamp.fields.is_none() };
    Page::new(visit, &title).above(around(visit, caller, name)).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            input type="hidden" name="version" value=(view.row.version);
            (inputs(typed, whose, wrong))
            p.actions { button type="submit" { "Change the broker" } a href=(visit.path().trim_end_matches("/change")) { "Back" } }
        }
        p.under { "At another address it is another broker to the conformance suite: it has to be judged again before what it offers is published." }
        (kit::same_by_program(
            &format!("curl -X PATCH -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"timeout_ms\": 20000}}' \"$HUB/api/v1/brokers/{}\"", kit::part(name)),
            Some(&format!("bourse broker update {name} --broker-url \"$BROKER_URL\" --broker-username hub")),
        ))
    })
}
