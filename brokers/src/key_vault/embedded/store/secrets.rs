//! Secrets with versions: Vault's KV v2 in the file.
//!
//! Each change is one transaction that holds the file from its start, so check-and-set can't race. Invariant: a version's
//! value lies sealed for its vault, its path and its number, and goes from the file when the version is destroyed or dropped.

use sqlx::SqliteConnection;

use super::{Store, StoreError, Vault};
use crate::key_vault::embedded::record::{Record, Version, WriteError};

/// How many secrets a vault may hold.
const SECRETS_MAX: i64 = 100_000;

/// Why a secret can't be written.
#[derive(Debug, thiserror::Error)]
pub(in crate::key_vault::embedded) enum PutError {
    #[error(transparent)]
    Refused(#[from] WriteError),
    #[error("this vault is full: it holds {SECRETS_MAX} secrets")]
    Full,
    #[error("could not write")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PutError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A version that was read.
pub(in crate::key_vault::embedded) struct Read {
    pub(in crate::key_vault::embedded) record: Record,
    pub(in crate::key_vault::embedded) number: u64,
    pub(in crate::key_vault::embedded) version: Version,
    /// Its JSON; `None` where it was deleted or destroyed.
    pub(in crate::key_vault::embedded) body: Option<Vec<u8>>,
}

fn record_owner(vault: &Vault, mac: &[u8]) -> String {
    use base64::Engine as _;
    format!("record/{}/{}", vault.name, base64::prelude::BASE64_STANDARD.encode(mac))
}

fn body_owner(vault: &Vault, path: &str, version: u64) -> String {
    format!("secret/{}/{version}/{path}", vault.name)
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

async fn find(
    vault: &Vault,
    from: impl sqlx::SqliteExecutor<'_>,
    path: &str,
) -> Result<Option<(i64, Record)>, StoreError> {
    const SELECT: &str = "select number, record from vault_secret where vault = $1 and path_mac = $2";
    let mac = vault.key.mac("secret", path);
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(SELECT).bind(&vault.name).bind(&mac).fetch_optional(from).await?;
    let Some((secret, sealed)) = row else { return Ok(None) };
    Ok(Some((secret, serde_json::from_slice(&vault.key.unseal(&record_owner(vault, &mac), &sealed)?)?)))
}

async fn insert(vault: &Vault, tx: &mut SqliteConnection, record: &Record) -> Result<i64, PutError> {
    const COUNT: &str = "select count(*) from vault_secret where vault = $1";
    const INSERT: &str =
        "insert into vault_secret (vault, path_mac, record, ends_at) values ($1, $2, $3, 0) returning number";
    let secrets: i64 = sqlx::query_scalar(COUNT).bind(&vault.name).fetch_one(&mut *tx).await?;
    if secrets >= SECRETS_MAX {
        return Err(PutError::Full);
    }
    vault.enter(tx, &record.path).await?;
    let insert = sqlx::query_scalar(INSERT).bind(&vault.name).bind(vault.key.mac("secret", &record.path));
    Ok(insert.bind(Vec::new()).fetch_one(tx).await?)
}

async fn keep(
    vault: &Vault,
    tx: &mut SqliteConnection,
    secret: i64,
    record: &Record,
    now: i64,
) -> Result<(), StoreError> {
    const UPDATE: &str = "update vault_secret set record = $2, ends_at = $3 where number = $1";
    let owner = record_owner(vault, &vault.key.mac("secret", &record.path));
    let sealed = vault.key.seal(&owner, &serde_json::to_vec(record)?)?;
    sqlx::query(UPDATE).bind(secret).bind(sealed).bind(record.ends_at(now)).execute(tx).await?;
    Ok(())
}

async fn drop_bodies(tx: &mut SqliteConnection, secret: i64, versions: &[u64]) -> Result<(), StoreError> {
    for version in versions {
        let delete = sqlx::query("delete from vault_version where secret = $1 and version = $2");
        delete.bind(secret).bind(number(*version)).execute(&mut *tx).await?;
    }
    Ok(())
}

impl Store {
    /// The metadata of a secret.
    pub(in crate::key_vault::embedded) async fn record(
        &self,
        vault: &Vault,
        path: &str,
    ) -> Result<Option<Record>, StoreError> {
        Ok(find(vault, self.db.reader(), path).await?.map(|(_, record)| record))
    }

    /// Reads a version, the newest where none is named. `None` where there is no such secret or version.
    pub(in crate::key_vault::embedded) async fn read(
        &self,
        vault: &Vault,
        path: &str,
        version: Option<u64>,
    ) -> Result<Option<Read>, StoreError> {
        const SELECT: &str = "select body from vault_version where secret = $1 and version = $2";
        // Both halves of one moment: a version that is destroyed in between is not half there.
        let mut tx = self.db.reader().begin().await?;
        let Some((secret, record)) = find(vault, &mut *tx, path).await? else { return Ok(None) };
        let Some((at, version)) = record.version(version) else { return Ok(None) };
        let mut body = None;
        if version.is_live(self.clock.seconds()) {
            let select = sqlx::query_scalar(SELECT).bind(secret).bind(number(at));
            let sealed: Vec<u8> = select.fetch_one(&mut *tx).await?;
            body = Some(vault.key.unseal(&body_owner(vault, path, at), &sealed)?);
        }
        Ok(Some(Read { record, number: at, version, body }))
    }

    /// Writes a new version with what `make` says from the newest (`None` where that can't be read). What `make` refuses is
    /// handed back.
    pub(in crate::key_vault::embedded) async fn put<E>(
        &self,
        vault: &Vault,
        path: &str,
        cas: Option<u64>,
        make: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>, E> + Send,
    ) -> Result<Result<(u64, Record), E>, PutError> {
        const INSERT: &str = "insert into vault_version (secret, version, body) values ($1, $2, $3)";
        let now = self.clock.seconds();
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        let found = find(vault, &mut *tx, path).await?;
        let (secret, mut record) = match found {
            Some((secret, record)) => (Some(secret), record),
            None => (None, Record { path: path.to_owned(), ..Record::default() }),
        };
        let newest = match (secret, record.version(None)) {
            (Some(secret), Some((at, version))) if version.is_live(now) => {
                let select = sqlx::query_scalar("select body from vault_version where secret = $1 and version = $2");
                let sealed: Vec<u8> = select.bind(secret).bind(number(at)).fetch_one(&mut *tx).await?;
                Some(vault.key.unseal(&body_owner(vault, path, at), &sealed).map_err(StoreError::from)?)
            }
            _ => None,
        };
        let body = match make(newest) {
            Ok(body) => body,
            Err(refused) => return Ok(Err(refused)),
        };
        let (version, dropped) = record.write(cas, now, vault.settings.rules())?;
        let secret = match secret {
            Some(secret) => secret,
            None => insert(vault, &mut tx, &record).await?,
        };
        let sealed = vault.key.seal(&body_owner(vault, path, version), &body).map_err(StoreError::from)?;
        sqlx::query(INSERT).bind(secret).bind(number(version)).bind(sealed).execute(&mut *tx).await?;
        drop_bodies(&mut tx, secret, &dropped).await?;
        keep(vault, &mut tx, secret, &record, now).await?;
        self.check_room(&mut tx, &vault.name).await?;
        tx.commit().await?;
        Ok(Ok((version, record)))
    }

    /// Changes the metadata of a secret; `change` returns the versions whose values go. `None` where there is no such secret.
    pub(in crate::key_vault::embedded) async fn amend(
        &self,
        vault: &Vault,
        path: &str,
        change: impl FnOnce(&mut Record, i64) -> Vec<u64> + Send,
    ) -> Result<Option<()>, StoreError> {
        let now = self.clock.seconds();
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        let Some((secret, mut record)) = find(vault, &mut *tx, path).await? else { return Ok(None) };
        let gone = change(&mut record, now);
        drop_bodies(&mut tx, secret, &gone).await?;
        keep(vault, &mut tx, secret, &record, now).await?;
        tx.commit().await?;
        Ok(Some(()))
    }

    /// Changes the metadata of a secret, which is made where it is not there.
    pub(in crate::key_vault::embedded) async fn describe(
        &self,
        vault: &Vault,
        path: &str,
        change: impl FnOnce(&mut Record) + Send,
    ) -> Result<(), PutError> {
        let now = self.clock.seconds();
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        let (secret, mut record) = match find(vault, &mut *tx, path).await? {
            Some(found) => found,
            None => {
                let record = Record { path: path.to_owned(), created: now, ..Record::default() };
                (insert(vault, &mut tx, &record).await?, record)
            }
        };
        record.updated = now;
        change(&mut record);
        keep(vault, &mut tx, secret, &record, now).await?;
        self.check_room(&mut tx, &vault.name).await?;
        Ok(tx.commit().await?)
    }

    /// Destroys a secret with all its versions.
    pub(in crate::key_vault::embedded) async fn remove(&self, vault: &Vault, path: &str) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        let Some((secret, record)) = find(vault, &mut *tx, path).await? else { return Ok(()) };
        vault.strike(&mut tx, &record.path).await?;
        sqlx::query("delete from vault_secret where number = $1").bind(secret).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// How many secrets have a version that can be read.
    pub(in crate::key_vault::embedded) async fn live_secrets(&self, vault: &str) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) from vault_secret where vault = $1 and (ends_at is null or ends_at > $2)";
        let count = sqlx::query_scalar(COUNT).bind(vault).bind(self.clock.seconds());
        let live: i64 = count.fetch_one(self.db.reader()).await?;
        Ok(u64::try_from(live).unwrap_or(0))
    }
}
