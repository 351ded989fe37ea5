//! The fields of a broker: how it is reached, who the hub is there, what it is told, and what few need. The same for a new broker and for a
//! change, for whoever answers for it and for operators; what only operators may say is shown to them alone.
//!
//! Invariant: no field that takes a secret is ever filled in.

use maud::{Markup, html};

use super::typed::{KEEP, Typed};
use crate::domain::broker::PROVIDER_FIELDS;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::kit::{self, Line};

/// What a broker can be told of an order, with what it is.
const TOLD: [(&str, &str); 13] = [
    ("tenant.name", "the tenant's name"),
    ("tenant.display_name", "what people call the tenant"),
    ("tenant.cost_center", "its cost center"),
    ("tenant.business_unit", "its business unit"),
    ("tenant.environment", "its environment"),
    ("tenant.owner", "its owner"),
    ("tenant.groups", "its groups"),
    ("tenant.labels", "its labels"),
    ("platform.name", "the platform's name"),
    ("platform.kind", "the platform's kind"),
    ("instance_id", "the platform's id of the instance"),
    ("request_id", "the id of the request"),
    ("via", "the hubs on the way"),
];

/// For whom the form is.
#[derive(Clone, Copy, Debug)]
pub(super) struct For {
    /// Whether they may say what only operators say.
    pub(super) operator: bool,
    /// Whether the broker is there already.
    pub(super) change: bool,
    /// Whether it is told everything just now.
    pub(super) told_all: bool,
}

/// All fields but the name.
pub(super) fn inputs(typed: &Typed, whose: For, wrong: &Wrong) -> Markup {
    html! {
        (kit::line(&Line {
            name: "url", label: "Address", value: &typed.url, kind: "url", required: true, wrong: wrong.at("url"),
            hint: "What stands before /v2, such as https://broker.example.com", ..Line::default()
        }))
        (credentials(typed, whose, wrong))
        (told(typed, whose, wrong))
        (certificates(typed, whose, wrong))
        (rarely(typed, whose, wrong))
    }
}

/// A line that is needed only where its choice is made, so that a browser must not insist on it.
fn part(line: &Line<'_>) -> Markup {
    let (hint, wrong) = (format!("{}-hint", line.name), format!("{}-error", line.name));
    let mut described = Vec::new();
    if !line.hint.is_empty() {
        described.push(hint.as_str());
    }
    if line.wrong.is_some() {
        described.push(wrong.as_str());
    }
    let described = described.join(" ");
    let kind = if line.kind.is_empty() { "text" } else { line.kind };
    let fills = if kind == "password" { "new-password" } else { "off" };
    html! {
        div.field.wrong[line.wrong.is_some()] {
            label for=(line.name) { (line.label) }
            @if !line.hint.is_empty() { p.hint id=(hint) { (line.hint) } }
            @if let Some(text) = line.wrong { p.error id=(wrong) { (text) } }
            input id=(line.name) name=(line.name) type=(kind) value=(line.value) autocomplete=(fills) spellcheck="false"
                aria-describedby=[(!described.is_empty()).then_some(described.as_str())]
                aria-invalid=[line.wrong.map(|_| "true")];
        }
    }
}

fn credentials(typed: &Typed, whose: For, wrong: &Wrong) -> Markup {
    let keep = whose.change.then_some((KEEP, "As before: what is stored stays"));
    let kinds = [
        ("basic", "By user name and password"),
        ("bearer", "By a token that stays the same"),
        ("oauth2", "By tokens that it fetches (OAuth 2.0, client credentials)"),
        ("none", "Not at all: anybody may call the broker"),
    ];
    let line =
        |name, label, hint, value| part(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() });
    let secret = |name, label| {
        let hint = "Kept sealed, and never shown again.";
        part(&Line { name, label, hint, kind: "password", wrong: wrong.at(name), ..Line::default() })
    };
    html! {
        fieldset.kinds #kind tabindex="-1" aria-describedby=[wrong.at("kind").map(|_| "kind-error")] {
            legend { "How the hub shows the broker who it is" }
            @if let Some(text) = wrong.at("kind") { p.error #kind-error { (text) } }
            @for (value, label) in keep.into_iter().chain(kinds) {
                div.check {
                    input type="radio" name="kind" id={ "kind-" (value) } value=(value) checked[typed.kind == value];
                    label for={ "kind-" (value) } { (label) }
                }
                @match value {
                    "basic" => div.inset.of-basic {
                        (line("username", "User name", "", &typed.username))
                        (secret("password", "Password"))
                    },
                    "bearer" => div.inset.of-bearer { (secret("token", "Token")) },
                    "oauth2" => div.inset.of-oauth2 {
                        (line("token_url", "Where tokens are fetched", "An address that begins with https://", &typed.token_url))
                        (line("client_id", "Client id", "", &typed.client_id))
                        (secret("client_secret", "Client secret"))
                        (line("scope", "Scope", "May be left empty.", &typed.scope))
                    },
                    _ => {}
                }
            }
        }
    }
}

