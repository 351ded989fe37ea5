//! What forms have in common that write a document of the management API: choices, lists and JSON as fields, instants, a mark that tells
//! whether somebody else changed the document meanwhile, the page that asks before something is gone, and how the same is done with curl.
//!
//! It knows no document. Invariant: what can't be read is told at its field and never guessed at.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use super::forms::Wrong;
use super::frame::Page;
use super::kit::{self, Line};
use super::visit::Visit;
use crate::app::{self, App, Page as Wanted};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::permission::Sight;
use crate::http::error::Failure;
use crate::http::input::shallow;

/// Names that are offered to choose from.
const NAMES_MAX: u32 = 500;
/// What a name of a new thing is, as each form says it.
pub const NAME_HINT: &str = "1 to 63 of a-z, 0-9 and '-'. It can't be changed later.";

/// Stands for a document as it was shown.
pub fn mark<T: Serialize>(document: &T) -> String {
    let text = serde_json::to_string(document).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}

/// The hidden field with the mark of what is shown.
pub fn shown<T: Serialize>(document: &T) -> Markup {
    html! { input type="hidden" name="shown" value=(mark(document)); }
}

/// What is wrong where a document was changed after the form was shown. A form without the mark says that it does not care.
///
/// # Errors
/// [`Failure`] where the refusal is none that a page shows, which it always is.
pub fn changed_meanwhile<T: Serialize>(fields: &Fields, document: &T) -> Result<Option<Wrong>, Failure> {
    let seen = fields.text("shown");
    if seen.is_empty() || seen == mark(document) {
        return Ok(None);
    }
    overtaken().map(Some)
}

/// That somebody else was first.
///
/// # Errors
/// As [`changed_meanwhile`].
pub fn overtaken() -> Result<Wrong, Failure> {
    let message = "somebody else changed it since you opened this page; what you typed is below and was not taken. Send it again \
        to put it in the place of theirs, or load the page again to see what stands now";
    Wrong::of(app::Error::conflict("changed_meanwhile", message), &[])
}

/// One of several, with a hint and what is wrong. `options` are values with their names.
pub fn select(line: &Line<'_>, options: &[(&str, &str)]) -> Markup {
    let (hint, wrong) = (format!("{}-hint", line.name), format!("{}-error", line.name));
    let described = if line.wrong.is_some() { format!("{hint} {wrong}") } else { hint.clone() };
    html! {
        div.field.wrong[line.wrong.is_some()] {
            label for=(line.name) { (line.label) @if !line.required { span.optional { " (optional)" } } }
            p.hint id=(hint) { (line.hint) }
            @if let Some(text) = line.wrong { p.error id=(wrong) { (text) } }
            select id=(line.name) name=(line.name) aria-describedby=(described) aria-invalid=[line.wrong.map(|_| "true")] {
                @for (value, text) in options { option value=(value) selected[*value == line.value] { (text) } }
            }
        }
    }
}

/// A box to tick.
pub fn check(name: &str, label: &str, ticked: bool) -> Markup {
    html! {
        div.check {
            input type="checkbox" id=(name) name=(name) value="yes" checked[ticked];
            label for=(name) { (label) }
        }
    }
}

