//! Price books: add one, list and show them, and what a plan costs now. A book never changes; another takes its place from a
//! time on.
//!
//! Rules that meet nothing in the catalog do not refuse a book: they are told as findings. Invariant: all books of a hub are in
//! one currency.

use std::sync::Arc;

use serde_json::json;

use super::{App, Error, Issue, Listed, Page};
use crate::clock::{Time, fresh_id};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Finding, prices};
use crate::domain::meter::Meter;
use crate::domain::price::{self, BookDocument, PriceBook};
use crate::domain::tariff::{Line, Tariffs};
use crate::store::{audit, price_books};

/// Books of one hub: each is a change of prices, and all are kept in memory.
pub const BOOKS_MAX: i64 = 1000;
/// Characters of all books together, as JSON.
pub const SIZE_MAX: i64 = 64 * 1024 * 1024;
/// Rules on one page of a list; a page holds one book at least.
const PAGE_RULES_MAX: usize = 20_000;
/// Problems of one book that are told at once.
const PROBLEMS_MAX: usize = 100;

/// A price book as people see it.
#[derive(Clone, Debug)]
pub struct BookView {
    /// The book.
    pub book: PriceBook,
    /// Whether it counts now.
    pub in_force: bool,
}

/// What a plan costs by the book in force.
#[derive(Clone, Debug)]
pub struct PlanPrice {
    /// The book.
    pub tariffs: Arc<Tariffs>,
    /// A line a meter; at least one.
    pub lines: Vec<Line>,
}

impl PlanPrice {
    /// What a plan costs; `None` where the book says nothing of it.
    pub fn of(tariffs: &Arc<Tariffs>, offering: &str, plan: &str, meters: &[Meter]) -> Option<Self> {
        let lines = tariffs.lines(offering, plan, meters);
        (!lines.is_empty()).then(|| Self { tariffs: Arc::clone(tariffs), lines })
    }
}

impl App {
    /// Adds a price book, and says what of it meets nothing in the catalog.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong with it, or where it is in another currency than those before;
    /// [`Error::Unprocessable`] where there are too many.
    pub async fn create_price_book(
        &self,
        caller: &Caller,
        document: BookDocument,
    ) -> Result<(BookView, Vec<Finding>), Error> {
        check(&document)?;
        let now = self.clock().now();
        let book = PriceBook { id: fresh_id(), document, created_at: now };
        let size = i64::try_from(json!(book.document).to_string().len()).unwrap_or(i64::MAX);
        let detail = json!({ "effective_from": book.document.effective_from, "rules": book.document.rules.len() });
        let audit = self.audit_row(caller, "price_book.create", format!("price-books/{}", book.id), detail);
        let audit = audit.changed(None, Some(json!(book.document)));
        let shared = Arc::new((book, audit));
        let kept = Arc::clone(&shared);
        let written = self.db().write::<_, Error, _>(move |tx| {
            let shared = Arc::clone(&kept);
            Box::pin(async move {
                let (book, audit) = &*shared;
                let kept = price_books::lock(tx).await?;
                if let Some(currency) = kept.currency.filter(|currency| *currency != book.document.currency) {
                    let message = format!("a hub has one currency, and the prices of this one are in {currency}");
                    return Err(Error::invalid("/currency", message));
                }
                if kept.books >= BOOKS_MAX || kept.size.saturating_add(size) > SIZE_MAX {
                    let message =
                        format!("a hub keeps at most {BOOKS_MAX} price books of {SIZE_MAX} characters together");
                    return Err(Error::Unprocessable { code: "too_many", message });
                }
                price_books::insert(tx, book, &audit.actor).await?;
                audit::append(tx, audit).await?;
                Ok(())
            })
        });
        written.await?;
        self.reload_catalog().await?;
        let book = shared.0.clone();
        let findings = self.price_findings(&book).await?;
        Ok((self.book_view(book, &self.inner.registry.books()), findings))
    }

