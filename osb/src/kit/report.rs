//! Brings readings to the hub: `POST /usage` of Bourse's management API, in the order in which they were made, until each is
//! acknowledged. What the hub refuses is kept with its reason and never sent again.

use std::time::Duration;

use serde_json::Value;
use sqlx::Row as _;
use tokio::task::JoinHandle;

use super::db::Db;
use super::http::{CallError, Http};
use crate::client::BuildError;

/// How many events go at once; the hub takes 1000.
const BATCH: i64 = 500;
/// How many batches one round sends.
const BATCHES: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(15);

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The hub gave no answer.
    #[error("the hub {0}")]
    Call(#[from] CallError),
    /// The hub answered something else than results.
    #[error("the hub answered {0}")]
    Status(u16),
}

/// Sends what lies in a broker's file.
pub struct Reporter {
    db: Db,
    http: Http,
    url: String,
    authorization: String,
}

/// Reports regularly, until this is dropped.
#[derive(Debug)]
pub struct Reporting {
    task: JoinHandle<()>,
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reporter {
    /// For that hub (its public URL), with the credentials that the hub gave this broker (`POST /brokers/{name}/credentials`).
    ///
    /// # Errors
    /// Where the HTTP client can't be made.
    pub fn new(
        db: Db,
        hub: &str,
        (username, password): (&str, &str),
        ca_pem: Option<String>,
    ) -> Result<Self, BuildError> {
        use base64::Engine as _;
        let pair = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{password}"));
        let url = format!("{}/api/v1/usage", hub.trim_end_matches('/'));
        Ok(Self { db, http: Http::new(TIMEOUT, ca_pem)?, url, authorization: format!("Basic {pair}") })
    }

    /// Sends what there is, in batches, and says how many events the hub has taken.
    ///
    /// # Errors
    /// Where a batch is not acknowledged: it stays, and comes again.
    pub async fn report(&self) -> Result<usize, ReportError> {
        let mut taken = 0;
        for _ in 0..BATCHES {
            let text = "select number, id, event from kit_usage where refused is null order by number limit $1";
            let rows = sqlx::query(text).bind(BATCH).fetch_all(self.db.reader()).await?;
            if rows.is_empty() {
                break;
            }
            let event = |row: &sqlx::sqlite::SqliteRow| serde_json::from_str(row.get("event")).unwrap_or(Value::Null);
            let batch: Value = rows.iter().map(event).collect();
            let headers = [
                ("authorization", self.authorization.as_str()),
                ("content-type", "application/cloudevents-batch+json"),
            ];
            let answer = self.http.send("POST", &self.url, &headers, Some(&batch)).await?;
            let body = answer.json();
            let Some(results) = body["results"].as_array().filter(|_| answer.status == 200) else {
                return Err(ReportError::Status(answer.status));
            };
            let mut writer = self.db.writer().await?;
            let mut transaction = writer.begin().await?;
            let mut settled = 0;
            for result in results {
                let Some(id) = result["id"].as_str() else { continue };
                settled += match result["status"].as_str() {
                    Some("accepted" | "duplicate") => {
                        let gone = sqlx::query("delete from kit_usage where id = $1").bind(id);
                        let gone = gone.execute(&mut *transaction).await?.rows_affected();
                        taken += usize::try_from(gone).unwrap_or_default();
                        gone
                    }
                    Some("conflict" | "rejected") => {
                        let reason = result["reason"].as_str().unwrap_or("without a reason");
                        tracing::warn!(usage.id = id, reason, "the hub refused a reading");
                        let kept = sqlx::query("update kit_usage set refused = $2 where id = $1").bind(id).bind(reason);
                        kept.execute(&mut *transaction).await?.rows_affected()
                    }
                    _ => 0,
                };
            }
            transaction.commit().await?;
            drop(writer);
            if settled == 0 {
                // An answer that is about none of them would go on for ever.
                return Err(ReportError::Status(answer.status));
            }
        }
        Ok(taken)
    }

    /// Reports every 15 seconds, and logs what fails.
    pub fn spawn(self) -> Reporting {
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = self.report().await {
                    tracing::warn!(%error, "usage could not be reported yet");
                }
            }
        });
        Reporting { task }
    }
}
