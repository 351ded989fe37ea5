//! `/catalog`: what can be ordered. The search comes first, then what narrows it; each choice is a link, so that every view has an
//! address of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::frame::Page;
use super::kit::{self, Tone};
use super::shown;
use super::visit::Visit;
use crate::app::App;
use crate::app::prices::PlanPrice;
use crate::app::registry::OfferingView;
use crate::domain::catalog::{Plan, State};
use crate::domain::meter::Meter;
use crate::domain::tariff::Tariffs;
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeOfferings};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["q", "tenant", "category", "provider", "price", "stage", "page"];
/// Offerings on one page.
const SHOWN: usize = 24;
/// Values of one facet that are offered.
const VALUES_MAX: usize = 12;

/// What is looked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    tenant: String,
    category: String,
    provider: String,
    price: String,
    stage: String,
    page: usize,
}

/// An offering with what it is narrowed by.
struct Entry {
    view: OfferingView,
    category: String,
    price: &'static str,
}

impl Entry {
    fn new(view: OfferingView, tariffs: Option<&Arc<Tariffs>>) -> Self {
        let category = category(&view.offering().document).to_owned();
        let name = &view.offering().name;
        let priced = view.plans().any(|plan| price_of(tariffs, name, plan).is_some());
        let free = view.plans().all(is_free);
        let price = if priced {
            "priced"
        } else if free {
            "free"
        } else {
            "not known"
        };
        Self { view, category, price }
    }

    /// Its value of a facet.
    fn value(&self, facet: Facet) -> &str {
        match facet {
            Facet::Category => &self.category,
            Facet::Provider => self.view.broker(),
            Facet::Price => self.price,
            Facet::Stage => self.view.stage.as_str(),
        }
    }
}

/// What a search is narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facet {
    Category,
    Provider,
    Price,
    Stage,
}

impl Facet {
    const ALL: [Self; 4] = [Self::Category, Self::Provider, Self::Price, Self::Stage];

    fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Provider => "provider",
            Self::Price => "price",
            Self::Stage => "stage",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Category => "Category",
            Self::Provider => "Provider",
            Self::Price => "Price",
            Self::Stage => "Lifecycle",
        }
    }

    fn chosen(self, wanted: &Wanted) -> &str {
        match self {
            Self::Category => &wanted.category,
            Self::Provider => &wanted.provider,
            Self::Price => &wanted.price,
            Self::Stage => &wanted.stage,
        }
    }
}

/// `GET /catalog`
///
/// # Errors
/// 404 where the tenant is not theirs to see.
pub async fn show(
    who: Can<SeeOfferings>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let tenant = Some(wanted.tenant.as_str()).filter(|tenant| !tenant.is_empty());
    let tenants = app.offered_tenants(&who.caller, tenant).await?;
    let tariffs = app.tariffs().await?;
    let found = app.search(&who.caller, &wanted.q, tenants.as_deref());
    let entries: Vec<Entry> = found.into_iter().map(|view| Entry::new(view, tariffs.as_ref())).collect();
    let fits = |entry: &Entry, but: Option<Facet>| {
        let chosen = |facet: &Facet| Some(*facet) != but && !facet.chosen(&wanted).is_empty();
        Facet::ALL.iter().filter(|facet| chosen(facet)).all(|facet| entry.value(*facet) == facet.chosen(&wanted))
    };
    let shown: Vec<&Entry> = entries.iter().filter(|entry| fits(entry, None)).collect();
    let first = wanted.page.min(10_000) * SHOWN;
    let here: Vec<&Entry> = shown.iter().skip(first).take(SHOWN).copied().collect();
    Ok(Page::new(&visit, "Catalog").show(html! {
        (search(&wanted))
        div.with-side {
            nav.side aria-label="Narrow the search" {
                @for facet in Facet::ALL {
                    (values(&visit, facet, &wanted, entries.iter().filter(|entry| fits(entry, Some(facet)))))
                }
            }
            section aria-label="Offerings" {
                p.count role="status" { (told(shown.len(), &wanted)) }
                @if !wanted.tenant.is_empty() {
                    p.tags { a.badge.plain href=(kit::with(&kit::with(&visit.address, "page", ""), "tenant", "")) aria-current="true" {
                        "for " (wanted.tenant) span.hidden-text { " (chosen: choose to take it back)" } " ×"
                    } }
                }
                @if shown.is_empty() { (nothing(entries.is_empty(), &wanted)) }
                ul.cards { @for entry in here { li { (card(entry, tariffs.as_ref(), &wanted.tenant)) } } }
                (pages(&visit, wanted.page.min(10_000), shown.len()))
            }
        }
        (kit::same_by_program(&by_curl(&wanted), Some(&by_command(&wanted))))
    }))
}

