//! `/services`: all services of one's tenants, the newest first, and those that others share; what waits is told with each.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::frame::Page;
use super::super::kit;
use super::super::shown;
use super::super::visit::Visit;
use super::{at, money, words};
use crate::app::services::list::{ServiceFilter, ServiceItem};
use crate::app::{App, Listed};
use crate::domain::instance::InstanceState;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{self, PageOut};
use crate::http::permits::{Can, ReadOrder};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["q", "tenant", "state", "offering", "cursor"];
/// Services on one page.
const SHOWN: u32 = 25;
/// Tenants that are offered to choose from.
const TENANTS_MAX: u32 = 100;

/// What is looked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    tenant: String,
    state: String,
    offering: String,
    cursor: String,
}

impl Wanted {
    fn is_narrow(&self) -> bool {
        [&self.q, &self.tenant, &self.state, &self.offering].into_iter().any(|text| !text.is_empty())
    }
}

/// `GET /services`
///
/// # Errors
/// 404 where the tenant is not theirs to see; 400 where the cursor is none.
pub async fn show(
    who: Can<ReadOrder>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let shared = if wanted.is_narrow() || !wanted.cursor.is_empty() {
        Vec::new()
    } else {
        app.shared_services(&who.caller).await?
    };
    if Permission::SeeOrders.sight(&who.caller).is_none() {
        let program = kit::same_by_program(&by_curl(&Wanted::default()), Some("bourse instance list"));
        return Ok(Page::new(&visit, "My services").show(html! {
            @if shared.is_empty() {
                (kit::empty("Nothing is shared with you", "What an owner of a tenant shares with you stands here for as long as they allow.", None))
            } @else { (table("Shared with you, the newest first", &shared, true, false)) }
            (program)
        }));
    }
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let state = named(&wanted.state).map(|word| {
        let unknown = || crate::app::Error::Malformed(format!("there is no state `{word}`"));
        InstanceState::parse(&word).ok_or_else(unknown)
    });
    let filter = ServiceFilter {
        words: wanted.q.clone(),
        tenant: named(&wanted.tenant),
        offering: named(&wanted.offering),
        state: state.transpose()?,
    };
    let page = page::page(Some(SHOWN), named(&wanted.cursor).as_deref())?;
    let listed = app.service_list(&who.caller, &filter, &page).await?;
    let tenants = match Permission::SeeTenants.sight(&who.caller) {
        Some(sight) => app.tenants(&sight, &crate::app::Page { limit: TENANTS_MAX, after: String::new() }).await?,
        None => Listed { items: Vec::new(), next: None },
    };
    // Of too many tenants nobody chooses from a list.
    let tenants: Vec<String> = match tenants.next {
        Some(_) => Vec::new(),
        None => tenants.items.into_iter().map(|view| view.tenant.name).collect(),
    };
    let PageOut { items, next } = PageOut::from(listed);
    Ok(Page::new(&visit, "My services").show(html! {
        (narrow(&visit, &wanted, &tenants))
        @if items.is_empty() { (nothing(&wanted, next.is_some())) }
        @else { (table("The newest first", &items, tenants.len() != 1, true)) }
        (kit::pager(&visit, next.as_deref()))
        @if !shared.is_empty() {
            section aria-labelledby="shared" {
                h2 id="shared" { "Shared with you" }
                (table("Of other tenants, the newest first", &shared, true, false))
            }
        }
        (kit::same_by_program(&by_curl(&wanted), Some(&by_command(&wanted))))
    }))
}

