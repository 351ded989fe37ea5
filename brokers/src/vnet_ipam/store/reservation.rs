//! Reservations: a prefix is held for a while, and then confirmed or free again.

use sqlx::{Row, SqliteConnection};

use super::blocks::{self, Holder};
use super::work::Work;
use super::{Error, Network, Status, Store, prefix_of, version_of};

/// How long a network that could not be removed at the driver is put off, in seconds.
const PUT_OFF: i64 = 5 * 60;

/// Frees what reservations held that have run out.
pub(super) async fn lapse(connection: &mut SqliteConnection, now: i64) -> Result<(), Error> {
    let due = "select resource, routing_domain from network where reserved_until <= $1";
    for row in sqlx::query(due).bind(now).fetch_all(&mut *connection).await? {
        let (resource, domain): (String, String) = (row.try_get("resource")?, row.try_get("routing_domain")?);
        let held = "select ip_version, first, length from block where network = $1 order by number";
        let mut lapsed = Vec::new();
        for row in sqlx::query(held).bind(&resource).fetch_all(&mut *connection).await? {
            let prefix = prefix_of(&row, version_of(&row)?)?;
            blocks::delete(&mut *connection, now, &domain, prefix, false).await?;
            lapsed.push(prefix.to_string());
        }
        sqlx::query("update network set status = 'expired', reserved_until = null, lapsed = $2 where resource = $1")
            .bind(&resource)
            .bind(lapsed.join(" "))
            .execute(&mut *connection)
            .await?;
        sqlx::query("insert into resting (resource, until) values ($1, $2) on conflict (resource) do nothing")
            .bind(&resource)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        tracing::info!(resource, "a reservation has expired");
    }
    Ok(())
}

impl Work<'_> {
    /// Makes a reservation last. One that has expired gets its prefixes again, if all of them are free.
    pub(super) async fn confirm(&mut self, network: Network, tenant: Option<&str>) -> Result<Network, Error> {
        let Network { resource, routing_domain, prefixes, status, .. } = &network;
        if *status == Status::Confirmed {
            return Ok(network);
        }
        sqlx::query(
            "update network set status = 'confirmed', reserved_until = null, lapsed = null where resource = $1",
        )
        .bind(resource)
        .execute(&mut *self.transaction)
        .await?;
        if *status == Status::Expired {
            let kept = sqlx::query("delete from resting where resource = $1 and removing = 0")
                .bind(resource)
                .execute(&mut *self.transaction)
                .await?;
            if kept.rows_affected() == 0 && is_resting(&mut self.transaction, resource).await? {
                // What was there is being removed just now.
                return Err(Error::Busy);
            }
            for (number, prefix) in prefixes.iter().enumerate() {
                self.clear_for(routing_domain, *prefix, tenant).await?;
                let holder = Holder::Network { resource, number };
                blocks::insert(&mut self.transaction, self.now, routing_domain, *prefix, holder).await?;
            }
        }
        Ok(Network { status: Status::Confirmed, ..network })
    }
}

async fn is_resting(connection: &mut SqliteConnection, resource: &str) -> Result<bool, Error> {
    let resting = "select exists (select 1 from resting where resource = $1)";
    Ok(sqlx::query_scalar(resting).bind(resource).fetch_one(connection).await?)
}

impl Store {
    /// Whether a network that is gone here still rests at the driver.
    pub(crate) async fn rests(&self, resource: &str) -> Result<bool, Error> {
        is_resting(&mut *self.db.reader().acquire().await?, resource).await
    }

    /// Ends what has run out. Every order does it too; this is for when none comes.
    pub(crate) async fn tidy(&self) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        self.begin(&mut writer).await?.commit().await
    }

    /// A network whose time to be removed at the driver has come; from now on it is being removed.
    pub(crate) async fn next_removable(&self) -> Result<Option<String>, Error> {
        let mut writer = self.db.writer().await?;
        let due = "update resting set removing = 1
            where resource = (select resource from resting where until <= $1 order by until limit 1) returning resource";
        Ok(sqlx::query_scalar(due).bind(self.now()).fetch_optional(writer.connection()?).await?)
    }

    /// It could not be removed now: that is tried again later. Where nothing of it is under way it may be taken into use
    /// again until then.
    pub(crate) async fn put_off(&self, resource: &str, under_way: bool) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        let put_off = sqlx::query("update resting set until = $2, removing = $3 where resource = $1").bind(resource);
        put_off.bind(self.now() + PUT_OFF).bind(under_way).execute(writer.connection()?).await?;
        Ok(())
    }

    /// One of them is removed.
    pub(crate) async fn removed(&self, resource: &str) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        sqlx::query("delete from resting where resource = $1").bind(resource).execute(writer.connection()?).await?;
        Ok(())
    }
}
