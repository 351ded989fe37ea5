//! `/operator/audit`: who changed what, the latest first, what was before beside what is after; and whether the chain still is what was
//! signed.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::parts;
use crate::app::App;
use crate::app::audit::read::AuditQuery;
use crate::clock::Time;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, SeeAudit};
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the page.
pub const QUERY: &[&str] = &["actor", "subject", "until", "cursor"];
const SHOWN: u32 = 50;
/// Values of a row that are shown without being asked for.
const AT_ONCE: usize = 3;
/// Values that are told of one change.
const VALUES_MAX: usize = 30;
/// Characters of one of them.
const VALUE_MAX: usize = 200;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    actor: String,
    subject: String,
    /// A day; what was done after it is left out.
    until: String,
    cursor: Option<String>,
}

/// `GET /operator/audit`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeAudit>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let wanted = wanted.0;
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let until = some(&wanted.until).map(|text| end_of(&text));
    let wrong = if until == Some(None) {
        Wrong::field("until", "This must be a day, such as 2026-11-22")
    } else {
        Wrong::default()
    };
    let query = AuditQuery {
        after: wanted.cursor.clone(),
        limit: SHOWN,
        subject: some(&wanted.subject),
        actor: some(&wanted.actor),
    };
    let (rows, next) = app.audit_back(query, until.flatten()).await?;
    Ok(Page::new(&visit, "Audit").above(parts(&visit, &who.caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (state(&app).await?)
        (filters(&wanted, &wrong))
        @if rows.is_empty() { (kit::empty("Nothing was changed", "Nobody changed anything that fits. Take back what narrows it.", Some(("Show everything", "/operator/audit")))) }
        ol.audit { @for row in &rows { li { (entry(row)) } } }
        (kit::pager(&visit, next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/audit?subject=tenants/NAME\"", Some("bourse audit verify")))
    }))
}

/// The first instant after a day of UTC.
fn end_of(day: &str) -> Option<Time> {
    let date: jiff::civil::Date = day.parse().ok()?;
    let next = date.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Time(next.timestamp().as_microsecond()))
}

async fn state(app: &App) -> Result<Markup, Failure> {
    let (head, kept) = (app.audit_head().await?, app.audit_kept().await?);
    let said = match &kept {
        None => kit::notice(
            Tone::Plain,
            &html! { p { "No head of the chain was kept yet: one is kept from time to time as soon as something was changed." } },
        ),
        Some((kept, true)) => kit::notice(
            Tone::Good,
            &html! {
                p { "The chain is what was signed: row " (kept.position) " still has the hash that was signed " (shown::time(kept.at)) "." }
            },
        ),
        Some((kept, false)) => kit::notice(
            Tone::Bad,
            &html! {
                p { "The chain is not what was signed: row " (kept.position) " is missing or has another hash than was signed " (shown::time(kept.at)) ". Somebody has changed the database by hand." }
            },
        ),
    };
    Ok(html! {
        (said)
        details.program {
            summary { "The head of the chain now: row " (head.position) }
            (kit::facts(&[
                ("Hash", html! { code { (head.hash) } }),
                ("Signature", html! { code { (head.signature) } }),
                ("Key", html! { code { (head.kid) } " of /.well-known/audit-keys.json" }),
            ]))
        }
    })
}

fn filters(wanted: &Wanted, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value, kind| {
        kit::line(&Line { name, label, hint, value, kind, wrong: wrong.at(name), ..Line::default() })
    };
    html! {
        form.filters method="get" action="/operator/audit" {
            (line("actor", "Who", "Such as users/ada", &wanted.actor, ""))
            (line("subject", "What", "Such as tenants/retail", &wanted.subject, ""))
            (line("until", "Until", "A day: what came after it is left out", &wanted.until, "date"))
            button.second type="submit" { "Show" }
        }
    }
}