fn search(wanted: &Wanted) -> Markup {
    html! {
        form.search role="search" method="get" action="/catalog" {
            label for="q" { "What do you need?" }
            div.search-line {
                input id="q" name="q" type="search" value=(wanted.q) placeholder="network, vault, repository …" autocomplete="off";
                @if !wanted.tenant.is_empty() { input type="hidden" name="tenant" value=(wanted.tenant); }
                button type="submit" { "Search" }
            }
        }
    }
}

fn values<'a>(visit: &Visit, facet: Facet, wanted: &Wanted, entries: impl Iterator<Item = &'a Entry>) -> Markup {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *counted.entry(entry.value(facet)).or_default() += 1;
    }
    let chosen = facet.chosen(wanted);
    let mut counted: Vec<_> = counted.into_iter().filter(|(value, _)| !value.is_empty()).collect();
    counted.sort_by_key(|(value, count)| (*value != chosen, std::cmp::Reverse(*count)));
    let address = kit::with(&visit.address, "page", "");
    html! {
        @if !counted.is_empty() {
            h2 { (facet.label()) }
            ul.facet {
                @for (value, count) in counted.into_iter().take(VALUES_MAX) {
                    @let on = value == chosen;
                    li {
                        a href=(kit::with(&address, facet.name(), if on { "" } else { value })) aria-current=[on.then_some("true")] {
                            (value) " " span.number { (count) }
                            @if on { span.hidden-text { " (chosen: choose again to take it back)" } }
                        }
                    }
                }
            }
        }
    }
}

fn told(count: usize, wanted: &Wanted) -> String {
    let offerings = shown::count(count, "offering", "offerings");
    if wanted.q.is_empty() { offerings } else { format!("{offerings} for “{}”", wanted.q) }
}

fn nothing(at_all: bool, wanted: &Wanted) -> Markup {
    match (at_all, wanted.q.is_empty()) {
        (true, true) => kit::empty(
            "Nothing can be ordered yet",
            "As soon as a service broker is registered and what it offers is visible to you, it stands here.",
            None,
        ),
        _ => kit::empty(
            "Nothing fits",
            "Try fewer or other words, or take back what narrows the search.",
            Some(("Show everything", &kit::with("/catalog", "tenant", &wanted.tenant))),
        ),
    }
}

/// Where an offering's page is, or one below it; for a tenant, where it was looked for on behalf of one.
pub(super) fn at(offering: &str, tenant: &str) -> String {
    kit::with(&format!("/catalog/{}", kit::part(offering)), "tenant", tenant)
}

