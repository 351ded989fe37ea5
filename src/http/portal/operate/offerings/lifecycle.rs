//! The form of how far an offering has come: a draft with pilots, published, deprecated with a sunset and a successor, retired. To retire it
//! asks once more: nobody can order it then.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::json;

use super::{HERE, answer};
use crate::app::App;
use crate::app::visibility::{LifecycleDocument, LifecycleView};
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageBrokers};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

const STAGES: &[(&str, &str)] = &[
    ("draft", "Draft: only its pilots may order it"),
    ("published", "Published: for whoever may order its plans"),
    ("deprecated", "Deprecated: as published, but it will go"),
    ("retired", "Retired: nobody may order it any more"),
];
const FIELDS: &[(&str, &str)] =
    &[("/state", "state"), ("/sunset", "sunset"), ("/successor", "successor"), ("/pilots", "pilots")];

/// What was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    state: String,
    sunset: String,
    successor: String,
    pilots: String,
}

impl Typed {
    pub(super) fn of(view: &LifecycleView) -> Self {
        let said = &view.said;
        Self {
            state: said.state.as_str().to_owned(),
            sunset: said.sunset.map(documents::moment).unwrap_or_default(),
            successor: said.successor.clone().unwrap_or_default(),
            pilots: said.pilots.join("\n"),
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self { state: text("state"), sunset: text("sunset"), successor: text("successor"), pilots: text("pilots") }
    }

    fn document(&self, standing: &LifecycleView) -> Result<LifecycleDocument, Wrong> {
        let state = Stage::parse(&self.state).ok_or_else(|| Wrong::field("state", "Choose how far it has come"))?;
        let sunset = match self.sunset.as_str() {
            "" => None,
            text => Some(documents::instant("sunset", text, standing.said.sunset)?),
        };
        let (successor, pilots) = (documents::some(&self.successor), documents::lines(&self.pilots));
        Ok(LifecycleDocument { state, sunset, successor, pilots })
    }
}

/// `POST /operator/offerings/{offering}`
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.offering(&who.caller, &name, None)?;
    let (standing, typed) = (app.lifecycle(&name).await?, Typed::read(&fields));
    let document = match documents::changed_meanwhile(&fields, &standing.said)? {
        Some(wrong) => Err(wrong),
        None => typed.document(&standing),
    };
    let wrong = match document {
        Ok(document) if retires(&document, &standing) && fields.text("sure") != "yes" => {
            return Ok(sure(&visit, &name, &standing, &typed));
        }
        Ok(document) => match app.put_lifecycle(&who.caller, &name, document).await {
            Ok(_) => return Ok(visit.to(visit.path())),
            Err(error) => Wrong::of(error, FIELDS)?,
        },
        Err(wrong) => wrong,
    };
    answer(&who.caller, &visit, &app, &view, &standing, &typed, &wrong).await
}

fn retires(document: &LifecycleDocument, standing: &LifecycleView) -> bool {
    document.state == Stage::Retired && standing.now != Stage::Retired
}

fn sure(visit: &Visit, name: &str, standing: &LifecycleView, typed: &Typed) -> HttpResponse {
    let back = format!("{HERE}/{}", kit::part(name));
    let mark = documents::mark(&standing.said);
    let question = Question {
        title: &format!("Retire {name}?"),
        trail: kit::trail(&[("Offerings", HERE), (name, &back)]),
        text: html! {
            p { "From then on nobody can order it or change to one of its plans. What was ordered keeps working and is charged as before." }
            @if !typed.successor.is_empty() { p { "Whoever looks for it is told that " (typed.successor) " takes its place." } }
        },
        fields: &[
            ("state", &typed.state),
            ("sunset", &typed.sunset),
            ("successor", &typed.successor),
            ("pilots", &typed.pilots),
            ("shown", &mark),
            ("sure", "yes"),
        ],
        yes: "Retire it",
        back: &back,
        program: by_program(name, typed),
    };
    ask(visit, &question, &Wrong::default())
}

pub(super) fn form(
    visit: &Visit,
    here: &str,
    standing: &LifecycleView,
    typed: &Typed,
    offerings: &[String],
    wrong: &Wrong,
) -> Markup {
    html! {
        form.panel method="post" action=(here) {
            (kit::csrf(visit))
            (documents::shown(&standing.said))
            (documents::select(&Line {
                name: "state", label: "Lifecycle", hint: "What was ordered keeps working, whatever you choose.", value: &typed.state, required: true,
                wrong: wrong.at("state"), ..Line::default()
            }, STAGES))
            (kit::line(&Line {
                name: "sunset", label: "Sunset", hint: "Of a deprecated one: when it is retired by itself, in UTC.", value: &typed.sunset,
                kind: "datetime-local", wrong: wrong.at("sunset"), ..Line::default()
            }))
            (forms::named(&Line {
                name: "successor", label: "Successor", hint: "Of a deprecated or retired one: the offering that takes its place, by its name.",
                value: &typed.successor, wrong: wrong.at("successor"), ..Line::default()
            }, offerings))
            (forms::area(&Line {
                name: "pilots", label: "Pilots", hint: "Of a draft: tenants that may order it already, by their names, one a line.", value: &typed.pilots,
                wrong: wrong.at("pilots"), ..Line::default()
            }, 3))
            p.actions { button type="submit" { "Change the lifecycle" } }
        }
    }
}

pub(super) fn by_program(name: &str, typed: &Typed) -> Markup {
    let mut body = json!({ "state": typed.state });
    let mut command = format!("bourse offering lifecycle {name} --state {}", typed.state);
    if !typed.sunset.is_empty() {
        let long = if typed.sunset.len() < 17 { ":00Z" } else { "Z" };
        let sunset = format!("{}{long}", typed.sunset);
        command += &format!(" --sunset {}", documents::quoted(&sunset));
        body["sunset"] = json!(sunset);
    }
    if !typed.successor.is_empty() {
        command += &format!(" --successor {}", documents::quoted(&typed.successor));
        body["successor"] = json!(typed.successor);
    }
    let pilots = documents::lines(&typed.pilots);
    for pilot in &pilots {
        command += &format!(" --pilot {}", documents::quoted(pilot));
    }
    if !pilots.is_empty() {
        body["pilots"] = json!(pilots);
    }
    let path = format!("/offerings/{}/lifecycle", kit::part(name));
    kit::same_by_program(&documents::curl("PUT", &path, Some(&body)), Some(&command))
}
