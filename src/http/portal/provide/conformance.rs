//! `/provider/brokers/{name}/conformance` and `/operator/brokers/{name}/conformance`: has a broker judged by the conformance suite, and shows
//! what came of it. While a run goes on, the page keeps itself up to date. What is found is told in [`report`](super::report).

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{around, report};
use crate::app::App;
use crate::app::conformance::{ConformanceView, JudgeRequest};
use crate::app::registry::BrokerView;
use crate::domain::caller::Caller;
use crate::domain::catalog::State;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::{Params, parse};
use crate::http::permits::{Can, ChangeBrokers, SeeBrokers};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["offering"];
/// After how many seconds a page of a run that goes on is looked at again.
const AGAIN_SECONDS: u32 = 3;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    offering: String,
}

/// What was typed into the form.
#[derive(Clone, Debug, Default)]
struct Typed {
    /// Offering and plan, as a query.
    what: String,
    parameters: String,
    context: String,
    organization_guid: String,
    space_guid: String,
    yes: bool,
}

/// Offering and plan of [`Typed::what`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct What {
    offering: Option<String>,
    plan: Option<String>,
}

impl Typed {
    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            what: text("what"),
            parameters: text("parameters"),
            context: text("context"),
            organization_guid: text("organization_guid"),
            space_guid: text("space_guid"),
            yes: fields.raw("yes").is_some(),
        }
    }

    fn request(&self) -> Result<JudgeRequest, Wrong> {
        let what: What = serde_urlencoded::from_str(&self.what).unwrap_or_default();
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(JudgeRequest {
            makes_instances: self.yes,
            offering: what.offering,
            plan: what.plan,
            parameters: object("parameters", &self.parameters)?,
            context: object("context", &self.context)?,
            organization_guid: given(&self.organization_guid),
            space_guid: given(&self.space_guid),
        })
    }
}

/// A JSON object; nothing where nothing was typed.
fn object(id: &str, text: &str) -> Result<Option<Map<String, Value>>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text.as_bytes()).map(Some).map_err(|failure| {
        let told = failure.errors().first().map_or(failure.detail(), |issue| issue.detail.as_str());
        Wrong::field(id, &format!("This must be a JSON object: {told}"))
    })
}

/// `GET …/brokers/{name}/conformance`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = Some(wanted.0.offering).filter(|offering| !offering.is_empty());
    let view = app.broker(&who.sight, &name).await?;
    let seen = app.conformance(&who.sight, &name, wanted.clone()).await?;
    Ok(page(&who.caller, &visit, &view, &seen, &begin(&view, wanted.as_deref()), &Wrong::default()))
}

/// What the form begins with: the offering that was asked for, else the first.
fn begin(view: &BrokerView, offering: Option<&str>) -> Typed {
    let first = || view.offerings().iter().find(|offering| offering.state == State::Available);
    let offering = offering.or_else(|| first().map(|offering| offering.name.as_str()));
    Typed { what: offering.map(|offering| value(offering, None)).unwrap_or_default(), ..Typed::default() }
}

/// `POST …/brokers/{name}/conformance`
///
/// # Errors
/// 404 where there is none that they may change.
pub async fn judge(
    who: Can<ChangeBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    let wrong = match typed.request() {
        Err(wrong) => wrong,
        Ok(request) => match app.judge_broker(&who.caller, &name, request).await {
            Ok(_) => return Ok(visit.to(visit.path())),
            Err(error) => Wrong::of(
                error,
                &[
                    ("/makes_instances", "yes"),
                    ("/offering", "what"),
                    ("/plan", "what"),
                    ("/parameters", "parameters"),
                    ("/context", "context"),
                    ("/organization_guid", "organization_guid"),
                    ("/space_guid", "space_guid"),
                ],
            )?,
        },
    };
    let view = app.broker(&who.sight, &name).await?;
    let seen = app.conformance(&who.sight, &name, None).await?;
    Ok(page(&who.caller, &visit, &view, &seen, &typed, &wrong))
}