fn card(entry: &Entry, tariffs: Option<&Arc<Tariffs>>, tenant: &str) -> Markup {
    let offering = entry.view.offering();
    let text = |place: &str| offering.document.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let display = text("/metadata/displayName");
    let display = if display.is_empty() { offering.name.as_str() } else { display };
    let plans = entry.view.plans().filter(|plan| plan.state == State::Available).count();
    html! {
        article.card {
            h2 { a href=(at(&offering.name, tenant)) { (display) } }
            p.under { code { (offering.name) } " by " (provider(&entry.view)) }
            p { (text("/description")) }
            p.tags {
                (stage(&entry.view))
                @if !entry.category.is_empty() { (kit::badge(Tone::Plain, &entry.category)) }
            }
            p.price {
                @match cheapest(&entry.view, tariffs) {
                    Some(words) => { (words) },
                    None => { @if entry.price == "free" { "Free" } @else { "No price yet" } },
                }
                span.under { " · " (shown::count(plans, "plan", "plans")) }
            }
        }
    }
}

/// The state of an offering, where it is not simply there to be ordered.
pub(super) fn stage(view: &OfferingView) -> Markup {
    let state = view.offering().state;
    html! {
        @match (view.stage, state) {
            (Stage::Published, State::Available) => {},
            (Stage::Draft, _) => { (kit::badge(Tone::Busy, "draft")) },
            (Stage::Deprecated, _) => { (kit::badge(Tone::Warn, "deprecated")) },
            (Stage::Retired, _) => { (kit::badge(Tone::Bad, "retired")) },
            (Stage::Published, _) => { (kit::badge(Tone::Bad, "can't be ordered")) },
        }
    }
}

/// Who runs an offering: what its broker says, else the broker.
pub(super) fn provider(view: &OfferingView) -> &str {
    let said = view.offering().document.pointer("/metadata/providerDisplayName").and_then(Value::as_str);
    said.filter(|said| !said.is_empty()).unwrap_or_else(|| view.broker())
}

fn category(document: &Value) -> &str {
    document.pointer("/metadata/x-focus/service_category").and_then(Value::as_str).unwrap_or_default()
}

/// What a plan costs by the price book in force.
pub(super) fn price_of(tariffs: Option<&Arc<Tariffs>>, offering: &str, plan: &Plan) -> Option<PlanPrice> {
    PlanPrice::of(tariffs?, offering, &plan.name, &Meter::declared(&plan.document).0)
}

/// Whether its broker says that it costs nothing; it does where it says nothing (PLN-05).
pub(super) fn is_free(plan: &Plan) -> bool {
    plan.document.get("free").and_then(Value::as_bool).unwrap_or(true)
}

/// Whether its broker says so itself, which a review wants.
pub(super) fn says_free(plan: &Plan) -> bool {
    plan.document.get("free").and_then(Value::as_bool) == Some(true)
}

/// The first plan's price in one sentence: brokers list plans from the smallest up.
fn cheapest(view: &OfferingView, tariffs: Option<&Arc<Tariffs>>) -> Option<String> {
    let tariffs = tariffs?;
    let mut priced = view.plans().filter_map(|plan| price_of(Some(tariffs), &view.offering().name, plan));
    let first = priced.next()?;
    let more = first.lines.len() > 1 || priced.next().is_some();
    Some(shown::price(&first.lines.first()?.words(&tariffs.currency), more))
}

fn pages(visit: &Visit, page: usize, count: usize) -> Markup {
    let last = count.saturating_sub(1) / SHOWN;
    let at = |page: usize| kit::with(&visit.address, "page", &if page == 0 { String::new() } else { page.to_string() });
    html! {
        @if last > 0 {
            nav.pager aria-label="Pages" {
                @if page > 0 { a rel="prev" href=(at(page - 1)) { "Previous page" } }
                span { "Page " (page + 1) " of " (last + 1) }
                @if page < last { a rel="next" href=(at(page + 1)) { "Next page" } }
            }
        }
    }
}

fn by_curl(wanted: &Wanted) -> String {
    let query = serde_urlencoded::to_string([("q", &wanted.q)]).unwrap_or_default();
    format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/offerings?{query}\"")
}

fn by_command(wanted: &Wanted) -> String {
    if wanted.q.is_empty() {
        "bourse offerings".to_owned()
    } else {
        format!("bourse offerings '{}'", wanted.q.replace('\'', ""))
    }
}
