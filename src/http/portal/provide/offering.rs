//! `/provider/offerings/{name}`: an offering on its way to publication: how far it has come, what to do now, what was looked at, and the form
//! that submits it. What a review shows besides ([`checks`]) is the same for whoever decides ([`super::reviews`]).

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::Value;

use super::steps::{Way, pending};
use crate::app::App;
use crate::app::reviews::{Looked, ReviewView};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::review::{Check, Fit, ReviewState, missing};
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::permits::{Can, SeeReviews, SubmitOfferings};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// `GET /provider/offerings/{name}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeReviews>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let looked = app.offering_checks(&who.sight, &name).await?;
    page(&app, &who.caller, &visit, &looked, "", &Wrong::default()).await
}

/// `POST /provider/offerings/{name}`: submits it.
///
/// # Errors
/// 404 where there is none that they may submit.
pub async fn submit(
    who: Can<SubmitOfferings>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let note = fields.text("note");
    let wrong = match app.submit_offering(&who.caller, &name, Some(note)).await {
        Ok(_) => return Ok(visit.to(visit.path())),
        Err(error) => Wrong::of(error, &[("/note", "note")])?,
    };
    // What was found now, after the broker was asked for its catalog.
    let looked = app.offering_checks(&who.sight, &name).await?;
    page(&app, &who.caller, &visit, &looked, note, &wrong).await
}

async fn page(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    looked: &Looked,
    note: &str,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let (name, broker) = (looked.offering.name.as_str(), looked.broker.name.as_str());
    let stage = looked.lifecycle.at(app.clock().now());
    let way = Way::new(app, looked, pending(app, caller, broker).await?);
    let waits = looked.review.as_ref().is_some_and(|review| review.state == ReviewState::Submitted);
    let home = format!("/provider/brokers/{}", kit::part(broker));
    let submits = Permission::SubmitOfferings.sight(caller).is_some() && stage == Stage::Draft && !waits;
    let lacks = missing(&looked.checks).len();
    Ok(Page::new(visit, name).above(kit::trail(&[("Provide", "/provider"), (broker, &home)])).status(wrong.status()).show(html! {
        (wrong.above())
        p.state { (stage_badge(stage)) }
        div.panel.way { (way.show("/provider", true)) }
        @if let Some(review) = &looked.review { (submission(review)) }
        (checks(&looked.checks, "/provider", broker, name))
        @if submits {
            section #submit aria-labelledby="submit-head" {
                h2 #submit-head { "Submit it for publication" }
                @if lacks == 0 {
                    p { "The hub asks the broker for its catalog once more. Then an operator who did not submit it, and does not answer for the broker, publishes it or sends it back." }
                    form.panel method="post" action=(visit.path()) {
                        (kit::csrf(visit))
                        (forms::area(&Line {
                            name: "note", label: "Note", value: note, wrong: wrong.at("note"),
                            hint: "What whoever looks at it should know.", ..Line::default()
                        }, 3))
                        p.actions { button type="submit" { "Submit " (name) } }
                    }
                } @else {
                    p { "It can be submitted when nothing that is required fails any more: " (shown::count(lacks, "check is", "checks are")) " left above." }
                }
            }
        }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{{}}' \\\n  \"$HUB/api/v1/offerings/{}/submit\"", kit::part(name)),
            Some(&format!("bourse offering checks {name}\nbourse offering submit {name}")),
        ))
    }))
}

/// How far it has come, in a word.
pub(super) fn stage_badge(stage: Stage) -> Markup {
    let tone = match stage {
        Stage::Draft => Tone::Busy,
        Stage::Published => Tone::Good,
        Stage::Deprecated => Tone::Warn,
        Stage::Retired => Tone::Plain,
    };
    kit::badge(tone, stage.as_str())
}

