//! `/catalog/{offering}`: what an offering is, its plans side by side, and who runs it. With `?tenant=` as that tenant may order it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::catalog::{at, is_free, price_of, provider, stage};
use super::frame::Page;
use super::kit::{self, Tone};
use super::visit::Visit;
use super::{shell, shown};
use crate::app::App;
use crate::app::registry::{OfferingView, ReadyTimes};
use crate::domain::catalog::{Plan, State};
use crate::domain::permission::Permission;
use crate::domain::tariff::Tariffs;
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeOfferings};

/// The query parameters of the page.
pub const QUERY: &[&str] = &["tenant"];

/// For whom it is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Whose {
    tenant: String,
}

/// `GET /catalog/{offering}`
///
/// # Errors
/// 404 where there is none of that name that they may see, or the tenant is not theirs to see.
pub async fn show(
    who: Can<SeeOfferings>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    whose: Params<Whose>,
) -> Result<HttpResponse, Failure> {
    let tenant = whose.0.tenant.as_str();
    let tenants = app.offered_tenants(&who.caller, Some(tenant).filter(|tenant| !tenant.is_empty())).await?;
    let view = app.offering(&who.caller, &name, tenants.as_deref())?;
    let tariffs = app.tariffs().await?;
    let (ready, refers) = (app.ready_times(&view).await?, app.refers_to(&who.caller, &view, tenants.as_deref()));
    let orders = Permission::Order.sight(&who.caller).is_some();
    // Whoever may not order for the tenant that they look for orders for one of their own.
    let asks = orders && !tenant.is_empty();
    let ours = if asks { app.tenants_to_order_for(&who.caller, tenant).await?.names } else { Vec::new() };
    let payer = if ours.iter().any(|name| name == tenant) { tenant } else { "" };
    let offering = view.offering();
    let text = |place: &str| offering.document.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let display = Some(text("/metadata/displayName")).filter(|name| !name.is_empty()).unwrap_or(&offering.name);
    let plans: Vec<&Plan> = view.plans().filter(|plan| plan.state == State::Available).collect();
    let trail = kit::trail(&[("Catalog", &kit::with("/catalog", "tenant", tenant))]);
    Ok(Page::new(&visit, display).above(trail).show(html! {
        p.lead { (text("/description")) }
        (lifecycle(&view, tenant))
        @if !text("/metadata/longDescription").is_empty() { p { (text("/metadata/longDescription")) } }
        section aria-labelledby="plans" {
            h2 id="plans" { "Plans" }
            @if plans.is_empty() { (kit::empty("No plan can be ordered", "Its broker offers none at the moment.", None)) }
            ul.cards.plans {
                @for plan in &plans {
                    li { (card(&view, plan, tariffs.as_ref(), orders.then_some(payer))) }
                }
            }
        }
        section aria-labelledby="about" {
            h2 id="about" { "About" }
            (facts(&view, ready, &refers, tenant))
        }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/offerings?q={}\"", kit::part(&offering.name)),
            Some(&format!("bourse offerings {}", shell::word(&offering.name))),
        ))
    }))
}

fn lifecycle(view: &OfferingView, tenant: &str) -> Markup {
    let successor = view.lifecycle.successor.as_deref();
    let instead = |name: &str| html! { " " a href=(at(name, tenant)) { (name) } " takes its place." };
    match view.stage {
        Stage::Published if view.offering().state == State::Available => html! {},
        Stage::Published => kit::notice(
            Tone::Bad,
            &html! { p { "Its broker's catalog has something wrong here, so that it can't be ordered." } },
        ),
        Stage::Draft => {
            kit::notice(Tone::Busy, &html! { p { "This is a draft: only named pilot tenants may order it." } })
        }
        Stage::Deprecated => kit::notice(
            Tone::Warn,
            &html! {
                p { "This is being retired" @if let Some(sunset) = view.lifecycle.sunset { " on " (shown::day(sunset)) }
                    ". What was ordered keeps working." @if let Some(name) = successor { (instead(name)) } }
            },
        ),
        Stage::Retired => kit::notice(
            Tone::Bad,
            &html! {
                p { "This can't be ordered any more. What was ordered keeps working." @if let Some(name) = successor { (instead(name)) } }
            },
        ),
    }
}

