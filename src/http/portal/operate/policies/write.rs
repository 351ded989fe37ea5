//! `/operator/add-policy`, and the form on a policy's page: a policy is written, tried against what stands, changed, and let warn or refuse.
//! What Cedar finds wrong is told at the text.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::json;

use super::super::parts;
use super::{ADD, HERE, LOOKED_AT, facts, would_refuse};
use crate::app::laws::PolicyView;
use crate::app::laws::simulate::Refused;
use crate::app::{self, App, Listed};
use crate::domain::caller::Caller;
use crate::domain::policy::{Mode, PolicyDocument};
use crate::http::error::Failure;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManagePolicies};
use crate::http::portal::documents::{self, NAME_HINT};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

/// Lines of the field for the text.
const ROWS: u8 = 16;
const MODES: &[(&str, &str)] = &[("warn", "It warns of orders, and refuses none"), ("enforce", "It refuses orders")];
/// Where somebody begins who has written none yet.
const EXAMPLE: &str = "@reason(\"data stays in the European Union\")\n@remedy(\"order it in eu-central or eu-west\")\n\
    forbid(principal, action in [Bourse::Action::\"order\", Bourse::Action::\"update\"], resource)\n\
    when { context.parameters has region }\nunless { [\"eu-central\", \"eu-west\"].contains(context.parameters.region) };";

/// What was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    name: String,
    text: String,
    mode: String,
    /// Whose instances it is tried against; everybody's where empty.
    tenant: String,
}

impl Typed {
    pub(super) fn of(view: &PolicyView) -> Self {
        let mode = word(view.document.mode).to_owned();
        Self { name: view.name.clone(), text: view.document.text.clone(), mode, tenant: String::new() }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        // Browsers send line ends as two characters.
        let source = fields.raw("text").unwrap_or_default().replace("\r\n", "\n").trim().to_owned();
        Self { name: text("name"), text: source, mode: text("mode"), tenant: text("tenant") }
    }

    fn document(&self) -> Result<PolicyDocument, Wrong> {
        let mode = match self.mode.as_str() {
            "warn" => Mode::Warn,
            "enforce" => Mode::Enforce,
            _ => return Err(Wrong::field("mode", "Choose what it does")),
        };
        Ok(PolicyDocument { text: self.text.clone(), mode })
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Warn => "warn",
    }
}

/// What a try came to.
pub(super) struct Tried {
    looked_at: usize,
    refused: Vec<Refused>,
    next: Option<String>,
}

/// `GET /operator/add-policy`
///
/// # Errors
/// None.
pub async fn begin(_: Can<ManagePolicies>, visit: Visit) -> Result<HttpResponse, Failure> {
    let typed = Typed { mode: "warn".to_owned(), ..Typed::default() };
    Ok(adding(&visit, &typed, None, &Wrong::default()))
}

/// `POST /operator/add-policy`: `do` is `save`; anything else tries it.
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    if fields.text("do") != "save" {
        let (tried, wrong) = tried(&app, &typed, &fields).await?;
        return Ok(adding(&visit, &typed, tried.as_ref(), &wrong));
    }
    let wrong = match app.policy(&typed.name).await {
        Ok(_) => Some(Wrong::field("name", "There is a policy of this name already: choose another one")),
        Err(app::Error::NotFound { .. }) => put(&app, &who.caller, &typed.name, &typed).await?,
        Err(error) => return Err(error.into()),
    };
    match wrong {
        None => Ok(visit.to(&format!("{HERE}/{}", kit::part(&typed.name)))),
        Some(wrong) => Ok(adding(&visit, &typed, None, &wrong)),
    }
}

/// `POST /operator/policies/{name}`: `do` is `save`, the whole of it, or `warn` or `enforce`, what it does; anything else tries the text.
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.policy(&name).await?;
    let mut typed = Typed { name: view.name.clone(), ..Typed::read(&fields) };
    let wrong = match fields.text("do") {
        "save" => match documents::changed_meanwhile(&fields, &view.document)? {
            Some(wrong) => Some(wrong),
            None => put(&app, &who.caller, &name, &typed).await?,
        },
        mode @ ("warn" | "enforce") => {
            typed = Typed { mode: mode.to_owned(), ..Typed::of(&view) };
            put(&app, &who.caller, &name, &typed).await?
        }
        _ => {
            let (tried, wrong) = tried(&app, &typed, &fields).await?;
            return Ok(one(&who.caller, &visit, &view, &typed, tried.as_ref(), &wrong));
        }
    };
    match wrong {
        None => Ok(visit.to(visit.path())),
        Some(wrong) => Ok(one(&who.caller, &visit, &view, &typed, None, &wrong)),
    }
}

async fn put(app: &App, caller: &Caller, name: &str, typed: &Typed) -> Result<Option<Wrong>, Failure> {
    let document = match typed.document() {
        Ok(document) => document,
        Err(wrong) => return Ok(Some(wrong)),
    };
    match app.put_policy(caller, name, document).await {
        Ok(_) => Ok(None),
        Err(error) => Wrong::of(error, &[("/text", "text"), ("/mode", "mode"), ("", "name")]).map(Some),
    }
}