/// How the latest submission stands, with what was said.
pub(super) fn submission(review: &ReviewView) -> Markup {
    let (tone, words) = match review.state {
        ReviewState::Submitted => (Tone::Busy, "was submitted, and waits for an operator"),
        ReviewState::Published => (Tone::Good, "was submitted and published"),
        ReviewState::SentBack => (Tone::Warn, "was submitted and sent back"),
        ReviewState::Void => (Tone::Warn, "was submitted and changed afterwards, which voids that: submit it again"),
    };
    kit::notice(
        tone,
        &html! {
            p { "It " (words) "." }
            p.under { "Submitted " (shown::time(review.submitted_at)) " by " (review.submitted_by)
                @if let Some(at) = review.decided_at { ", decided " (shown::time(at)) @if let Some(by) = &review.decided_by { " by " (by) } } "." }
            @if let Some(note) = &review.note { p { "Note: " (note) } }
            @if let Some(reason) = &review.reason { p { "Reason: " (reason) } }
        },
    )
}

/// What was looked at, and what to do about it.
pub(super) fn checks(checks: &[Check], base: &str, broker: &str, offering: &str) -> Markup {
    let lacks = checks.iter().any(|check| check.state == Fit::Failed);
    let row = |check: &Check| {
        let state = match (check.state, check.required) {
            (Fit::Passed, _) => kit::badge(Tone::Good, "in order"),
            (Fit::Failed, true) => kit::badge(Tone::Bad, "missing"),
            (Fit::Failed, false) => kit::badge(Tone::Warn, "better with it"),
        };
        let mut row = vec![html! { strong { (words(&check.check)) } }, state, html! { (in_words(&check.message)) }];
        if lacks {
            row.push(
                html! { @if check.state == Fit::Failed { (remedy(check, base, broker, offering)) } @else { "nothing" } },
            );
        }
        row
    };
    let rows: Vec<_> = checks.iter().map(row).collect();
    let heads = ["Check", "State", "What was found", "What to do"];
    html! {
        section #checks aria-labelledby="checks-head" {
            h2 #checks-head { "What publication takes" }
            (kit::table("Checks, as things stand", if lacks { &heads } else { &heads[..3] }, &rows))
        }
    }
}

/// A sentence of the API, with its times as pages tell them.
fn in_words(message: &str) -> String {
    let word = |word: &str| {
        let time: Option<Time> = serde_json::from_value(Value::from(word)).ok();
        time.map_or_else(|| word.to_owned(), shown::in_words)
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What is looked at, for people.
fn words(check: &str) -> &str {
    match check {
        "broker" => "Broker",
        "catalog" => "Catalog",
        "schemas" => "Forms of parameters",
        "conformance" => "Conformance",
        "price" => "Prices",
        "meters" => "Meters",
        "support" => "Support",
        "documentation" => "Documentation",
        "presentation" => "Names and descriptions",
        other => other,
    }
}

/// What to do, with the page where it is done.
fn remedy(check: &Check, base: &str, broker: &str, offering: &str) -> Markup {
    let home = format!("{base}/brokers/{}", kit::part(broker));
    match check.check.as_str() {
        "broker" => {
            html! { "Look at its findings and put it right, then " a href=(home) { "fetch its catalog again" } "." }
        }
        "catalog" => html! { "Put the broker's catalog right, then " a href=(home) { "fetch it again" } "." },
        "conformance" => {
            let query = serde_urlencoded::to_string([("offering", offering)]).unwrap_or_default();
            html! { a href={ (home) "/conformance?" (query) } { "Read what was found, and have the broker judged" } "." }
        }
        "price" => html! {
            a href={ (home) "/prices" } { "Propose prices" } ", and wait until they are accepted and in force. Or say " code { "\"free\": true" } " in the plan."
        },
        "meters" => html! {
            (check.remedy.as_deref().unwrap_or_default()) ": " a href={ (home) "/prices" } { "prices" } "."
        },
        _ => {
            html! { (check.remedy.as_deref().unwrap_or_default()) ". Then " a href=(home) { "fetch its catalog again" } "." }
        }
    }
}