fn entry(row: &Value) -> Markup {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = row.get("at").and_then(|at| serde_json::from_value::<Time>(at.clone()).ok());
    let position = row.get("position").and_then(Value::as_i64).unwrap_or_default();
    let link = |name: &str| html! { a href=(kit::with("/operator/audit", name, text(name))) { (text(name)) } };
    let (before, after) = (row.get("before").unwrap_or(&Value::Null), row.get("after").unwrap_or(&Value::Null));
    let detail = flat(row.get("detail").unwrap_or(&Value::Null));
    let from = row.get("from").and_then(|from| from.get("channel")).and_then(Value::as_str).unwrap_or_default();
    html! {
        article.panel {
            h2 { (text("action")) " " (link("subject")) }
            p.under {
                (link("actor")) ", "
                @if let Some(at) = at { (shown::time(at)) }
                @if !from.is_empty() { ", by " (from) }
                ", row " (position)
            }
            (changed(position, before, after))
            @if !detail.is_empty() {
                p { @for (name, value) in detail.iter().take(VALUES_MAX) { span.under { (name) } " " (value) " " } }
            }
        }
    }
}

/// What a row changed: at once where it is little, else behind its number. What was not there before or is not there any more has one
/// column.
fn changed(position: i64, before: &Value, after: &Value) -> Markup {
    let mut rows = changes(before, after);
    let (heads, done): (&[&str], _) = match (before, after) {
        (Value::Null, _) => (&["What", "Value"], "set"),
        (_, Value::Null) => (&["What", "Value"], "taken away"),
        _ => (&["What", "Before", "After"], "changed"),
    };
    if heads.len() == 2 {
        let unsaid = if before.is_null() { 1 } else { 2 };
        rows.iter_mut().for_each(|row| drop(row.remove(unsaid)));
    }
    let table = kit::table(&format!("What row {position} changed"), heads, &rows);
    html! {
        @if rows.len() > AT_ONCE {
            details.program {
                summary { (rows.len()) @if rows.len() == VALUES_MAX { " or more" } " values " (done) span.hidden-text { " by row " (position) } }
                (table)
            }
        } @else if !rows.is_empty() { (table) }
    }
}

/// Every value that differs, with its place.
fn changes(before: &Value, after: &Value) -> Vec<Vec<Markup>> {
    let (before, after) = (flat(before), flat(after));
    let mut places: Vec<&String> =
        before.keys().chain(after.keys().filter(|place| !before.contains_key(*place))).collect();
    places.sort();
    let differs = places.into_iter().filter(|place| before.get(*place) != after.get(*place));
    let cell = |value: Option<&String>| html! { @match value { Some(value) => { (value) }, None => { span.under { "nothing" } } } };
    differs
        .take(VALUES_MAX)
        .map(|place| {
            let name = if place.is_empty() { "all of it" } else { place.as_str() };
            vec![html! { code { (name) } }, cell(before.get(place)), cell(after.get(place))]
        })
        .collect()
}

/// The values of a document by their places.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // One after another rather than within each other: how deep a document is, others decide.
    let mut left = vec![(String::new(), value)];
    while let Some((place, value)) = left.pop() {
        let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        match value {
            Value::Null => {}
            Value::Object(fields) => left.extend(fields.iter().map(|(name, value)| (below(name), value))),
            Value::Array(items) => {
                left.extend(items.iter().enumerate().map(|(index, value)| (below(&index.to_string()), value)));
            }
            Value::String(text) => drop(found.insert(place, text.chars().take(VALUE_MAX).collect())),
            other => drop(found.insert(place, other.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told_with_its_place() {
        let rows = changes(&json!({"a": 1, "b": {"c": "x"}, "d": [1]}), &json!({"a": 1, "b": {"c": "y"}, "d": [1, 2]}));
        let told: Vec<String> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|cell| cell.into_string()).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(told, ["<code>b.c</code>|x|y", "<code>d.1</code>|<span class=\"under\">nothing</span>|2"]);
        assert!(changes(&json!({"a": null}), &Value::Null).is_empty());
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        assert_eq!(end_of("1970-01-01"), Some(Time(86_400_000_000)));
        assert_eq!(end_of("soon"), None);
    }
}
