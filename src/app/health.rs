//! Whether this process can do its work: what `GET /readyz` answers from.

use std::time::Duration;

use super::App;
use crate::store::{Error, migrations};

/// A database that needs longer to answer is not ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl App {
    /// Everything that keeps this process from work; empty where it is ready. Sentences for operators.
    pub async fn not_ready(&self) -> Vec<String> {
        let pending = self.db().read::<_, Error, _>(|tx| Box::pin(async move { migrations::pending(tx).await }));
        match tokio::time::timeout(ANSWER_WITHIN, pending).await {
            Ok(Ok(0)) => Vec::new(),
            Ok(Ok(steps)) => {
                vec![format!("the database is {steps} migrations behind: run `bourse migrate`")]
            }
            // Without its tables the database answers too, and says so.
            Ok(Err(Error::Database(_))) if self.db().read(|tx| Box::pin(migrations::alive(tx))).await.is_ok() => {
                vec!["the database is empty: run `bourse migrate`".to_owned()]
            }
            Ok(Err(error)) => vec![format!("the database does not answer: {error}")],
            Err(_) => vec!["the database does not answer in time".to_owned()],
        }
    }
}
