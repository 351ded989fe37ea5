//! What a month would have cost by a price book that nobody has added yet: each tenant's month is rated as it stands, and once
//! more as if that book alone had been in force for the whole of it. It keeps nothing.

use std::collections::BTreeMap;
use std::slice;

use num_traits::Signed as _;

use super::prices::check;
use super::rating::{Charged, Rated, ToRate};
use super::{App, Error, Issue};
use crate::clock::Time;
use crate::domain::catalog::Finding;
use crate::domain::decimal::{Exact, zero};
use crate::domain::period::Month;
use crate::domain::price::{BookDocument, PriceBook};

/// Lines that are told, those that change most.
const LINES_MAX: usize = 100;
/// Lines that are told to lose their price.
const UNPRICED_MAX: usize = 1000;
/// Tenants of one answer.
const TENANTS_MAX: usize = 10_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct SimulationOf {
    /// The book; from when on it counts doesn't matter here.
    pub book: BookDocument,
    /// Which month.
    pub period: Month,
    /// One tenant only, by name.
    pub tenant: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// By tenant, in the order of their names; those without costs are left out.
    pub tenants: Vec<(String, Change)>,
    /// All of them together.
    pub total: Change,
    /// What changes most, first.
    pub lines: Vec<ChangedLine>,
    /// What has a price and would have none.
    pub unpriced: Vec<ChangedLine>,
    /// What of the book meets nothing in the catalog.
    pub findings: Vec<Finding>,
}

/// Two amounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By the prices that there are.
    pub old: Exact,
    /// By the book.
    pub new: Exact,
}

impl Change {
    /// How much more.
    pub fn difference(&self) -> Exact {
        &self.new - &self.old
    }

    fn add(&mut self, other: &Self) {
        self.old += &other.old;
        self.new += &other.new;
    }
}

/// What a tenant used of one meter under one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLine {
    /// By name.
    pub tenant: String,
    /// By name.
    pub offering: String,
    /// By name.
    pub plan: String,
    /// By its key.
    pub meter: String,
    /// Of what the quantity is.
    pub unit: String,
    /// How much has a price now; of `unpriced`, how much would have none.
    pub quantity: Exact,
    /// What it costs.
    pub change: Change,
}

/// Offering, plan, meter, unit.
type Key = (String, String, String, String);

#[derive(Clone, Debug, Default)]
struct Sum {
    change: Change,
    quantity: Exact,
    lost: Exact,
    priced: bool,
}

impl App {
    /// What a month would have cost by a book.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the book is none, or is in another currency; [`Error::NotFound`] for the tenant.
    pub async fn simulate(&self, what: SimulationOf) -> Result<Simulation, Error> {
        check(&what.book).map_err(below_book)?;
        let books = self.price_books(None).await?;
        if let Some(first) = books.first().filter(|first| first.document.currency != what.book.currency) {
            let message =
                format!("a hub has one currency, and the prices of this one are in {}", first.document.currency);
            return Err(Error::invalid("/book/currency", message));
        }
        let now = self.clock().now();
        let document = BookDocument { effective_from: Time(i64::MIN), ..what.book };
        let book = PriceBook { id: String::new(), document, created_at: now };
        let mut simulation = Simulation { findings: self.price_findings(&book).await?, ..Simulation::default() };
        let mut after = String::new();
        loop {
            let ids = match &what.tenant {
                Some(name) => vec![self.tenant_by_name(name).await?.id],
                None => self.charged_tenants(&after).await?,
            };
            let Some(last) = ids.last().cloned() else { break };
            for id in ids {
                let tenant = self.charged(&id, now).await?;
                let sums = self.both(&tenant, what.period, now, (&books, &book)).await?;
                simulation.add(&tenant.name, sums)?;
            }
            if what.tenant.is_some() {
                break;
            }
            after = last;
        }
        simulation.shorten();
        simulation.tenants.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(simulation)
    }

    async fn both(
        &self,
        tenant: &Charged,
        month: Month,
        known_at: Time,
        (books, book): (&[PriceBook], &PriceBook),
    ) -> Result<BTreeMap<Key, Sum>, Error> {
        let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
        for (new, books) in [(false, books), (true, slice::from_ref(book))] {
            let what = ToRate { tenant, instance: None, month, known_at, changed_since: None, cuts: &[], books };
            let each = |rated: Rated<'_>| {
                for piece in rated.pieces {
                    let span = rated.span(piece);
                    let key = (span.offering.clone(), span.plan.clone(), piece.meter.clone(), piece.unit.clone());
                    let sum = sums.entry(key).or_default();
                    match (new, piece.price.is_some()) {
                        (false, true) => {
                            sum.priced = true;
                            sum.quantity += &piece.quantity;
                            sum.change.old += &piece.amount;
                        }
                        (true, true) => sum.change.new += &piece.amount,
                        (true, false) => sum.lost += &piece.quantity,
                        (false, false) => {}
                    }
                }
                Ok(())
            };
            self.rated(what, each).await?;
        }
        Ok(sums)
    }
}

impl Simulation {
    fn add(&mut self, tenant: &str, sums: BTreeMap<Key, Sum>) -> Result<(), Error> {
        let mut of_tenant = Change::default();
        for ((offering, plan, meter, unit), sum) in sums {
            of_tenant.add(&sum.change);
            let lost = sum.priced && sum.lost > zero();
            let (quantity, tenant) = (if lost { sum.lost } else { sum.quantity }, tenant.to_owned());
            let line = ChangedLine { tenant, offering, plan, meter, unit, quantity, change: sum.change };
            if lost && self.unpriced.len() < UNPRICED_MAX {
                self.unpriced.push(line.clone());
            }
            if line.change.old != line.change.new {
                self.lines.push(line);
            }
        }
        if self.lines.len() > 100 * LINES_MAX {
            self.shorten();
        }
        self.total.add(&of_tenant);
        if of_tenant != Change::default() {
            self.tenants.push((tenant.to_owned(), of_tenant));
        }
        if self.tenants.len() > TENANTS_MAX {
            let message = format!("more than {TENANTS_MAX} tenants have costs in this month: ask for one of them");
            return Err(Error::Unprocessable { code: "too_many_tenants", message });
        }
        Ok(())
    }

    fn shorten(&mut self) {
        self.lines.sort_by_cached_key(|line| std::cmp::Reverse(line.change.difference().abs()));
        self.lines.truncate(LINES_MAX);
    }
}

/// The same problems, where the book is a part of the body.
fn below_book(error: Error) -> Error {
    match error {
        Error::Invalid(issues) => {
            let below = |issue: Issue| Issue { pointer: format!("/book{}", issue.pointer), ..issue };
            Error::Invalid(issues.into_iter().map(below).collect())
        }
        error => error,
    }
}
