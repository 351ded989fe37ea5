//! The way of an offering from its registration to the catalog, and what whoever answers for it does next: five steps, each of which
//! follows from the checks of a review.

use maud::{Markup, html};

use super::place_of;
use crate::app::reviews::Looked;
use crate::app::{self, App, Page};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Offering, State};
use crate::domain::permission::Permission;
use crate::domain::proposal::ProposalState;
use crate::domain::review::{Fit, ReviewState};
use crate::domain::visibility::Stage;
use crate::http::error::Failure;
use crate::http::portal::kit;

/// Offerings whose way one page shows: each is looked at by itself.
const SHOWN: usize = 10;

/// How far an offering has come.
#[derive(Clone, Debug)]
pub(super) struct Way {
    offering: String,
    broker: String,
    done: [bool; 5],
    stage: Stage,
    /// Prices of the broker that wait for finance.
    pending: Option<String>,
}

const STEPS: [&str; 5] = ["Catalog in order", "Judged", "Priced", "Submitted", "Published"];

impl Way {
    /// Of what was found.
    pub(super) fn new(app: &App, looked: &Looked, pending: Option<String>) -> Self {
        let passes = |names: &[&str]| {
            let named = looked.checks.iter().filter(|check| names.contains(&check.check.as_str()));
            named.into_iter().all(|check| !check.required || check.state == Fit::Passed)
        };
        let stage = looked.lifecycle.at(app.clock().now());
        let published = stage != Stage::Draft;
        let submitted = looked.review.as_ref().is_some_and(|review| review.state == ReviewState::Submitted);
        let done = [
            passes(&["broker", "catalog", "schemas", "support", "documentation"]),
            passes(&["conformance"]),
            passes(&["price", "meters"]),
            submitted || published,
            published,
        ];
        let (offering, broker) = (looked.offering.name.clone(), looked.broker.name.clone());
        Self { offering, broker, done, stage, pending }
    }

    /// The steps, and what to do now. `base` is the console that it is shown in, `here` whether on the offering's own page.
    pub(super) fn show(&self, base: &str, here: bool) -> Markup {
        let next = self.done.iter().position(|done| !done);
        html! {
            ol.steps {
                @for (place, (name, done)) in STEPS.iter().zip(self.done).enumerate() {
                    li.done[done].now[Some(place) == next] aria-current=[(Some(place) == next).then_some("step")] {
                        (name) span.hidden-text { @if done { ": done" } @else if Some(place) == next { ": now" } @else { ": later" } }
                    }
                }
            }
            (self.now(next, base, here))
        }
    }

    fn now(&self, next: Option<usize>, base: &str, here: bool) -> Markup {
        let broker = format!("{base}/brokers/{}", kit::part(&self.broker));
        let own = place_of(base, &self.offering);
        let says = |words: &str, action: Option<(&str, String)>| {
            html! {
                p { strong { "What to do now: " } (words) }
                @if let Some((name, address)) = action { p.actions { a.button href=(address) { (name) } } }
            }
        };
        match next {
            Some(0) if here => says(
                "Put right in the catalog what is listed below, then fetch it again.",
                Some(("To the broker", broker)),
            ),
            Some(0) => says("Something in its catalog is to be put right.", Some(("See what is missing", own))),
            Some(1) => {
                let query = serde_urlencoded::to_string([("offering", &self.offering)]).unwrap_or_default();
                says(
                    "Have the broker judged by the conformance suite.",
                    Some(("Have it judged", format!("{broker}/conformance?{query}"))),
                )
            }
            Some(2) => match &self.pending {
                Some(id) => says(
                    "Nothing: the prices that were proposed wait for somebody of finance.",
                    Some(("See the proposal", format!("/costs/proposals/{}", kit::part(id)))),
                ),
                None => says(
                    "Propose what it costs. Somebody of finance accepts it.",
                    Some(("Propose prices", format!("{broker}/prices"))),
                ),
            },
            Some(3) if here && base == "/provider" => {
                says("All that is required is there: submit it for publication below.", None)
            }
            Some(3) => says(
                "All that is required is there: submit it for publication.",
                Some(("Submit it", place_of("/provider", &self.offering))),
            ),
            Some(_) => says(
                "Nothing: it waits for an operator who publishes it or sends it back.",
                (!here).then_some(("See the submission", own)),
            ),
            None if self.stage == Stage::Retired => {
                says("It is retired. Only an operator makes a draft of it again.", None)
            }
            None => {
                html! { p { "It is published: " a href={ "/catalog/" (kit::part(&self.offering)) } { "as it stands in the catalog" } "." } }
            }
        }
    }
}

/// The proposal of a broker that waits for finance.
pub(super) async fn pending(app: &App, caller: &Caller, broker: &str) -> Result<Option<String>, Failure> {
    let Some(sight) = Permission::SeePriceProposals.sight(caller) else { return Ok(None) };
    let wanted = (Some(ProposalState::Pending), Some(broker.to_owned()));
    let listed = app.price_proposals(&sight, wanted, &Page { limit: 1, after: String::new() }).await?;
    Ok(listed.items.into_iter().next().map(|view| view.row.id))
}

/// What of a broker is not published yet, each with what to do now.
///
/// # Errors
/// [`Failure`].
pub(in crate::http::portal) async fn ways(
    app: &App,
    caller: &Caller,
    (base, broker): (&str, &str),
    offerings: &[Offering],
) -> Result<Markup, Failure> {
    let Some(sight) = Permission::SeeReviews.sight(caller) else { return Ok(html! {}) };
    let pending = pending(app, caller, broker).await?;
    let standing = offerings.iter().filter(|offering| offering.state != State::Removed);
    let mut ways = Vec::new();
    for offering in standing.clone().take(SHOWN) {
        let looked = match app.offering_checks(&sight, &offering.name).await {
            Ok(looked) => looked,
            // It left the catalog just now.
            Err(app::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        // The name may be another broker's: then this one can't be ordered, and its finding says so.
        if looked.broker.name == broker {
            ways.push(Way::new(app, &looked, pending.clone()));
        }
    }
    let more = standing.count() > SHOWN;
    let drafts: Vec<&Way> = ways.iter().filter(|way| way.stage == Stage::Draft).collect();
    Ok(html! {
        @if !drafts.is_empty() {
            section aria-labelledby="way" {
                h2 id="way" { "On the way to the catalog" }
                @for way in drafts {
                    article.panel.way {
                        h3 { a href=(place_of(base, &way.offering)) { (way.offering) } " " (kit::badge(kit::Tone::Busy, "draft")) }
                        (way.show(base, false))
                    }
                }
                @if more { p.under { "Only the first " (SHOWN) " offerings of the catalog are looked at here." } }
            }
        }
    })
}
