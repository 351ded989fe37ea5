//! The parts that pages are made of. Each is a function that gives markup; how it looks is in `assets/portal.css`, under the same name.
//! What a page needs and is not here, is added here: two pages that show the same thing show it in the same way.

use actix_web::http::Uri;
use maud::{Markup, html};

use super::visit::Visit;

/// What something means to the reader, and so its colour; the words say it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// All is well.
    Good,
    /// It goes on, or somebody is waited for.
    Busy,
    /// Worth a look.
    Warn,
    /// It went wrong.
    Bad,
}

impl Tone {
    /// Its class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// The hidden field that ties a form to this browser. Each form that is sent with POST has it.
pub fn csrf(visit: &Visit) -> Markup {
    html! { input type="hidden" name="csrf" value=(visit.csrf()); }
}

/// A word in a frame: a state, a tag.
pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.as_str()) } { (text) } }
}

/// Something to be told before anything else on the page.
pub fn notice(tone: Tone, text: &Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { div class={ "notice " (tone.as_str()) } role=(role) { (text) } }
}

/// What is wrong with a form, above it: each line leads to its field.
pub fn errors(found: &[(String, String)]) -> Markup {
    html! {
        @if !found.is_empty() {
            div.notice.bad role="alert" tabindex="-1" #errors {
                h2 { "This can't be sent yet" }
                ul { @for (id, text) in found { li { @if id.is_empty() { (text) } @else { a href={ "#" (id) } { (text) } } } } }
            }
        }
    }
}

/// Where a page is: links from the first page down to the one above.
pub fn trail(steps: &[(&str, &str)]) -> Markup {
    html! {
        nav.trail aria-label="Where you are" {
            ol { @for (name, address) in steps { li { a href=(address) { (name) } } } }
        }
    }
}

/// Names and what they are.
pub fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! { dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } } }
}

/// A table. On a narrow screen each row becomes a card, and each cell says its column: so `cells` is as long as `heads`.
pub fn table(caption: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr { @for (head, cell) in heads.iter().zip(row) { td data-label=(head) { div { (cell) } } } }
                    }
                }
            }
        }
    }
}

/// What is said where a list is empty: why, and what to do.
pub fn empty(title: &str, text: &str, action: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty {
            h2 { (title) }
            p { (text) }
            @if let Some((name, address)) = action { p.actions { a.button href=(address) { (name) } } }
        }
    }
}

/// The way to the next page of a list: the same address with another cursor.
pub fn pager(visit: &Visit, next: Option<&str>) -> Markup {
    let on_first = !visit.address.contains("cursor=");
    html! {
        @if next.is_some() || !on_first {
            nav.pager aria-label="Pages" {
                @if !on_first { a href=(with(&visit.address, "cursor", "")) { "First page" } }
                @if let Some(next) = next { a rel="next" href=(with(&visit.address, "cursor", next)) { "Next page" } }
            }
        }
    }
}

/// An address with one query parameter set to something else, or taken out where `value` is empty.
pub fn with(address: &str, name: &str, value: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    pairs.retain(|(key, _)| key != name);
    if !value.is_empty() {
        pairs.push((name.to_owned(), value.to_owned()));
    }
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A part of a path, encoded.
pub fn part(text: &str) -> String {
    // A form's encoding writes a blank as `+`, which a path does not know.
    serde_urlencoded::to_string([("", text)]).unwrap_or_default().trim_start_matches('=').replace('+', "%20")
}

/// How to do the same by program: a call of the management API, and the command.
pub fn same_by_program(curl: &str, command: Option<&str>) -> Markup {
    html! {
        details.program {
            summary { "The same with curl or the command line" }
            @if let Some(command) = command { (copied("Command", command)) }
            (copied("curl", curl))
        }
    }
}

/// A text to take along, with a button that puts it on the clipboard where there are scripts.
pub fn copied(name: &str, text: &str) -> Markup {
    html! {
        figure.copied {
            figcaption { (name) }
            pre tabindex="0" { code { (text) } }
            button.small type="button" data-copy hidden { "Copy" }
        }
    }
}

/// One line of a form with a text in it. `wrong` is what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// Id and name.
    pub name: &'a str,
    /// What it is called.
    pub label: &'a str,
    /// What belongs there.
    pub hint: &'a str,
    /// What stands there.
    pub value: &'a str,
    /// `text` where empty.
    pub kind: &'a str,
    /// Whether it has to be filled in.
    pub required: bool,
    /// What a browser may fill in by itself.
    pub autocomplete: &'a str,
    /// What is wrong with what stands there.
    pub wrong: Option<&'a str>,
}

/// A line of a form.
pub fn line(line: &Line<'_>) -> Markup {
    let kind = if line.kind.is_empty() { "text" } else { line.kind };
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
            input id=(line.name) name=(line.name) type=(kind) value=(line.value) required[line.required]
                aria-describedby=[(!described.is_empty()).then_some(described.as_str())]
                aria-invalid=[line.wrong.map(|_| "true")]
                autocomplete=[(!line.autocomplete.is_empty()).then_some(line.autocomplete)];
        }
    }
}

/// One of several. `options` are values with their names.
pub fn choice(name: &str, label: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } }
            }
        }
    }
}

/// Whether an address is one of this portal, and so one that a browser may be sent to.
pub fn is_own(address: &str) -> bool {
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let local = address.starts_with('/') && !address.starts_with("//");
    plain && local && address.len() <= 2048 && address.parse::<Uri>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_portal_are_gone_to() {
        for own in ["/", "/catalog?q=a%20b", "/services/a/b"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["", "//a.example", "/\\a.example", "https://a.example", "catalog", "/a b", "/\t/a", "/a\r\nb"] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn one_parameter_is_set_and_the_others_stay() {
        assert_eq!(with("/a?q=x&cursor=1", "cursor", "2 3"), "/a?q=x&cursor=2+3");
        assert_eq!(with("/a?cursor=1", "cursor", ""), "/a");
        assert_eq!(part("a b/c"), "a%20b%2Fc");
    }
}
