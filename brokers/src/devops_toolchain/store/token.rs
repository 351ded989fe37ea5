//! Deploy tokens, by their hashes.

use sqlx::Row as _;

use super::Store;
use crate::devops_toolchain::parameters::Role;

/// A deploy token, without itself.
#[derive(Clone, Debug)]
pub(in crate::devops_toolchain) struct TokenRow {
    pub(in crate::devops_toolchain) resource: String,
    pub(in crate::devops_toolchain) repository: String,
    pub(in crate::devops_toolchain) username: String,
    pub(in crate::devops_toolchain) hash: Vec<u8>,
    pub(in crate::devops_toolchain) role: Role,
    pub(in crate::devops_toolchain) expires_at: i64,
}

/// Where a token was made before and the answer got lost, nobody has that one: the new one takes its place.
const PUT: &str = "\
insert into token (resource, repository, username, hash, role, expires_at) values ($1, $2, $3, $4, $5, $6)
on conflict (resource) do update set hash = excluded.hash, role = excluded.role, expires_at = excluded.expires_at";

const COUNT: &str = "update repository set tokens_issued = tokens_issued + 1 where resource = $1";

const BY_USERNAME: &str =
    "select resource, repository, username, hash, role, expires_at from token where username = $1";

impl Store {
    pub(in crate::devops_toolchain) async fn put_token(&self, token: &TokenRow) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        sqlx::query(PUT)
            .bind(&token.resource)
            .bind(&token.repository)
            .bind(&token.username)
            .bind(&token.hash)
            .bind(token.role.word())
            .bind(token.expires_at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(COUNT).bind(&token.repository).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    pub(in crate::devops_toolchain) async fn token(&self, username: &str) -> Result<Option<TokenRow>, sqlx::Error> {
        let Some(row) = sqlx::query(BY_USERNAME).bind(username).fetch_optional(self.db.reader()).await? else {
            return Ok(None);
        };
        Ok(Some(TokenRow {
            resource: row.try_get("resource")?,
            repository: row.try_get("repository")?,
            username: row.try_get("username")?,
            hash: row.try_get("hash")?,
            role: super::role(row.try_get("role")?)?,
            expires_at: row.try_get("expires_at")?,
        }))
    }

    /// Tokens of that binding, and its web hook with what it has not heard of yet.
    pub(in crate::devops_toolchain) async fn revoke(&self, binding: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        for statement in [
            "delete from token where resource = $1",
            "delete from delivery where webhook = $1",
            "delete from webhook where resource = $1",
        ] {
            sqlx::query(statement).bind(binding).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// How many tokens of a repository still work.
    pub(in crate::devops_toolchain) async fn live_tokens(
        &self,
        repository: &str,
        now: i64,
    ) -> Result<i64, sqlx::Error> {
        let statement = "select count(*) from token where repository = $1 and expires_at > $2";
        sqlx::query_scalar(statement).bind(repository).bind(now).fetch_one(self.db.reader()).await
    }
}
