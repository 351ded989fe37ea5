//! `/operator`: the console of those who run the hub. The first page says what needs somebody now; each number leads to where it can be
//! put right. One file a part.

pub mod adopt;
pub mod approval_rules;
pub mod audit;
pub mod brokers;
pub mod identities;
pub mod instances;
pub mod offboard;
pub mod offerings;
pub mod operations;
pub mod outbox;
pub mod platforms;
pub mod policies;
pub mod quotas;
pub mod tenants;

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};

use super::frame::Page;
use super::kit::{self, Tone};
use super::shown;
use super::visit::Visit;
use crate::app::App;
use crate::app::attention::Attention;
use crate::domain::broker::Status;
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::permits::{Can, SeePlatforms};

/// The parts of the console: name, where it begins, and what it takes to see it.
const PARTS: &[(&str, &str, Permission)] = &[
    ("Overview", "/operator", Permission::SeePlatforms),
    ("Brokers", "/operator/brokers", Permission::SeeBrokers),
    ("Offerings", "/operator/offerings", Permission::ManageBrokers),
    ("Reviews", "/operator/reviews", Permission::SeeReviews),
    ("Platforms", "/operator/platforms", Permission::SeePlatforms),
    ("Tenants", "/operator/tenants", Permission::SeeTenants),
    ("Identities", "/operator/identities", Permission::SeePlatforms),
    ("Operations", "/operator/operations", Permission::SeeInstances),
    ("Outbox", "/operator/outbox", Permission::SeeDeadLetters),
    ("Policies", "/operator/policies", Permission::SeePolicies),
    ("Quotas", "/operator/quotas", Permission::SeeQuotas),
    ("Approval rules", "/operator/approval-rules", Permission::SeeApprovalRules),
    ("Audit", "/operator/audit", Permission::SeeAudit),
];

