//! `/operator/offerings/{offering}/plans/{plan}/parameters?tenant=`: which of a plan's parameters have another default, are forced, or may
//! not be given, in all orders or in those for one tenant.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HERE, plan_of};
use crate::app::laws::{Key, ParametersView};
use crate::app::{self, App};
use crate::domain::catalog::Plan;
use crate::domain::parameters::ParameterRules;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, ManagePolicies};
use crate::http::portal::documents::{self, Question, ask};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

/// The query parameters.
pub const QUERY: &[&str] = &["tenant"];
/// Parameters of a plan that are shown.
const SHOWN_MAX: usize = 100;
const FIELDS: &[(&str, &str)] = &[("/default", "default"), ("/force", "force"), ("/forbid", "forbid")];

/// Whose orders.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Whose {
    tenant: String,
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    default: String,
    force: String,
    forbid: String,
}

impl Typed {
    fn of(rules: &ParameterRules) -> Self {
        let text = |object: &osb::Object| match object.is_empty() {
            true => String::new(),
            false => documents::pretty(&Value::Object(object.clone())),
        };
        Self { default: text(&rules.default), force: text(&rules.force), forbid: rules.forbid.join("\n") }
    }

    fn rules(&self) -> Result<ParameterRules, Wrong> {
        Ok(ParameterRules {
            default: documents::object("default", &self.default)?,
            force: documents::object("force", &self.force)?,
            forbid: documents::lines(&self.forbid),
        })
    }
}

fn key(names: &(String, String), whose: &Whose) -> Key {
    Key { offering: names.0.clone(), plan: names.1.clone(), tenant: whose.tenant.trim().to_owned() }
}

/// What is said; nothing where nothing is.
async fn said(app: &App, key: &Key) -> Result<Option<ParametersView>, Failure> {
    match app.parameters(key).await {
        Ok(view) => Ok(Some(view)),
        Err(app::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `GET /operator/offerings/{offering}/plans/{plan}/parameters`
///
/// # Errors
/// 404 where there is no such plan.
pub async fn show(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
    whose: Params<Whose>,
) -> Result<HttpResponse, Failure> {
    let (view, key) = (app.offering(&who.caller, &names.0, None)?, key(&names, &whose.0));
    let plan = plan_of(&view, &names.1)?;
    let said = said(&app, &key).await?.map(|view| view.rules);
    let typed = said.as_ref().map(Typed::of).unwrap_or_default();
    answer(&visit, &app, (&key, plan), said.as_ref(), &typed, &Wrong::default()).await
}

/// `POST /operator/offerings/{offering}/plans/{plan}/parameters`
///
/// # Errors
/// 404 where there is no such plan.
pub async fn change(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
    whose: Params<Whose>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (view, key) = (app.offering(&who.caller, &names.0, None)?, key(&names, &whose.0));
    let plan = plan_of(&view, &names.1)?;
    let said = said(&app, &key).await?.map(|view| view.rules);
    let text = |name: &str| fields.raw(name).unwrap_or_default().replace("\r\n", "\n");
    let typed = Typed { default: text("default"), force: text("force"), forbid: text("forbid") };
    let rules = match documents::changed_meanwhile(&fields, &said)? {
        Some(wrong) => Err(wrong),
        None => typed.rules(),
    };
    let wrong = match rules {
        Ok(rules) => match app.put_parameters(&who.caller, key.clone(), rules).await {
            Ok(_) => return Ok(visit.to(&format!("{HERE}/{}", kit::part(&names.0)))),
            Err(error) => Wrong::of(error, FIELDS)?,
        },
        Err(wrong) => wrong,
    };
    answer(&visit, &app, (&key, plan), said.as_ref(), &typed, &wrong).await
}

async fn answer(
    visit: &Visit,
    app: &App,
    (key, plan): (&Key, &Plan),
    said: Option<&ParameterRules>,
    typed: &Typed,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let (title, back) =
        (format!("Parameters of {} {}", key.offering, key.plan), format!("{HERE}/{}", kit::part(&key.offering)));
    let trail = kit::trail(&[("Operate", "/operator"), ("Offerings", HERE), (&key.offering, &back)]);
    let tenants = documents::tenants(app).await?;
    Ok(Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        (whose(visit, key, &tenants))
        @if said.is_none() { p { "Nothing is said of them " @if key.tenant.is_empty() { "in general" } @else { "for this tenant" } ": they are as the broker describes them." } }
        form.panel method="post" action=(visit.address) {
            (kit::csrf(visit))
            (documents::shown(&said))
            div.source { (inputs(typed, wrong)) }
            p.actions {
                button type="submit" { "Change the parameters" }
                @if said.is_some() { a.button.second href=(kit::with(&format!("{}/delete", visit.path()), "tenant", &key.tenant)) { "Take all of it back …" } }
                a href=(back) { "Back" }
            }
        }
        (described(plan))
        (by_program(key, typed))
    }))
}

/// For whom it is said, and the way to what is said for somebody else.
fn whose(visit: &Visit, key: &Key, tenants: &[String]) -> Markup {
    html! {
        p {
            @if key.tenant.is_empty() { "In orders for " strong { "all tenants" } "." }
            @else { "In orders for the tenant " strong { (key.tenant) } " only; where both say something, this comes first. " a href=(visit.path()) { "For all tenants" } }
        }
        form.filters method="get" action=(visit.path()) {
            (forms::named(&Line { name: "tenant", label: "For one tenant", hint: "By its name.", value: &key.tenant, ..Line::default() }, tenants))
            button.second type="submit" { "Show" }
        }
    }
}

fn inputs(typed: &Typed, wrong: &Wrong) -> Markup {
    let area = |name, label, hint, value| {
        forms::area(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() }, 6)
    };
    html! {
        (area("default", "Defaults", "What a new instance has where the order says nothing: a JSON object, such as {\"prefix_length\": 28}.", &typed.default))
        (area("force", "Forced", "What each instance has; an order that says otherwise is refused: a JSON object, such as {\"region\": \"eu-1\"}.", &typed.force))
        (area("forbid", "Forbidden", "What no order may say: JSON pointers into the parameters, one a line, such as /peer.", &typed.forbid))
    }
}

