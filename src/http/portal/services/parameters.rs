//! The parameters that a service was ordered with, as people wrote them; what its schema calls a secret, and what is called like one, is
//! not shown.

use maud::{Markup, html};
use serde_json::Value;

use super::super::form::{self, Form};
use super::super::kit;
use crate::app::services::one::Service;

/// The parameters as facts.
pub(super) fn parameters(service: &Service) -> Markup {
    let Some(all) = &service.parameters else {
        return html! { p.under { "Members and owners of its tenant see the parameters." } };
    };
    if all.is_empty() {
        return html! { p.under { "It was ordered without parameters." } };
    }
    let form = service.plan.as_ref().map(|plan| Form::of(plan.plan.create_schema(), None));
    let shown = form.as_ref().map_or_else(|| all.clone(), |form| form.masked(all));
    let rows: Vec<(&str, Markup)> = shown
        .iter()
        .map(|(key, value)| {
            let title = form.as_ref().and_then(|form| form.title(key)).unwrap_or(key);
            let value = form::hidden::masked(key, value);
            let text = match &value {
                Value::Object(_) | Value::Array(_) => {
                    html! { pre.json tabindex="0" { code { (serde_json::to_string_pretty(&value).unwrap_or_default()) } } }
                }
                other => html! { (form::in_words(other)) },
            };
            (title, text)
        })
        .collect();
    kit::facts(&rows)
}
