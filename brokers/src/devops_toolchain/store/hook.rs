//! Web hooks, and the events that they have not taken yet.

use sqlx::{Row as _, SqliteConnection};

use super::Store;

/// An event that is to be delivered.
#[derive(Clone, Debug)]
pub(in crate::devops_toolchain) struct DeliveryRow {
    pub(in crate::devops_toolchain) number: i64,
    pub(in crate::devops_toolchain) id: String,
    pub(in crate::devops_toolchain) webhook: String,
    pub(in crate::devops_toolchain) url: String,
    /// Sealed.
    pub(in crate::devops_toolchain) secret: Vec<u8>,
    pub(in crate::devops_toolchain) body: String,
    pub(in crate::devops_toolchain) attempts: u32,
}

const PUT: &str = "\
insert into webhook (resource, repository, url, secret) values ($1, $2, $3, $4)
on conflict (resource) do update set url = excluded.url, secret = excluded.secret";

/// One for each web hook of the repository.
const TELL: &str = "\
insert into delivery (id, webhook, body, next_at)
select $1, resource, $2, $3 from webhook where repository = $4
 and (select count(*) from delivery where delivery.webhook = webhook.resource) < $5";

/// The first of each web hook, so that events come in their order.
const DUE: &str = "\
select d.number, d.id, d.webhook, w.url, w.secret, d.body, d.attempts
from delivery d join webhook w on w.resource = d.webhook
where d.next_at <= $1 and d.number = (select min(number) from delivery o where o.webhook = d.webhook)
order by d.number limit $2";

/// How many events wait for one web hook at most; later ones are lost to it.
const WAITING_MAX: i64 = 1000;

/// Writes an event down for all web hooks of a repository, within the transaction of what it tells of.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    repository: &str,
    id: &str,
    body: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(TELL).bind(id).bind(body).bind(now).bind(repository).bind(WAITING_MAX).execute(connection).await?;
    Ok(())
}

impl Store {
    pub(in crate::devops_toolchain) async fn put_webhook(
        &self,
        binding: &str,
        repository: &str,
        url: &str,
        sealed: &[u8],
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let query = sqlx::query(PUT).bind(binding).bind(repository).bind(url).bind(sealed);
        query.execute(writer.connection()?).await?;
        Ok(())
    }

    pub(in crate::devops_toolchain) async fn due_deliveries(
        &self,
        now: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let rows = sqlx::query(DUE).bind(now).bind(limit).fetch_all(self.db.reader()).await?;
        rows.iter()
            .map(|row| {
                Ok(DeliveryRow {
                    number: row.try_get("number")?,
                    id: row.try_get("id")?,
                    webhook: row.try_get("webhook")?,
                    url: row.try_get("url")?,
                    secret: row.try_get("secret")?,
                    body: row.try_get("body")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    /// It was taken, or given up.
    pub(in crate::devops_toolchain) async fn drop_delivery(&self, number: i64) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query("delete from delivery where number = $1").bind(number).execute(writer.connection()?).await?;
        Ok(())
    }

    /// It was not taken; it is tried again then.
    pub(in crate::devops_toolchain) async fn put_off_delivery(
        &self,
        number: i64,
        next_at: i64,
    ) -> Result<(), sqlx::Error> {
        let mut writer = self.db.writer().await?;
        let statement = "update delivery set attempts = attempts + 1, next_at = $2 where number = $1";
        sqlx::query(statement).bind(number).bind(next_at).execute(writer.connection()?).await?;
        Ok(())
    }
}
