//! What the drivers `forgejo` and `gitea` keep: users that deploy tokens belong to, and when they end.

use osb::kit::Db;

/// The table. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::devops_toolchain) struct RemoteTokens {
    pub(in crate::devops_toolchain) db: Db,
}

const PUT: &str = "\
insert into remote_token (resource, repository, username, expires_at) values ($1, $2, $3, $4)
on conflict (resource) do update set expires_at = excluded.expires_at, ended = 0";

const END: &str = "update remote_token set ended = 1 where username = $1";

const OF: &str = "select username from remote_token where repository = $1 and ended = 0 order by username";

const EXPIRED: &str =
    "select username from remote_token where ended = 0 and expires_at <= $1 order by expires_at limit $2";

const COUNT: &str = "select count(*) from remote_token where repository = $1";

const FORGET: &str = "delete from remote_token where repository = $1";

impl RemoteTokens {
    /// Writes a user down, before it is made.
    pub(in crate::devops_toolchain) async fn put(
        &self,
        binding: &str,
        repository: &str,
        username: &str,
        expires_at: i64,
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let query = sqlx::query(PUT).bind(binding).bind(repository).bind(username).bind(expires_at);
        query.execute(writer.connection()?).await?;
        Ok(())
    }

    /// It is deleted.
    pub(in crate::devops_toolchain) async fn end(&self, username: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query(END).bind(username).execute(writer.connection()?).await?;
        Ok(())
    }

    /// Users of a toolchain that are still there.
    pub(in crate::devops_toolchain) async fn of(&self, repository: &str) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(OF).bind(repository).fetch_all(self.db.reader()).await
    }

    /// Users whose time is over.
    pub(in crate::devops_toolchain) async fn expired(&self, now: i64, limit: u32) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(EXPIRED).bind(now).bind(limit).fetch_all(self.db.reader()).await
    }

    /// How many tokens a toolchain ever had.
    pub(in crate::devops_toolchain) async fn issued(&self, repository: &str) -> Result<u64, sqlx::Error> {
        let count: i64 = sqlx::query_scalar(COUNT).bind(repository).fetch_one(self.db.reader()).await?;
        Ok(super::unsigned(count))
    }

    /// Nothing is known of a toolchain any more.
    pub(in crate::devops_toolchain) async fn forget(&self, repository: &str) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query(FORGET).bind(repository).execute(writer.connection()?).await?;
        Ok(())
    }
}
