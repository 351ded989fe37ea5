//! What is around each page: head, navigation and foot; and the pages of what did not go well.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError as _};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::kit;
use super::visit::Visit;
use crate::domain::caller::{Caller, Person};
use crate::domain::permission::Permission;
use crate::http::error::Failure;

/// The parts of the portal: name, where it begins, and what it takes to see it.
const PARTS: &[(&str, &str, Permission)] = &[
    ("Catalog", "/catalog", Permission::SeeOfferings),
    ("My services", "/services", Permission::ReadOrder),
    ("Approvals", "/approvals", Permission::SeeApprovals),
    ("Costs", "/costs", Permission::SeeCosts),
    ("Provide", "/provider", Permission::ChangeBrokers),
    ("Operate", "/operator", Permission::SeePlatforms),
];

/// A page. `title` is its heading and stands first in the browser's tab.
#[derive(Debug)]
pub struct Page<'a> {
    visit: Option<&'a Visit>,
    title: &'a str,
    status: StatusCode,
    above: Markup,
    reload_seconds: Option<u32>,
}

impl<'a> Page<'a> {
    /// A page for whoever visits.
    pub fn new(visit: &'a Visit, title: &'a str) -> Self {
        Self { visit: Some(visit), title, status: StatusCode::OK, above: html! {}, reload_seconds: None }
    }

    /// With another status than 200.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With something above its heading: where it is ([`kit::trail`]).
    #[must_use]
    pub fn above(self, above: Markup) -> Self {
        Self { above, ..self }
    }

    /// Loaded again after so many seconds where there are no scripts: for what is under way.
    #[must_use]
    pub fn reload(self, seconds: u32) -> Self {
        Self { reload_seconds: Some(seconds), ..self }
    }

    /// The whole of it, with its own part.
    pub fn show(self, body: Markup) -> HttpResponse {
        let markup = self.markup(&body);
        HttpResponse::build(self.status).content_type("text/html; charset=utf-8").body(markup.into_string())
    }

    fn markup(&self, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Bourse" }
                    link rel="icon" type="image/svg+xml" href=(assets::ICON.address());
                    link rel="stylesheet" href=(assets::STYLE.address());
                    script type="module" src=(assets::SCRIPT.address()) {}
                    @if let Some(seconds) = self.reload_seconds {
                        noscript { meta http-equiv="refresh" content=(seconds); }
                    }
                }
                body {
                    a.skip href="#main" { "Skip to content" }
                    (self.top())
                    main #main tabindex="-1" {
                        (self.above)
                        h1 { (self.title) }
                        (body)
                    }
                    footer.foot {
                        p { "Bourse · one marketplace for the services of all brokers" }
                    }
                }
            }
        }
    }

    fn top(&self) -> Markup {
        let caller = self.visit.and_then(|visit| visit.caller.as_ref());
        let here = self.visit.map(Visit::path).unwrap_or_default();
        html! {
            header.top {
                a.brand href="/" { span.brand-mark aria-hidden="true" { "B" } "Bourse" }
                @if let (Some(visit), Some(caller)) = (self.visit, caller) {
                    nav.parts aria-label="Main" {
                        ul {
                            @for (name, path, permission) in PARTS {
                                @if permission.sight(caller).is_some() && is_for(caller, path) {
                                    li {
                                        a href=(path) aria-current=[is_in(here, path).then_some("true")] {
                                            (name) @if *path == "/approvals" { (waiting(visit.waiting)) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    div.who {
                        a href="/account" { (name_of(caller)) }
                        form method="post" action="/sign-out" {
                            (kit::csrf(visit))
                            button.plain type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }
}

/// Operators reach brokers by their own console.
fn is_for(caller: &Caller, path: &str) -> bool {
    let provides = |person: &Person| !person.provides.is_empty() || !person.awaits.is_empty();
    path != "/provider" || caller.person().is_some_and(provides)
}

/// How many approvals wait for whoever looks.
fn waiting(count: i64) -> Markup {
    html! {
        @if count > 0 {
            " " span.waiting { (count) span.hidden-text { @if count == 1 { " order waits for you" } @else { " orders wait for you" } } }
        }
    }
}

fn is_in(here: &str, part: &str) -> bool {
    here.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How somebody is called on a page.
pub fn name_of(caller: &Caller) -> &str {
    caller.user().or_else(|| caller.person().map(|person| person.name.as_str())).unwrap_or("signed in")
}

/// The page of a request that did not do what was asked.
pub fn failed(visit: Option<&Visit>, failure: &Failure, request_id: Option<&str>) -> HttpResponse {
    let status = failure.status_code();
    let (title, next) = match status {
        StatusCode::UNAUTHORIZED => ("You are not signed in", "Sign in and try it again."),
        StatusCode::FORBIDDEN => (
            "You may not do this",
            "Ask whoever runs this marketplace for a role, or an owner of your tenant to make you a member.",
        ),
        StatusCode::NOT_FOUND => ("There is nothing here", "It may have been deleted, or it is not yours to see."),
        StatusCode::CONFLICT => ("Something stands in the way", "Load the page again to see how things stand now."),
        StatusCode::TOO_MANY_REQUESTS => ("Too many requests", "Wait a moment, then load the page again."),
        status if status.is_server_error() => {
            ("The hub could not do it", "Nothing may have been done: look before you try it again.")
        }
        _ => ("This could not be done", "Go back, put it right and send it again."),
    };
    let visit_or_none = visit.filter(|visit| visit.caller.is_some());
    let page = Page { visit: visit_or_none, title, status, above: html! {}, reload_seconds: None };
    let told = request_id.filter(|_| status.is_server_error());
    let mut answer = page.show(html! {
        div.notice.bad role="alert" {
            p { (failure.detail()) }
            @if !failure.errors().is_empty() {
                ul { @for issue in failure.errors() { li { @if !issue.pointer.is_empty() { code { (issue.pointer) } ": " } (issue.detail) } } }
            }
            @if let Some(id) = told { p { "Tell whoever runs this hub the number of this request: " code { (id) } } }
        }
        p { (next) }
        p.actions {
            @if status == StatusCode::UNAUTHORIZED { a.button href="/sign-in" { "Sign in" } }
            @else { a.button href="/" { "To the first page" } }
        }
    });
    if let Some(seconds) = failure.retry_after_seconds()
        && let Ok(seconds) = seconds.to_string().parse()
    {
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}
