//! Who is let in: grantees, their secret ids, tokens, and answers that can be fetched once.
//!
//! Invariant: what a caller must show is kept as SHA-256 only, and everything that came from a grantee goes with it.

use osb::kit::seal::{KeyError, random, sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};

use super::{Store, StoreError, Vault, VaultRow};
use crate::key_vault::parameters::Grant;

/// A token can be renewed for at most 32 days, unless it is a binding's own.
const RENEWED_AT_MOST: i64 = 32 * 24 * 60 * 60;
/// How many tokens one grantee may have at a time.
const TOKENS_MAX: i64 = 10_000;

/// A token that was just made; the only time that it is seen in clear.
pub(in crate::key_vault::embedded) struct NewToken {
    pub(in crate::key_vault::embedded) clear: String,
    pub(in crate::key_vault::embedded) accessor: String,
    pub(in crate::key_vault::embedded) ttl: i64,
    pub(in crate::key_vault::embedded) expires_at: i64,
}

/// A secret id that was just made, wrapped.
pub(in crate::key_vault::embedded) struct NewSecretId {
    pub(in crate::key_vault::embedded) role_id: String,
    pub(in crate::key_vault::embedded) wrapped: String,
}

/// Someone whose token was shown and is good.
pub(in crate::key_vault::embedded) struct Session {
    pub(in crate::key_vault::embedded) vault: Vault,
    pub(in crate::key_vault::embedded) grant: Grant,
    pub(in crate::key_vault::embedded) grantee: String,
    pub(in crate::key_vault::embedded) token: Token,
}

/// A token as it is kept.
#[derive(Clone, Debug)]
pub(in crate::key_vault::embedded) struct Token {
    pub(in crate::key_vault::embedded) hash: Vec<u8>,
    pub(in crate::key_vault::embedded) accessor: String,
    pub(in crate::key_vault::embedded) path: String,
    pub(in crate::key_vault::embedded) created_at: i64,
    pub(in crate::key_vault::embedded) expires_at: i64,
    pub(in crate::key_vault::embedded) ends_at: i64,
    /// For how long it was given, and is renewed where nothing else is asked for.
    pub(in crate::key_vault::embedded) ttl: i64,
}

/// An answer that is wrapped.
pub(in crate::key_vault::embedded) struct Wrapped {
    pub(in crate::key_vault::embedded) answer: Vec<u8>,
    pub(in crate::key_vault::embedded) creation_path: String,
    pub(in crate::key_vault::embedded) created_at: i64,
    pub(in crate::key_vault::embedded) expires_at: i64,
}

struct SessionRow {
    vault: VaultRow,
    token: Token,
    grantee: String,
    grants: String,
}

struct WrappedRow {
    vault: VaultRow,
    creation_path: String,
    answer: Vec<u8>,
    created_at: i64,
    expires_at: i64,
}

impl FromRow<'_, SqliteRow> for SessionRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let token = Token {
            hash: row.try_get("hash")?,
            accessor: row.try_get("accessor")?,
            path: row.try_get("path")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            ends_at: row.try_get("ends_at")?,
            ttl: row.try_get("ttl")?,
        };
        let vault = VaultRow::from_row(row)?;
        Ok(Self { vault, token, grantee: row.try_get("grantee")?, grants: row.try_get("grants")? })
    }
}

impl FromRow<'_, SqliteRow> for WrappedRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            vault: VaultRow::from_row(row)?,
            creation_path: row.try_get("creation_path")?,
            answer: row.try_get("answer")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

/// How it is kept.
fn hash(clear: &str) -> Vec<u8> {
    sha256(clear.as_bytes()).to_vec()
}

