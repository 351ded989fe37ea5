//! `/operator/tenants`: tenants with their members, identities and quotas; to suspend one, and to let it order again. How one
//! is taken down is in [`super::offboard`], how one is made, changed and deleted in [`write`] and [`delete`].

pub mod delete;
pub mod write;

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts;
use crate::app::App;
use crate::app::context_updates::ContextUpdateView;
use crate::app::quotas::QuotaView;
use crate::app::tenants::TenantView;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::tenant::Role;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, ManageTenants, SeeTenants};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

pub(super) const HERE: &str = "/operator/tenants";

/// What was done just now.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Done {
    done: String,
}

/// `GET /operator/tenants`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeTenants>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<TenantView> = app.tenants(&who.sight, &params.0.page()?).await?.into();
    let row = |view: &TenantView| {
        let document = &view.tenant.document;
        vec![
            html! { a href={ (HERE) "/" (kit::part(&view.tenant.name)) } { (document.display_name) } " " span.under { (view.tenant.name) } },
            html! { (said(&document.cost_center)) },
            html! { (said(&document.owner)) },
            html! { (document.members.len()) },
            html! { (document.identities.len()) },
            standing(view),
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    let manages = Permission::ManageTenants.sight(&who.caller).is_some();
    Ok(Page::new(&visit, "Tenants").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() {
            (kit::empty("There is no tenant", "A tenant is whom instances are for. Make one, take a list over on the command line, or map an identity.",
                manages.then_some(("Make a tenant", "/operator/add-tenant"))))
        } @else {
            @if manages { p.actions { a.button href="/operator/add-tenant" { "Make a tenant" } } }
            (kit::table("Tenants", &["Tenant", "Cost center", "Owner", "Members", "Identities", "State"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/tenants\"", None))
    }))
}

fn said(text: &str) -> &str {
    if text.is_empty() { "not said" } else { text }
}

fn standing(view: &TenantView) -> Markup {
    if view.tenant.suspended.is_some() {
        kit::badge(Tone::Warn, "suspended")
    } else {
        kit::badge(Tone::Good, "may order")
    }
}

/// `GET /operator/tenants/{name}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    done: Params<Done>,
) -> Result<HttpResponse, Failure> {
    let view = app.tenant_view(&who.sight, &name).await?;
    let said = match done.0.done.as_str() {
        "mapped" => kit::notice(
            Tone::Good,
            &html! { p { "The identity belongs to this tenant now. The order that was refused can be repeated." } },
        ),
        _ => html! {},
    };
    answer(&who.caller, &visit, &app, &view, &said, &Wrong::default(), "").await
}

/// `POST /operator/tenants/{name}`: `do` is `suspend`, with a reason, or `resume`.
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let reason = fields.text("reason");
    let done = match fields.text("do") {
        "suspend" => app.suspend_tenant(&who.caller, &name, reason).await,
        "resume" => app.resume_tenant(&who.caller, &name).await,
        _ => return Err(Failure::malformed("the form has to say what to do")),
    };
    match done {
        Ok(_) => Ok(visit.to(visit.path())),
        Err(error) => {
            let wrong = Wrong::of(error, &[("/reason", "reason")])?;
            let view = app.tenant_view(&who.sight, &name).await?;
            answer(&who.caller, &visit, &app, &view, &html! {}, &wrong, reason).await
        }
    }
}

async fn answer(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &TenantView,
    done: &Markup,
    wrong: &Wrong,
    reason: &str,
) -> Result<HttpResponse, Failure> {
    let tenant = &view.tenant;
    let quotas = match Permission::SeeQuotas.sight(caller) {
        Some(sight) => app.quotas(&sight, Some(&tenant.name), &page(None, None)?).await?.items,
        None => Vec::new(),
    };
    let untold = match Permission::ManageInstances.sight(caller) {
        Some(_) => app.context_updates(Some(&tenant.name), &page(None, None)?).await?.items,
        None => Vec::new(),
    };
    let manages = Permission::ManageTenants.sight(caller).is_some();
    Ok(Page::new(visit, &tenant.document.display_name).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (done)
        @if let Some(why) = &tenant.suspended {
            (kit::notice(Tone::Warn, &html! { p { "This tenant is suspended: it can order, change and bind nothing. Reason: " (why) } }))
        }
        (facts(view))
        @if manages { p.actions { a.button.second href={ (visit.path()) "/change" } { "Change what is said of it" } } }
        (members(view))
        (identities(view))
        (of_quotas(&quotas))
        @if Permission::ManageQuotas.sight(caller).is_some() {
            p.actions { a.button.second href=(kit::with("/operator/add-quota", "tenant", &tenant.name)) { "Set a quota for it" } }
        }
        (to_be_told(&untold))
        @if manages {
            section aria-labelledby="change" {
                h2 id="change" { "What to do" }
                @if tenant.suspended.is_some() {
                    (forms::button(visit, visit.path(), &BTreeMap::from([("do", "resume")]), "", "Let it order again"))
                } @else { (suspension(visit, wrong, reason)) }
                p { a href={ (visit.path()) "/offboard" } { "Take it down with all its instances …" } }
                p { a href={ (visit.path()) "/delete" } { "Delete it, where it has none …" } }
            }
        }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/tenants/{}\"", kit::part(&tenant.name)),
            None,
        ))
    }))
}

