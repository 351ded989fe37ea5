//! `/operator/reviews`: what providers have submitted. One of them shows all that a decision takes (checks, prices, findings, verdict), and the
//! form that publishes it or sends it back. Whoever submitted it, or answers for its broker, is told that somebody else decides.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use super::offering::{checks, stage_badge, submission};
use super::report;
use super::steps::{Way, pending};
use crate::app::reviews::{Looked, ReviewFilter, ReviewView, Verb};
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::review::ReviewState;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page as page_of};
use crate::http::permits::{Can, ManageBrokers, SeeReviews};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::operate::{brokers, parts};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the list.
pub const QUERY: &[&str] = &["show", "cursor"];
const HERE: &str = "/operator/reviews";
/// Submissions on one page.
const SHOWN: u32 = 50;

/// Which of them are looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    show: String,
    cursor: Option<String>,
}

/// `GET /operator/reviews`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeReviews>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let all = wanted.0.show == "all";
    let filter = ReviewFilter { state: (!all).then_some(ReviewState::Submitted), offering: None };
    let at = page_of(Some(SHOWN), wanted.0.cursor.as_deref())?;
    let listed: PageOut<ReviewView> = app.reviews(&who.sight, filter, &at).await?.into();
    Ok(Page::new(&visit, "Reviews").above(parts(&visit, &who.caller)).show(html! {
        nav.chips aria-label="Which submissions" {
            ul {
                li { a.badge href=(HERE) aria-current=[(!all).then_some("page")] { "Waiting" } }
                li { a.badge href={ (HERE) "?show=all" } aria-current=[all.then_some("page")] { "All" } }
            }
        }
        @if listed.items.is_empty() {
            (kit::empty("Nothing waits for a review", "What a provider submits for publication is here until somebody who is not that provider decides.", None))
        } @else { (table(&listed.items)) }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(
            "curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/reviews?state=submitted\"",
            Some("bourse offering reviews --state submitted"),
        ))
    }))
}

