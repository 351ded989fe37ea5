//! `/operator/platforms`: what calls the OSB side, and its credentials. A password is shown once, in the answer to the form that made it.
//! How one is registered is in [`add`], how credentials and platforms go in [`remove`].

pub mod add;
pub mod remove;

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::json;

use super::parts;
use crate::app::App;
use crate::app::pairs::Pair;
use crate::app::platforms::{PlatformChange, PlatformView};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::platform::{BUILTIN, PlatformKind, Trust};
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePlatforms, SeePlatforms};
use crate::http::portal::documents;
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

const HERE: &str = "/operator/platforms";
const ADD: &str = "/operator/add-platform";

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
    let manages = Permission::ManagePlatforms.sight(&who.caller).is_some();
    Ok(Page::new(&visit, "Platforms").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() {
            (kit::empty("There is no platform", "A platform calls the OSB side: Cloud Foundry, a cluster, another hub. It gets credentials when it is registered.",
                manages.then_some(("Register a platform", ADD))))
        } @else {
            @if manages { p.actions { a.button href=(ADD) { "Register a platform" } } }
            (kit::table("Platforms", &["Platform", "Kind", "Default tenant", "Credentials", "Registered"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(&documents::curl("GET", "/platforms", None), Some("bourse platform list")))
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
    let names = documents::tenants(&app).await?;
    Ok(answer(
        &who.caller,
        &visit,
        &Shown { view: &view, pair: None, typed: &Typed::of(&view), names: &names },
        &Wrong::default(),
    ))
}

/// `POST /operator/platforms/{name}`: `do` is `add`, one more pair of credentials, or `change`, whom its orders are for and whose stamps
/// are believed.
///
/// # Errors
/// [`Failure`].
pub async fn change(
    who: Can<ManagePlatforms>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (mut pair, mut wrong) = (None, Wrong::default());
    let before = app.platform_by_name(&name).await?;
    let mut typed = Typed::of(&before);
    match fields.text("do") {
        "add" => match app.add_platform_credentials(&who.caller, &name).await {
            Ok(made) => pair = Some(made),
            Err(error) => wrong = Wrong::of(error, &[])?,
        },
        "change" => {
            typed = Typed::read(&fields);
            match changed(&app, &who.caller, &before, &typed, &fields).await? {
                None => return Ok(visit.to(visit.path())),
                Some(refused) => wrong = refused,
            }
        }
        _ => return Err(Failure::malformed("the form has to say what to do")),
    }
    let view = app.platform_by_name(&name).await?;
    let names = documents::tenants(&app).await?;
    Ok(answer(&who.caller, &visit, &Shown { view: &view, pair: pair.as_ref(), typed: &typed, names: &names }, &wrong))
}

async fn changed(
    app: &App,
    caller: &Caller,
    before: &PlatformView,
    typed: &Typed,
    fields: &Fields,
) -> Result<Option<Wrong>, Failure> {
    if let Some(wrong) = documents::changed_meanwhile(fields, &Typed::of(before))? {
        return Ok(Some(wrong));
    }
    let trust = (before.row.platform.kind == PlatformKind::Bourse).then(|| typed.trust());
    let change = PlatformChange { default_tenant: Some(documents::some(&typed.default_tenant)), trust };
    match app.change_platform(caller, &before.row.platform.name, change).await {
        Ok(_) => Ok(None),
        Err(error) => Wrong::of(error, FIELDS).map(Some),
    }
}

/// At which field what is shown.
const FIELDS: &[(&str, &str)] = &[
    ("/name", "name"),
    ("/default_tenant", "default_tenant"),
    ("/trust/jwks_url", "jwks_url"),
    ("/trust/audience", "audience"),
    ("/trust", "issuer"),
];

/// What was typed about a platform.
#[derive(Clone, Debug, Default, Serialize)]
struct Typed {
    default_tenant: String,
    issuer: String,
    jwks_url: String,
    audience: String,
}

impl Typed {
    fn of(view: &PlatformView) -> Self {
        let default_tenant = view.row.default_tenant.clone().unwrap_or_default();
        let Some(trust) = view.row.platform.trust.clone() else { return Self { default_tenant, ..Self::default() } };
        let audience = trust.audience.unwrap_or_default();
        Self { default_tenant, issuer: trust.issuer, jwks_url: trust.jwks_url, audience }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            default_tenant: text("default_tenant"),
            issuer: text("issuer"),
            jwks_url: text("jwks_url"),
            audience: text("audience"),
        }
    }

    /// The other hub; none where nothing was said of one.
    fn trust(&self) -> Option<Trust> {
        let said = [&self.issuer, &self.jwks_url, &self.audience].iter().any(|text| !text.is_empty());
        said.then(|| Trust {
            issuer: self.issuer.clone(),
            jwks_url: self.jwks_url.clone(),
            audience: documents::some(&self.audience),
        })
    }
}

/// The fields of what can be changed. `hub`: also those of another hub.
fn inputs(typed: &Typed, names: &[String], hub: bool, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value| {
        kit::line(&Line { name, label, hint, value, required: false, wrong: wrong.at(name), ..Line::default() })
    };
    html! {
        (forms::named(&Line {
            name: "default_tenant", label: "Default tenant",
            hint: "Whom orders are for that no identity maps. Without one, such orders are refused until somebody says whose they are.",
            value: &typed.default_tenant, wrong: wrong.at("default_tenant"), ..Line::default()
        }, names))
        @if hub {
            fieldset {
                legend { "Whose stamps are believed" }
                p.hint { "Only of a platform that is another hub: it says in a signed stamp whom an order is for." }
                (line("issuer", "Issuer", "The public address of that hub, as its stamps have it.", &typed.issuer))
                (line("jwks_url", "Keys", "Where that hub publishes its keys, such as https://hub.example.com/.well-known/jwks.json.", &typed.jwks_url))
                (line("audience", "Audience", "The name under which that hub has this one registered. Without it, stamps for any of its brokers are believed.", &typed.audience))
            }
        }
    }
}

/// What a platform's page shows.
struct Shown<'a> {
    view: &'a PlatformView,
    /// A pair that was just made.
    pair: Option<&'a Pair>,
    typed: &'a Typed,
    /// Tenants to choose from.
    names: &'a [String],
}

fn answer(caller: &Caller, visit: &Visit, shown: &Shown<'_>, wrong: &Wrong) -> HttpResponse {
    let platform = &shown.view.row.platform;
    let manages = Permission::ManagePlatforms.sight(caller).is_some();
    let here = format!("{HERE}/{}", kit::part(&platform.name));
    Page::new(visit, &platform.name).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        @if let Some(pair) = shown.pair { (once(pair)) }
        (facts(shown.view))
        (pairs(visit, &here, shown.view, manages))
        @if manages {
            section aria-labelledby="change" {
                h2 id="change" { "Change it" }
                form.panel method="post" action=(here) {
                    (kit::csrf(visit))
                    (documents::shown(&Typed::of(shown.view)))
                    (inputs(shown.typed, shown.names, platform.kind == PlatformKind::Bourse, wrong))
                    p.actions { button type="submit" name="do" value="change" { "Change the platform" } }
                }
            }
            @if platform.name != BUILTIN {
                section.danger aria-labelledby="delete" {
                    h2 id="delete" { "Delete it" }
                    p { "It can't call any more, and what its identities mean is forgotten. What was ordered from it has to go before." }
                    p.actions { a.button.danger href={ (here) "/delete" } { "Delete it …" } }
                }
            }
        }
        (kit::same_by_program(
            &documents::curl("PATCH", &format!("/platforms/{}", kit::part(&platform.name)), Some(&json!({ "default_tenant": shown.view.row.default_tenant }))),
            Some(&format!("bourse platform rotate {0}\nbourse platform revoke {0} USERNAME\nbourse platform update {0} --default-tenant TENANT", platform.name)),
        ))
    })
}