    /// All price books that were made at `known_at` or before, all there are where that is absent, in the order in which they were
    /// made. What other processes have added is among them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn price_books(&self, known_at: Option<Time>) -> Result<Arc<[PriceBook]>, Error> {
        self.reload_catalog().await?;
        let books = self.inner.registry.books();
        Ok(match known_at {
            Some(known_at) if books.iter().any(|book| book.created_at > known_at) => {
                books.iter().filter(|book| book.created_at <= known_at).cloned().collect()
            }
            _ => books,
        })
    }

    /// A page of price books in the order in which they were made. A page ends early where its books are large.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn price_book_list(&self, page: &Page) -> Result<Listed<BookView>, Error> {
        let books = self.price_books(None).await?;
        let after = books.iter().position(|book| book.id == page.after).map_or(0, |place| place + 1);
        let after = if page.after.is_empty() { 0 } else { after };
        let (limit, mut rules) = (usize::try_from(page.limit).unwrap_or(usize::MAX), 0);
        let mut items: Vec<BookView> = Vec::new();
        let rest = books.get(after..).unwrap_or_default();
        for book in rest.iter().take(limit) {
            rules += book.document.rules.len();
            if rules > PAGE_RULES_MAX && !items.is_empty() {
                break;
            }
            items.push(self.book_view(book.clone(), &books));
        }
        let next = items.last().filter(|_| items.len() < rest.len()).map(|view| view.book.id.clone());
        Ok(Listed { items, next })
    }

    /// One price book, and what of it meets nothing in the catalog now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; where the database fails.
    pub async fn price_book(&self, id: &str) -> Result<(BookView, Vec<Finding>), Error> {
        let books = self.price_books(None).await?;
        let book = books.iter().find(|book| book.id == id).ok_or_else(|| Error::not_found("price book", id))?.clone();
        let findings = self.price_findings(&book).await?;
        Ok((self.book_view(book, &books), findings))
    }

    /// What plans cost now; `None` where no price book is in force.
    ///
    /// # Errors
    /// Where the process ends.
    pub async fn tariffs(&self) -> Result<Option<Arc<Tariffs>>, Error> {
        self.turn_prices().await?;
        Ok(self.catalog().prices().tariffs.clone())
    }

    /// What a plan of the catalog costs now; `None` where the book in force says nothing of it.
    ///
    /// # Errors
    /// As [`App::tariffs`].
    pub async fn plan_price(&self, plan_id: &str) -> Result<Option<PlanPrice>, Error> {
        let Some(tariffs) = self.tariffs().await? else { return Ok(None) };
        let catalog = self.catalog();
        Ok(catalog
            .plan_by_id(plan_id)
            .and_then(|plan| PlanPrice::of(&tariffs, &plan.offering_name, &plan.plan_name, &plan.meters())))
    }

    fn book_view(&self, book: PriceBook, books: &[PriceBook]) -> BookView {
        let in_force = price::in_force(books, self.clock().now()).is_some_and(|other| other.id == book.id);
        BookView { book, in_force }
    }

    /// What of a book meets nothing in the catalog now, and what of the catalog it leaves without a price.
    pub(in crate::app) async fn price_findings(&self, book: &PriceBook) -> Result<Vec<Finding>, Error> {
        let (book, catalog) = (book.clone(), self.catalog());
        let found =
            tokio::task::spawn_blocking(move || prices::findings(&Tariffs::new(&book), &book.document, &catalog));
        found.await.map_err(|_| Error::busy())
    }
}

/// Refuses what is no price book.
pub(in crate::app) fn check(document: &BookDocument) -> Result<(), Error> {
    let problems = document.problems();
    if problems.is_empty() {
        return Ok(());
    }
    let issue = |(pointer, message)| Issue { pointer, message };
    Err(Error::Invalid(problems.into_iter().take(PROBLEMS_MAX).map(issue).collect()))
}