/// The plan's parameters as its broker describes them.
fn described(plan: &Plan) -> Markup {
    let found =
        plan.document.pointer("/schemas/service_instance/create/parameters/properties").and_then(Value::as_object);
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let row = |(name, schema): (&String, &Value)| {
        vec![
            html! { code.whole { "/" (name) } },
            html! { (text(schema.get("type").or_else(|| schema.get("enum")))) },
            html! { @match schema.get("default") { None => { "none" }, given => { (text(given)) } } },
            html! { (text(schema.get("description").or_else(|| schema.get("title")))) },
        ]
    };
    let rows: Vec<_> = found.into_iter().flatten().take(SHOWN_MAX).map(row).collect();
    html! {
        section aria-labelledby="described" {
            h2 id="described" { "As its broker describes them" }
            @if rows.is_empty() { p { "Its plan describes no parameters." } }
            @else { (kit::table("Parameters of an order", &["Parameter", "Type", "Default", "What it is"], &rows)) }
        }
    }
}

fn address(key: &Key) -> String {
    let path = format!("/offerings/{}/plans/{}/parameters", kit::part(&key.offering), kit::part(&key.plan));
    kit::with(&path, "tenant", &key.tenant)
}

/// The options of the command that name the plan and the tenant.
fn named(key: &Key) -> String {
    let tenant =
        if key.tenant.is_empty() { String::new() } else { format!(" --tenant {}", documents::quoted(&key.tenant)) };
    format!("{} {}{tenant}", key.offering, key.plan)
}

fn by_program(key: &Key, typed: &Typed) -> Markup {
    let rules = typed.rules().unwrap_or_default();
    let mut command = format!("bourse parameters set {}", named(key));
    for (option, values) in [("default", &rules.default), ("force", &rules.force)] {
        for (name, value) in values {
            command += &format!(" --{option} {}", documents::quoted(&format!("{name}={value}")));
        }
    }
    for pointer in &rules.forbid {
        command += &format!(" --forbid {}", documents::quoted(pointer));
    }
    kit::same_by_program(&documents::curl("PUT", &address(key), Some(&json!(rules))), Some(&command))
}

/// `GET /operator/offerings/{offering}/plans/{plan}/parameters/delete`: asks first.
///
/// # Errors
/// 404 where nothing is said.
pub async fn sure(
    _: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
    whose: Params<Whose>,
) -> Result<HttpResponse, Failure> {
    let key = key(&names, &whose.0);
    let view = app.parameters(&key).await?;
    let offering = format!("{HERE}/{}", kit::part(&key.offering));
    let back = kit::with(&format!("{offering}/plans/{}/parameters", kit::part(&key.plan)), "tenant", &key.tenant);
    let question = Question {
        title: &format!("Take back what is said of the parameters of {} {}?", key.offering, key.plan),
        trail: kit::trail(&[("Offerings", HERE), (&key.offering, &offering), ("Parameters", &back)]),
        text: html! {
            p { "Orders " @if !key.tenant.is_empty() { "for " (key.tenant) " " } "are held against the broker's own description then. What stands stays as it is." }
            pre.source tabindex="0" { code { (documents::pretty(&json!(view.rules))) } }
        },
        fields: &[("tenant", &key.tenant)],
        yes: "Take all of it back",
        back: &back,
        program: kit::same_by_program(
            &documents::curl("DELETE", &address(&key), None),
            Some(&format!("bourse parameters delete {}", named(&key))),
        ),
    };
    Ok(ask(&visit, &question, &Wrong::default()))
}

/// `POST /operator/offerings/{offering}/plans/{plan}/parameters/delete`
///
/// # Errors
/// 404 where nothing is said.
pub async fn delete(
    who: Can<ManagePolicies>,
    visit: Visit,
    app: Data<App>,
    names: Path<(String, String)>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let key = key(&names, &Whose { tenant: fields.text("tenant").to_owned() });
    app.delete_parameters(&who.caller, &key).await?;
    Ok(visit.to(&format!("{HERE}/{}", kit::part(&key.offering))))
}
