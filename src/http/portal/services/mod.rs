//! My services: the list of them, a page for each ([`show`]) that keeps itself up to date ([`live`]), its deletion, and its bindings.
//!
//! A service is called by its tenant and the name that it was ordered by, or by its id where it was ordered at a platform or is only a
//! memory. Invariant: credentials are in the answer to a POST alone.

mod bind;
pub mod binding;
pub mod delete;
mod facts;
pub mod grants;
pub mod list;
pub mod live;
mod money;
pub mod new_binding;
mod parameters;
pub mod revoke;
pub mod rotate;
pub mod show;
mod timeline;
mod words;

use maud::{Markup, html};

use super::kit;
use super::visit::Visit;
use crate::app::App;
use crate::app::services::one::Service;
use crate::domain::caller::Caller;
use crate::http::error::Failure;

/// Where a service's page is.
pub(super) fn at(tenant: &str, key: &str) -> String {
    format!("/services/{}/{}", kit::part(tenant), kit::part(key))
}

/// The way from the list down to a service.
fn trail(service: &Service, here: &str) -> Markup {
    let name = called(service);
    kit::trail(&[("My services", "/services"), (name, here)])
}

/// What people call it.
fn called(service: &Service) -> &str {
    let row = &service.instance.row;
    row.name.as_deref().unwrap_or(&row.platform_instance_id)
}

/// A service that whoever asks orders for and that was ordered by name: what alone can be bound to and deleted here.
async fn own(app: &App, caller: &Caller, (tenant, name): (&str, &str)) -> Result<Service, Failure> {
    let service = app.service(caller, tenant, name).await?;
    if !service.may_order {
        let message = "only members and owners of its tenant change a service".to_owned();
        return Err(crate::app::Error::Forbidden(message).into());
    }
    if !service.by_name {
        let message = format!(
            "it was ordered at the platform {}: change it, bind to it and delete it there",
            service.instance.platform
        );
        return Err(crate::app::Error::conflict("of_a_platform", message).into());
    }
    Ok(service)
}

/// The part of a page that follows a service: what is within is taken anew from the page whenever it changed.
fn following(visit: &Visit, address: &str, seen: &str, body: &Markup) -> Markup {
    html! {
        div #live data-live data-live-page=(visit.path()) data-live-from={ (address) "/live" } data-live-seen=(seen) { (body) }
    }
}