/// 256 random bits, as Vault's clients take them for a token.
fn draw(prefix: &str) -> Result<String, KeyError> {
    use base64::Engine as _;
    Ok(format!("{prefix}{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

fn wrapped_owner(hash: &[u8]) -> String {
    use base64::Engine as _;
    format!("wrapped/{}", base64::prelude::BASE64_STANDARD.encode(hash))
}

impl Store {
    /// Lets a grantee in, with what it may do now.
    pub(in crate::key_vault::embedded) async fn let_in(
        &self,
        vault: &str,
        grantee: &str,
        grant: &Grant,
        ttl: i64,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into vault_grantee (name, vault, role_id, grants, ttl)
            select $1, name, $3, $4, $5 from vault where name = $2 and closed = 0
            on conflict (name) do update set grants = excluded.grants, ttl = excluded.ttl";
        let grants = serde_json::to_string(grant)?;
        let role_id = uuid::Uuid::new_v4().to_string();
        let mut writer = self.db.writer().await?;
        let insert = sqlx::query(INSERT).bind(grantee).bind(vault).bind(role_id).bind(grants).bind(ttl);
        let done = insert.execute(writer.connection()?).await?;
        if done.rows_affected() == 0 { Err(StoreError::NoVault) } else { Ok(()) }
    }

    /// Takes from a grantee all that it has.
    pub(in crate::key_vault::embedded) async fn let_out(&self, grantee: &str) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        sqlx::query("delete from vault_grantee where name = $1").bind(grantee).execute(writer.connection()?).await?;
        Ok(())
    }

    /// Makes a new secret id for a grantee in the place of those that it has, and wraps it.
    pub(in crate::key_vault::embedded) async fn issue_secret_id(
        &self,
        vault: &str,
        grantee: &str,
        creation_path: &str,
        wrap_ttl: i64,
    ) -> Result<NewSecretId, StoreError> {
        const ROLE_ID: &str = "select role_id from vault_grantee where name = $1";
        const INSERT: &str = "insert into vault_secret_id (hash, accessor, grantee) values ($1, $2, $3)";
        const WRAP: &str = "insert into vault_wrapped (hash, grantee, creation_path, answer, created_at, expires_at)
            values ($1, $2, $3, $4, $5, $6)";
        let vault = self.open(vault).await?;
        let now = self.clock.seconds();
        let (secret_id, accessor) = (draw("")?, uuid::Uuid::new_v4().to_string());
        let wrapped = draw("s.")?;
        let answer = serde_json::json!({
            "secret_id": secret_id,
            "secret_id_accessor": accessor,
            "secret_id_num_uses": 0,
            "secret_id_ttl": 0,
        });
        let wrapped_hash = hash(&wrapped);
        let answer = vault.key.seal(&wrapped_owner(&wrapped_hash), answer.to_string().as_bytes())?;
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        let role_id: Option<String> = sqlx::query_scalar(ROLE_ID).bind(grantee).fetch_optional(&mut *tx).await?;
        let role_id = role_id.ok_or(StoreError::NoVault)?;
        for table in ["delete from vault_secret_id where grantee = $1", "delete from vault_wrapped where grantee = $1"]
        {
            sqlx::query(table).bind(grantee).execute(&mut *tx).await?;
        }
        sqlx::query(INSERT).bind(hash(&secret_id)).bind(accessor).bind(grantee).execute(&mut *tx).await?;
        let wrap = sqlx::query(WRAP).bind(wrapped_hash).bind(grantee).bind(creation_path).bind(answer);
        wrap.bind(now).bind(now + wrap_ttl).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(NewSecretId { role_id, wrapped })
    }

    /// Makes a token that ends when its time is over, in the place of those that the grantee has.
    pub(in crate::key_vault::embedded) async fn issue_token(
        &self,
        grantee: &str,
        ttl: i64,
    ) -> Result<NewToken, StoreError> {
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        sqlx::query("delete from vault_token where grantee = $1").bind(grantee).execute(&mut *tx).await?;
        let token = self.insert_token(&mut tx, grantee, "auth/token/create", ttl, ttl).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// The token that a role id and its secret id get; `None` where they are not those.
    pub(in crate::key_vault::embedded) async fn log_in(
        &self,
        role_id: &str,
        secret_id: &str,
    ) -> Result<Option<(NewToken, Session)>, StoreError> {
        const SELECT: &str = "select g.name, g.ttl from vault_grantee g join vault v on v.name = g.vault
            join vault_secret_id s on s.grantee = g.name
            where g.role_id = $1 and s.hash = $2 and v.closed = 0";
        const CLEAR: &str = "delete from vault_token where expires_at <= $1";
        const COUNT: &str = "select count(*) from vault_token where grantee = $1";
        const OLDEST: &str = "delete from vault_token where hash in
            (select hash from vault_token where grantee = $1 order by expires_at limit 1)";
        let found: Option<(String, i64)> =
            sqlx::query_as(SELECT).bind(role_id).bind(hash(secret_id)).fetch_optional(self.db.reader()).await?;
        if found.is_none() {
            return Ok(None);
        }
        let mut writer = self.db.writer().await?;
        let mut tx = writer.begin().await?;
        // Once more under the lock: it may have been revoked in between.
        let found: Option<(String, i64)> =
            sqlx::query_as(SELECT).bind(role_id).bind(hash(secret_id)).fetch_optional(&mut *tx).await?;
        let Some((grantee, ttl)) = found else { return Ok(None) };
        sqlx::query(CLEAR).bind(self.clock.seconds()).execute(&mut *tx).await?;
        let tokens: i64 = sqlx::query_scalar(COUNT).bind(&grantee).fetch_one(&mut *tx).await?;
        if tokens >= TOKENS_MAX {
            sqlx::query(OLDEST).bind(&grantee).execute(&mut *tx).await?;
        }
        let token = self.insert_token(&mut tx, &grantee, "auth/approle/login", ttl, RENEWED_AT_MOST.max(ttl)).await?;
        tx.commit().await?;
        drop(writer);
        let session = self.session(&token.clear).await?;
        Ok(session.map(|session| (token, session)))
    }

    async fn insert_token(
        &self,
        tx: &mut sqlx::SqliteConnection,
        grantee: &str,
        path: &str,
        ttl: i64,
        at_most: i64,
    ) -> Result<NewToken, StoreError> {
        const INSERT: &str = "insert into vault_token (hash, accessor, grantee, path, created_at, expires_at, ends_at)
            values ($1, $2, $3, $4, $5, $6, $7)";
        let now = self.clock.seconds();
        let (clear, accessor) = (draw("s.")?, uuid::Uuid::new_v4().simple().to_string());
        let insert = sqlx::query(INSERT).bind(hash(&clear)).bind(&accessor).bind(grantee).bind(path);
        insert.bind(now).bind(now + ttl).bind(now + at_most).execute(tx).await?;
        Ok(NewToken { clear, accessor, ttl, expires_at: now + ttl })
    }

    /// Whose token that is; `None` where it is none, or none any more.
    pub(in crate::key_vault::embedded) async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        const SELECT: &str = "select v.name, v.data_key, v.settings, v.has_keys,
                g.name as grantee, g.grants, t.hash, t.accessor, t.path, t.created_at, t.expires_at, t.ends_at, g.ttl
            from vault_token t join vault_grantee g on g.name = t.grantee join vault v on v.name = g.vault
            where t.hash = $1 and t.expires_at > $2 and v.closed = 0";
        let select = sqlx::query_as(SELECT).bind(hash(token)).bind(self.clock.seconds());
        let row: Option<SessionRow> = select.fetch_optional(self.db.reader()).await?;
        let Some(SessionRow { vault, token, grantee, grants }) = row else { return Ok(None) };
        Ok(Some(Session { vault: self.opened(vault)?, grant: serde_json::from_str(&grants)?, grantee, token }))
    }

    /// Moves the end of a token. Returns when it is now.
    pub(in crate::key_vault::embedded) async fn renew(
        &self,
        token: &Token,
        increment: Option<i64>,
    ) -> Result<i64, StoreError> {
        let now = self.clock.seconds();
        let ttl = increment.filter(|seconds| *seconds > 0).unwrap_or(token.ttl);
        let expires_at = now.saturating_add(ttl).min(token.ends_at);
        let mut writer = self.db.writer().await?;
        let update = sqlx::query("update vault_token set expires_at = $2 where hash = $1");
        update.bind(&token.hash).bind(expires_at).execute(writer.connection()?).await?;
        Ok(expires_at)
    }

    /// Ends a token.
    pub(in crate::key_vault::embedded) async fn forget(&self, token: &Token) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        sqlx::query("delete from vault_token where hash = $1").bind(&token.hash).execute(writer.connection()?).await?;
        Ok(())
    }

    /// What that token wraps; `None` where it wraps nothing, or nothing any more.
    pub(in crate::key_vault::embedded) async fn wrapped(&self, token: &str) -> Result<Option<Wrapped>, StoreError> {
        const SELECT: &str = "select v.name, v.data_key, v.settings, v.has_keys,
                w.creation_path, w.answer, w.created_at, w.expires_at
            from vault_wrapped w join vault_grantee g on g.name = w.grantee join vault v on v.name = g.vault
            where w.hash = $1 and w.expires_at > $2 and v.closed = 0";
        let hash = hash(token);
        let select = sqlx::query_as(SELECT).bind(&hash).bind(self.clock.seconds());
        let row: Option<WrappedRow> = select.fetch_optional(self.db.reader()).await?;
        let Some(WrappedRow { vault, creation_path, answer, created_at, expires_at }) = row else { return Ok(None) };
        let answer = self.opened(vault)?.key.unseal(&wrapped_owner(&hash), &answer)?;
        Ok(Some(Wrapped { answer, creation_path, created_at, expires_at }))
    }

    /// Fetches what that token wraps, for the only time.
    pub(in crate::key_vault::embedded) async fn unwrap(&self, token: &str) -> Result<Option<Wrapped>, StoreError> {
        let Some(wrapped) = self.wrapped(token).await? else { return Ok(None) };
        let mut writer = self.db.writer().await?;
        let delete = sqlx::query("delete from vault_wrapped where hash = $1").bind(hash(token));
        let deleted = delete.execute(writer.connection()?).await?.rows_affected();
        Ok((deleted > 0).then_some(wrapped))
    }
}