/// Holds the text against a page of what stands.
async fn tried(app: &App, typed: &Typed, fields: &Fields) -> Result<(Option<Tried>, Wrong), Failure> {
    let at = page(Some(LOOKED_AT), Some(fields.text("from")))?;
    match app.simulate_policy(&typed.text, documents::some(&typed.tenant), &at).await {
        Ok(found) => {
            let looked_at = found.looked_at;
            let listed: PageOut<Refused> = Listed { items: found.refused, next: found.next }.into();
            Ok((Some(Tried { looked_at, refused: listed.items, next: listed.next }), Wrong::default()))
        }
        Err(error) => Ok((None, Wrong::of(error, &[("/text", "text"), ("/tenant", "tenant")])?)),
    }
}

fn adding(visit: &Visit, typed: &Typed, tried: Option<&Tried>, wrong: &Wrong) -> HttpResponse {
    let trail = kit::trail(&[("Operate", "/operator"), ("Policies", HERE)]);
    Page::new(visit, "Write a policy").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel #policy method="post" action=(ADD) {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: NAME_HINT, value: &typed.name, required: true, wrong: wrong.at("name"), autocomplete: "off",
                ..Line::default()
            }))
            (inputs(typed, wrong))
            p.actions { button type="submit" name="do" value="save" { "Write the policy" } button.second type="submit" name="do" value="try" formnovalidate { "Try it against what stands" } a href=(HERE) { "Back" } }
        }
        (outcome(tried))
        details.program {
            summary { "An example" }
            (kit::copied("Only some regions", EXAMPLE))
        }
        (by_program("NAME", typed))
    })
}

/// A policy's page, for whoever may change it.
pub(super) fn one(
    caller: &Caller,
    visit: &Visit,
    view: &PolicyView,
    typed: &Typed,
    tried: Option<&Tried>,
    wrong: &Wrong,
) -> HttpResponse {
    let here = format!("{HERE}/{}", kit::part(&view.name));
    let (other, says) = match view.document.mode {
        Mode::Warn => ("enforce", "Let it refuse orders"),
        Mode::Enforce => ("warn", "Let it only warn"),
    };
    Page::new(visit, &view.name).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (facts(view))
        div.actions {
            (forms::button(visit, &here, &BTreeMap::from([("do", other)]), "", says))
            a.button.second href={ (here) "/simulate" } { "What would it refuse of what stands?" }
            a.button.second href={ (here) "/delete" } { "Delete it …" }
        }
        section aria-labelledby="change" {
            h2 id="change" { "Change it" }
            form.panel #policy method="post" action=(here) {
                (kit::csrf(visit))
                (documents::shown(&view.document))
                (inputs(typed, wrong))
                p.actions { button type="submit" name="do" value="save" { "Change the policy" } button.second type="submit" name="do" value="try" formnovalidate { "Try this text against what stands" } }
            }
        }
        (outcome(tried))
        (by_program(&view.name, typed))
    })
}

fn inputs(typed: &Typed, wrong: &Wrong) -> Markup {
    html! {
        (documents::select(&Line {
            name: "mode", label: "What it does", hint: "Let it warn first: previews, the log and events tell what it would refuse.", value: &typed.mode,
            required: true, wrong: wrong.at("mode"), ..Line::default()
        }, MODES))
        div.source {
            (forms::area(&Line {
                name: "text", label: "Source", required: true, value: &typed.text, wrong: wrong.at("text"),
                hint: "Cedar: one or more forbid, each with @remedy(\"…\"), which tells whoever is refused what to do. What no policy forbids is allowed.",
                ..Line::default()
            }, ROWS))
        }
        (kit::line(&Line {
            name: "tenant", label: "Try it for one tenant", hint: "By its name. Without one, everything that stands is looked at.", value: &typed.tenant,
            wrong: wrong.at("tenant"), ..Line::default()
        }))
    }
}

fn outcome(tried: Option<&Tried>) -> Markup {
    let Some(tried) = tried else { return html! {} };
    html! {
        section aria-labelledby="tried" {
            h2 id="tried" { "What this text would refuse" }
            (would_refuse(tried.looked_at, &tried.refused))
            @if let Some(next) = &tried.next {
                p.actions { button.second type="submit" form="policy" formnovalidate name="from" value=(next) { "Look at the next ones" } }
            }
        }
    }
}

fn by_program(name: &str, typed: &Typed) -> Markup {
    let body = json!({ "text": typed.text, "mode": typed.mode });
    kit::same_by_program(
        &documents::curl("PUT", &format!("/policies/{}", kit::part(name)), Some(&body)),
        Some(&format!(
            "bourse policy simulate {name}.cedar\nbourse policy put {name} {name}.cedar --warn\nbourse policy put {name} {name}.cedar"
        )),
    )
}