fn table(rows: &[ReviewView]) -> Markup {
    let row = |row: &ReviewView| {
        vec![
            html! { a href={ (HERE) "/" (kit::part(&row.offering)) } { (row.offering) } },
            state(row.state),
            html! { (row.submitted_by) },
            shown::time(row.submitted_at),
            html! { (row.note.as_deref().or(row.reason.as_deref()).unwrap_or_default()) },
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    kit::table("Submissions, the oldest first", &["Offering", "State", "Submitted by", "When", "What was said"], &rows)
}

fn state(state: ReviewState) -> Markup {
    match state {
        ReviewState::Submitted => kit::badge(Tone::Busy, "waits"),
        ReviewState::Published => kit::badge(Tone::Good, "published"),
        ReviewState::SentBack => kit::badge(Tone::Warn, "sent back"),
        ReviewState::Void => kit::badge(Tone::Plain, "void"),
    }
}

/// `GET /operator/reviews/{name}`
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

/// `POST /operator/reviews/{name}`: publishes it, or sends it back.
///
/// # Errors
/// 404 where there is none.
pub async fn decide(
    who: Can<ManageBrokers>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let reason = fields.text("reason");
    let decided = match fields.text("do") {
        "publish" => app.decide_review(&who.caller, &name, Verb::Publish, Some(reason)).await,
        "send-back" => app.decide_review(&who.caller, &name, Verb::SendBack, Some(reason)).await,
        _ => Err(app::Error::invalid("/do", "say whether it is published or sent back")),
    };
    let wrong = match decided {
        Ok(_) => return Ok(visit.to(visit.path())),
        Err(error) => Wrong::of(error, &[("/reason", "reason")])?,
    };
    let looked = app.offering_checks(&who.sight, &name).await?;
    page(&app, &who.caller, &visit, &looked, reason, &wrong).await
}

async fn page(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    looked: &Looked,
    reason: &str,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let (name, broker) = (looked.offering.name.as_str(), looked.broker.name.as_str());
    let way = Way::new(app, looked, pending(app, caller, broker).await?);
    let stage = looked.lifecycle.at(app.clock().now());
    let waits = looked.review.as_ref().filter(|review| review.state == ReviewState::Submitted);
    let title = format!("Review of {name}");
    let (verdict, tariffs) = (verdict(app, caller, broker, name).await?, app.tariffs().await?);
    let above = html! { (parts(visit, caller)) (kit::trail(&[("Reviews", HERE)])) };
    let decides = Permission::ManageBrokers.sight(caller).is_some();
    let home = format!("/operator/brokers/{}", kit::part(broker));
    Ok(Page::new(visit, &title).above(above).status(wrong.status()).show(html! {
        (wrong.above())
        @match &looked.review {
            Some(review) => { (submission(review)) },
            None => { (kit::notice(Tone::Plain, &html! { p { "It was not submitted yet: whoever answers for its broker does that." } })) }
        }
        @if waits.is_none() { div.panel.way { (way.show("/operator", true)) } }
        (kit::facts(&[
            ("Lifecycle", stage_badge(stage)),
            ("Broker", html! { a href=(home) { (broker) } " " (brokers::status(looked.broker.status)) }),
            ("Registered by", html! { (looked.broker.provider.as_deref().unwrap_or("an operator")) }),
            ("Description", html! { (looked.offering.document.get("description").and_then(serde_json::Value::as_str).unwrap_or_default()) }),
        ]))
        (checks(&looked.checks, "/operator", broker, name))
        (verdict)
        section aria-labelledby="plans" {
            h2 id="plans" { "Plans and prices" }
            (brokers::plans(std::slice::from_ref(&looked.offering), tariffs.as_ref()))
        }
        (brokers::findings("What is wrong with its part of the catalog", &looked.offering.findings))
        (brokers::findings("What is wrong with the broker, or its catalog as a whole", &looked.broker.findings))
        @if let (Some(review), true) = (waits, decides) { (form(caller, visit, review, reason, wrong)) }
        (kit::same_by_program(
            &format!("curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{{}}' \\\n  \"$HUB/api/v1/offerings/{}/publish\"", kit::part(name)),
            Some(&format!("bourse offering publish {name}\nbourse offering send-back {name} --reason \"…\"")),
        ))
    }))
}

/// What the conformance suite found of it last.
async fn verdict(app: &App, caller: &Caller, broker: &str, offering: &str) -> Result<Markup, Failure> {
    let Some(sight) = Permission::SeeBrokers.sight(caller) else { return Ok(html! {}) };
    let seen = app.conformance(&sight, broker, Some(offering.to_owned())).await?;
    let query = serde_urlencoded::to_string([("offering", offering)]).unwrap_or_default();
    let address = format!("/operator/brokers/{}/conformance?{query}", kit::part(broker));
    Ok(html! {
        section aria-labelledby="verdict" {
            h2 id="verdict" { "Conformance" }
            @match seen.verdicts.iter().find(|run| run.row.offering == offering) {
                Some(run) => {
                    (report::verdict(run))
                    @if !run.current { p { "That was another form of the offering, or its broker was elsewhere: it counts for nothing any more." } }
                },
                None => p { "It was not judged yet." }
            }
            p { a href=(address) { "The whole report" } }
        }
    })
}

fn form(caller: &Caller, visit: &Visit, review: &ReviewView, reason: &str, wrong: &Wrong) -> Markup {
    let own = if caller.actor() == review.submitted_by {
        Some("You submitted it yourself: another operator publishes it. You may still send it back.")
    } else if caller.provides(&review.broker_id) {
        Some("You answer for its broker: an operator who does not publishes it. You may still send it back.")
    } else {
        None
    };
    html! {
        section aria-labelledby="decide" {
            h2 id="decide" { "Decide" }
            @if let Some(words) = own { (kit::notice(Tone::Warn, &html! { p { (words) } })) }
            @else { p { "Published, it can be ordered by everybody whom its plans are for. The hub asks the broker for its catalog once more before." } }
            form.panel method="post" action=(visit.path()) {
                (kit::csrf(visit))
                (forms::area(&Line {
                    name: "reason", label: "Reason", value: reason, wrong: wrong.at("reason"),
                    hint: "Whoever submitted it reads this. Needed where it is sent back: say what is to be put right.", ..Line::default()
                }, 3))
                p.actions {
                    @if own.is_none() { button type="submit" name="do" value="publish" { "Publish " (review.offering) } }
                    button.second type="submit" name="do" value="send-back" { "Send it back" }
                }
            }
        }
    }
}
