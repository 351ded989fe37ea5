//! `/costs/proposals`: prices that providers proposed, for finance to accept or refuse, and for everybody who sees the broker to look at.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::proposals::{ProposalView, Verdict};
use crate::app::registry::BrokerView;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::price::PriceBook;
use crate::domain::proposal::ProposalState;
use crate::domain::tariff::Tariffs;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, page as page_of};
use crate::http::permits::{Can, ManagePrices, SeePriceProposals};
use crate::http::portal::catalog::{price_of, says_free};
use crate::http::portal::costs::tabs;
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the list.
pub const QUERY: &[&str] = &["show", "cursor"];
/// Proposals on one page.
pub(super) const SHOWN: u32 = 50;
const HERE: &str = "/costs/proposals";

/// Which of them are looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    show: String,
    cursor: Option<String>,
}

/// `GET /costs/proposals`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeePriceProposals>,
    visit: Visit,
    app: Data<App>,
    wanted: Params<Wanted>,
) -> Result<HttpResponse, Failure> {
    let all = wanted.0.show == "all";
    let state = (!all).then_some(ProposalState::Pending);
    let at = page_of(Some(SHOWN), wanted.0.cursor.as_deref())?;
    let listed: PageOut<_> = app.price_proposals(&who.sight, (state, None), &at).await?.into();
    Ok(Page::new(&visit, "Proposed prices").above(kit::trail(&[("Costs", "/costs")])).show(html! {
        (tabs(HERE, &who.caller))
        nav.chips aria-label="Which proposals" {
            ul {
                li { a.badge href=(HERE) aria-current=[(!all).then_some("page")] { "Waiting" } }
                li { a.badge href={ (HERE) "?show=all" } aria-current=[all.then_some("page")] { "All" } }
            }
        }
        @if listed.items.is_empty() {
            (kit::empty("No prices wait for a decision", "What providers propose is here until somebody of finance accepts or refuses it.", None))
        } @else { (table(&listed.items, true)) }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program(
            "curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/price-proposals?state=pending\"",
            Some("bourse price-book proposals --state pending"),
        ))
    }))
}

