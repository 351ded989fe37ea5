//! `…/brokers/{name}/credentials`: the pairs with which a broker calls the hub to report usage. A password is in the answer that makes it, and
//! nowhere else; a pair is deleted after a question.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};

use super::{around, base};
use crate::app::pairs::Pair;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::http::error::Failure;
use crate::http::permits::{Can, ChangeBrokers};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::visit::Visit;

/// `GET …/brokers/{name}/credentials`
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn show(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    page(&app, &who.caller, &visit, &name, None, &Wrong::default()).await
}

/// `POST …/brokers/{name}/credentials`: makes a pair, and shows it this once.
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn add(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    match app.add_broker_credentials(&who.caller, &name).await {
        Ok(pair) => page(&app, &who.caller, &visit, &name, Some(&pair), &Wrong::default()).await,
        Err(error) => page(&app, &who.caller, &visit, &name, None, &Wrong::of(error, &[])?).await,
    }
}

async fn page(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    name: &str,
    pair: Option<&Pair>,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let usernames = app.broker_usernames(caller, name).await?;
    let title = format!("Credentials of {name}");
    let row = |username: &String| {
        vec![
            html! { code { (username) } },
            html! { a href={ (visit.path()) "/" (kit::part(username)) "/delete" } { "Delete " (username) " …" } },
        ]
    };
    let rows: Vec<_> = usernames.iter().map(row).collect();
    Ok(Page::new(visit, &title).above(around(visit, caller, name)).status(wrong.status()).show(html! {
        (wrong.above())
        @if let Some(pair) = pair { (once(pair)) }
        p { "With these the broker calls the hub, to report usage. They are not those that the hub shows the broker: " a href=(visit.path().replace("/credentials", "/change")) { "change these" } "." }
        @if rows.is_empty() {
            (kit::empty("It has none", "A broker that reports no usage needs none.", None))
        } @else { (kit::table("Pairs of credentials", &["User name", "What to do"], &rows)) }
        div.actions { (forms::button(visit, visit.path(), &BTreeMap::new(), "", "Make a pair and show it once")) }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/brokers/{}/credentials\"", kit::part(name)),
            Some(&format!("bourse broker credentials add {name}")),
        ))
    }))
}

/// A pair that was just made.
fn once(pair: &Pair) -> Markup {
    html! {
        (kit::notice(Tone::Good, &html! { p { "This is shown once. Put it where the broker keeps its secrets now; it can't be looked up later." } }))
        (kit::copied("User name", &pair.username))
        (kit::copied("Password", pair.password.expose()))
    }
}

/// `GET …/brokers/{name}/credentials/{username}/delete`: asks first.
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (name, username) = path.into_inner();
    if !app.broker_usernames(&who.caller, &name).await?.contains(&username) {
        return Err(app::Error::NotFound { what: "credential", name: username }.into());
    }
    let title = format!("Delete {username}?");
    let back = place(&visit, &name);
    Ok(Page::new(&visit, &title).above(around(&visit, &who.caller, &name)).show(html! {
        p { "The broker can't report usage with this pair any more, from now on." }
        form method="post" action=(visit.path()) {
            (kit::csrf(&visit))
            p.actions { button.danger type="submit" { "Delete the pair" } a href=(back) { "Keep it" } }
        }
    }))
}

/// `POST …/brokers/{name}/credentials/{username}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    path: Path<(String, String)>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let (name, username) = path.into_inner();
    app.delete_broker_credentials(&who.caller, &name, &username).await?;
    Ok(visit.to(&place(&visit, &name)))
}

fn place(visit: &Visit, name: &str) -> String {
    format!("{}/brokers/{}/credentials", base(visit), kit::part(name))
}
