//! Markup of a form: each field with its label, its hint and what is wrong with it. It is complete without scripts: entries of a list
//! come and go by buttons that send the form to the same page.

use maud::{Markup, html};

use super::state::State;
use super::tree::{Field, Kind, Said, Why, id, within};
use super::{Form, PREFIX, View, words};
use crate::domain::reference::Wanted;

impl Form {
    /// The fields.
    pub fn show(&self, state: &State, view: &View<'_>) -> Markup {
        let shower = Shower { state, view };
        match &self.root.kind {
            Kind::Object(fields) if fields.is_empty() => html! { p.under { "There is nothing to fill in." } },
            Kind::Object(fields) if state.get(&format!("{PREFIX}#json")).is_none() => html! {
                @if let Some(text) = view.faults.and_then(|faults| faults.at(PREFIX)) {
                    div.field.wrong { p.error id=(PREFIX) tabindex="-1" { (text) } }
                }
                @if !self.root.hint.is_empty() { p.hint { (prose(&self.root.hint)) } }
                (shower.fields(fields, PREFIX, true))
            },
            _ => shower.field(&self.root, PREFIX, false),
        }
    }
}

/// The entries that a list has before anybody added one.
pub(super) fn first_rows(must: bool, least: usize) -> Vec<usize> {
    (0..if must { least.max(1) } else { 0 }).collect()
}

struct Shower<'a> {
    state: &'a State,
    view: &'a View<'a>,
}

/// What goes with a field.
struct About<'a> {
    id: String,
    label: String,
    hint: String,
    wrong: Option<&'a str>,
    optional: bool,
}

impl About<'_> {
    fn described(&self) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.id));
        let wrong = self.wrong.map(|_| format!("{}-error", self.id));
        let all: Vec<String> = hint.into_iter().chain(wrong).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    fn invalid(&self) -> Option<&'static str> {
        self.wrong.map(|_| "true")
    }

    fn told(&self) -> Markup {
        html! {
            @if !self.hint.is_empty() { p.hint id={ (self.id) "-hint" } { (prose(&self.hint)) } }
            @if let Some(text) = self.wrong { p.error id={ (self.id) "-error" } { (text) } }
        }
    }

    fn name(&self) -> Markup {
        html! { (self.label) @if self.optional { span.optional { " (optional)" } } }
    }

    /// Label, hint, error, and what is typed into.
    fn line(&self, input: &Markup) -> Markup {
        html! {
            div.field.wrong[self.wrong.is_some()] {
                label for=(self.id) { (self.name()) }
                (self.told())
                (input)
            }
        }
    }

    /// The same around several.
    fn group(&self, id: &str, inner: &Markup) -> Markup {
        html! {
            fieldset.wrong[self.wrong.is_some()] id=(id) tabindex="-1" aria-describedby=[self.described()] {
                legend { (self.name()) }
                (self.told())
                (inner)
            }
        }
    }
}