fn page(
    caller: &Caller,
    visit: &Visit,
    view: &BrokerView,
    seen: &ConformanceView,
    typed: &Typed,
    wrong: &Wrong,
) -> HttpResponse {
    let name = view.row.name.as_str();
    let title = format!("Conformance of {name}");
    let goes_on = seen.run.as_ref().is_some_and(|run| run.row.state.is_under_way());
    let mut page = Page::new(visit, &title).above(around(visit, caller, name)).status(wrong.status());
    // What was typed is not lost to a reload.
    if goes_on && !wrong.is_any() {
        page = page.reload(AGAIN_SECONDS);
    }
    let changes = Permission::ChangeBrokers.sight(caller).is_some();
    page.show(html! {
        (wrong.above())
        div #run data-live data-poll=[(goes_on && !wrong.is_any()).then_some(AGAIN_SECONDS)] {
            @match &seen.run {
                Some(run) => { (report::latest(run)) },
                None => {
                    (kit::empty("It was not judged yet", "The conformance suite calls the broker as the hub would, and says what of OSB it keeps. An offering needs it to be published.", None))
                }
            }
            @if seen.verdicts.len() > 1 { (report::verdicts(&seen.verdicts)) }
            @if changes && !goes_on { (form(visit, view, typed, wrong)) }
        }
        (program(name))
    })
}

fn form(visit: &Visit, view: &BrokerView, typed: &Typed, wrong: &Wrong) -> Markup {
    let options: Vec<(String, String)> = view
        .offerings()
        .iter()
        .filter(|offering| offering.state == State::Available)
        .flat_map(|offering| {
            let name = &offering.name;
            let plans = offering.plans.iter().filter(|plan| plan.state == State::Available);
            let first = (value(name, None), format!("{name}, by its first plan"));
            let each = plans.map(move |plan| (value(name, Some(&plan.name)), format!("{name}, by plan {}", plan.name)));
            std::iter::once(first).chain(each)
        })
        .collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(value, words)| (value.as_str(), words.as_str())).collect();
    let area = |name, label, hint, value| {
        forms::area(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() }, 5)
    };
    let line = |name, label, hint, value| {
        kit::line(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() })
    };
    let more = ["context", "organization_guid", "space_guid"].into_iter().any(|id| wrong.at(id).is_some());
    html! {
        section aria-labelledby="judge" {
            h2 id="judge" { "Have it judged" }
            @if options.is_empty() {
                p { "Nothing that it offers is in order, so that there is nothing to judge: look at its findings first." }
            } @else {
                form.panel method="post" action=(visit.path()) {
                    (kit::csrf(visit))
                    @if let Some(text) = wrong.at("what") { p.error #what-error { (text) } }
                    (kit::choice("what", "What is judged", &options, &typed.what))
                    (area("parameters", "Parameters", "As JSON: an object for an order, or {\"create\": {}, \"update\": {}, \"bind\": {}}. Made from the plan's schemas where this is empty.", &typed.parameters))
                    details.more open[more] {
                        summary { "Context of the orders" }
                        (area("context", "Context", "As JSON. One of Cloud Foundry's form where this is empty.", &typed.context))
                        (line("organization_guid", "Organization", "organization_guid of the orders.", &typed.organization_guid))
                        (line("space_guid", "Space", "space_guid of the orders.", &typed.space_guid))
                    }
                    div.field.wrong[wrong.at("yes").is_some()] {
                        @if let Some(text) = wrong.at("yes") { p.error #yes-error { (text) } }
                        div.check {
                            input type="checkbox" id="yes" name="yes" value="on" checked[typed.yes] aria-invalid=[wrong.at("yes").map(|_| "true")]
                                aria-describedby=[wrong.at("yes").map(|_| "yes-error")];
                            label for="yes" { "Yes: some twenty instances of one plan, and bindings, are really made at the broker, and deleted again" }
                        }
                    }
                    p.actions { button type="submit" { "Have it judged" } }
                }
            }
        }
    }
}

/// An offering, and one of its plans, as a field's value.
fn value(offering: &str, plan: Option<&str>) -> String {
    let pairs = std::iter::once(("offering", offering)).chain(plan.map(|plan| ("plan", plan)));
    serde_urlencoded::to_string(pairs.collect::<Vec<_>>()).unwrap_or_default()
}

fn program(name: &str) -> Markup {
    let curl = format!(
        "curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"makes_instances\": true}}' \"$HUB/api/v1/brokers/{}/conformance\"",
        kit::part(name)
    );
    kit::same_by_program(&curl, Some(&format!("bourse broker conformance {name} --makes-instances --wait")))
}
