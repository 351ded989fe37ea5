//! Prices that providers propose for their own offerings: propose, list, try out, accept, refuse. Finance decides, and not whoever
//! proposed or answers for the broker.
//!
//! What is accepted becomes price books as any other: immutable, in force from a time on, simulated by the same code. Invariant: the books
//! that come of a proposal are made from those that stand at the moment of the commit.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::prices::{BOOKS_MAX, SIZE_MAX, check};
use super::registry::notice;
use super::simulate::{Simulation, SimulationOf};
use super::{App, Error, Issue, Listed, Page, access};
use crate::clock::{Time, fresh_id};
use crate::domain::caller::Caller;
use crate::domain::catalog::State;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::period::Month;
use crate::domain::permission::{Permission, Sight, Thing};
use crate::domain::price::{BookDocument, PriceBook};
use crate::domain::proposal::{ProposalDocument, ProposalState};
use crate::domain::review::REASON_MAX;
use crate::store::audit::AuditRow;
use crate::store::brokers::{self, BrokerRow};
use crate::store::price_proposals::{self as proposals, Decided, ProposalRow};
use crate::store::{Tx, audit, events, price_books, versions};

/// Books to come that one acceptance makes anew.
const BOOKS_AT_ONCE_MAX: usize = 50;
/// How often an acceptance that met a change of prices is tried again.
const ATTEMPTS_MAX: u32 = 5;

/// A proposal as people see it.
#[derive(Clone, Debug)]
pub struct ProposalView {
    /// The proposal.
    pub row: ProposalRow,
    /// The broker's name.
    pub broker: String,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The prices take effect.
    Accept,
    /// They don't, for a reason.
    Refuse,
}