fn told(typed: &Typed, whose: For, wrong: &Wrong) -> Markup {
    let allowed =
        |field: &str| whose.operator || PROVIDER_FIELDS.contains(&field) || typed.told.iter().any(|told| told == field);
    let named = TOLD.iter().filter(|(field, _)| allowed(field)).map(|(field, words)| ((*field).to_owned(), *words));
    let known = |field: &&String| TOLD.iter().all(|(name, _)| name != field);
    let others = typed.told.iter().filter(known).map(|field| (field.clone(), ""));
    let open = wrong.at("told").is_some();
    html! {
        details.more #told open[open] {
            summary { "What the broker is told of an order" }
            @if let Some(text) = wrong.at("told") { p.error { (text) } }
            p { "The ids of tenant and platform always." @if !whose.operator { " More of tenants is for an operator to open." } }
            @if whose.operator || whose.told_all {
                (tick("everything", "everything", "on", typed.everything, "Everything, also what comes to be known later"))
                p.hint { "Or only this:" }
            }
            @for (field, words) in named.chain(others) {
                div.check {
                    input type="checkbox" name="told" id={ "told-" (field) } value=(field) checked[typed.told.contains(&field)];
                    label for={ "told-" (field) } { (if words.is_empty() { field.as_str() } else { words }) " " code.under { (field) } }
                }
            }
            p.hint { "And where:" }
            (tick("header", "header", "on", typed.header, "As a signed header, X-Bourse-Stamp"))
            (tick("context", "context", "on", typed.context, "In the context of the order, under bourse"))
        }
    }
}

/// A box to tick.
fn tick(id: &str, name: &str, value: &str, on: bool, label: &str) -> Markup {
    html! {
        div.check {
            input type="checkbox" id=(id) name=(name) value=(value) checked[on];
            label for=(id) { (label) }
        }
    }
}

fn certificates(typed: &Typed, whose: For, wrong: &Wrong) -> Markup {
    let pem = "PEM, beginning with -----BEGIN";
    let area = |name, label, hint, value| {
        forms::area(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() }, 4)
    };
    let open = ["ca", "client_cert", "client_key"].into_iter().any(|id| wrong.at(id).is_some());
    html! {
        details.more open[open] {
            summary { "Certificates" }
            @if whose.change { p { "What is typed here takes the place of all certificates that are stored; left empty, they stay." } }
            (area("ca", "Roots to trust besides the system's", pem, &typed.ca))
            (area("client_cert", "The hub's own certificate there", pem, &typed.client_cert))
            (area("client_key", "Its key", "PEM. Kept sealed, and never shown again.", ""))
            @if whose.change { (tick("forget_tls", "forget_tls", "on", typed.forget_tls, "Forget the certificates that are stored")) }
        }
    }
}

fn rarely(typed: &Typed, whose: For, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value| {
        kit::line(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() })
    };
    let rotations = [
        ("", "As the catalog says"),
        ("native", "The broker makes the next credentials of a binding"),
        ("emulated", "The hub binds anew, then takes the old credentials back"),
    ];
    let ids = ["name_prefix", "timeout_ms", "concurrency", "api_version", "usage_every", "ids", "takeover"];
    let open = ids.into_iter().any(|id| wrong.at(id).is_some());
    html! {
        details.more open[open] {
            summary { "What few brokers need" }
            @if !whose.change {
                (line("name_prefix", "What its offerings' names begin with", "Helps where another broker has the same names. It can't be changed later.", &typed.name_prefix))
            }
            (line("timeout_ms", "How long one call may take", "Milliseconds; the hub's usual time where this is empty.", &typed.timeout_ms))
            (line("concurrency", "Orders at once", "How many calls it takes at a time; the hub's usual number where this is empty.", &typed.concurrency))
            (line("api_version", "Version of OSB towards it", "Such as 2.13, for a broker that knows no newer one.", &typed.api_version))
            (kit::choice("rotation", "How bindings are rotated", &rotations, &typed.rotation))
            (line("usage_every", "Ask it for usage", "How often, such as PT15M. Empty: it reports by itself.", &typed.usage_every))
            @if whose.operator {
                @if !whose.change {
                    div #ids {
                        @if let Some(text) = wrong.at("ids") { p.error { (text) } }
                        (tick("passthrough", "passthrough", "on", typed.passthrough, "Platforms see the broker's own ids. It can't be changed later."))
                    }
                }
                @if let Some(text) = wrong.at("takeover") { p.error { (text) } }
                (tick("takeover", "takeover", "on", typed.takeover, "It has instances that this hub does not know yet"))
            }
        }
    }
}
