//! `/services/{tenant}/{name}/grants`: who else may see a service, until when, and whether they get at its credentials. Owners of its
//! tenant say so, and operators.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::json;

use super::super::documents;
use super::super::fields::Fields;
use super::super::forms::{self, Wrong};
use super::super::frame::Page;
use super::super::kit::{self, Line, Tone};
use super::super::shown;
use super::super::visit::Visit;
use super::{at, called, words};
use crate::app::App;
use crate::app::grants::GrantView;
use crate::app::services::one::Service;
use crate::clock::Time;
use crate::domain::grant::GrantRole;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, ShareInstances};

/// How long a grant lasts where nothing else is chosen.
const LASTS: Duration = Duration::from_secs(30 * 86_400);
const ROLES: &[(&str, &str)] =
    &[("reader", "Sees it and its bindings"), ("user", "Gets at the credentials of its bindings, too")];

/// What was typed.
#[derive(Clone, Debug)]
struct Typed {
    user: String,
    role: String,
    until: String,
}

impl Typed {
    fn fresh(now: Time) -> Self {
        let until = now.plus(LASTS);
        let until = Time(until.0 - until.0.rem_euclid(60_000_000));
        Self { user: String::new(), role: "reader".to_owned(), until: documents::moment(until) }
    }
}

/// `GET /services/{tenant}/{name}/grants`
///
/// # Errors
/// 404 where it is not theirs to see, 403 where it is not theirs to share.
pub async fn show(
    who: Can<ShareInstances>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let service = app.service(&who.caller, &path.0, &path.1).await?;
    let listed = app.grants(&who.sight, &service.instance.row.id, &params.0.page()?).await?.into();
    let typed = Typed::fresh(app.clock().now());
    Ok(answer(&visit, &app, (&service, &at(&path.0, &path.1)), &listed, &typed, &Wrong::default()))
}

/// `POST /services/{tenant}/{name}/grants`: `do` is `give`, to `user`, or `take`, back from `user`.
///
/// # Errors
/// As [`show`].
pub async fn change(
    who: Can<ShareInstances>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let service = app.service(&who.caller, &path.0, &path.1).await?;
    let id = &service.instance.row.id;
    let text = |name: &str| fields.text(name).to_owned();
    let typed = Typed { user: text("user"), role: text("role"), until: text("until") };
    let wrong = match fields.text("do") {
        "take" => match app.delete_grant(&who.caller, &who.sight, id, &typed.user).await {
            Ok(()) => None,
            Err(error) => Some(Wrong::of(error, &[])?),
        },
        "give" => match read(&typed) {
            Err(wrong) => Some(wrong),
            Ok((role, until)) => match app.put_grant(&who.caller, &who.sight, (id, &typed.user), role, until).await {
                Ok(_) => None,
                Err(error) => Some(Wrong::of(error, &[("/expires_at", "until"), ("", "user")])?),
            },
        },
        _ => return Err(Failure::malformed("the form has to say what to do")),
    };
    let Some(wrong) = wrong else { return Ok(visit.to(visit.path())) };
    let listed = app.grants(&who.sight, id, &page(None, None)?).await?.into();
    Ok(answer(&visit, &app, (&service, &at(&path.0, &path.1)), &listed, &typed, &wrong))
}

fn read(typed: &Typed) -> Result<(GrantRole, Time), Wrong> {
    let role = GrantRole::parse(&typed.role).ok_or_else(|| Wrong::field("role", "Choose what they may do"))?;
    Ok((role, documents::instant("until", &typed.until, None)?))
}

fn answer(
    visit: &Visit,
    app: &App,
    (service, address): (&Service, &str),
    listed: &PageOut<GrantView>,
    typed: &Typed,
    wrong: &Wrong,
) -> HttpResponse {
    let title = format!("Who else may see {}", called(service));
    let trail = kit::trail(&[("My services", "/services"), (called(service), address)]);
    let gone = service.instance.row.gone_at.is_some();
    Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        p { "Members of the tenant " (service.instance.tenant) " see it anyway. Colleagues who are granted it see this one service until a time that you choose, and nothing else of the tenant. They can't change or delete it." }
        (granted(visit, address, listed, app.clock().now()))
        (kit::pager(visit, listed.next.as_deref()))
        @if gone { (kit::notice(Tone::Plain, &html! { p { "It is deleted: there is nothing left to share." } })) }
        @else {
            section aria-labelledby="give" {
                h2 id="give" { "Grant it to a colleague" }
                (form(visit, address, typed, wrong))
            }
        }
        (by_program(service, typed))
    })
}

fn granted(visit: &Visit, address: &str, listed: &PageOut<GrantView>, now: Time) -> Markup {
    let row = |grant: &GrantView| {
        vec![
            html! { (grant.user) },
            html! { (may(grant.role)) },
            html! { (shown::time(grant.expires_at)) @if grant.expires_at <= now { " " (kit::badge(Tone::Plain, "over")) } },
            html! { (words::who(&grant.granted_by)) },
            forms::button(
                visit,
                &format!("{address}/grants"),
                &BTreeMap::from([("do", "take"), ("user", grant.user.as_str())]),
                "small second",
                "Take it back",
            ),
        ]
    };
    let rows: Vec<_> = listed.items.iter().map(row).collect();
    html! {
        @if rows.is_empty() { (kit::empty("It is shared with nobody", "Below it can be granted to a colleague who is no member of its tenant.", None)) }
        @else { (kit::table("Whom it is shared with", &["Who", "What they may do", "Until", "Granted by", "What to do"], &rows)) }
    }
}

fn may(role: GrantRole) -> &'static str {
    match role {
        GrantRole::Reader => "sees it",
        GrantRole::User => "gets at its credentials",
    }
}

fn form(visit: &Visit, address: &str, typed: &Typed, wrong: &Wrong) -> Markup {
    html! {
        form.panel method="post" action={ (address) "/grants" } {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "user", label: "Colleague", hint: "As this marketplace knows them: their page Account tells it. Whoever has a grant already gets this one in its place.",
                value: &typed.user, required: true, wrong: wrong.at("user"), autocomplete: "off", ..Line::default()
            }))
            (documents::select(&Line {
                name: "role", label: "What they may do", hint: "Credentials open the service itself.", value: &typed.role, required: true,
                wrong: wrong.at("role"), ..Line::default()
            }, ROLES))
            (kit::line(&Line {
                name: "until", label: "Until", hint: "In UTC. Then it ends by itself.", value: &typed.until, kind: "datetime-local", required: true,
                wrong: wrong.at("until"), ..Line::default()
            }))
            p.actions { button type="submit" name="do" value="give" { "Grant it" } a href=(address) { "Back" } }
        }
    }
}

fn by_program(service: &Service, typed: &Typed) -> Markup {
    let row = &service.instance.row;
    let until = format!("{}:00Z", typed.until);
    let body = json!({ "role": typed.role, "expires_at": until });
    let which = match (&row.name, service.by_name) {
        (Some(name), true) => format!("{name} --tenant {}", service.instance.tenant),
        _ => row.id.clone(),
    };
    kit::same_by_program(
        &documents::curl("PUT", &format!("/instances/{}/grants/USER", row.id), Some(&body)),
        Some(&format!(
            "bourse grant put {which} USER --role {} --for P30D\nbourse grant list {which}\nbourse grant delete {which} USER",
            typed.role
        )),
    )
}
