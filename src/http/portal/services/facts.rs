//! What a service is, at a glance: whose, of what, since when, where it is managed, and what it hangs together with.

use maud::{Markup, html};

use super::super::kit;
use super::super::shown;
use super::{at, words};
use crate::app::services::one::{Linked, Service};
use crate::clock::Time;
use crate::domain::operation::OperationKind;

/// Names of dependents that are shown before the rest is told by its number.
const SHOWN_MAX: usize = 20;

/// What it is.
pub(super) fn facts(service: &Service) -> Markup {
    let view = &service.instance;
    let row = &view.row;
    let first = service.operations.iter().rev().find(|operation| operation.kind == OperationKind::Provision);
    let mut rows = vec![
        (
            "Tenant",
            html! {
                @if service.shared { (view.tenant) ", which shares it with you" }
                @else { a href=(kit::with("/services", "tenant", &view.tenant)) { (view.tenant) } }
            },
        ),
        (
            "Offering",
            html! {
                // Whom it is shared with need not be somebody who may look at the catalog.
                @if service.shared { (view.offering) }
                @else { a href={ "/catalog/" (kit::part(&view.offering)) } { (view.offering) } }
                ", plan " strong { (view.plan) }
            },
        ),
        ("Made by", html! { "broker " (view.broker) }),
        (
            "Ordered",
            html! {
                (shown::time(row.created_at))
                @if let Some(first) = first { " by " (words::who(&first.actor)) }
                @if !service.by_name { " at the platform " (view.platform) }
            },
        ),
    ];
    if let Some(at) = row.ready_at {
        rows.push(("Ready since", shown::time(at)));
    }
    if let Some(address) = dashboard(view.dashboard_url().as_deref()) {
        rows.push(("Dashboard", address));
    }
    if !service.references.is_empty() {
        rows.push(("Depends on", html! {
            ul.plain { @for (place, other) in &service.references { li { (link(other)) " " span.under { "as " code { (place) } } } } }
        }));
    }
    if !service.dependents.is_empty() {
        rows.push(("Needed by", dependents(&service.dependents)));
    }
    if let Some(shared) = shared(service) {
        rows.push(("Shared with", shared));
    }
    rows.push(("Id", html! { code { (row.id) } }));
    kit::facts(&rows)
}

/// Whom it is shared with, and the way to where that is said, for whoever may say it.
fn shared(service: &Service) -> Option<Markup> {
    let grants = service.grants.as_deref().unwrap_or_default();
    let shares = service.may_share && service.instance.row.gone_at.is_none();
    if grants.is_empty() && !shares {
        return None;
    }
    let row = &service.instance.row;
    let key = if service.by_name { row.name.as_deref().unwrap_or(&row.id) } else { &row.id };
    Some(html! {
        @if grants.is_empty() { p { "nobody outside its tenant" } }
        ul.plain { @for grant in grants {
            li { (grant.user) " (" (grant.role.as_str()) ") until " (shown::time(grant.expires_at)) }
        } }
        @if shares { a href={ (at(&service.instance.tenant, key)) "/grants" } { "Say who else may see it" } }
    })
}

/// Where it is managed, as its broker says: only an address of the web is a link.
fn dashboard(address: Option<&str>) -> Option<Markup> {
    let address = address.filter(|address| !address.is_empty())?;
    Some(html! {
        @if address.starts_with("https://") || address.starts_with("http://") {
            a href=(address) rel="noopener noreferrer" { (address) }
        } @else { (address) }
    })
}

/// A link to another service.
pub(super) fn link(other: &Linked) -> Markup {
    html! { a href=(at(&other.tenant, &other.key)) { (other.name) } }
}

/// Those who refer to a service.
pub(super) fn dependents(all: &[Linked]) -> Markup {
    html! {
        ul.plain { @for other in all.iter().take(SHOWN_MAX) { li { (link(other)) } } }
        @if all.len() > SHOWN_MAX { p { "and " (all.len() - SHOWN_MAX) " more" } }
    }
}

/// What was told about it.
pub(super) fn events(service: &Service) -> Markup {
    if service.events.is_empty() {
        return html! { p.under { "Nothing was told about it yet." } };
    }
    let rows: Vec<Vec<Markup>> = service
        .events
        .iter()
        .map(|(kind, at, document)| {
            let document: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
            let reason = document.pointer("/data/reason").and_then(serde_json::Value::as_str).unwrap_or_default();
            vec![when(*at), html! { code { (kind) } }, html! { (reason) }]
        })
        .collect();
    kit::table("What was told to others, the newest first", &["When", "Event", "Why"], &rows)
}

fn when(at: Time) -> Markup {
    shown::time(at)
}
