//! The keys of CAs: made, renewed, and found by what they signed.

use russh::keys::PrivateKey;
use russh::keys::ssh_key::PublicKey;
use sqlx::Row as _;

use super::{Store, StoreError, Tx};
use crate::bastion::certificate::{new_key, to_text};

/// Who trusts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bastion) enum Kind {
    /// Hosts do: it signs who may log in.
    User,
    /// Users do: it signs which host is which.
    Host,
    /// The gateway does, and nobody else: it signs who may come in there.
    Door,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Host => "host",
            Self::Door => "door",
        }
    }
}

/// A key that signs.
#[derive(Debug)]
pub(in crate::bastion) struct Ca {
    pub(in crate::bastion) generation: i64,
    pub(in crate::bastion) key: PrivateKey,
}

/// What everybody may know of a key.
#[derive(Clone, Debug)]
pub(in crate::bastion) struct PublicCa {
    pub(in crate::bastion) bastion: String,
    pub(in crate::bastion) kind: Kind,
    pub(in crate::bastion) generation: i64,
    pub(in crate::bastion) key: PublicKey,
    /// Whether it signs, or is only trusted for what it has signed.
    pub(in crate::bastion) signs: bool,
}

impl Store {
    /// Sees to it that a key of that generation signs, and none before it does any more.
    pub(super) async fn renew(
        &self,
        transaction: &mut Tx<'_>,
        bastion: &str,
        kind: Kind,
        generation: u32,
    ) -> Result<(), StoreError> {
        let there: bool =
            sqlx::query_scalar("select exists (select 1 from ca where bastion = $1 and kind = $2 and generation = $3)")
                .bind(bastion)
                .bind(kind.word())
                .bind(generation)
                .fetch_one(&mut **transaction)
                .await?;
        if there {
            return Ok(());
        }
        let key = new_key()?;
        let text = to_text(&key)?;
        let sealed = self.sealer.seal(&owner(bastion, kind, i64::from(generation)), text.as_bytes())?;
        sqlx::query("update ca set private_key = null where bastion = $1 and kind = $2")
            .bind(bastion)
            .bind(kind.word())
            .execute(&mut **transaction)
            .await?;
        let text = "insert into ca (bastion, kind, generation, public_key, private_key) values ($1, $2, $3, $4, $5)";
        sqlx::query(text)
            .bind(bastion)
            .bind(kind.word())
            .bind(generation)
            .bind(line(key.public_key())?)
            .bind(sealed)
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    /// The key that signs now.
    pub(super) async fn signing(&self, transaction: &mut Tx<'_>, bastion: &str, kind: Kind) -> Result<Ca, StoreError> {
        let text = "select generation, private_key from ca
            where bastion = $1 and kind = $2 and private_key is not null order by generation desc limit 1";
        let row = sqlx::query(text).bind(bastion).bind(kind.word()).fetch_optional(&mut **transaction).await?;
        let row = row.ok_or(StoreError::Gone)?;
        let generation: i64 = row.try_get("generation")?;
        let clear = self.sealer.open(&owner(bastion, kind, generation), row.try_get("private_key")?)?;
        let key = PrivateKey::from_openssh(clear).map_err(|_| StoreError::Corrupt("a private key"))?;
        Ok(Ca { generation, key })
    }

    /// The keys that are to be trusted: the one that signs first, then those that signed what is still valid.
    pub(in crate::bastion) async fn trusted(
        &self,
        bastion: &str,
        kind: Kind,
        now: i64,
    ) -> Result<Vec<PublicCa>, StoreError> {
        let text = "select bastion, kind, generation, public_key, private_key is not null as signs from ca
            where bastion = $1 and kind = $2 and (private_key is not null or (exists
                (select 1 from certificate where certificate.bastion = ca.bastion and certificate.kind = ca.kind
                    and certificate.generation = ca.generation and valid_before > $3)
                and not exists (select 1 from bastion where resource = ca.bastion and retired_at is not null)))
            order by generation desc";
        let rows = sqlx::query(text).bind(bastion).bind(kind.word()).bind(now).fetch_all(self.db.reader()).await?;
        rows.iter().map(public_of).collect()
    }

    /// The CA with that public key.
    pub(in crate::bastion) async fn authority(&self, key: &PublicKey) -> Result<Option<PublicCa>, StoreError> {
        let text = "select bastion, kind, generation, public_key, private_key is not null as signs from ca where public_key = $1";
        let row = sqlx::query(text).bind(line(key)?).fetch_optional(self.db.reader()).await?;
        row.as_ref().map(public_of).transpose()
    }
}

/// What a sealed key belongs to.
fn owner(bastion: &str, kind: Kind, generation: i64) -> String {
    format!("ca/{bastion}/{}/{generation}", kind.word())
}

/// A public key without its comment.
fn line(key: &PublicKey) -> Result<String, StoreError> {
    let bare = PublicKey::new(key.key_data().clone(), "");
    bare.to_openssh().map_err(|_| StoreError::Corrupt("a public key"))
}

pub(super) fn public_of(row: &sqlx::sqlite::SqliteRow) -> Result<PublicCa, StoreError> {
    let key = PublicKey::from_openssh(row.try_get("public_key")?).map_err(|_| StoreError::Corrupt("a public key"))?;
    let kind = match row.try_get("kind")? {
        "user" => Kind::User,
        "host" => Kind::Host,
        "door" => Kind::Door,
        _ => return Err(StoreError::Corrupt("the kind of a key")),
    };
    Ok(PublicCa {
        bastion: row.try_get("bastion")?,
        kind,
        generation: row.try_get("generation")?,
        key,
        signs: row.try_get("signs")?,
    })
}