impl App {
    /// Proposes prices for offerings of a broker. What was pending of it is superseded.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] with all that is wrong.
    pub async fn propose_prices(
        &self,
        caller: &Caller,
        broker: &str,
        document: ProposalDocument,
    ) -> Result<ProposalView, Error> {
        let sight = access::sight(Permission::ProposePrices, caller)?;
        let row = self.broker_row(broker).await?;
        access::check(&sight, "broker", broker, &Thing { broker: Some(&row.id), ..Thing::default() })?;
        let now = self.clock().now();
        check(&document.alone(now))?;
        self.own_offerings(&row, &document).await?;
        let books = self.price_books(None).await?;
        if let Some(first) = books.first().filter(|first| first.document.currency != document.currency) {
            return Err(other_currency(&first.document.currency));
        }
        let proposal = ProposalRow {
            id: fresh_id(),
            broker_id: row.id.clone(),
            state: ProposalState::Pending,
            document,
            proposed_by: caller.actor(),
            proposed_at: now,
            decided_by: None,
            decided_at: None,
            reason: None,
            books: Vec::new(),
        };
        let subject = format!("price-proposals/{}", proposal.id);
        let audited = self.audit_row(caller, "price_proposal.create", subject, json!({ "broker": row.name }));
        let audited = audited.changed(None, Some(told(&proposal)));
        let view = ProposalView { row: proposal.clone(), broker: row.name.clone() };
        let hub = self.config().server.hub.clone();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (row, proposal, audited, hub) = (row.clone(), proposal.clone(), audited.clone(), hub.clone());
            Box::pin(async move {
                if brokers::hold(tx, &row.name).await?.as_ref() != Some(&row.id) {
                    return Err(Error::not_found("broker", &row.name));
                }
                end_pending(tx, &hub, &row, "another proposal took its place", now).await?;
                proposals::insert(tx, &proposal).await?;
                tell(tx, &hub, &row, &proposal, EventKind::PricesProposed, now).await?;
                Ok(audit::append(tx, &audited).await?)
            })
        });
        written.await?;
        Ok(view)
    }

    /// Proposals in the order in which they were made, by state and by the broker's name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn price_proposals(
        &self,
        sight: &Sight,
        (state, broker): (Option<ProposalState>, Option<String>),
        page: &Page,
    ) -> Result<Listed<ProposalView>, Error> {
        let broker_id = match &broker {
            Some(name) => match self.broker_row(name).await {
                Ok(row) => Some(row.id),
                // What means nothing matches nothing.
                Err(Error::NotFound { .. }) => return Ok(Listed { items: Vec::new(), next: None }),
                Err(error) => return Err(error),
            },
            None => None,
        };
        let (only, after, rows) = (sight.brokers(), page.after.clone(), i64::from(page.rows()));
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let mut views = Vec::new();
                for row in proposals::list(tx, (state, broker_id, only), &after, rows).await? {
                    views.push(view(tx, row).await?);
                }
                Ok(views)
            })
        });
        Ok(page.cut(read.await?, |view| view.row.id.clone()))
    }

    /// One proposal.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn price_proposal(&self, sight: &Sight, id: &str) -> Result<ProposalView, Error> {
        let key = id.to_owned();
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                match proposals::by_id(tx, &key).await? {
                    Some(row) => Ok(Some(view(tx, row).await?)),
                    None => Ok(None),
                }
            })
        });
        let view = read.await?.ok_or_else(|| Error::not_found("price proposal", id))?;
        let broker = Some(view.row.broker_id.as_str());
        access::check(sight, "price proposal", id, &Thing { broker, ..Thing::default() })?;
        Ok(view)
    }

    /// What a month would have cost, had the proposal been accepted before.
    ///
    /// # Errors
    /// As [`App::simulate`]; [`Error::Conflict`] where it is not pending.
    pub async fn simulate_proposal(
        &self,
        sight: &Sight,
        id: &str,
        period: Month,
        tenant: Option<String>,
    ) -> Result<(BookDocument, Simulation), Error> {
        let row = self.price_proposal(sight, id).await?.row;
        let books = self.price_books(None).await?;
        let first = row.document.books(&books, self.clock().now()).into_iter().next();
        let book = first.ok_or_else(|| decided_already(&row))?;
        let simulation = self.simulate(SimulationOf { book: book.clone(), period, tenant }).await?;
        Ok((book, simulation))
    }

    /// Accepts or refuses a proposal.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forbidden`] where it is the caller's own; [`Error::Conflict`] where it is decided already, or its
    /// offerings are not its broker's any more; [`Error::Invalid`] without a reason.
    pub async fn decide_proposal(
        &self,
        caller: &Caller,
        id: &str,
        verdict: Verdict,
        reason: &str,
    ) -> Result<ProposalView, Error> {
        let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_MAX || reason.contains('\0')) {
            return Err(Error::invalid("/reason", format!("must have at most {REASON_MAX} characters")));
        }
        if verdict == Verdict::Refuse && reason.is_none() {
            return Err(Error::invalid("/reason", "say what is to be put right"));
        }
        let ProposalView { row, broker } =
            self.price_proposal(&access::sight(Permission::ManagePrices, caller)?, id).await?;
        if row.state != ProposalState::Pending {
            return Err(decided_already(&row));
        }
        if verdict == Verdict::Accept {
            not_ones_own(caller, &row)?;
        }
        let row = match verdict {
            Verdict::Refuse => {
                let at = self.clock().now();
                let by = Some(caller.actor());
                let decided = Decided { state: ProposalState::Refused, by, at, reason, books: Vec::new() };
                self.decided(caller, &row, "price_proposal.refuse", decided, Vec::new(), None).await?
            }
            Verdict::Accept => Some(self.accept(caller, &row, reason).await?),
        };
        let row = row.ok_or_else(|| Error::Stale)?;
        self.reload_catalog().await?;
        Ok(ProposalView { row, broker })
    }

    async fn accept(&self, caller: &Caller, row: &ProposalRow, reason: Option<String>) -> Result<ProposalRow, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let broker_id = row.broker_id.clone();
            let read = self.db().read::<_, Error, _>(|tx| {
                Box::pin(async move {
                    // The counter first: a change in between is then found out when it is written.
                    let version = versions::read(tx, versions::PRICES).await?;
                    Ok((version, price_books::all(tx, None).await?, brokers::by_id(tx, &broker_id).await?))
                })
            });
            let (version, standing, broker) = read.await?;
            let Some(broker) = broker.filter(|broker| broker.deleted_at.is_none()) else {
                return Err(Error::conflict("broker_gone", "its broker is not registered any more"));
            };
            self.own_offerings(&broker, &row.document).await.map_err(|error| match error {
                Error::Invalid(_) => {
                    let message = "an offering that it names is not its broker's any more: it has to be proposed anew";
                    Error::conflict("offering_gone", message)
                }
                other => other,
            })?;
            let now = self.clock().now();
            let documents = row.document.books(&standing, now);
            if documents.len() > BOOKS_AT_ONCE_MAX {
                let message = format!("more than {BOOKS_AT_ONCE_MAX} price books take over later: let it begin later");
                return Err(Error::Unprocessable { code: "too_many", message });
            }
            documents.iter().try_for_each(check)?;
            let book = |document| PriceBook { id: fresh_id(), document, created_at: now };
            let books: Vec<PriceBook> = documents.into_iter().map(book).collect();
            let ids = books.iter().map(|book| book.id.clone()).collect();
            let by = Some(caller.actor());
            let decided = Decided { state: ProposalState::Accepted, by, at: now, reason: reason.clone(), books: ids };
            let action = "price_proposal.accept";
            if let Some(row) = self.decided(caller, row, action, decided, books, Some(version)).await? {
                return Ok(row);
            }
        }
        Err(Error::busy())
    }

    /// Writes a decision; `None` where prices have changed since that version.
    async fn decided(
        &self,
        caller: &Caller,
        row: &ProposalRow,
        action: &str,
        decided: Decided,
        books: Vec<PriceBook>,
        version: Option<i64>,
    ) -> Result<Option<ProposalRow>, Error> {
        let audited = self.audit_row(caller, action, format!("price-proposals/{}", row.id), json!({}));
        let (row, hub) = (row.clone(), self.config().server.hub.clone());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (row, decided, audited) = (row.clone(), decided.clone(), audited.clone());
            let (hub, books) = (hub.clone(), books.clone());
            Box::pin(async move {
                if let Some(version) = version {
                    let kept = price_books::lock(tx).await?;
                    if versions::read(tx, versions::PRICES).await? != version.saturating_add(1) {
                        return Err(Error::Stale);
                    }
                    room(&kept, &books)?;
                }
                write_decision(tx, &hub, &row, &decided, &books, audited).await
            })
        });
        match written.await {
            Ok(row) => Ok(Some(row)),
            // Rolled back with the lock: to be made anew from what stands now.
            Err(Error::Stale) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// That it names offerings of that broker only, and some.
    async fn own_offerings(&self, broker: &BrokerRow, document: &ProposalDocument) -> Result<(), Error> {
        if document.rules.is_empty() {
            return Err(Error::invalid("/rules", "must hold at least one rule"));
        }
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let part = catalog.parts().iter().find(|part| part.broker_id == broker.id);
        let own =
            part.into_iter().flat_map(|part| &part.offerings).filter(|offering| offering.state == State::Available);
        let own: BTreeSet<&str> = own.map(|offering| offering.name.as_str()).collect();
        let foreign = document.rules.iter().enumerate().filter(|(_, rule)| !own.contains(rule.offering.as_str()));
        let issue = |(index, rule): (usize, &crate::domain::price::Rule)| Issue {
            pointer: format!("/rules/{index}/offering"),
            message: format!("`{}` is no offering of broker `{}` that can be ordered", rule.offering, broker.name),
        };
        let issues: Vec<Issue> = foreign.take(100).map(issue).collect();
        if issues.is_empty() { Ok(()) } else { Err(Error::Invalid(issues)) }
    }
}

