//! What would become of an order or a change: its price, what it takes of quotas, what policies say, and who would have to agree. The
//! script of the page takes this part alone while somebody types.

use maud::{Markup, html};

use super::super::kit::{self, Tone};
use super::super::shown;
use super::upper;
use crate::app::preview::Preview;
use crate::domain::approval::Why;
use crate::domain::policy::{Judged, Mode};

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// What is still to be filled in or put right: ids of fields and words.
    pub open: &'a [(String, String)],
    /// What the use case said, where it was asked.
    pub preview: Option<&'a Preview>,
    /// What it costs, and what it cost before, where that is another thing.
    pub price: &'a Markup,
    /// What is asked for: `order` or `change`.
    pub what: &'static str,
    /// Whether nothing would be different.
    pub idle: bool,
}

/// Parts that are named before the rest is only counted.
const OPEN_MAX: usize = 6;

/// The part.
pub fn show(verdict: &Verdict<'_>) -> Markup {
    let preview = verdict.preview;
    html! {
        section.panel.verdict data-verdict aria-live="polite" aria-labelledby="verdict" {
            h2 id="verdict" { "What it comes to" }
            (verdict.price)
            (outcome(verdict))
            @if let Some(preview) = preview {
                @if !preview.quotas.is_empty() {
                    h3 { "Quotas" }
                    ul.plain {
                        @for quota in &preview.quotas {
                            li {
                                (quota.name) ": " (quota.used) " of " (quota.limit) " used, this needs " (quota.needs) " more "
                                @if quota.exceeded { (kit::badge(Tone::Bad, "too much")) }
                            }
                        }
                    }
                }
                @if preview.policies.iter().any(|judged| judged.mode != Mode::Enforce) {
                    h3 { "Policies" }
                    ul.plain { @for judged in preview.policies.iter().filter(|judged| judged.mode != Mode::Enforce) { li { (warning(judged)) } } }
                }
            }
        }
    }
}

fn outcome(verdict: &Verdict<'_>) -> Markup {
    let refused =
        verdict.preview.and_then(|preview| preview.refused.as_ref()).filter(|refused| refused.issues.is_empty());
    if let Some(refused) = refused {
        let remedy = remedy(&refused.code);
        return html! {
            p { (kit::badge(Tone::Bad, "would be refused")) }
            p { (upper(&refused.reason)) @if !refused.reason.ends_with('.') { "." } }
            @if !remedy.is_empty() { p { (remedy) "." } }
        };
    }
    if !verdict.open.is_empty() {
        return html! {
            p { (kit::badge(Tone::Plain, "not complete")) }
            ul.open {
                @for (id, words) in verdict.open.iter().take(OPEN_MAX) { li { a href={ "#" (id) } { (words) } } }
                @if verdict.open.len() > OPEN_MAX { li { "and " (verdict.open.len() - OPEN_MAX) " more" } }
            }
        };
    }
    if verdict.idle {
        return html! { p { (kit::badge(Tone::Plain, "nothing to change")) } p { "Nothing is different from what stands." } };
    }
    let Some(preview) = verdict.preview else { return html! {} };
    match preview.waits() {
        Some(waits) => html! {
            p { (kit::badge(Tone::Busy, "needs an approval")) }
            p {
                "It is taken, and waits until somebody agrees: " (causes(preview)) ". After " (shown::duration(waits.as_secs()))
                " without an answer it is given up."
            }
        },
        None => html! {
            p { (kit::badge(Tone::Good, if verdict.what == "order" { "can be ordered" } else { "can be changed" })) }
            p { "Nothing speaks against it, and nobody has to agree." }
        },
    }
}

fn causes(preview: &Preview) -> String {
    let words = |why: &Why| match why {
        Why::Rule(name) => format!("rule “{name}” asks for it"),
        Why::Budget(name) => format!("budget “{name}” is used up"),
    };
    preview.causes.iter().map(|cause| words(&cause.why)).collect::<Vec<_>>().join(", ")
}

fn warning(judged: &Judged) -> Markup {
    html! {
        (kit::badge(Tone::Warn, "warning")) " Policy “" (judged.policy) "”"
        @if let Some(reason) = &judged.reason { ": " (reason) }
        ". " (upper(&judged.remedy))
    }
}

/// What can be done about a refusal that does not say so itself.
pub fn remedy(code: &str) -> &'static str {
    match code {
        "not_visible" => {
            "Choose another plan or another tenant, or ask whoever runs this marketplace to offer it to this tenant"
        }
        "tenant_suspended" => "Ask whoever runs this marketplace to end the suspension",
        "name_taken" => "Choose another name, or change what is there",
        "offering_retired" => "Look in the catalog for what takes its place",
        _ => "",
    }
}
