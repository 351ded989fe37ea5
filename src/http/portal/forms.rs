//! What came of a form that did not do what was asked: what is wrong, and at which field. The sentences are the API's.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use maud::{Markup, html};

use super::kit;
use super::visit;
use crate::app;
use crate::http::error::Failure;

/// Why a form was not taken.
#[derive(Clone, Debug, Default)]
pub struct Wrong {
    status: Option<StatusCode>,
    /// By the field's id; empty where it is about the form as a whole.
    found: Vec<(String, String)>,
}

impl Wrong {
    /// Of a use case. `fields` says at which field what stands at a JSON pointer is shown.
    ///
    /// # Errors
    /// What no form can put right: a fault of the hub, something that is not there.
    pub fn of(error: app::Error, fields: &[(&str, &str)]) -> Result<Self, Failure> {
        let failure = Failure::from(error);
        let status = visit::status(&failure);
        let elsewhere =
            matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
        if elsewhere || (status.is_server_error() && failure.fault().is_some()) {
            return Err(failure);
        }
        let field = |pointer: &str| {
            let of = |(at, _): &&(&str, &str)| {
                pointer == *at || pointer.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'))
            };
            fields.iter().find(of).map(|(_, id)| (*id).to_owned()).unwrap_or_default()
        };
        let mut found: Vec<_> =
            failure.errors().iter().map(|issue| (field(&issue.pointer), issue.detail.clone())).collect();
        if found.is_empty() {
            found.push((String::new(), failure.detail().to_owned()));
        }
        Ok(Self { status: Some(status), found })
    }

    /// Of a field that nobody needs to be asked about.
    pub fn field(id: &str, text: &str) -> Self {
        Self { status: Some(StatusCode::UNPROCESSABLE_ENTITY), found: vec![(id.to_owned(), text.to_owned())] }
    }

    /// The status of the page that shows the form again.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(StatusCode::OK)
    }

    /// Whether anything is wrong.
    pub fn is_any(&self) -> bool {
        !self.found.is_empty()
    }

    /// What is wrong, above the form.
    pub fn above(&self) -> Markup {
        kit::errors(&self.found)
    }

    /// Why something was not done, where there is no form to put right.
    pub fn refused(&self) -> Markup {
        html! {
            @if self.is_any() {
                (kit::notice(kit::Tone::Bad, &html! { h2 { "It was not done" } @for (_, text) in &self.found { p { (text) } } }))
            }
        }
    }

    /// What is wrong with one field.
    pub fn at(&self, id: &str) -> Option<&str> {
        self.found.iter().find(|(field, _)| field == id).map(|(_, text)| text.as_str())
    }
}

/// A field of several lines.
pub fn area(line: &kit::Line<'_>, rows: u8) -> Markup {
    let (hint, wrong) = (format!("{}-hint", line.name), format!("{}-error", line.name));
    let mut described = Vec::new();
    if !line.hint.is_empty() {
        described.push(hint.as_str());
    }
    if line.wrong.is_some() {
        described.push(wrong.as_str());
    }
    let described = described.join(" ");
    html! {
        div.field.wrong[line.wrong.is_some()] {
            label for=(line.name) { (line.label) @if !line.required { span.optional { " (optional)" } } }
            @if !line.hint.is_empty() { p.hint id=(hint) { (line.hint) } }
            @if let Some(text) = line.wrong { p.error id=(wrong) { (text) } }
            textarea id=(line.name) name=(line.name) rows=(rows) required[line.required] spellcheck="false"
                aria-describedby=[(!described.is_empty()).then_some(described.as_str())]
                aria-invalid=[line.wrong.map(|_| "true")] { (line.value) }
        }
    }
}

/// A line with names to choose from, of which others may be typed.
pub fn named(line: &kit::Line<'_>, names: &[String]) -> Markup {
    let list = format!("{}-names", line.name);
    let (hint, wrong) = (format!("{}-hint", line.name), format!("{}-error", line.name));
    let described = if line.wrong.is_some() { format!("{hint} {wrong}") } else { hint.clone() };
    html! {
        div.field.wrong[line.wrong.is_some()] {
            label for=(line.name) { (line.label) @if !line.required { span.optional { " (optional)" } } }
            p.hint id=(hint) { (line.hint) }
            @if let Some(text) = line.wrong { p.error id=(wrong) { (text) } }
            input id=(line.name) name=(line.name) type="text" value=(line.value) list=(list) required[line.required] autocomplete="off"
                aria-describedby=(described) aria-invalid=[line.wrong.map(|_| "true")];
            datalist id=(list) { @for name in names { option value=(name) {} } }
        }
    }
}

/// A button of a form of its own, for what needs nothing typed. `fields` go with it.
pub fn button(visit: &visit::Visit, action: &str, fields: &BTreeMap<&str, &str>, class: &str, text: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (kit::csrf(visit))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) type="submit" { (text) }
        }
    }
}
