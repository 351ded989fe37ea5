//! `/operator/add-platform`: registers a platform. The answer shows its password, this once.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::html;

use super::{ADD, FIELDS, HERE, Shown, Typed, answer, inputs};
use crate::app::App;
use crate::app::platforms::NewPlatform;
use crate::domain::platform::PlatformKind;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManagePlatforms};
use crate::http::portal::documents::{self, NAME_HINT};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

const KINDS: &[(&str, &str)] = &[
    ("cloudfoundry", "Cloud Foundry"),
    ("kubernetes", "Kubernetes, through a service catalog"),
    ("bourse", "Another hub in front of this one"),
    ("other", "Anything else"),
];

/// `GET /operator/add-platform`
///
/// # Errors
/// [`Failure`].
pub async fn begin(_: Can<ManagePlatforms>, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let names = documents::tenants(&app).await?;
    Ok(form(&visit, &names, ("", "cloudfoundry"), &Typed::default(), &Wrong::default()))
}

/// `POST /operator/add-platform`
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let names = documents::tenants(&app).await?;
    let (name, word, typed) = (fields.text("name"), fields.text("kind"), Typed::read(&fields));
    let Some(kind) = PlatformKind::parse(word) else {
        let wrong = Wrong::field("kind", "Choose one of these");
        return Ok(form(&visit, &names, (name, word), &typed, &wrong));
    };
    let default_tenant = documents::some(&typed.default_tenant);
    let new = NewPlatform { name: name.to_owned(), kind, default_tenant, trust: typed.trust() };
    match app.create_platform(&who.caller, new).await {
        Ok((view, pair)) => {
            let shown = Shown { view: &view, pair: Some(&pair), typed: &Typed::of(&view), names: &names };
            Ok(answer(&who.caller, &visit, &shown, &Wrong::default()))
        }
        Err(error) => Ok(form(&visit, &names, (name, word), &typed, &Wrong::of(error, FIELDS)?)),
    }
}

fn form(visit: &Visit, names: &[String], (name, kind): (&str, &str), typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let trail = kit::trail(&[("Operate", "/operator"), ("Platforms", HERE)]);
    let body = serde_json::json!({ "name": "NAME", "kind": "cloudfoundry", "default_tenant": "TENANT" });
    Page::new(visit, "Register a platform").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action=(ADD) {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: NAME_HINT, value: name, required: true, wrong: wrong.at("name"), autocomplete: "off",
                ..Line::default()
            }))
            (documents::select(&Line {
                name: "kind", label: "Kind", hint: "What its catalog and its orders look like. It can't be changed later.", value: kind,
                required: true, wrong: wrong.at("kind"), ..Line::default()
            }, KINDS))
            (inputs(typed, names, true, wrong))
            p { "It gets a user name and a password, which are shown once." }
            p.actions { button type="submit" { "Register the platform" } a href=(HERE) { "Back" } }
        }
        (kit::same_by_program(&documents::curl("POST", "/platforms", Some(&body)), Some("bourse platform create NAME --kind cloudfoundry --default-tenant TENANT")))
    })
}
