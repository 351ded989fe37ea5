//! `/provider/brokers/{name}/prices` and `/operator/brokers/{name}/prices`: what a broker's plans cost, a form that proposes other prices, and
//! what became of proposals. Prices are typed as lines ([`super::rules`]) or, for all that lines can't say, as JSON.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::around;
use super::proposals::{self, SHOWN};
use super::rules::{self, Priced};
use crate::app::App;
use crate::app::costs::currency;
use crate::app::registry::BrokerView;
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::price::Rule;
use crate::domain::proposal::{ProposalDocument, ProposalState};
use crate::http::error::Failure;
use crate::http::input::{Params, parse};
use crate::http::page::{PageOut, page as page_of};
use crate::http::permits::{Can, ProposePrices, SeePriceProposals};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::operate::brokers;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["as", "cursor"];

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    #[serde(rename = "as")]
    form: String,
    cursor: Option<String>,
}

/// What was typed into the form.
#[derive(Clone, Debug, Default)]
struct Typed {
    currency: String,
    /// Whether the hub has none yet, so that the first prices decide it.
    first: bool,
    /// A day.
    from: String,
    lines: Vec<Priced>,
    /// Rules as JSON, where they are written so.
    json: Option<String>,
    /// Whether lines could say it, too.
    lines_do: bool,
}

/// `GET …/brokers/{name}/prices`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeePriceProposals>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    let typed = begin(&app, &view, wanted.0.form == "json").await?;
    page(&app, &who.caller, &visit, &view, &typed, &Wrong::default(), wanted.0.cursor.as_deref()).await
}

/// What the form begins with: the prices in force.
async fn begin(app: &App, view: &BrokerView, json: bool) -> Result<Typed, Failure> {
    let tariffs = app.tariffs().await?;
    let lines = rules::lines(view.offerings(), tariffs.as_ref());
    let lines_do = lines.is_some();
    let standing: Vec<&Rule> = tariffs
        .iter()
        .flat_map(|tariffs| view.offerings().iter().flat_map(|offering| tariffs.rules(&offering.name)))
        .collect();
    let json = (json || !lines_do).then(|| serde_json::to_string_pretty(&standing).unwrap_or_default());
    let currency = currency(&app.price_books(None).await?).unwrap_or_default();
    Ok(Typed {
        first: currency.is_empty(),
        currency,
        lines: lines.unwrap_or_default(),
        json,
        lines_do,
        ..Typed::default()
    })
}

/// `POST …/brokers/{name}/prices`: proposes them.
///
/// # Errors
/// 404 where there is none for which they may.
pub async fn propose(
    who: Can<ProposePrices>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.broker(&who.sight, &name).await?;
    let begun = begin(&app, &view, true).await?;
    let typed = Typed {
        currency: if begun.first { fields.text("currency").to_owned() } else { begun.currency },
        first: begun.first,
        from: fields.text("from").to_owned(),
        lines: rules::read(&fields),
        json: fields.raw("rules").map(|rules| rules.trim().to_owned()),
        lines_do: begun.lines_do,
    };
    let wrong = match typed.document() {
        Err(wrong) => wrong,
        Ok((document, ids)) => match app.propose_prices(&who.caller, &name, document).await {
            Ok(made) => return Ok(visit.to(&format!("/costs/proposals/{}", kit::part(&made.row.id)))),
            Err(error) => {
                let places: Vec<(String, &str)> =
                    ids.iter().enumerate().map(|(index, id)| (format!("/rules/{index}"), id.as_str())).collect();
                let of_rules = places.iter().map(|(pointer, id)| (pointer.as_str(), *id));
                let others = [("/rules", "rules"), ("/currency", "currency"), ("/effective_from", "from")];
                Wrong::of(error, &of_rules.chain(others).collect::<Vec<_>>())?
            }
        },
    };
    page(&app, &who.caller, &visit, &view, &typed, &wrong, None).await
}

impl Typed {
    /// The proposal, and at which field each of its rules was typed.
    fn document(&self) -> Result<(ProposalDocument, Vec<String>), Wrong> {
        let (rules, ids) = match &self.json {
            None => rules::rules(&self.lines)?,
            Some(text) => {
                let rules: Vec<Rule> = parse(text.as_bytes()).map_err(|failure| {
                    let issue = failure.errors().first();
                    let told = issue
                        .map_or(failure.detail().to_owned(), |issue| format!("{} {}", issue.pointer, issue.detail));
                    Wrong::field("rules", &format!("This must be a list of rules as JSON: {told}"))
                })?;
                let ids = rules.iter().map(|_| "rules".to_owned()).collect();
                (rules, ids)
            }
        };
        if rules.is_empty() {
            return Err(Wrong::field("", "Type at least one price, or why something is free"));
        }
        Ok((ProposalDocument { currency: self.currency.clone(), effective_from: day(&self.from)?, rules }, ids))
    }
}

