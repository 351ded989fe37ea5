//! `/operator/platforms/{name}/remove` and `/delete`: ask before a pair of credentials, or a platform, is gone.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::HERE;
use crate::app::instances::{InstanceFilter, InstanceView};
use crate::app::platforms::PlatformView;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::platform::BUILTIN;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::page;
use crate::http::permits::{Can, ManagePlatforms};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::operate::brokers::instance_state;
use crate::http::portal::visit::Visit;

/// Instances that are shown as what stands in the way.
const SHOWN: u32 = 50;
/// The query parameters of a pair's page.
pub const QUERY: &[&str] = &["username"];

/// Which pair.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Which {
    username: String,
}

/// `GET /operator/platforms/{name}/remove`: asks first.
///
/// # Errors
/// 404 where there is no such pair.
pub async fn ask_pair(
    _: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    which: Params<Which>,
) -> Result<HttpResponse, Failure> {
    let (view, username) = (app.platform_by_name(&name).await?, which.0.username);
    if !view.usernames.contains(&username) {
        return Err(app::Error::not_found("pair of credentials", username).into());
    }
    Ok(pair(&visit, &view, &username, &Wrong::default()))
}

/// `POST /operator/platforms/{name}/remove`
///
/// # Errors
/// 404 where there is no such pair.
pub async fn remove_pair(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let username = fields.text("username");
    match app.delete_platform_credentials(&who.caller, &name, username).await {
        Ok(_) => Ok(visit.to(&format!("{HERE}/{}", kit::part(&name)))),
        Err(error) => {
            let wrong = Wrong::of(error, &[])?;
            Ok(pair(&visit, &app.platform_by_name(&name).await?, username, &wrong))
        }
    }
}

fn pair(visit: &Visit, view: &PlatformView, username: &str, wrong: &Wrong) -> HttpResponse {
    let name = &view.row.platform.name;
    let back = format!("{HERE}/{}", kit::part(name));
    let only = view.usernames.len() == 1;
    let path = format!("/platforms/{}/credentials/{}", kit::part(name), kit::part(username));
    let question = Question {
        title: &format!("Remove {username}?"),
        trail: kit::trail(&[("Platforms", HERE), (name, &back)]),
        text: html! {
            p { "Whoever calls with this user name is refused at once. The password can't be brought back; another pair can be made." }
            @if only { (kit::notice(Tone::Warn, &html! { p { "It is its only pair: without it, the platform can't call at all." } })) }
        },
        fields: &[("username", username)],
        yes: "Remove the pair",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &path, None),
            Some(&format!("bourse platform revoke {name} {username}")),
        ),
    };
    ask(visit, &question, wrong)
}

/// `GET /operator/platforms/{name}/delete`: asks first, and says what stands in the way.
///
/// # Errors
/// 404 where there is none.
pub async fn ask_platform(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.platform_by_name(&name).await?;
    platform(&who.caller, &visit, &app, &view, &Wrong::default()).await
}

/// `POST /operator/platforms/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete_platform(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.platform_by_name(&name).await?;
    match app.delete_platform(&who.caller, &name).await {
        Ok(()) => Ok(visit.to(HERE)),
        Err(error) => platform(&who.caller, &visit, &app, &view, &Wrong::of(error, &[])?).await,
    }
}

async fn platform(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &PlatformView,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let name = &view.row.platform.name;
    let back = format!("{HERE}/{}", kit::part(name));
    let standing = match Permission::SeeInstances.sight(caller) {
        Some(sight) => {
            let filter = InstanceFilter { platform: Some(name.clone()), ..InstanceFilter::default() };
            app.instances(&sight, filter, &page(Some(SHOWN), None)?).await?.items
        }
        None => Vec::new(),
    };
    let question = Question {
        title: &format!("Delete platform {name}?"),
        trail: kit::trail(&[("Platforms", HERE), (name, &back)]),
        text: html! {
            p { "Its credentials and what its identities mean are gone with it, and can't be brought back." }
            @if name == BUILTIN { (kit::notice(Tone::Warn, &html! { p { "People order through it: it is built in and stays." } })) }
            (in_the_way(&standing))
        },
        fields: &[],
        yes: "Delete the platform",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &format!("/platforms/{}", kit::part(name)), None),
            Some(&format!("bourse platform delete {name}")),
        ),
    };
    Ok(ask(visit, &question, wrong))
}

/// What was ordered from it and stands.
fn in_the_way(standing: &[InstanceView]) -> Markup {
    if standing.is_empty() {
        return kit::notice(Tone::Plain, &html! { p { "Nothing that was ordered from it stands." } });
    }
    let row = |view: &InstanceView| {
        vec![
            html! { a href={ "/services/" (kit::part(&view.tenant)) "/" (view.row.id) } {
                (view.row.name.as_deref().unwrap_or(&view.row.platform_instance_id))
            } },
            html! { (view.tenant) },
            html! { (view.offering) " " (view.plan) },
            instance_state(view.row.state),
        ]
    };
    let rows: Vec<_> = standing.iter().map(row).collect();
    html! {
        (kit::notice(Tone::Warn, &html! { p { "Something that was ordered from it stands. It has to be deleted at the platform before the platform can be." } }))
        (kit::table("What stands in the way", &["Instance", "For", "Plan", "State"], &rows))
    }
}
