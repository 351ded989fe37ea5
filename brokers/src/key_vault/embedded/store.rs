//! The vaults themselves: made, closed, destroyed, and opened for whoever shows a token.
//!
//! Every statement of the vaults is in here and in the files of this module's folder. Invariant: a closed vault opens for nobody.

pub(super) mod access;
mod entries;
mod keys;
mod room;
pub(super) mod secrets;

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use dashmap::DashMap;
use ipnet::IpNet;
use osb::kit::seal::{Broken, KeyError};
use osb::kit::{Clock, Db, Sealer};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection};

use super::envelope::DataKey;
use super::key_ring::CipherError;
use super::record::Rules;
use crate::key_vault::parameters::Order;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the vault's file failed")]
    Database(#[from] sqlx::Error),
    #[error("could not seal")]
    Seal(#[from] KeyError),
    #[error("could not open what was sealed")]
    Broken(#[from] Broken),
    #[error("what is stored can't be read")]
    Json(#[from] serde_json::Error),
    #[error("a key failed")]
    Cipher(#[from] CipherError),
    #[error("there is no such vault")]
    NoVault,
    #[error("this vault is full: it may hold {0} bytes; destroy versions or secrets that are not needed")]
    OutOfRoom(i64),
    #[error("others read the file: what was deleted still lies beside it")]
    Held,
}

impl StoreError {
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Database(error) => osb::kit::db::is_busy(error),
            Self::Held => true,
            _ => false,
        }
    }
}

/// The file, the broker's key and the time.
pub(super) struct Store {
    pub(super) db: Db,
    pub(super) sealer: Sealer,
    pub(super) clock: Clock,
    /// Requests that are not in the file yet: all, and uses of keys.
    counted: DashMap<String, (u64, u64)>,
    /// Whether freed pages are overwritten; set before the first write.
    prepared: Mutex<bool>,
    /// How many bytes each vault may hold.
    bytes_max: AtomicI64,
}

/// What a vault says about its secrets and its consumers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) max_versions: u64,
    pub(super) delete_version_after: i64,
    /// Set by its administrators, not by the order.
    #[serde(default)]
    pub(super) cas_required: bool,
    pub(super) bound_cidrs: Vec<IpNet>,
    pub(super) rps: u32,
}

impl Settings {
    pub(super) fn of(order: &Order) -> Self {
        Self {
            max_versions: order.max_versions,
            delete_version_after: order.delete_version_after.unwrap_or(0),
            cas_required: false,
            bound_cidrs: order.bound_cidrs.clone(),
            rps: order.rps,
        }
    }

    pub(super) fn rules(&self) -> Rules {
        let Self { max_versions, delete_version_after, cas_required, .. } = self;
        Rules { max_versions: *max_versions, delete_version_after: *delete_version_after, cas_required: *cas_required }
    }
}

/// A vault that is open.
#[derive(Clone)]
pub(super) struct Vault {
    pub(super) name: String,
    pub(super) key: DataKey,
    pub(super) settings: Settings,
    pub(super) has_keys: bool,
}

/// A vault as it lies in the file.
pub(super) struct VaultRow {
    pub(super) name: String,
    pub(super) data_key: Vec<u8>,
    pub(super) settings: String,
    pub(super) has_keys: bool,
}

impl FromRow<'_, SqliteRow> for VaultRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            data_key: row.try_get("data_key")?,
            settings: row.try_get("settings")?,
            has_keys: row.try_get("has_keys")?,
        })
    }
}

impl Store {
    pub(super) fn new(db: Db, sealer: Sealer, clock: Clock) -> Self {
        Self {
            db,
            sealer,
            clock,
            counted: DashMap::new(),
            prepared: Mutex::new(false),
            bytes_max: AtomicI64::new(room::BYTES_MAX),
        }
    }

    /// Makes the connection that writes overwrite what it frees, so that destroyed keys don't stay in free pages.
    pub(super) async fn prepare(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let prepared = || self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !*prepared() {
            sqlx::raw_sql("pragma secure_delete = on").execute(connection).await?;
            *prepared() = true;
        }
        Ok(())
    }

