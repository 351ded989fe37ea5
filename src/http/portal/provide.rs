//! `/provider`: the console of those who answer for brokers: their brokers, what is wrong with them, and what was ordered from them. One
//! of them is the very page that operators have ([`super::operate::brokers`]).

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::html;

use super::frame::Page;
use super::kit;
use super::operate::brokers;
use super::visit::Visit;
use crate::app::App;
use crate::app::registry::BrokerView;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ChangeBrokers};

/// `GET /provider`
///
/// # Errors
/// [`Failure`].
pub async fn begin(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<BrokerView> = app.brokers(&who.sight, params.0.page()?).await?.into();
    Ok(Page::new(&visit, "Provide").show(html! {
        @if listed.items.is_empty() {
            (kit::empty("There is no broker that you answer for", "Whoever runs this marketplace registers brokers and says who answers for them.", None))
        } @else {
            p.lead { "The service brokers that you answer for." }
            (brokers::table(&listed.items, "/provider/brokers"))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/brokers\"", None))
    }))
}
