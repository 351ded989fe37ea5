//! Brokers, one and all.

use super::view::BrokerView;
use crate::app::{App, Error, Listed, Page, access};
use crate::domain::caller::Caller;
use crate::domain::permission::{Permission, Sight, Thing};
use crate::store::brokers;

impl App {
    /// Whether a caller may change the broker of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub(in crate::app) async fn may_change_broker(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let sight = access::sight(Permission::ChangeBrokers, caller)?;
        if sight.is_everything() {
            return Ok(());
        }
        let row = self.broker_row(name).await?;
        access::check(&sight, "broker", name, &Thing { broker: Some(&row.id), ..Thing::default() })
    }

    /// The broker of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn broker(&self, sight: &Sight, name: &str) -> Result<BrokerView, Error> {
        let row = self.broker_row(name).await?;
        access::check(sight, "broker", name, &Thing { broker: Some(&row.id), ..Thing::default() })?;
        self.broker_view(row).await
    }

    /// Brokers by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn brokers(&self, sight: &Sight, page: Page) -> Result<Listed<BrokerView>, Error> {
        let (after, rows, only) = (page.after.clone(), i64::from(page.rows()), sight.brokers());
        let rows = self.db().read(|tx| Box::pin(async move { brokers::page(tx, &after, rows, only).await })).await?;
        let Listed { items, next } = page.cut(rows, |row| row.name.clone());
        let mut views = Vec::with_capacity(items.len());
        for row in items {
            views.push(self.broker_view(row).await?);
        }
        Ok(Listed { items: views, next })
    }
}
