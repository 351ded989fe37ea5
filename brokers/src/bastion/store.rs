//! What the authority knows, in the broker's file: every SQL string is here or in a module below.
//!
//! It deliberately knows no OSB and no OpenSSH file but the revocation list, which is written before a revocation commits.
//! Invariants: a serial is given out once; a private key of a CA lies here sealed or not at all; what is revoked in the
//! database is revoked in the list on disk.

mod audit;
mod gateway;
mod issue;
mod keys;
mod revoke;

use std::path::PathBuf;

use osb::Object;
use osb::kit::seal::Broken;
use osb::kit::{Db, Fault, KeyError, Sealer, db::is_busy};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};

pub use self::audit::Verdict;
pub use self::gateway::GatewayKeys;
pub(super) use self::issue::{Access, Order};
pub(super) use self::keys::{Ca, Kind, PublicCa};
use super::certificate::SignError;
use super::krl::Unencodable;

/// The tables, to be made when the file is opened.
pub const SCHEMA: &str = include_str!("store/schema.sql");

/// What did not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row that this program did not write.
    #[error("the file holds what can't be read: {0}")]
    Corrupt(&'static str),
    /// A key that can't be opened.
    #[error("a key of a CA can't be opened")]
    Sealed(#[from] Broken),
    /// A key that can't be sealed.
    #[error("a key of a CA can't be sealed")]
    Sealing(#[from] KeyError),
    /// Something could not be signed.
    #[error("could not sign")]
    Sign(#[from] SignError),
    /// The revocation list can't be encoded.
    #[error("the revocation list can't be made")]
    Krl(#[from] Unencodable),
    /// The revocation list can't be written.
    #[error("the revocation list can't be written")]
    File(#[from] std::io::Error),
    /// There is no such bastion, or its keys are gone.
    #[error("there is no such bastion any more")]
    Gone,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Database(inner) if is_busy(inner) => {
                Self::Unavailable { what: "too many orders are waiting".into(), source: Some(error.into()) }
            }
            _ => Self::failed(error),
        }
    }
}

/// A bastion as it stands.
#[derive(Clone, Debug)]
pub(super) struct Bastion {
    pub(super) resource: String,
    pub(super) plan_id: String,
    pub(super) parameters: Object,
    pub(super) tenant: Option<String>,
    pub(super) retired: bool,
    pub(super) krl_number: u64,
    pub(super) certificates: u64,
    pub(super) session_seconds: u64,
    pub(super) recorded_bytes: u64,
}

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Store {
    db: Db,
    sealer: Sealer,
    /// The broker's directory.
    data: PathBuf,
}

impl Store {
    pub(super) fn new(db: Db, sealer: Sealer, data: PathBuf) -> Self {
        Self { db, sealer, data }
    }

    /// Where the files of a bastion lie.
    pub(super) fn directory(&self, bastion: &str) -> PathBuf {
        self.data.join("bastions").join(bastion)
    }

    /// The file of a bastion's revocation list.
    pub(super) fn krl_file(&self, bastion: &str) -> PathBuf {
        self.directory(bastion).join("revoked.krl")
    }

    /// Makes it or what an interrupted try left out, or changes it: settings, keys of that generation, and the list on disk.
    pub(super) async fn settle(
        &self,
        bastion: &Bastion,
        id: &str,
        generation: u32,
        kinds: &[Kind],
        now: i64,
    ) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let text = "insert into bastion (resource, id, plan_id, parameters, tenant) values ($1, $2, $3, $4, $5)
            on conflict (resource) do update set plan_id = $3, parameters = $4, tenant = $5";
        sqlx::query(text)
            .bind(&bastion.resource)
            .bind(id)
            .bind(&bastion.plan_id)
            .bind(json(&bastion.parameters))
            .bind(&bastion.tenant)
            .execute(&mut *transaction)
            .await?;
        for kind in kinds {
            self.renew(&mut transaction, &bastion.resource, *kind, generation).await?;
        }
        self.write_krl(&mut transaction, &bastion.resource, now).await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn bastion(&self, resource: &str) -> Result<Option<Bastion>, StoreError> {
        let text = "select * from bastion where resource = $1";
        let row = sqlx::query(text).bind(resource).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(bastion_of).transpose()
    }

    /// Takes it out of use: its keys are destroyed, and the list says that nothing that they signed is good any more.
    pub(super) async fn retire(&self, resource: &str, now: i64) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let text = "update bastion set retired_at = $2 where resource = $1 and retired_at is null";
        let first = sqlx::query(text).bind(resource).bind(now).execute(&mut *transaction).await?.rows_affected() > 0;
        sqlx::query("update ca set private_key = null where bastion = $1")
            .bind(resource)
            .execute(&mut *transaction)
            .await?;
        for table in ["access", "certificate"] {
            let text = format!("update {table} set revoked_at = $2 where bastion = $1 and revoked_at is null");
            sqlx::query(sqlx::AssertSqlSafe(text)).bind(resource).bind(now).execute(&mut *transaction).await?;
        }
        let there: bool = sqlx::query_scalar("select exists (select 1 from bastion where resource = $1)")
            .bind(resource)
            .fetch_one(&mut *transaction)
            .await?;
        if there {
            self.write_krl(&mut transaction, resource, now).await?;
        }
        if first {
            audit::append(&mut transaction, resource, now, &serde_json::json!({"type": "bastion.retired"})).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets it, with its files. It may never have been there.
    pub(super) async fn purge(&self, resource: &str) -> Result<(), StoreError> {
        let directory = self.directory(resource);
        let removing = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        });
        removing.await.map_err(std::io::Error::other)??;
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        for text in [
            "delete from audit where bastion = $1",
            "delete from certificate where bastion = $1",
            "delete from access where bastion = $1",
            "delete from ca where bastion = $1",
            "delete from bastion where resource = $1",
        ] {
            sqlx::query(text).bind(resource).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn bastion_of(row: &SqliteRow) -> Result<Bastion, StoreError> {
    let retired: Option<i64> = row.try_get("retired_at")?;
    Ok(Bastion {
        resource: row.try_get("resource")?,
        plan_id: row.try_get("plan_id")?,
        parameters: serde_json::from_str(row.try_get("parameters")?).map_err(|_| StoreError::Corrupt("parameters"))?,
        tenant: row.try_get("tenant")?,
        retired: retired.is_some(),
        krl_number: number_of(row, "krl_number")?,
        certificates: number_of(row, "certificates")?,
        session_seconds: number_of(row, "session_seconds")?,
        recorded_bytes: number_of(row, "recorded_bytes")?,
    })
}

fn number_of(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// A number as SQLite holds it; none of ours comes near the limit.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Parameters as they are stored. A map of JSON values always serializes: its keys are strings.
fn json(object: &Object) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

type Tx<'a> = Transaction<'a, Sqlite>;
type Connection = SqliteConnection;