/// A plan; with the way to its order for whom it may be ordered, empty where that is open.
fn card(view: &OfferingView, plan: &Plan, tariffs: Option<&Arc<Tariffs>>, orders: Option<&str>) -> Markup {
    let offering = &view.offering().name;
    let text = |place: &str| plan.document.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let display = Some(text("/metadata/displayName")).filter(|name| !name.is_empty()).unwrap_or(&plan.name);
    let bullets = plan.document.pointer("/metadata/bullets").and_then(Value::as_array).into_iter().flatten();
    let bullets: Vec<&str> = bullets.filter_map(Value::as_str).take(12).collect();
    let price = price_of(tariffs, offering, plan);
    let may = orders.filter(|_| matches!(view.stage, Stage::Published | Stage::Deprecated | Stage::Draft));
    html! {
        article.card.plan {
            h3 { (display) }
            p.under { code { (plan.name) } }
            p { (text("/description")) }
            @if !bullets.is_empty() { ul.bullets { @for bullet in bullets { li { (bullet) } } } }
            div.price {
                @match (&price, tariffs) {
                    (Some(price), Some(tariffs)) => {
                        ul.plain { @for line in &price.lines { li { (line.words(&tariffs.currency)) } } }
                    },
                    _ => { p { @if is_free(plan) { "Free" } @else { "No price yet" } } },
                }
            }
            @if let Some(tenant) = may {
                @let order = format!("/catalog/{}/order?plan={}", kit::part(offering), kit::part(&plan.name));
                p.actions {
                    a.button href=(kit::with(&order, "tenant", tenant)) {
                        "Order" span.hidden-text { " " (display) }
                    }
                }
            }
        }
    }
}

fn facts(view: &OfferingView, ready: Option<ReadyTimes>, refers: &BTreeSet<String>, tenant: &str) -> Markup {
    let document = &view.offering().document;
    let text = |place: &str| document.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty());
    let link = |place: &str| {
        // Addresses come from the broker: only those of the web are links.
        text(place).map(|address| {
            html! {
                @if address.starts_with("https://") || address.starts_with("http://") {
                    a href=(address) rel="noopener noreferrer" { (address) }
                } @else { (address) }
            }
        })
    };
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let tags: Vec<&str> = tags.take(30).collect();
    let bindable = document.get("bindable").and_then(Value::as_bool).unwrap_or_default();
    let mut rows = vec![
        ("Name", html! { code { (view.offering().name) } " " (stage(view)) }),
        ("Run by", html! { (provider(view)) }),
        ("Service broker", html! { code { (view.broker()) } }),
        ("Credentials", html! { @if bindable { "given by bindings" } @else { "none: it can't be bound to" } }),
    ];
    rows.push(("Time from order to ready", html! {
        @match ready {
            Some(ready) => {
                "half of the orders took less than " (took(ready.median)) ", nine in ten less than " (took(ready.most))
                span.under { " (the latest " (shown::count(ready.orders, "order", "orders")) ", waits for a yes included)" }
            },
            None => { "not measured yet: nobody has ordered it lately" },
        }
    }));
    if !refers.is_empty() {
        rows.push((
            "Works together with",
            html! {
                @for name in refers { a href=(at(name, tenant)) { (name) } " " }
            },
        ));
    }
    for (name, place) in [("Documentation", "/metadata/documentationUrl"), ("Support", "/metadata/supportUrl")] {
        rows.push((name, link(place).unwrap_or_else(|| html! { "not given" })));
    }
    if !tags.is_empty() {
        rows.push(("Tags", html! { span.tags { @for tag in &tags { a.badge.plain href=(kit::with(&kit::with("/catalog", "tenant", tenant), "q", tag)) { (tag) } " " } } }));
    }
    kit::facts(&rows)
}

/// A time to within what matters to whoever waits: whole seconds, rounded up.
fn took(time: Duration) -> String {
    shown::duration(time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
}
