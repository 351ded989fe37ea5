//! What the pages of bindings share: names that are proposed, and the page that shows credentials, which is only ever the answer to a
//! POST.

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::super::frame::Page;
use super::super::kit::{self, Tone};
use super::super::visit::Visit;
use super::called;
use crate::app::services::one::Service;
use crate::domain::instance::BindingState;

/// Characters of a binding's name.
const NAME_MAX: usize = 63;
/// Names that are tried before any other is left to whoever binds.
const TRIED_MAX: usize = 1000;

/// Where a binding's page is.
pub(super) fn binding_at(service_at: &str, binding: &str) -> String {
    format!("{service_at}/bindings/{}", kit::part(binding))
}

/// Whether a name means a binding that is there.
pub(super) fn taken(service: &Service, name: &str) -> bool {
    service.bindings.iter().any(|row| row.platform_binding_id == name && row.state != BindingState::Gone)
}

/// A name that is free: that one, or with a number behind it.
pub(super) fn proposed(service: &Service, name: &str) -> String {
    let numbered = |number: usize| {
        let number = format!("-{number}");
        let stem: String = name.chars().take(NAME_MAX - number.len()).collect();
        stem + &number
    };
    let mut names = std::iter::once(name.to_owned()).chain((2..TRIED_MAX).map(numbered));
    names.find(|name| !taken(service, name)).unwrap_or_default()
}

/// The name without the number that [`proposed`] put behind it.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, number)) if !stem.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

/// Credentials, as the answer to a POST.
pub(super) fn credentials(
    visit: &Visit,
    (service, address): (&Service, &str),
    binding: &str,
    answer: &osb::BindResponse,
) -> HttpResponse {
    let title = format!("Credentials of {binding}");
    let here = binding_at(address, binding);
    let name = called(service);
    let trail = kit::trail(&[("My services", "/services"), (name, address), (binding, &here)]);
    let all = serde_json::to_value(answer).unwrap_or_default();
    let given = all.get("credentials").and_then(Value::as_object).cloned().unwrap_or_default();
    Page::new(visit, &title).above(trail).show(html! {
        (kit::notice(Tone::Warn, &html! {
            p { strong { "Copy them now to where they belong." } " They are secrets: whoever has them gets in. This page is not kept by your browser; "
                "you can have them shown again on the binding's page, which is written down in the audit." }
            @if let Some(expires) = all.pointer("/metadata/expires_at").and_then(Value::as_str) { p { "They work until " (expires) "." } }
        }))
        @if given.is_empty() { p { "Its broker gave no credentials with this binding." } }
        // A browser that keeps pages for a step back keeps this one without them.
        div data-once {
            @for (key, value) in &given { (kit::copied(key, &text(value))) }
            @if !given.is_empty() { (whole("All of them as JSON", &Value::Object(given.clone()))) }
            @let rest = rest(&all);
            @if !rest.is_empty() { (whole("What else belongs to it", &Value::Object(rest))) }
        }
        p.actions { a.button href=(here) { "Done" } a.button.second href=(address) { "To " (name) } }
    })
}

/// What its broker gave besides credentials.
fn rest(all: &Value) -> serde_json::Map<String, Value> {
    let mut rest = all.as_object().cloned().unwrap_or_default();
    rest.retain(|key, value| key != "credentials" && !value.is_null());
    rest
}

fn whole(name: &str, value: &Value) -> Markup {
    html! { details.program { summary { (name) } (kit::copied(name, &serde_json::to_string_pretty(value).unwrap_or_default())) } }
}

/// A text as it is; anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_a_name_is_not_part_of_it() {
        assert_eq!((stem("app-2"), stem("app"), stem("app-x"), stem("-2")), ("app", "app", "app-x", "-2"));
    }
}