/// Ends what is pending of a broker that goes.
pub(in crate::app) async fn withdraw(tx: &mut Tx<'_>, hub: &str, broker: &BrokerRow, now: Time) -> Result<(), Error> {
    end_pending(tx, hub, broker, "the broker was deleted", now).await
}

async fn end_pending(tx: &mut Tx<'_>, hub: &str, broker: &BrokerRow, why: &str, now: Time) -> Result<(), Error> {
    let Some(pending) = proposals::pending(tx, &broker.id).await? else { return Ok(()) };
    let reason = Some(why.to_owned());
    let decided = Decided { state: ProposalState::Superseded, by: None, at: now, reason, books: Vec::new() };
    if let Some(row) = proposals::decide(tx, &pending.id, &decided).await? {
        tell(tx, hub, broker, &row, EventKind::PricesDecided, now).await?;
    }
    Ok(())
}

async fn write_decision(
    tx: &mut Tx<'_>,
    hub: &str,
    row: &ProposalRow,
    decided: &Decided,
    books: &[PriceBook],
    audited: AuditRow,
) -> Result<ProposalRow, Error> {
    let Some(after) = proposals::decide(tx, &row.id, decided).await? else {
        let latest = proposals::by_id(tx, &row.id).await?.unwrap_or_else(|| row.clone());
        return Err(decided_already(&latest));
    };
    for book in books {
        price_books::insert(tx, book, &audited.actor).await?;
    }
    let broker = brokers::by_id(tx, &row.broker_id).await?.ok_or_else(|| Error::not_found("broker", &row.broker_id))?;
    tell(tx, hub, &broker, &after, EventKind::PricesDecided, decided.at).await?;
    audit::append(tx, &audited.changed(Some(told(row)), Some(told(&after)))).await?;
    Ok(after)
}

