//! Whether this process can do its work: what `GET /readyz` answers from.

use std::time::Duration;

use super::App;
use crate::store::{Error, migrations};

/// A database that needs longer to answer is not ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl App {
    /// Everything that keeps this process from work; empty where it is ready. Sentences for operators.
    pub async fn not_ready(&self) -> Vec<String> {
        match tokio::time::timeout(ANSWER_WITHIN, self.database_lacks()).await {
            Ok(lacks) => lacks.into_iter().collect(),
            Err(_) => vec!["the database does not answer in time".to_owned()],
        }
    }

    /// What is wrong with the database, where it answers.
    async fn database_lacks(&self) -> Option<String> {
        let pending = self.db().read::<_, Error, _>(|tx| Box::pin(async move { migrations::pending(tx).await }));
        match pending.await {
            Ok(0) => None,
            Ok(steps) => Some(format!("the database is {steps} migrations behind: run `bourse migrate`")),
            // Without its tables the database answers too, and says so.
            Err(Error::Database(_)) if self.db().read(|tx| Box::pin(migrations::alive(tx))).await.is_ok() => {
                Some("the database is empty: run `bourse migrate`".to_owned())
            }
            Err(error) => Some(format!("the database does not answer: {error}")),
        }
    }
}
