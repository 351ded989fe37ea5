//! Access given: who it is for, and the serial of each certificate, written down before anything is signed.

use serde_json::json;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Ca, Kind, Store, StoreError, Tx, audit, number_of, stored};

/// For how long an expired certificate is remembered: nothing asks for it any more.
const REMEMBERED_SECONDS: i64 = 24 * 60 * 60;

/// What a binding gives a user.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) struct Access {
    pub(in crate::bastion) binding: String,
    pub(in crate::bastion) bastion: String,
    pub(in crate::bastion) user: String,
    pub(in crate::bastion) key_id: String,
    pub(in crate::bastion) principals: Vec<String>,
    pub(in crate::bastion) target: Option<String>,
    pub(in crate::bastion) expires_at: i64,
    pub(in crate::bastion) revoked: bool,
}

/// A certificate that is about to be signed.
#[derive(Clone, Debug)]
pub(in crate::bastion) struct Order<'a> {
    pub(in crate::bastion) bastion: &'a str,
    pub(in crate::bastion) binding: &'a str,
    pub(in crate::bastion) kind: Kind,
    pub(in crate::bastion) key_id: &'a str,
    pub(in crate::bastion) principals: &'a [String],
    pub(in crate::bastion) valid_before: i64,
    /// The fingerprint of the key that is certified, for the audit.
    pub(in crate::bastion) fingerprint: String,
    pub(in crate::bastion) reason: Option<&'a str>,
    /// Whether it is counted by the meter: those that the gateway takes for itself are not.
    pub(in crate::bastion) counted: bool,
}

/// A certificate's row and what it belongs to.
#[derive(Clone, Debug)]
pub(in crate::bastion) struct Held {
    pub(in crate::bastion) revoked: bool,
    pub(in crate::bastion) access: Access,
}

impl Store {
    /// Writes a certificate down, and who it is for where that is a user. Returns its serial and the key to sign it with.
    pub(in crate::bastion) async fn issue(
        &self,
        order: &Order<'_>,
        access: Option<&Access>,
        now: i64,
    ) -> Result<(u64, Ca), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let ca = self.signing(&mut transaction, order.bastion, order.kind).await?;
        if let Some(access) = access {
            insert_access(&mut transaction, access).await?;
        }
        let text = "update bastion set next_serial = next_serial + 1, certificates = certificates + $2
            where resource = $1 and retired_at is null returning next_serial - 1 as serial";
        let row = sqlx::query(text).bind(order.bastion).bind(order.counted).fetch_optional(&mut *transaction).await?;
        let serial = number_of(&row.ok_or(StoreError::Gone)?, "serial")?;
        let text = "insert into certificate (bastion, serial, kind, generation, binding, valid_before)
            values ($1, $2, $3, $4, $5, $6)";
        sqlx::query(text)
            .bind(order.bastion)
            .bind(stored(serial))
            .bind(order.kind.word())
            .bind(ca.generation)
            .bind(order.binding)
            .bind(order.valid_before)
            .execute(&mut *transaction)
            .await?;
        for text in [
            "delete from certificate where bastion = $1 and valid_before < $2",
            "delete from access where bastion = $1 and expires_at < $2",
        ] {
            let before = now.saturating_sub(REMEMBERED_SECONDS);
            sqlx::query(text).bind(order.bastion).bind(before).execute(&mut *transaction).await?;
        }
        let line = json!({
            "type": "certificate.issued",
            "kind": order.kind.word(),
            "serial": serial,
            "key_id": order.key_id,
            "key": order.fingerprint,
            "principals": order.principals,
            "valid_before": order.valid_before,
            "reason": order.reason,
        });
        audit::append(&mut transaction, order.bastion, now, &line).await?;
        transaction.commit().await?;
        Ok((serial, ca))
    }

    /// The certificate with that serial, if it was given to a user.
    pub(in crate::bastion) async fn held(&self, bastion: &str, serial: u64) -> Result<Option<Held>, StoreError> {
        let text = "select access.*, certificate.revoked_at as certificate_revoked_at
            from certificate join access on access.binding = certificate.binding
            where certificate.bastion = $1 and certificate.serial = $2";
        let row = sqlx::query(text).bind(bastion).bind(stored(serial)).fetch_optional(self.db.reader()).await?;
        let held = |row: &SqliteRow| {
            let revoked: Option<i64> = row.try_get("certificate_revoked_at")?;
            Ok(Held { revoked: revoked.is_some(), access: access_of(row)? })
        };
        row.as_ref().map(held).transpose()
    }

    /// What a binding gives.
    pub(in crate::bastion) async fn access(&self, binding: &str) -> Result<Option<Access>, StoreError> {
        let text = "select * from access where binding = $1";
        let row = sqlx::query(text).bind(binding).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(access_of).transpose()
    }

    /// How many users could log in now.
    pub(in crate::bastion) async fn live(&self, bastion: &str, now: i64) -> Result<u64, StoreError> {
        let text = "select count(*) as live from access where bastion = $1 and revoked_at is null and expires_at > $2";
        let row = sqlx::query(text).bind(bastion).bind(now).fetch_one(self.db.reader()).await?;
        number_of(&row, "live")
    }
}

async fn insert_access(transaction: &mut Tx<'_>, access: &Access) -> Result<(), StoreError> {
    let text = "insert into access (binding, bastion, user_name, key_id, principals, target, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (binding) do update set expires_at = $7, principals = $5, target = $6";
    sqlx::query(text)
        .bind(&access.binding)
        .bind(&access.bastion)
        .bind(&access.user)
        .bind(&access.key_id)
        .bind(json!(access.principals).to_string())
        .bind(&access.target)
        .bind(access.expires_at)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn access_of(row: &SqliteRow) -> Result<Access, StoreError> {
    let revoked: Option<i64> = row.try_get("revoked_at")?;
    let principals = serde_json::from_str(row.try_get("principals")?);
    Ok(Access {
        binding: row.try_get("binding")?,
        bastion: row.try_get("bastion")?,
        user: row.try_get("user_name")?,
        key_id: row.try_get("key_id")?,
        principals: principals.map_err(|_| StoreError::Corrupt("principals"))?,
        target: row.try_get("target")?,
        expires_at: row.try_get("expires_at")?,
        revoked: revoked.is_some(),
    })
}