    /// Makes a vault, or makes the one that there is what is wanted.
    pub(super) async fn make(&self, name: &str, settings: &Settings, has_keys: bool) -> Result<(), StoreError> {
        const STANDING: &str = "select settings from vault where name = $1";
        const INSERT: &str = "insert into vault (name, data_key, settings, has_keys) values ($1, $2, $3, $4)";
        const UPDATE: &str = "update vault set settings = $2, has_keys = $3 where name = $1";
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        let standing: Option<String> = sqlx::query_scalar(STANDING).bind(name).fetch_optional(&mut *tx).await?;
        match standing {
            None => {
                let data_key = DataKey::draw(&self.sealer, name)?;
                let settings = serde_json::to_string(settings)?;
                sqlx::query(INSERT).bind(name).bind(data_key).bind(settings).bind(has_keys).execute(&mut *tx).await?;
            }
            Some(standing) => {
                let standing: Settings = serde_json::from_str(&standing)?;
                let settings = Settings { cas_required: standing.cas_required, ..settings.clone() };
                let settings = serde_json::to_string(&settings)?;
                sqlx::query(UPDATE).bind(name).bind(settings).bind(has_keys).execute(&mut *tx).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Changes what a vault says about its secrets.
    pub(super) async fn configure(
        &self,
        vault: &str,
        change: impl FnOnce(&mut Settings) + Send,
    ) -> Result<(), StoreError> {
        const STANDING: &str = "select settings from vault where name = $1";
        const UPDATE: &str = "update vault set settings = $2 where name = $1";
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        let standing: Option<String> = sqlx::query_scalar(STANDING).bind(vault).fetch_optional(&mut *tx).await?;
        let mut settings: Settings = serde_json::from_str(&standing.ok_or(StoreError::NoVault)?)?;
        change(&mut settings);
        let settings = serde_json::to_string(&settings)?;
        sqlx::query(UPDATE).bind(vault).bind(settings).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Ends all access.
    pub(super) async fn close(&self, vault: &str) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        sqlx::query("update vault set closed = 1 where name = $1").bind(vault).execute(&mut *tx).await?;
        sqlx::query("delete from vault_grantee where vault = $1").bind(vault).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Lets grantees in again.
    pub(super) async fn reopen(&self, vault: &str) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let update = sqlx::query("update vault set closed = 0 where name = $1").bind(vault);
        let opened = update.execute(writer.connection()?).await?.rows_affected();
        if opened == 0 { Err(StoreError::NoVault) } else { Ok(()) }
    }

    /// Destroys its key and all that is in it, in the file and beside it.
    pub(super) async fn destroy(&self, vault: &str) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let connection = writer.connection()?;
        self.prepare(connection).await?;
        sqlx::query("delete from vault where name = $1").bind(vault).execute(&mut *connection).await?;
        // What was written before lies in the log beside the file until it is brought in.
        let (held, ..): (i64, i64, i64) =
            sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(connection).await?;
        self.counted.remove(vault);
        if held == 0 { Ok(()) } else { Err(StoreError::Held) }
    }

    /// Opens a vault by its name, even a closed one: for the broker itself.
    pub(super) async fn open(&self, name: &str) -> Result<Vault, StoreError> {
        const SELECT: &str = "select name, data_key, settings, has_keys from vault where name = $1";
        let row: Option<VaultRow> = sqlx::query_as(SELECT).bind(name).fetch_optional(self.db.reader()).await?;
        self.opened(row.ok_or(StoreError::NoVault)?)
    }

    pub(super) fn opened(&self, row: VaultRow) -> Result<Vault, StoreError> {
        let VaultRow { name, data_key, settings, has_keys } = row;
        let key = DataKey::open(&self.sealer, &name, &data_key)?;
        Ok(Vault { key, settings: serde_json::from_str(&settings)?, has_keys, name })
    }

    /// Counts a request.
    pub(super) fn note(&self, vault: &str, uses_key: bool) {
        let mut counted = self.counted.entry(vault.to_owned()).or_default();
        counted.0 += 1;
        counted.1 += u64::from(uses_key);
    }

    /// Brings what was counted into the file. Returns all requests so far and, of these, uses of keys.
    pub(super) async fn count(&self, vault: &str) -> Result<(u64, u64), StoreError> {
        const ADD: &str = "update vault set api_ops = api_ops + $2, transit_ops = transit_ops + $3
            where name = $1 returning api_ops, transit_ops";
        let (api, transit) = self.counted.remove(vault).map_or((0, 0), |(_, counted)| counted);
        let row: Result<Option<(i64, i64)>, _> = async {
            let mut writer = self.db.writer().await?;
            sqlx::query_as(ADD)
                .bind(vault)
                .bind(i64::try_from(api).unwrap_or(i64::MAX))
                .bind(i64::try_from(transit).unwrap_or(i64::MAX))
                .fetch_optional(writer.connection()?)
                .await
        }
        .await;
        match row {
            Ok(row) => {
                let (api, transit) = row.unwrap_or_default();
                Ok((u64::try_from(api).unwrap_or(0), u64::try_from(transit).unwrap_or(0)))
            }
            Err(error) => {
                let mut counted = self.counted.entry(vault.to_owned()).or_default();
                counted.0 += api;
                counted.1 += transit;
                Err(error.into())
            }
        }
    }

    /// Brings into the file what was counted of all vaults.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let vaults: Vec<String> = self.counted.iter().map(|entry| entry.key().clone()).collect();
        for vault in vaults {
            self.count(&vault).await?;
        }
        Ok(())
    }

    /// Brings into the file what was counted, and clears away what is over.
    pub(super) async fn tend(&self) -> Result<(), StoreError> {
        self.flush().await?;
        let now = self.clock.seconds();
        let mut writer = self.db.writer().await?;
        let connection = writer.connection()?;
        for over in
            ["delete from vault_token where expires_at <= $1", "delete from vault_wrapped where expires_at <= $1"]
        {
            sqlx::query(over).bind(now).execute(&mut *connection).await?;
        }
        Ok(())
    }
}
