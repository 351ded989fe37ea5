//! `/operator/platforms`: what calls the OSB side, and its credentials. A password is shown once, in the answer to the form that made it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::parts;
use crate::app::App;
use crate::app::pairs::Pair;
use crate::app::platforms::PlatformView;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePlatforms, SeePlatforms};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

const HERE: &str = "/operator/platforms";

/// `GET /operator/platforms`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeePlatforms>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<PlatformView> = app.platforms(&params.0.page()?).await?.into();
    let row = |view: &PlatformView| {
        let platform = &view.row.platform;
        vec![
            html! { a href={ (HERE) "/" (kit::part(&platform.name)) } { (platform.name) } },
            html! { (platform.kind.as_str()) },
            html! { (view.row.default_tenant.as_deref().unwrap_or("none")) },
            html! { (shown::count(view.usernames.len(), "pair", "pairs")) },
            shown::time(view.row.created_at),
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    Ok(Page::new(&visit, "Platforms").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() { (kit::empty("There is no platform", "Register one with the management API; it gets credentials to call the OSB side with.", None)) }
        @else { (kit::table("Platforms", &["Platform", "Kind", "Default tenant", "Credentials", "Registered"], &rows)) }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/platforms\"", None))
    }))
}

/// `GET /operator/platforms/{name}`
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    who: Can<SeePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.platform_by_name(&name).await?;
    Ok(answer(&who.caller, &visit, &view, None, &Wrong::default()))
}

/// `POST /operator/platforms/{name}`: `do` is `add`, one more pair of credentials, or `remove`, of `username`.
///
/// # Errors
/// [`Failure`].
pub async fn credentials(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (mut pair, mut wrong) = (None, Wrong::default());
    if fields.text("do") == "remove" {
        match app.delete_platform_credentials(&who.caller, &name, fields.text("username")).await {
            Ok(_) => return Ok(visit.to(visit.path())),
            Err(error) => wrong = Wrong::of(error, &[])?,
        }
    } else {
        match app.add_platform_credentials(&who.caller, &name).await {
            Ok(made) => pair = Some(made),
            Err(error) => wrong = Wrong::of(error, &[])?,
        }
    }
    let view = app.platform_by_name(&name).await?;
    Ok(answer(&who.caller, &visit, &view, pair.as_ref(), &wrong))
}

fn answer(caller: &Caller, visit: &Visit, view: &PlatformView, pair: Option<&Pair>, wrong: &Wrong) -> HttpResponse {
    let platform = &view.row.platform;
    let manages = Permission::ManagePlatforms.sight(caller).is_some();
    let last = view.usernames.len() == 1;
    let row = |username: &String| {
        let fields = BTreeMap::from([("do", "remove"), ("username", username.as_str())]);
        vec![
            html! { code { (username) } },
            html! {
                @if !manages { "" } @else if last { "its only pair: give it another one first" }
                @else { (forms::button(visit, visit.path(), &fields, "small danger", "Remove")) }
            },
        ]
    };
    let rows: Vec<_> = view.usernames.iter().map(row).collect();
    Page::new(visit, &platform.name).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        @if let Some(pair) = pair { (once(pair)) }
        (kit::facts(&[
            ("Kind", html! { (platform.kind.as_str()) }),
            ("Default tenant", html! {
                @match &view.row.default_tenant {
                    Some(tenant) => { a href={ "/operator/tenants/" (kit::part(tenant)) } { (tenant) } ": whom orders are for that no identity maps" },
                    None => { "none: orders that no identity maps are refused" },
                }
            }),
            ("Believes stamps", html! { @if platform.trust.is_some() { "of another hub" } @else { "of nobody" } }),
            ("Registered", shown::time(view.row.created_at)),
        ]))
        section aria-labelledby="pairs" {
            h2 id="pairs" { "Credentials" }
            @if rows.is_empty() { p { "It has none, and can't call." } }
            @else { (kit::table("Pairs of credentials", &["User name", "What to do"], &rows)) }
            @if manages {
                p.actions { (forms::button(visit, visit.path(), &BTreeMap::from([("do", "add")]), "second", "Give it one more pair")) }
            }
        }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/platforms/{}/credentials\"", kit::part(&platform.name)),
            None,
        ))
    })
}

/// A pair that was just made.
fn once(pair: &Pair) -> Markup {
    html! {
        (kit::notice(Tone::Good, &html! { p { "This is shown once. Put it where the platform keeps its secrets now; it can't be looked up later." } }))
        (kit::copied("User name", &pair.username))
        (kit::copied("Password", pair.password.expose()))
    }
}
