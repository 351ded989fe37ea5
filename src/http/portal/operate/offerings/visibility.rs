//! `/operator/offerings/{offering}/plans/{plan}/visibility`: who may order a plan.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::html;
use serde_json::json;

use super::{HERE, audience};
use crate::app::App;
use crate::app::visibility::{Access, VisibilityDocument};
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageBrokers};
use crate::http::portal::documents;
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::visit::Visit;

const ACCESS: &[(&str, &str)] = &[("public", "Everybody"), ("restricted", "Only whom the lists below name")];
const FIELDS: &[(&str, &str)] = &[("/access", "access"), ("/tenants", "tenants"), ("/platforms", "platforms")];

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    access: String,
    tenants: String,
    platforms: String,
}

impl Typed {
    fn of(said: &VisibilityDocument) -> Self {
        let access = if said.access == Access::Public { "public" } else { "restricted" };
        Self { access: access.to_owned(), tenants: said.tenants.join("\n"), platforms: said.platforms.join("\n") }
    }

    fn document(&self) -> Result<VisibilityDocument, Wrong> {
        let access = match self.access.as_str() {
            "public" => Access::Public,
            "restricted" => Access::Restricted,
            _ => return Err(Wrong::field("access", "Choose who may order it")),
        };
        let (tenants, platforms) = (documents::lines(&self.tenants), documents::lines(&self.platforms));
        Ok(VisibilityDocument { access, tenants, platforms })
    }
}

/// `GET /operator/offerings/{offering}/plans/{plan}/visibility`
///
/// # Errors
/// 404 where there is no such plan.
pub async fn show(
    _: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let said = app.plan_visibility(&names.0, &names.1).await?;
    Ok(answer(&visit, &names, &said, &Typed::of(&said), &Wrong::default()))
}

/// `POST /operator/offerings/{offering}/plans/{plan}/visibility`
///
/// # Errors
/// 404 where there is no such plan.
pub async fn change(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let said = app.plan_visibility(&names.0, &names.1).await?;
    let text = |name: &str| fields.text(name).to_owned();
    let typed = Typed { access: text("access"), tenants: text("tenants"), platforms: text("platforms") };
    let document = match documents::changed_meanwhile(&fields, &said)? {
        Some(wrong) => Err(wrong),
        None => typed.document(),
    };
    let wrong = match document {
        Ok(document) => match app.put_plan_visibility(&who.caller, &names.0, &names.1, document).await {
            Ok(_) => return Ok(visit.to(&format!("{HERE}/{}", kit::part(&names.0)))),
            Err(error) => Wrong::of(error, FIELDS)?,
        },
        Err(wrong) => wrong,
    };
    Ok(answer(&visit, &names, &said, &typed, &wrong))
}

fn answer(
    visit: &Visit,
    (offering, plan): &(String, String),
    said: &VisibilityDocument,
    typed: &Typed,
    wrong: &Wrong,
) -> HttpResponse {
    let (title, back) = (format!("Who may order {offering} {plan}"), format!("{HERE}/{}", kit::part(offering)));
    let path = format!("/offerings/{}/plans/{}/visibility", kit::part(offering), kit::part(plan));
    let trail = kit::trail(&[("Operate", "/operator"), ("Offerings", HERE), (offering, &back)]);
    let tone = if said.access == Access::Public { Tone::Good } else { Tone::Warn };
    let body = typed.document().map_or_else(|_| json!(said), |document| json!(document));
    Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        (kit::facts(&[
            ("Now", kit::badge(tone, &audience(said))),
            ("Tenants", html! { @if said.tenants.is_empty() { "any" } @else { (said.tenants.join(", ")) } }),
            ("Platforms", html! { @if said.platforms.is_empty() { "any" } @else { (said.platforms.join(", ")) } }),
        ]))
        p { "Whoever may not order a plan does not see it either. What was ordered keeps working." }
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            (documents::shown(said))
            (documents::select(&Line {
                name: "access", label: "Who may order it", hint: "Where both lists name somebody, both have to fit; where neither does, nobody may.",
                value: &typed.access, required: true, wrong: wrong.at("access"), ..Line::default()
            }, ACCESS))
            (forms::area(&Line {
                name: "tenants", label: "Tenants", hint: "By their names, one a line. Without any, all tenants of the platforms below.", value: &typed.tenants,
                wrong: wrong.at("tenants"), ..Line::default()
            }, 5))
            (forms::area(&Line {
                name: "platforms", label: "Platforms", hint: "By their names, one a line. People order through bourse. Without any, on all platforms.",
                value: &typed.platforms, wrong: wrong.at("platforms"), ..Line::default()
            }, 5))
            p.actions { button type="submit" { "Change who may order it" } a href=(back) { "Back" } }
        }
        (kit::same_by_program(&documents::curl("PUT", &path, Some(&body)), Some(&command(offering, plan, typed))))
    })
}

fn command(offering: &str, plan: &str, typed: &Typed) -> String {
    let mut command = format!("bourse offering visibility {offering} {plan} --access {}", typed.access);
    for (option, names) in [("tenant", &typed.tenants), ("platform", &typed.platforms)] {
        for name in documents::lines(names) {
            command += &format!(" --{option} {}", documents::quoted(&name));
        }
    }
    command
}
