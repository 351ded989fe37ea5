//! Access taken away, and the list that says so on disk.
//!
//! The list is written while the transaction holds the file, before it commits: processes that share a directory never
//! overwrite a newer list with an older one, and what is committed is on the list.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::PublicKey;
use serde_json::json;
use sqlx::Row as _;

use super::keys::public_of;
use super::{Connection, Store, StoreError, Tx, audit, number_of};
use crate::bastion::krl::Krl;

/// How long after its end a certificate stays on the list, for hosts whose clocks are behind.
const LATE_SECONDS: i64 = 60 * 60;

impl Store {
    /// Revokes all that a binding was given. When this returns, the list on disk says so.
    pub(in crate::bastion) async fn revoke(&self, bastion: &str, binding: &str, now: i64) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        sqlx::query("update access set revoked_at = $2 where binding = $1 and revoked_at is null")
            .bind(binding)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        let text = "update certificate set revoked_at = $2
            where binding = $1 and revoked_at is null and valid_before > $3 returning serial";
        let still = now.saturating_sub(LATE_SECONDS);
        let rows = sqlx::query(text).bind(binding).bind(now).bind(still).fetch_all(&mut *transaction).await?;
        let serials: Vec<u64> = rows.iter().map(|row| number_of(row, "serial")).collect::<Result<_, _>>()?;
        if !serials.is_empty() {
            let line = json!({"type": "certificate.revoked", "serials": serials});
            audit::append(&mut transaction, bastion, now, &line).await?;
            self.write_krl(&mut transaction, bastion, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Writes the list with the next number.
    pub(super) async fn write_krl(&self, transaction: &mut Tx<'_>, bastion: &str, now: i64) -> Result<(), StoreError> {
        let text = "update bastion set krl_number = krl_number + 1 where resource = $1
            returning krl_number, retired_at is not null as retired";
        let row = sqlx::query(text).bind(bastion).fetch_one(&mut **transaction).await?;
        let authorities = authorities(transaction, bastion, now).await?;
        let retired: bool = row.try_get("retired")?;
        let krl = Krl {
            number: number_of(&row, "krl_number")?,
            generated_at: u64::try_from(now).unwrap_or_default(),
            comment: format!("bastion {bastion}"),
            keys: if retired { authorities.iter().map(|(key, _)| key.clone()).collect() } else { Vec::new() },
            certificates: authorities,
        };
        let (bytes, file) = (krl.to_bytes()?, self.krl_file(bastion));
        let writing = tokio::task::spawn_blocking(move || replace(&file, &bytes));
        Ok(writing.await.map_err(io::Error::other)??)
    }

    /// Writes the lists that somebody has removed: a host that reads such a file lets nobody in.
    pub(in crate::bastion) async fn restore_lists(&self, now: i64) -> Result<(), StoreError> {
        let bastions: Vec<String> =
            sqlx::query_scalar("select resource from bastion").fetch_all(self.db.reader()).await?;
        for bastion in bastions {
            if tokio::fs::try_exists(self.krl_file(&bastion)).await? {
                continue;
            }
            let mut writer = self.db.writer().await?;
            let mut transaction = writer.begin().await?;
            // It may have been purged meanwhile.
            let there: bool = sqlx::query_scalar("select exists (select 1 from bastion where resource = $1)")
                .bind(&bastion)
                .fetch_one(&mut *transaction)
                .await?;
            if there {
                self.write_krl(&mut transaction, &bastion, now).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The list as it lies on disk; `None` where there is none.
    pub(in crate::bastion) async fn krl(&self, bastion: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match tokio::fs::read(self.krl_file(bastion)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The CAs of a bastion, each with the serials that are revoked and would be valid otherwise.
async fn authorities(
    connection: &mut Connection,
    bastion: &str,
    now: i64,
) -> Result<Vec<(PublicKey, Vec<u64>)>, StoreError> {
    let text = "select bastion, kind, generation, public_key, private_key is not null as signs from ca
        where bastion = $1 order by kind, generation";
    let rows = sqlx::query(text).bind(bastion).fetch_all(&mut *connection).await?;
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let kind: String = row.try_get("kind")?;
        let ca = public_of(&row)?;
        let text = "select serial from certificate where bastion = $1 and kind = $2 and generation = $3
            and revoked_at is not null and valid_before > $4 order by serial";
        let serials = sqlx::query(text)
            .bind(bastion)
            .bind(kind)
            .bind(ca.generation)
            .bind(now.saturating_sub(LATE_SECONDS))
            .fetch_all(&mut *connection)
            .await?;
        let serials = serials.iter().map(|row| number_of(row, "serial")).collect::<Result<_, _>>()?;
        out.push((ca.key, serials));
    }
    Ok(out)
}

/// Puts a file in the place of another so that a reader sees one or the other, and it is on disk when this returns.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = file.parent().map(Path::to_owned).unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&directory)?;
    let new = file.with_extension("krl.new");
    let mut made = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    made.write_all(bytes)?;
    made.sync_all()?;
    std::fs::rename(&new, file)?;
    File::open(&directory)?.sync_all()
}