/// The way between the parts, for above a page's heading. Somebody who is no operator sees only where they are.
pub(super) fn parts(visit: &Visit, caller: &Caller) -> Markup {
    if Permission::SeePlatforms.sight(caller).is_none() {
        return html! {};
    }
    let here = visit.path();
    let within = |path: &str| {
        here == path || (path != "/operator" && here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    };
    html! {
        nav.tabs aria-label="Operate" {
            ul {
                @for (name, path, permission) in PARTS {
                    @if permission.sight(caller).is_some() {
                        li { a href=(path) aria-current=[within(path).then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

/// Something that may need somebody.
struct Matter {
    /// How often it is there.
    count: i64,
    /// What it is, one and more of it.
    words: (&'static str, &'static str),
    /// What it means.
    means: &'static str,
    /// Where it can be put right.
    address: &'static str,
    /// How bad it is.
    tone: Tone,
}

/// `GET /operator`
///
/// # Errors
/// [`Failure`].
pub async fn overview(who: Can<SeePlatforms>, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let attention = app.attention().await?;
    let matters = matters(&attention);
    let open: Vec<&Matter> = matters.iter().filter(|matter| matter.count > 0).collect();
    let fine: Vec<&Matter> = matters.iter().filter(|matter| matter.count == 0).collect();
    Ok(Page::new(&visit, "Operate").above(parts(&visit, &who.caller)).show(html! {
        section aria-labelledby="now" {
            h2 id="now" { "What needs somebody now" }
            @if open.is_empty() {
                (kit::notice(Tone::Good, &html! { p { "Nothing. No order is stuck, all brokers answer, and all sinks are up to date." } }))
            }
            ul.cards { @for matter in &open { li { (card(matter)) } } }
        }
        (brokers_now(&attention))
        @if !fine.is_empty() {
            section aria-labelledby="fine" {
                h2 id="fine" { "All is well with" }
                ul { @for matter in &fine { li { a href=(matter.address) { (matter.words.1) } ": none" } } }
            }
        }
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/metrics\"", None))
    }))
}

fn matters(attention: &Attention) -> Vec<Matter> {
    let counts = &attention.counts;
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let behind = attention.sinks.iter().filter(|sink| sink.attempts > 0).count();
    let dead = attention.sinks.iter().map(|sink| sink.dead_letters).sum();
    let matter = |count, words, means, address, tone| Matter { count, words, means, address, tone };
    vec![
        matter(
            counts.unresolved,
            ("unresolved operation", "unresolved operations"),
            "Nobody knows yet what their service brokers made of them. The hub goes on asking.",
            "/operator/operations",
            Tone::Bad,
        ),
        matter(
            counts.slow,
            ("slow operation", "slow operations"),
            "They were ordered more than an hour ago and are still under way.",
            "/operator/operations",
            Tone::Warn,
        ),
        matter(
            number(attention.breakers.len()),
            ("open breaker", "open breakers"),
            "These service brokers failed so often that orders are held back from them.",
            "/operator/brokers",
            Tone::Bad,
        ),
        matter(
            number(attention.away.len()),
            ("broker that does not answer", "brokers that do not answer"),
            "What was last known of their catalogs is served, or nothing.",
            "/operator/brokers",
            Tone::Bad,
        ),
        matter(
            number(attention.findings),
            ("catalog finding", "catalog findings"),
            "Something is wrong with what these brokers offer; part of it can't be ordered.",
            "/operator/brokers",
            Tone::Warn,
        ),
        matter(
            dead,
            ("dead letter", "dead letters"),
            "Events that a sink did not take. They can be sent once more.",
            "/operator/outbox",
            Tone::Bad,
        ),
        matter(
            number(behind),
            ("failing sink", "failing sinks"),
            "They take no events at the moment; these wait.",
            "/operator/outbox",
            Tone::Warn,
        ),
        matter(
            counts.unmapped,
            ("unmapped identity", "unmapped identities"),
            "Orders came for somebody whom no tenant has. They were refused until somebody says whose it is.",
            "/operator/identities",
            Tone::Warn,
        ),
        matter(
            counts.expiring,
            ("approval that expires within a day", "approvals that expire within a day"),
            "If nobody decides, the orders fail.",
            "/approvals",
            Tone::Warn,
        ),
        matter(
            counts.submitted,
            ("offering that waits for a review", "offerings that wait for a review"),
            "Providers submitted them for publication. An operator who does not answer for them decides.",
            "/operator/reviews",
            Tone::Busy,
        ),
        matter(
            counts.offboarding,
            ("tenant that is being taken down", "tenants that are being taken down"),
            "Their instances are deleted one after another.",
            "/operator/tenants",
            Tone::Busy,
        ),
    ]
}

fn card(matter: &Matter) -> Markup {
    let words = if matter.count == 1 { matter.words.0 } else { matter.words.1 };
    html! {
        article class={ "card matter " (matter.tone.as_str()) } {
            h3 { a href=(matter.address) { strong { (matter.count) } " " (words) } }
            p { (matter.means) }
        }
    }
}

fn brokers_now(attention: &Attention) -> Markup {
    if attention.breakers.is_empty() && attention.away.is_empty() {
        return html! {};
    }
    let link = |name: &str| html! { a href={ "/operator/brokers/" (kit::part(name)) } { (name) } };
    let away = attention.away.iter().map(|(name, status)| vec![link(name), brokers::status(*status)]);
    let open = attention.breakers.iter().map(|(name, state)| vec![link(name), brokers::breaker(*state)]);
    let rows: Vec<_> = away.chain(open).collect();
    html! { (kit::table("Brokers with something wrong", &["Broker", "What"], &rows)) }
}

/// What a broker's status means.
pub(super) fn status_words(status: Status) -> &'static str {
    match status {
        Status::Available => "answered when last asked",
        Status::Unavailable => "did not answer when last asked: what is stored of its catalog is served",
        Status::Quarantined => "answered with a catalog of which nothing can be served",
    }
}

/// How long ago something was.
pub(super) fn ago(app: &App, at: crate::clock::Time) -> String {
    shown::duration(app.clock().now().since(at).as_secs())
}