/// The beginning of a day, UTC.
fn day(text: &str) -> Result<Option<Time>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = serde_json::from_value(Value::String(format!("{text}T00:00:00Z")));
    read.map(Some).map_err(|_| Wrong::field("from", "This must be a day, such as 2026-12-01"))
}

async fn page(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    view: &BrokerView,
    typed: &Typed,
    wrong: &Wrong,
    cursor: Option<&str>,
) -> Result<HttpResponse, Failure> {
    let name = view.row.name.as_str();
    let title = format!("Prices of {name}");
    let tariffs = app.tariffs().await?;
    let listed: PageOut<_> = match Permission::SeePriceProposals.sight(caller) {
        Some(sight) => {
            app.price_proposals(&sight, (None, Some(name.to_owned())), &page_of(Some(SHOWN), cursor)?).await?.into()
        }
        None => PageOut { items: Vec::new(), next: None },
    };
    let proposes = Permission::ProposePrices.sight(caller).is_some();
    let waits = listed.items.iter().any(|view| view.row.state == ProposalState::Pending);
    Ok(Page::new(visit, &title).above(around(visit, caller, name)).status(wrong.status()).show(html! {
        (wrong.above())
        section aria-labelledby="now" {
            h2 id="now" { "What it costs now" }
            (brokers::plans(view.offerings(), tariffs.as_ref()))
        }
        section aria-labelledby="proposals" {
            h2 id="proposals" { "What was proposed" }
            @if listed.items.is_empty() { p { "Nothing yet." } } @else { (proposals::table(&listed.items, false)) }
            (kit::pager(visit, listed.next.as_deref()))
        }
        @if proposes { (form(visit, typed, waits, wrong)) }
        (program(name))
    }))
}

fn form(visit: &Visit, typed: &Typed, waits: bool, wrong: &Wrong) -> Markup {
    html! {
        section aria-labelledby="propose" {
            h2 id="propose" { "Propose prices" }
            p { "These are all prices of the offerings that are named here from then on; what is left empty has no price. Somebody of finance accepts or refuses them." }
            @if waits { (kit::notice(Tone::Warn, &html! { p { "A proposal waits already. Another one takes its place." } })) }
            @if typed.lines.is_empty() && typed.json.is_none() {
                p { "Nothing that it offers can be ordered, so that there is nothing to price." }
            } @else {
                form.panel method="post" action=(visit.path()) {
                    (kit::csrf(visit))
                    @if typed.first {
                        (kit::line(&Line {
                            name: "currency", label: "Currency", value: &typed.currency, required: true, wrong: wrong.at("currency"),
                            hint: "Three letters, such as EUR. The hub has no prices yet: the first ones decide it.", ..Line::default()
                        }))
                    }
                    (kit::line(&Line {
                        name: "from", label: "From", value: &typed.from, kind: "date", wrong: wrong.at("from"),
                        hint: "The day from which on they count, 00:00 UTC. Empty: as soon as they are accepted.", ..Line::default()
                    }))
                    @match &typed.json {
                        Some(json) => {
                            (forms::area(&Line {
                                name: "rules", label: "Rules", value: json, required: true, wrong: wrong.at("rules"),
                                hint: "A list of rules as of a price book, as JSON.", ..Line::default()
                            }, 16))
                            @if typed.lines_do { p { a href=(visit.path()) { "Type them line by line instead" } } }
                            @else { p.under { "Lines can't say all of the prices in force, or there are too many plans: so they are written as JSON." } }
                        },
                        None => {
                            (rules::inputs(&typed.lines, &typed.currency, wrong))
                            p { a href={ (visit.path()) "?as=json#propose" } { "Write them as JSON instead" } ", for tiers, packages and free quantities." }
                        }
                    }
                    p.actions { button type="submit" { "Propose these prices" } }
                }
            }
        }
    }
}

fn program(name: &str) -> Markup {
    let curl = format!(
        "curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{{\"broker\": \"{name}\", \"currency\": \"EUR\", \"rules\": [{{\"offering\": \"OFFERING\", \"model\": \"flat\", \"amount\": \"9\", \"per\": \"month\"}}]}}' \\\n  \"$HUB/api/v1/price-proposals\""
    );
    kit::same_by_program(&curl, Some(&format!("bourse price-book propose prices.json --broker {name}")))
}
