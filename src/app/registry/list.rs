//! Brokers, one and all.

use super::view::BrokerView;
use crate::app::{App, Error, Listed, Page};
use crate::store::brokers;

impl App {
    /// The broker of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn broker(&self, name: &str) -> Result<BrokerView, Error> {
        let row = self.broker_row(name).await?;
        self.broker_view(row).await
    }

    /// Brokers by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn brokers(&self, page: Page) -> Result<Listed<BrokerView>, Error> {
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows = self.db().read(|tx| Box::pin(async move { brokers::page(tx, &after, rows).await })).await?;
        let Listed { items, next } = page.cut(rows, |row| row.name.clone());
        let mut views = Vec::with_capacity(items.len());
        for row in items {
            views.push(self.broker_view(row).await?);
        }
        Ok(Listed { items: views, next })
    }
}