/// What stands in the lines of a text: blanks around it, and lines without anything, are none of it.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What was typed into an optional field.
pub fn some(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// JSON as it was typed.
///
/// # Errors
/// What is wrong, at the field `id`.
pub fn json(id: &str, text: &str) -> Result<Value, Wrong> {
    shallow(text.as_bytes()).map_err(|failure| Wrong::field(id, failure.detail()))?;
    serde_json::from_str(text).map_err(|error| Wrong::field(id, &format!("This is no JSON: {error}")))
}

/// A JSON object as it was typed; an empty one where nothing was.
///
/// # Errors
/// What is wrong, at the field `id`.
pub fn object(id: &str, text: &str) -> Result<osb::Object, Wrong> {
    if text.trim().is_empty() {
        return Ok(osb::Object::new());
    }
    match json(id, text)? {
        Value::Object(object) => Ok(object),
        _ => Err(Wrong::field(id, "This must be a JSON object, such as {\"region\": \"eu-1\"}")),
    }
}

/// A JSON document, to be read by people.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// An instant in UTC, as a field for one has it.
pub fn moment(at: Time) -> String {
    let timestamp = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    let how = if at.seconds() % 60 == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    timestamp.to_zoned(TimeZone::UTC).strftime(how).to_string()
}

/// The instant that was typed; the one that stood there where nothing else was.
///
/// # Errors
/// What is wrong, at the field `id`.
pub fn instant(id: &str, text: &str, stood: Option<Time>) -> Result<Time, Wrong> {
    if let Some(at) = stood.filter(|at| moment(*at) == text) {
        return Ok(at);
    }
    let read = text.parse::<DateTime>().ok().and_then(|read| read.to_zoned(TimeZone::UTC).ok());
    let read = read.map(|zoned| Time(zoned.timestamp().as_microsecond()));
    read.ok_or_else(|| Wrong::field(id, "This must be a day and a time in UTC, such as 2027-06-30T00:00"))
}

/// How the same is done with curl. `path` is behind `/api/v1`.
pub fn curl(method: &str, path: &str, body: Option<&Value>) -> String {
    let given = |body: &Value| format!(" -H 'Content-Type: application/json' \\\n  -d {}", quoted(&body.to_string()));
    let given = body.map(given).unwrap_or_default();
    format!("curl -X {method} -H \"Authorization: Bearer $TOKEN\"{given} \"$HUB/api/v1{path}\"")
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A question before something is gone.
#[derive(Debug)]
pub struct Question<'a> {
    /// It itself.
    pub title: &'a str,
    /// Where the page is.
    pub trail: Markup,
    /// What is lost, and what stands in the way.
    pub text: Markup,
    /// Fields that go with the answer.
    pub fields: &'a [(&'a str, &'a str)],
    /// What the button says.
    pub yes: &'a str,
    /// Where one goes who does not want it.
    pub back: &'a str,
    /// How the same is done with curl and on the command line.
    pub program: Markup,
}

/// The page of a question. What was wrong with the answer is above it.
pub fn ask(visit: &Visit, question: &Question<'_>, wrong: &Wrong) -> HttpResponse {
    let Question { title, trail, text, fields, yes, back, program } = question;
    Page::new(visit, title).above(trail.clone()).status(wrong.status()).show(html! {
        (wrong.refused())
        (text)
        form method="post" action=(visit.path()) {
            (kit::csrf(visit))
            @for (name, value) in *fields { input type="hidden" name=(name) value=(value); }
            p.actions { button.danger type="submit" { (yes) } a.button.second href=(back) { "Keep it" } }
        }
        (program)
    })
}

/// The names of tenants, for a field that takes one.
///
/// # Errors
/// Where the database fails.
pub async fn tenants(app: &App) -> Result<Vec<String>, Failure> {
    let first = Wanted { limit: NAMES_MAX, after: String::new() };
    let listed = app.tenants(&Sight::everything(), &first).await?;
    Ok(listed.items.into_iter().map(|view| view.tenant.name).collect())
}

/// The names of offerings that can be ordered or could be, for a field that takes one.
pub fn offerings(app: &App, caller: &Caller) -> Vec<String> {
    let first = Wanted { limit: NAMES_MAX, after: String::new() };
    let mut names: Vec<_> =
        app.offerings(caller, "", None, &first).items.iter().map(|view| view.offering().name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_it_is_shown_and_to_the_microsecond_where_it_stays() {
        let at = Time(1_793_696_700_000_000);
        assert_eq!(moment(at), "2026-11-03T09:05");
        assert_eq!(instant("x", "2026-11-03T09:05", None).unwrap(), at);
        let odd = Time(1_793_696_701_000_007);
        assert_eq!(moment(odd), "2026-11-03T09:05:01");
        assert_eq!(instant("x", "2026-11-03T09:05:01", Some(odd)).unwrap(), odd);
        assert_eq!(instant("x", "soon", None).unwrap_err().at("x").map(|text| text.is_empty()), Some(false));
    }

    #[test]
    fn json_that_is_none_is_told_at_its_field_with_its_place() {
        assert!(object("force", " ").unwrap().is_empty());
        assert_eq!(object("force", "{\"a\":1}").unwrap()["a"], 1);
        assert!(object("force", "{\"a\":}").unwrap_err().at("force").is_some_and(|text| text.contains("column 6")));
        assert!(object("force", "[]").is_err() && object("force", &"[".repeat(500)).is_err());
    }

    #[test]
    fn a_body_is_one_word_of_a_shell_whatever_it_holds() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert!(
            curl("PUT", "/quotas/a", Some(&serde_json::json!({"limit": "1"})))
                .ends_with("-d '{\"limit\":\"1\"}' \"$HUB/api/v1/quotas/a\"")
        );
    }

    #[test]
    fn another_document_has_another_mark() {
        assert_eq!(mark(&["a"]), mark(&["a"]));
        assert_ne!(mark(&["a"]), mark(&["b"]));
    }
}