fn facts(view: &PlatformView) -> Markup {
    let platform = &view.row.platform;
    kit::facts(&[
        ("Kind", html! { (kind(platform.kind)) }),
        (
            "Default tenant",
            html! {
                @match &view.row.default_tenant {
                    Some(tenant) => { a href={ "/operator/tenants/" (kit::part(tenant)) } { (tenant) } ": whom orders are for that no identity maps" },
                    None => { "none: orders that no identity maps are refused" },
                }
            },
        ),
        (
            "Believes stamps",
            html! {
                @match &platform.trust {
                    Some(trust) => { "of the hub " code { (trust.issuer) } ", with the keys at " code { (trust.jwks_url) } },
                    None => { "of nobody" },
                }
            },
        ),
        ("Registered", shown::time(view.row.created_at)),
    ])
}

/// What kind it is, in words.
fn kind(kind: PlatformKind) -> &'static str {
    match kind {
        PlatformKind::CloudFoundry => "Cloud Foundry",
        PlatformKind::Kubernetes => "Kubernetes",
        PlatformKind::Bourse => "another hub",
        PlatformKind::Other => "other",
    }
}

fn pairs(visit: &Visit, here: &str, view: &PlatformView, manages: bool) -> Markup {
    let last = view.usernames.len() == 1;
    let row = |username: &String| {
        vec![
            html! { code { (username) } },
            html! {
                @if !manages { "" } @else if last { "its only pair: give it another one first" }
                @else { a href={ (here) "/remove?username=" (kit::part(username)) } { "Remove it …" } }
            },
        ]
    };
    let rows: Vec<_> = view.usernames.iter().map(row).collect();
    html! {
        section aria-labelledby="pairs" {
            h2 id="pairs" { "Credentials" }
            @if rows.is_empty() { p { "It has none, and can't call." } }
            @else { (kit::table("Pairs of credentials", &["User name", "What to do"], &rows)) }
            @if manages {
                p.under { "To change a password without an interruption: give it one more pair, put that into the platform, then remove the old one." }
                div.actions { (forms::button(visit, here, &BTreeMap::from([("do", "add")]), "second", "Give it one more pair")) }
            }
        }
    }
}

/// A pair that was just made.
fn once(pair: &Pair) -> Markup {
    html! {
        (kit::notice(Tone::Good, &html! { p { "This is shown once. Put it where the platform keeps its secrets now; it can't be looked up later." } }))
        (kit::copied("User name", &pair.username))
        (kit::copied("Password", pair.password.expose()))
    }
}