fn suspension(visit: &Visit, wrong: &Wrong, reason: &str) -> Markup {
    let line = Line {
        name: "reason",
        label: "Reason",
        hint: "Whoever orders for it is told. What stands keeps working.",
        value: reason,
        required: true,
        wrong: wrong.at("reason"),
        ..Line::default()
    };
    html! {
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            (kit::line(&line))
            p.actions { button.second type="submit" name="do" value="suspend" { "Suspend the tenant" } }
        }
    }
}

fn facts(view: &TenantView) -> Markup {
    let document = &view.tenant.document;
    let labels: Vec<_> = document.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    kit::facts(&[
        ("Name", html! { code { (view.tenant.name) } " " (standing(view)) }),
        ("Cost center", html! { (said(&document.cost_center)) }),
        ("Business unit", html! { (said(&document.business_unit)) }),
        ("Environment", html! { (said(&document.environment)) }),
        ("Owner", html! { (said(&document.owner)) }),
        ("Groups", html! { @if document.groups.is_empty() { "none" } @else { (document.groups.join(", ")) } }),
        ("Labels", html! { @if labels.is_empty() { "none" } @else { (labels.join(", ")) } }),
        ("Calendar", html! { (document.time_zone.as_deref().unwrap_or("the hub's")) }),
        ("Since", shown::time(view.created_at)),
        (
            "What it costs",
            html! { a href={ "/costs?by=offering&tenant=" (kit::part(&view.tenant.name)) } { "Costs by offering" } },
        ),
        (
            "What it did",
            html! { a href=(kit::with("/operator/audit", "subject", &format!("tenants/{}", view.tenant.name))) { "Changes of this tenant" } },
        ),
    ])
}

fn members(view: &TenantView) -> Markup {
    let rows = view.tenant.document.members.iter().map(|member| {
        let (kind, name) = match (&member.user, &member.group) {
            (Some(user), _) => ("person", user.as_str()),
            (None, group) => ("group", group.as_deref().unwrap_or_default()),
        };
        let role = if member.role == Role::Owner { "owner" } else { "member" };
        vec![html! { (name) }, html! { (kind) }, html! { (role) }]
    });
    let rows: Vec<_> = rows.collect();
    html! {
        section aria-labelledby="members" {
            h2 id="members" { "Members" }
            @if rows.is_empty() { p { "Nobody. Platforms may order for it all the same." } }
            @else { (kit::table("Who may order for it", &["Who", "What", "Role"], &rows)) }
        }
    }
}

fn identities(view: &TenantView) -> Markup {
    let rows = view.tenant.document.identities.iter().map(|identity| {
        let said = serde_json::to_value(identity).unwrap_or_default();
        let said: Vec<_> = said
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| *key != "platform" && !value.is_null())
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        vec![
            html! { (identity.platform) },
            html! { ul.plain { @for (key, value) in said { li { span.under { (key) } " " code { (value) } } } } },
        ]
    });
    let rows: Vec<_> = rows.collect();
    html! {
        section aria-labelledby="identities" {
            h2 id="identities" { "What platforms call it" }
            @if rows.is_empty() { p { "Nothing: only people order for it." } }
            @else { (kit::table("Identities", &["Platform", "Identity"], &rows)) }
        }
    }
}

/// Instances whose brokers do not know yet what changed.
fn to_be_told(untold: &[ContextUpdateView]) -> Markup {
    let row = |update: &ContextUpdateView| {
        vec![
            html! { a href={ "/costs/instances/" (kit::part(&update.instance_id)) } { code { (update.instance_id) } } },
            shown::time(update.since),
            html! { (update.error.as_deref().unwrap_or("not yet tried")) },
            html! { @match update.next_at { Some(at) => { (shown::time(at)) }, None => { (kit::badge(Tone::Bad, "given up")) } } },
        ]
    };
    let rows: Vec<_> = untold.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="untold" {
                h2 id="untold" { "Brokers that are still to be told" }
                p { "This tenant was changed, and the service brokers of these instances do not know it yet." }
                (kit::table("Instances whose brokers are still to be told", &["Instance", "Changed", "Last failure", "Tried again"], &rows))
            }
        }
    }
}

fn of_quotas(quotas: &[QuotaView]) -> Markup {
    let row = |view: &QuotaView| {
        let document = &view.row.document;
        let what = [document.offering.as_deref(), document.plan.as_deref()];
        let what: Vec<_> = what.into_iter().flatten().collect();
        vec![
            html! { a href={ "/operator/quotas/" (kit::part(&view.row.name)) } { (view.row.name) } },
            html! { @if what.is_empty() { "everything" } @else { (what.join(" ")) } },
            html! { (view.row.used.to_string()) " of " (document.limit) },
        ]
    };
    let rows: Vec<_> = quotas.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="quotas" {
                h2 id="quotas" { "Quotas" }
                (kit::table("How much it may have", &["Quota", "Of", "Used"], &rows))
            }
        }
    }
}
