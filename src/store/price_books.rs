//! Table `price_books`: books are added and never changed. Processes keep a copy of them, whose age the counter
//! [`versions::PRICES`] tells.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx, versions};
use crate::clock::Time;
use crate::domain::price::PriceBook;

/// How much there is, before a book is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Books.
    pub books: i64,
    /// Characters of all their documents.
    pub size: i64,
    /// Of the first book.
    pub currency: Option<String>,
}

const KEPT: &str = "select count(*) as books, coalesce(sum(length(document)), 0) as size, min(currency) as currency \
    from price_books";

/// What there is. Until this transaction ends nobody else adds a book.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>) -> Result<Kept, Error> {
    versions::bump(tx, versions::PRICES).await?;
    let row = tx.fetch_optional(sqlx::query(KEPT)).await?;
    row.map_or(Ok(Kept { books: 0, size: 0, currency: None }), |row| {
        Ok(Kept { books: column(&row, "books")?, size: column(&row, "size")?, currency: column(&row, "currency")? })
    })
}

const INSERT: &str = "insert into price_books (id, currency, effective_from, document, created_at, created_by) \
    values ($1, $2, $3, $4, $5, $6)";

/// Adds a book, after [`lock`].
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, book: &PriceBook, created_by: &str) -> Result<(), Error> {
    let document = serde_json::json!(book.document).to_string();
    let sql = sqlx::query(INSERT).bind(book.id.clone()).bind(book.document.currency.clone());
    let sql = sql.bind(book.document.effective_from.0).bind(document).bind(book.created_at.0);
    tx.execute(sql.bind(created_by.to_owned())).await.map(drop)
}

const ALL: &str = "select id, document, created_at from price_books where created_at <= $1 order by created_at, id";

/// All books that were made at `known_at` or before, all there are where that is absent; in the order in which they were made.
///
/// # Errors
/// [`Error`].
pub async fn all(tx: &mut Tx<'_>, known_at: Option<Time>) -> Result<Vec<PriceBook>, Error> {
    let known_at = known_at.unwrap_or(Time(i64::MAX));
    tx.fetch_all(sqlx::query(ALL).bind(known_at.0)).await?.iter().map(book).collect()
}

fn book(row: &AnyRow) -> Result<PriceBook, Error> {
    let document: String = column(row, "document")?;
    let document = serde_json::from_str(&document);
    Ok(PriceBook {
        id: column(row, "id")?,
        document: document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        created_at: Time(column(row, "created_at")?),
    })
}
