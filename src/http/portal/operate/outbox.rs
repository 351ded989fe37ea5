//! `/operator/outbox`: where events go, how far each sink is, and the events that one did not take, to be sent once more.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

use super::{ago, parts};
use crate::app::App;
use crate::app::attention::SinkView;
use crate::app::dead_letters::DeadLetter;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page};
use crate::http::permits::{Can, ManageEvents, SeeDeadLetters};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["sink", "cursor", "done"];
const SHOWN: u32 = 50;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    sink: String,
    cursor: Option<String>,
    done: Option<u64>,
}

/// `GET /operator/outbox`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    who: Can<SeeDeadLetters>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let at = page(Some(SHOWN), wanted.cursor.as_deref())?;
    let sinks = app.sink_views().await?;
    let only = Some(wanted.sink.as_str()).filter(|sink| !sink.is_empty());
    let letters: PageOut<DeadLetter> = app.dead_letters(only, &at).await?.into();
    let repeats = Permission::ManageEvents.sight(&who.caller).is_some();
    let rows: Vec<_> = sinks.iter().map(|sink| row(&visit, &app, sink, repeats)).collect();
    Ok(Page::new(&visit, "Outbox").above(parts(&visit, &who.caller)).show(html! {
        @if let Some(count) = wanted.done {
            (kit::notice(Tone::Good, &html! { p { (shown::count(usize::try_from(count).unwrap_or(0), "event is", "events are")) " sent once more, in order." } }))
        }
        section aria-labelledby="sinks" {
            h2 id="sinks" { "Sinks" }
            @if rows.is_empty() { (kit::empty("No sink is set up", "Events stay in the feed, from which everybody who may can read them. Sinks are in the settings.", None)) }
            @else { (kit::table("Sinks and how far they are", &["Sink", "State", "Behind", "Dead letters", "What to do"], &rows)) }
        }
        section aria-labelledby="letters" {
            h2 id="letters" { "Dead letters" }
            @if letters.items.is_empty() { p { "Every sink took every event." } } @else { (dead(&letters.items)) }
            (kit::pager(&visit, letters.next.as_deref()))
        }
        (kit::same_by_program(
            "curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{\"sink\":\"NAME\"}' \"$HUB/api/v1/events/dead-letters/redeliver\"",
            None,
        ))
    }))
}

fn row(visit: &Visit, app: &App, sink: &SinkView, repeats: bool) -> Vec<Markup> {
    let state = match (&sink.error, sink.attempts, sink.behind) {
        (Some(error), _, _) => html! { (kit::badge(Tone::Bad, "failing")) " " (error) },
        (None, 1.., _) => html! { (kit::badge(Tone::Bad, "failing")) },
        (None, _, 0) => kit::badge(Tone::Good, "up to date"),
        (None, _, _) => kit::badge(Tone::Busy, "delivering"),
    };
    let fields = BTreeMap::from([("sink", sink.name.as_str())]);
    vec![
        html! { (sink.name) },
        html! { (state) @if let Some(at) = sink.next_at { p.under { "Tried again " (shown::time(at)) } } },
        html! {
            (shown::count(usize::try_from(sink.behind).unwrap_or(0), "event", "events"))
            @if let Some(at) = sink.oldest_at.filter(|_| sink.behind > 0) { ", the oldest since " (ago(app, at)) }
        },
        html! { (sink.dead_letters) },
        html! {
            @if sink.dead_letters == 0 { "nothing" } @else if !repeats { "operators can send them once more" }
            @else { (forms::button(visit, visit.path(), &fields, "small", "Send its dead letters once more")) }
        },
    ]
}

fn dead(letters: &[DeadLetter]) -> Markup {
    let row = |letter: &DeadLetter| {
        vec![
            html! { (letter.sink) },
            html! { code { (letter.event_id) } },
            html! { (letter.error) },
            html! { (letter.attempts) },
            html! { (shown::time(letter.at)) @if letter.redeliver { " " (kit::badge(Tone::Busy, "is sent once more")) } },
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    kit::table("Events that a sink did not take", &["Sink", "Event", "Why not", "Tries", "Given up"], &rows)
}

/// `POST /operator/outbox`: has a sink's dead letters sent once more.
///
/// # Errors
/// 404 where there is no such sink.
pub async fn redeliver(
    who: Can<ManageEvents>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let queued = app.redeliver(&who.caller.actor(), fields.text("sink")).await?;
    Ok(visit.to(&format!("/operator/outbox?done={queued}")))
}