fn narrow(visit: &Visit, wanted: &Wanted, tenants: &[String]) -> Markup {
    let states =
        [InstanceState::Ready, InstanceState::WaitingApproval, InstanceState::Provisioning, InstanceState::Updating]
            .into_iter()
            .chain([
                InstanceState::Deprovisioning,
                InstanceState::Unresolved,
                InstanceState::Failed,
                InstanceState::Gone,
            ]);
    let all = std::iter::once(("", "All but deleted"));
    let address = kit::with(&visit.address, "cursor", "");
    html! {
        form.search role="search" method="get" action="/services" {
            label for="q" { "Find a service by its name" }
            div.search-line {
                input id="q" name="q" type="search" value=(wanted.q) autocomplete="off" maxlength="100";
                @if tenants.len() > 1 {
                    label.hidden-text for="tenant" { "Tenant" }
                    select id="tenant" name="tenant" {
                        option value="" { "All tenants" }
                        @for name in tenants { option value=(name) selected[*name == wanted.tenant] { (name) } }
                    }
                } @else if !wanted.tenant.is_empty() { input type="hidden" name="tenant" value=(wanted.tenant); }
                @if !wanted.state.is_empty() { input type="hidden" name="state" value=(wanted.state); }
                @if !wanted.offering.is_empty() { input type="hidden" name="offering" value=(wanted.offering); }
                button type="submit" { "Find" }
            }
        }
        nav.chips aria-label="Narrow by state" {
            ul {
                @for (word, text) in all.chain(states.map(|state| (state.as_str(), words::in_words(state).1))) {
                    li {
                        a.badge.plain href=(kit::with(&address, "state", word))
                            aria-current=[(word == wanted.state).then_some("true")] { (text) }
                    }
                }
                @if !wanted.offering.is_empty() {
                    li { a.badge.plain href=(kit::with(&address, "offering", "")) aria-current="true" {
                        "of " (wanted.offering) span.hidden-text { " (chosen: choose to take it back)" } " ×"
                    } }
                }
            }
        }
    }
}

fn nothing(wanted: &Wanted, more: bool) -> Markup {
    if more {
        return kit::empty("Nothing found so far", "Much had to be looked through. The next page looks further.", None);
    }
    if !wanted.cursor.is_empty() {
        return kit::empty("That was all", "There are no more services.", Some(("First page", "/services")));
    }
    if wanted.is_narrow() {
        let text = "Try other words, or take back what narrows the list.";
        return kit::empty("Nothing fits", text, Some(("Show all services", "/services")));
    }
    let text = "What you or your colleagues order stands here, with its state and what it costs.";
    kit::empty("There are no services yet", text, Some(("Look what can be ordered", "/catalog")))
}

/// What a service's page is called by in the list: one that is gone by its id, since its name may mean another.
fn key(item: &ServiceItem) -> &str {
    let row = &item.instance.row;
    let name = row.name.as_deref().filter(|_| item.by_name && row.state != InstanceState::Gone);
    name.unwrap_or(&row.id)
}

/// What others share is told without what it costs, and without ways to what is not shared.
fn table(caption: &str, items: &[ServiceItem], with_tenant: bool, own: bool) -> Markup {
    let mut heads = vec!["Service", "State", "Since"];
    if own {
        heads.insert(2, "Cost this month");
    }
    if with_tenant {
        heads.insert(1, "Tenant");
    }
    let rows: Vec<Vec<Markup>> = items
        .iter()
        .map(|item| {
            let row = &item.instance.row;
            let name = row.name.as_deref().unwrap_or(&row.platform_instance_id);
            let waits = words::waits(row.state, item.under_way.as_ref());
            // Who has to agree is told by the page.
            let under_way = item.under_way.as_ref().filter(|_| row.state != InstanceState::WaitingApproval);
            let said = under_way.and_then(|under_way| under_way.description.as_deref());
            let mut cells = vec![
                html! {
                    a.strong href=(at(&item.instance.tenant, key(item))) { (name) }
                    br;
                    span.under {
                        @if own { a href=(kit::with("/services", "offering", &item.instance.offering)) { (item.instance.offering) } }
                        @else { (item.instance.offering) }
                        ", " (item.instance.plan)
                        @if !item.by_name { ", ordered at " (item.instance.platform) }
                    }
                },
                html! {
                    (words::state(row.state))
                    @if let Some(waits) = waits { br; span.under { (waits) @if let Some(said) = said { ": " (said) } } }
                },
                shown::day(row.created_at),
            ];
            if own {
                cells.insert(2, money::so_far(item.cost.as_ref(), row.ready_at.is_some()));
            }
            if with_tenant {
                cells.insert(1, html! { (item.instance.tenant) });
            }
            cells
        })
        .collect();
    kit::table(caption, &heads, &rows)
}

fn by_curl(wanted: &Wanted) -> String {
    let pairs = [("tenant", &wanted.tenant), ("state", &wanted.state), ("offering", &wanted.offering)];
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let query = if query.is_empty() { query } else { format!("?{query}") };
    format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/instances{query}\"")
}

fn by_command(wanted: &Wanted) -> String {
    if wanted.tenant.is_empty() {
        "bourse instance list".to_owned()
    } else {
        format!("bourse list --tenant {}", wanted.tenant)
    }
}