impl Shower<'_> {
    fn fields(&self, fields: &[Field], name: &str, must: bool) -> Markup {
        html! { @for field in fields { (self.field(field, &within(name, &field.key), must && field.required)) } }
    }

    fn field(&self, field: &Field, name: &str, must: bool) -> Markup {
        self.called(field, name, must, &field.title)
    }

    fn about(&self, field: &Field, name: &str, label: &str) -> About<'_> {
        let mut hint = field.hint.clone();
        let mut add = |sentence: &str| {
            if !hint.is_empty() {
                hint.push(' ');
            }
            hint.push_str(sentence);
        };
        if field.said == Said::Preset {
            add("Preset for you.");
        } else if let Some(default) = field
            .default
            .as_ref()
            .filter(|_| matches!(field.kind, Kind::Text { .. } | Kind::Number { .. } | Kind::List { .. }))
        {
            let words = words::value(default);
            if !words.is_empty() {
                add(&format!("If empty: {words}."));
            }
        }
        if field.secret {
            let typed = self.state.get(name).is_some_and(|text| !text.is_empty());
            add(match (self.view.stands, typed) {
                (_, true) => "Type it again: it is never sent back to a browser.",
                (true, false) => "Leave it empty to keep what stands.",
                (false, false) => "It is not shown again.",
            });
        }
        About {
            id: id(name),
            label: label.to_owned(),
            hint,
            wrong: self.view.faults.and_then(|faults| faults.at(name)),
            optional: !field.required && !field.key.is_empty(),
        }
    }

    fn called(&self, field: &Field, name: &str, must: bool, label: &str) -> Markup {
        let about = self.about(field, name, label);
        if let Kind::Fixed(value) = &field.kind
            && self.state.get(&format!("{name}#json")).is_none()
        {
            let forced = field.said == Said::Forced;
            return html! {
                div.field {
                    span.label { (label) }
                    @if !field.hint.is_empty() { p.hint { (prose(&field.hint)) } }
                    p.fixed id=(about.id) {
                        strong { @if field.secret { "hidden" } @else { (words::value(value)) } }
                        span.under { @if forced { " · set by this marketplace, so it can't be changed" } @else { " · always so" } }
                    }
                }
            };
        }
        if let Some(text) = self.state.get(&format!("{name}#json")) {
            let why = match field.kind {
                Kind::Json(why) => why.words(),
                _ => "What stands here can't be said with fields, so it is written as JSON.",
            };
            return self.json(field, name, must, about, (text, why));
        }
        match &field.kind {
            Kind::Json(why) => self.json(field, name, must, about, ("", why.words())),
            Kind::Object(fields) => about.group(&about.id, &self.fields(fields, name, must)),
            Kind::List { item, least, most } => self.list(item, name, first_rows(must, *least), *most, &about),
            Kind::Variants(shapes) => self.shapes(shapes, name, must, &about),
            Kind::Choice(values) => {
                let values: Vec<(String, &str)> =
                    values.iter().map(|(value, text)| (value.to_string(), text.as_str())).collect();
                about.line(&self.select(field, name, must, &about, &values))
            }
            Kind::Reference(wanted) => self.reference(field, wanted, name, must, &about),
            Kind::Text { long } => about.line(&self.text(field, name, must, *long, &about)),
            Kind::Number { .. } | Kind::Fixed(_) => about.line(&self.text(field, name, must, false, &about)),
        }
    }

    fn text(&self, field: &Field, name: &str, must: bool, long: bool, about: &About<'_>) -> Markup {
        let text = if field.secret { "" } else { self.state.get(name).unwrap_or_default() };
        let mode = match &field.kind {
            Kind::Number { whole: true } => Some("numeric"),
            Kind::Number { .. } => Some("decimal"),
            _ => None,
        };
        let (described, invalid) = (about.described(), about.invalid());
        let complete = if field.secret { "new-password" } else { "off" };
        html! {
            @if long {
                textarea id=(about.id) name=(name) rows="4" required[must] aria-describedby=[described] aria-invalid=[invalid]
                    autocomplete=(complete) spellcheck="false" { (first_line(text)) (text) }
            } @else {
                input id=(about.id) name=(name) type=(if field.secret { "password" } else { "text" }) value=(text) required[must]
                    aria-describedby=[described] aria-invalid=[invalid] autocomplete=(complete) inputmode=[mode] spellcheck="false";
            }
        }
    }

    fn select(&self, field: &Field, name: &str, must: bool, about: &About<'_>, values: &[(String, &str)]) -> Markup {
        let sent = if field.secret { "" } else { self.state.get(name).unwrap_or_default() };
        let none = match (&field.default, must) {
            (Some(default), _) => format!("Default: {}", words::value(default)),
            (None, true) => "Choose …".to_owned(),
            (None, false) => "Not set".to_owned(),
        };
        html! {
            select id=(about.id) name=(name) required[must] aria-describedby=[about.described()] aria-invalid=[about.invalid()] {
                option value="" { (none) }
                @for (value, text) in values { option value=(value) selected[value == sent] { (text) } }
            }
        }
    }

    fn reference(&self, field: &Field, wanted: &Wanted, name: &str, must: bool, about: &About<'_>) -> Markup {
        let found = self.view.instances.iter().find(|known| known.wanted == *wanted);
        let instances = found.map(|found| found.instances.as_slice()).unwrap_or_default();
        let chosen = self.state.get(name).unwrap_or_default();
        let other = self.state.get(&format!("{name}#other")).unwrap_or_default();
        let listed = instances.iter().any(|(value, _)| value == chosen);
        // What was named and is in no list stands where anything may be typed.
        let other = if other.trim().is_empty() && !listed { chosen } else { other };
        if instances.is_empty() {
            let none = if found.is_some() { ": there is none of yours that is ready" } else { "" };
            let hint = format!("{} Name {}{none}.", about.hint, wanted.words());
            let about =
                About { hint: hint.trim().to_owned(), id: about.id.clone(), label: about.label.clone(), ..*about };
            return about.line(&html! {
                input id=(about.id) name={ (name) "#other" } type="text" value=(other) required[must] autocomplete="off" spellcheck="false"
                    aria-describedby=[about.described()] aria-invalid=[about.invalid()];
            });
        }
        let values: Vec<(String, &str)> =
            instances.iter().map(|(value, text)| (value.clone(), text.as_str())).collect();
        let typed = format!("{}-other", about.id);
        html! {
            (about.line(&self.select(field, name, must, about, &values)))
            div.field.inset {
                label for=(typed) { (about.label) ", another one" span.optional { " (optional)" } }
                p.hint id={ (typed) "-hint" } { "By its name or id, where it is not in the list." }
                input id=(typed) name={ (name) "#other" } type="text" value=(other) autocomplete="off" spellcheck="false"
                    aria-describedby={ (typed) "-hint" };
            }
        }
    }

    fn json(&self, field: &Field, name: &str, must: bool, about: About<'_>, (text, why): (&str, &str)) -> Markup {
        let text = if field.hides() { "" } else { text };
        let about = About { hint: format!("{} {why}", about.hint).trim().to_owned(), ..about };
        about.line(&html! {
            textarea.mono id=(about.id) name={ (name) "#json" } rows=(if matches!(field.kind, Kind::Json(Why::Large)) { 16 } else { 6 }) required[must]
                aria-describedby=[about.described()] aria-invalid=[about.invalid()] autocomplete="off" spellcheck="false" {
                (first_line(text)) (text)
            }
        })
    }

    fn list(&self, item: &Field, name: &str, first: Vec<usize>, most: usize, about: &About<'_>) -> Markup {
        let rows = self.state.rows(name).unwrap_or(first);
        let numbers: Vec<String> = rows.iter().map(usize::to_string).collect();
        let next = self.state.get(&format!("{name}#next")).map_or_else(|| rows.len().to_string(), str::to_owned);
        let action = format!("{}#{}", self.view.address, about.id);
        about.group(&about.id, &html! {
            input type="hidden" name={ (name) "#rows" } value=(numbers.join(","));
            input type="hidden" name={ (name) "#next" } value=(next);
            @for (place, row) in rows.iter().enumerate() {
                @let entry = format!("{name}/{row}");
                @let called = format!("{} {}", about.label, place + 1);
                div.entry.line[!matches!(item.kind, Kind::Object(_) | Kind::List { .. } | Kind::Variants(_))] {
                    (self.called(item, &entry, false, &called))
                    p.remove {
                        button.second.small type="submit" name="remove" value=(entry) formaction=(action) formnovalidate data-part {
                            "Remove" span.hidden-text { " " (called) }
                        }
                    }
                }
            }
            @if rows.len() < most {
                p.add {
                    button.second.small type="submit" name="add" value=(name) formaction=(action) formnovalidate data-part {
                        @if rows.is_empty() { "Add" } @else { "Add another" } span.hidden-text { " to " (about.label) }
                    }
                }
            } @else { p.hint { "There may be " (most) " at most." } }
        })
    }

    fn shapes(&self, shapes: &[Field], name: &str, must: bool, about: &About<'_>) -> Markup {
        let chosen = self.state.get(&format!("{name}#shape")).unwrap_or_default();
        let shape = chosen.parse::<usize>().ok().and_then(|number| shapes.get(number));
        let none = if must { "Choose …" } else { "Not set" };
        let json = self.state.get(&format!("{name}#json")).is_some();
        // A shape that is one field has the id of the whole.
        let single = shape.filter(|shape| json || !matches!(shape.kind, Kind::Object(_)));
        let (group, select) =
            (format!("{}-group", about.id), format!("{}{}", about.id, if single.is_some() { "-shape" } else { "" }));
        let action = format!("{}#{group}", self.view.address);
        about.group(&group, &html! {
            div.choose {
                label.hidden-text for=(select) { (about.label) ": which" }
                select id=(select) name={ (name) "#shape" } data-turn {
                    option value="" { (none) }
                    @for (number, shape) in shapes.iter().enumerate() {
                        option value=(number) selected[number.to_string() == chosen] { (shape.title) }
                    }
                }
                button.second.small type="submit" name="turn" value=(name) formaction=(action) formnovalidate data-part {
                    "Show its fields" span.hidden-text { " for " (about.label) }
                }
            }
            @match (single, shape.map(|shape| &shape.kind)) {
                (Some(shape), _) => { (self.called(shape, name, must, &shape.title)) },
                (None, Some(Kind::Object(fields))) => { (self.fields(fields, name, must)) },
                _ => {},
            }
        })
    }
}

/// The first line end of a text area is not part of its text.
fn first_line(text: &str) -> &'static str {
    if text.starts_with('\n') { "\n" } else { "" }
}

/// A text with what stands between backticks as code: so brokers write it.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @if parts.len().is_multiple_of(2) { (text) }
        @else { @for (place, part) in parts.iter().enumerate() { @if place.is_multiple_of(2) { (part) } @else { code { (part) } } } }
    }
}