/// Four eyes: neither who proposed it nor who answers for the broker.
fn not_ones_own(caller: &Caller, row: &ProposalRow) -> Result<(), Error> {
    if caller.actor() == row.proposed_by {
        return Err(Error::Forbidden("you proposed it yourself: somebody else of finance decides".to_owned()));
    }
    if caller.provides(&row.broker_id) {
        return Err(Error::Forbidden("you answer for its broker: somebody of finance who does not decides".to_owned()));
    }
    Ok(())
}

fn room(kept: &price_books::Kept, books: &[PriceBook]) -> Result<(), Error> {
    let size: usize = books.iter().map(|book| json!(book.document).to_string().len()).sum();
    let (number, size) = (i64::try_from(books.len()).unwrap_or(i64::MAX), i64::try_from(size).unwrap_or(i64::MAX));
    if kept.books.saturating_add(number) > BOOKS_MAX || kept.size.saturating_add(size) > SIZE_MAX {
        let message = format!("a hub keeps at most {BOOKS_MAX} price books of {SIZE_MAX} characters together");
        return Err(Error::Unprocessable { code: "too_many", message });
    }
    let other = |currency: &&String| books.iter().any(|book| book.document.currency != **currency);
    match kept.currency.as_ref().filter(other) {
        Some(currency) => Err(other_currency(currency)),
        None => Ok(()),
    }
}

fn other_currency(currency: &str) -> Error {
    let message = format!("a hub has one currency, and the prices of this one are in {currency}");
    Error::invalid("/currency", message)
}

fn decided_already(row: &ProposalRow) -> Error {
    let by = row.decided_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    Error::conflict(
        "already_decided",
        format!("the proposal is not pending any more: it is {}{by}", row.state.as_str()),
    )
}

async fn view(tx: &mut Tx<'_>, row: ProposalRow) -> Result<ProposalView, Error> {
    let broker = brokers::by_id(tx, &row.broker_id).await?.map(|broker| broker.name).unwrap_or_default();
    Ok(ProposalView { row, broker })
}

async fn tell(
    tx: &mut Tx<'_>,
    hub: &str,
    broker: &BrokerRow,
    row: &ProposalRow,
    kind: EventKind,
    now: Time,
) -> Result<(), Error> {
    let data = json!({
        "proposal_id": row.id, "broker": broker.name, "offerings": row.document.offerings(), "state": row.state.as_str(),
        "proposed_by": row.proposed_by, "decided_by": row.decided_by, "reason": row.reason, "price_books": row.books,
    });
    let event = notice::event(broker, kind, &row.id, now, data);
    let event = Event { id: event_id(&row.id, kind), subject: format!("price-proposals/{}", row.id), ..event };
    Ok(events::append(tx, hub, &event, now).await?)
}

/// What the audit says of one.
fn told(row: &ProposalRow) -> Value {
    json!({
        "state": row.state.as_str(), "document": row.document, "proposed_by": row.proposed_by, "reason": row.reason,
        "price_books": row.books,
    })
}