/// Proposals, of which broker where there are several.
pub(super) fn table(views: &[ProposalView], brokers: bool) -> Markup {
    let row = |view: &ProposalView| {
        let row = &view.row;
        let offerings: Vec<&str> = row.document.offerings().into_iter().take(5).collect();
        vec![
            html! { a href={ (HERE) "/" (kit::part(&row.id)) } { @if brokers { (view.broker) ": " } (offerings.join(", ")) } },
            badge(row.state),
            html! { (row.proposed_by) ", " (shown::time(row.proposed_at)) },
            html! { @if let Some(at) = row.decided_at { @if let Some(by) = &row.decided_by { (by) ", " } (shown::time(at)) } @else { "not yet" } },
            html! { (row.reason.as_deref().unwrap_or_default()) },
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    kit::table("Proposals, the oldest first", &["For", "State", "Proposed by", "Decided", "Reason"], &rows)
}

fn badge(state: ProposalState) -> Markup {
    match state {
        ProposalState::Pending => kit::badge(Tone::Busy, "waits for finance"),
        ProposalState::Accepted => kit::badge(Tone::Good, "accepted"),
        ProposalState::Refused => kit::badge(Tone::Bad, "refused"),
        ProposalState::Superseded => kit::badge(Tone::Plain, "superseded"),
    }
}

/// `GET /costs/proposals/{id}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeePriceProposals>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.price_proposal(&who.sight, &id).await?;
    page(&app, &who.caller, &visit, &view, "", &Wrong::default()).await
}

/// `POST /costs/proposals/{id}`: accepts it, or refuses it.
///
/// # Errors
/// 404 where there is none.
pub async fn decide(
    who: Can<ManagePrices>,
    visit: Visit,
    app: Data<App>,
    id: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let reason = fields.text("reason");
    let decided = match fields.text("do") {
        "accept" => app.decide_proposal(&who.caller, &id, Verdict::Accept, reason).await,
        "refuse" => app.decide_proposal(&who.caller, &id, Verdict::Refuse, reason).await,
        _ => Err(app::Error::invalid("/do", "say whether it is accepted or refused")),
    };
    let wrong = match decided {
        Ok(_) => return Ok(visit.to(visit.path())),
        Err(error) => Wrong::of(error, &[("/reason", "reason")])?,
    };
    let view = app.price_proposal(&who.sight, &id).await?;
    page(&app, &who.caller, &visit, &view, reason, &wrong).await
}

async fn page(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    view: &ProposalView,
    reason: &str,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let row = &view.row;
    let broker = match Permission::SeeBrokers.sight(caller) {
        Some(sight) => match app.broker(&sight, &view.broker).await {
            Ok(broker) => Some(broker),
            // It is gone, and with it the names of its plans.
            Err(app::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let tariffs = app.tariffs().await?;
    let title = format!("Prices proposed for {}", view.broker);
    let decides = Permission::ManagePrices.sight(caller).is_some() && row.state == ProposalState::Pending;
    let provides = caller.provides(&row.broker_id);
    let trail = [("Costs", "/costs"), ("Proposed prices", HERE)];
    let home = format!("/provider/brokers/{}/prices", kit::part(&view.broker));
    Ok(Page::new(visit, &title).above(kit::trail(&trail)).status(wrong.status()).show(html! {
        (wrong.above())
        p.state { (badge(row.state)) }
        @if row.state == ProposalState::Pending && !decides {
            (kit::notice(Tone::Busy, &html! { p { "Somebody of finance accepts or refuses them. Until then nothing changes." } }))
        }
        (kit::facts(&facts(view)))
        @if let Some(broker) = &broker { (compared(app, view, broker, tariffs.as_ref())) }
        details.more open[broker.is_none()] {
            summary { "As JSON" }
            pre.source tabindex="0" { code { (serde_json::to_string_pretty(&row.document).unwrap_or_default()) } }
        }
        @if decides { (form(caller, visit, view, reason, wrong)) }
        @if provides { p { a href=(home) { "All prices of " (view.broker) } } }
        (kit::same_by_program(
            &format!("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/price-proposals/{}\"", row.id),
            Some(&format!("bourse price-book proposal {}", row.id)),
        ))
    }))
}

fn facts(view: &ProposalView) -> Vec<(&'static str, Markup)> {
    let row = &view.row;
    let mut facts = vec![
        ("Proposed by", html! { (row.proposed_by) ", " (shown::time(row.proposed_at)) }),
        (
            "Count from",
            html! {
                @match row.document.effective_from { Some(from) => { (shown::time(from)) ", and never before they are accepted" }, None => "when they are accepted" }
            },
        ),
        ("Currency", html! { (row.document.currency) }),
    ];
    if let Some(at) = row.decided_at {
        let by = row.decided_by.as_deref().unwrap_or("the hub");
        facts.push(("Decided by", html! { (by) ", " (shown::time(at)) }));
    }
    if let Some(reason) = &row.reason {
        facts.push(("Reason", html! { (reason) }));
    }
    facts
}

/// What each plan costs now, and would cost.
fn compared(app: &App, view: &ProposalView, broker: &BrokerView, now: Option<&Arc<Tariffs>>) -> Markup {
    let (id, created_at) = (view.row.id.clone(), view.row.proposed_at);
    let book = PriceBook { id, document: view.row.document.alone(app.clock().now()), created_at };
    let then = Arc::new(Tariffs::new(&book));
    let named = view.row.document.offerings();
    let cell = |tariffs: Option<&Arc<Tariffs>>, offering: &str, plan| {
        let price = price_of(tariffs, offering, plan);
        html! {
            @match (price, tariffs) {
                (Some(price), Some(tariffs)) => { ul.plain { @for line in &price.lines { li { (line.words(&tariffs.currency)) } } } },
                _ => { @if says_free(plan) { "free" } @else { "no price" } },
            }
        }
    };
    let rows: Vec<_> = broker
        .offerings()
        .iter()
        .filter(|offering| named.contains(offering.name.as_str()))
        .flat_map(|offering| offering.plans.iter().map(move |plan| (offering, plan)))
        .map(|(offering, plan)| {
            vec![
                html! { (offering.name) },
                html! { (plan.name) },
                cell(now, &offering.name, plan),
                cell(Some(&then), &offering.name, plan),
            ]
        })
        .collect();
    html! {
        section aria-labelledby="compared" {
            h2 id="compared" { @if view.row.state == ProposalState::Pending { "What changes" } @else { "What was proposed" } }
            (kit::table("Prices in force, and as proposed", &["Offering", "Plan", "Now", "Proposed"], &rows))
        }
    }
}

fn form(caller: &Caller, visit: &Visit, view: &ProposalView, reason: &str, wrong: &Wrong) -> Markup {
    let own = if caller.actor() == view.row.proposed_by {
        Some("You proposed them yourself: somebody else of finance accepts them. You may still refuse them.")
    } else if caller.provides(&view.row.broker_id) {
        Some("You answer for this broker: somebody of finance who does not accepts them. You may still refuse them.")
    } else {
        None
    };
    html! {
        section aria-labelledby="decide" {
            h2 id="decide" { "Decide" }
            @if let Some(words) = own { (kit::notice(Tone::Warn, &html! { p { (words) } })) }
            form.panel method="post" action=(visit.path()) {
                (kit::csrf(visit))
                (forms::area(&Line {
                    name: "reason", label: "Reason", value: reason, wrong: wrong.at("reason"),
                    hint: "Whoever proposed them reads this. Needed where they are refused.", ..Line::default()
                }, 3))
                p.actions {
                    @if own.is_none() { button type="submit" name="do" value="accept" { "Accept these prices" } }
                    button.second type="submit" name="do" value="refuse" { "Refuse them" }
                }
            }
        }
    }
}
