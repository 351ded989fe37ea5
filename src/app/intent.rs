//! What an order comes to whose first transaction, or whose answer, the database cut off: an order that was answered 5xx must
//! not come true, and one that was committed must not be answered as if it were not.

use std::time::Duration;

use tokio::time::Instant;

use super::{App, Error};
use crate::domain::operation::Told;
use crate::store::operations::{self, OperationRow};
use crate::store::{self, Tx};

/// How long whoever ordered waits for the database to say whether the order stands.
const SAY_WITHIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);
/// How long this process keeps trying to write down that an order was refused.
const REFUSE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How an insert fared that is never kept.
enum Fate {
    Stands,
    Missing,
    Unknown(store::Error),
}

impl From<store::Error> for Fate {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Taken => Self::Stands,
            // Not even its instance is there.
            store::Error::Reference => Self::Missing,
            other => Self::Unknown(other),
        }
    }
}

impl App {
    /// The outcome of writing an order's intent. Where the database did not say whether it was committed, it is asked until
    /// it does: `written` if it was.
    ///
    /// # Errors
    /// That of the write; where it was cut off, that it did not happen, or is not known to have. If it has, the order is
    /// refused as soon as the database answers.
    pub(in crate::app) async fn intended<T>(
        &self,
        operation: &OperationRow,
        outcome: Result<T, Error>,
        written: T,
    ) -> Result<T, Error> {
        match outcome {
            Err(error) if error.is_unknown() => {}
            known => return known,
        }
        tracing::warn!(operation.id = operation.id, "the database did not say whether an order was committed");
        let deadline = Instant::now() + SAY_WITHIN;
        loop {
            match self.stands(operation).await {
                Ok(true) => return Ok(written),
                Ok(false) => return Err(Error::Store(store::Error::Late)),
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    self.refuse_later(operation.clone());
                    return Err(Error::Store(error));
                }
            }
        }
    }

    /// Writes down that an order was answered 5xx, as soon as the database lets it.
    pub(in crate::app) fn refuse_later(&self, operation: OperationRow) {
        let app = self.clone();
        tokio::spawn(async move {
            let deadline = Instant::now() + REFUSE_WITHIN;
            while let Err(error) = app.refuse(&operation).await {
                if Instant::now() >= deadline {
                    tracing::error!(operation.id = operation.id, %error, "an order that was refused may come true");
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    async fn refuse(&self, operation: &OperationRow) -> Result<(), Error> {
        if self.stands(operation).await.map_err(Error::Store)? {
            self.tell(&operation.id, Told::Refused).await?;
        }
        Ok(())
    }

    /// Whether an operation is in the database, or never will be. A read could be quicker than a commit that is still under
    /// way; an insert of the same id waits for it.
    async fn stands(&self, operation: &OperationRow) -> Result<bool, store::Error> {
        let row = operation.clone();
        let fate: Result<(), Fate> = self
            .db()
            .write(move |tx: &mut Tx<'_>| {
                let row = row.clone();
                Box::pin(async move {
                    operations::insert(tx, &OperationRow { lease_token: None, ..row }, "").await?;
                    Err(Fate::Missing)
                })
            })
            .await;
        match fate {
            Ok(()) | Err(Fate::Missing) => Ok(false),
            Err(Fate::Stands) => Ok(true),
            Err(Fate::Unknown(error)) => Err(error),
        }
    }
}
