//! The kit's own tables: every statement about them is here. State and credentials are sealed on the way in and opened on
//! the way out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::seal::{Broken, KeyError, Sealer};
use super::service::{Binding, Instance, Issued, Secret};
use super::stamped::Tenant;
use crate::Object;

/// What can go wrong with a row.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("a row can't be opened")]
    Broken(#[from] Broken),
    #[error("a row can't be read")]
    Malformed(#[from] serde_json::Error),
    #[error("nothing can be sealed")]
    Key(#[from] KeyError),
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Creating,
    Ready,
    Changing,
    Retiring,
}

impl Phase {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Changing => "changing",
            Self::Retiring => "retiring",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "creating" => Self::Creating,
            "ready" => Self::Ready,
            "changing" => Self::Changing,
            // The table holds no other word.
            _ => Self::Retiring,
        }
    }
}

/// An instance with what only the kit needs.
#[derive(Clone, Debug)]
pub(super) struct InstanceRow {
    pub(super) instance: Instance,
    pub(super) organization_guid: String,
    pub(super) space_guid: String,
    pub(super) phase: Phase,
    pub(super) measured_at: i64,
    pub(super) measured: i64,
}

/// A binding with what only the kit needs.
#[derive(Clone, Debug)]
pub(super) struct BindingRow {
    pub(super) binding: Binding,
    pub(super) predecessor: Option<String>,
    /// Whether it is going.
    pub(super) revoking: bool,
}

/// A retired instance whose data is still there.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) instance: Instance,
    /// Whether destroying its data has begun.
    pub(super) purging: bool,
    pub(super) retired_at: i64,
    pub(super) purge_at: i64,
}

/// What is sealed of a binding.
#[derive(Serialize, Deserialize)]
struct SealedBinding {
    credentials: Object,
    endpoints: Vec<Value>,
}

/// The kit's tables.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) sealer: Sealer,
}

const INSTANCE: &str = "select resource, id, service_id, plan_id, organization_guid, space_guid, parameters, tenant, phase, \
     state, created_at, measured_at, measured from kit_instance";
const RETAINED: &str = "select resource, id, service_id, plan_id, parameters, tenant, state, created_at, retired_at, purge_at, \
     purging from kit_retained";
const BINDING: &str = "select resource, id, parameters, predecessor, user_name, tenant, phase, issued, created_at, expires_at, \
     renew_before from kit_binding";

impl Rows {
    pub(super) async fn instance(&self, pool: &SqlitePool, id: &str) -> Result<Option<InstanceRow>, RowError> {
        let row =
            sqlx::query(sqlx::AssertSqlSafe(format!("{INSTANCE} where id = $1"))).bind(id).fetch_optional(pool).await?;
        row.map(|row| self.instance_of(&row)).transpose()
    }

    /// Instances that are to be looked at by now, those that wait longest first: ones that are going, or ones that stand.
    pub(super) async fn due(
        &self,
        pool: &SqlitePool,
        retiring: bool,
        now: i64,
        limit: i64,
    ) -> Result<Vec<InstanceRow>, RowError> {
        let phases = if retiring { "phase = 'retiring'" } else { "phase in ('ready', 'changing')" };
        let text = format!("{INSTANCE} where {phases} and look_at <= $1 order by look_at limit $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now).bind(limit).fetch_all(pool).await?;
        rows.iter().map(|row| self.instance_of(row)).collect()
    }

    fn instance_of(&self, row: &SqliteRow) -> Result<InstanceRow, RowError> {
        let resource: String = row.try_get("resource")?;
        Ok(InstanceRow {
            instance: Instance {
                id: row.try_get("id")?,
                service_id: row.try_get("service_id")?,
                plan_id: row.try_get("plan_id")?,
                parameters: json(row, "parameters")?,
                tenant: tenant(row)?,
                state: self.state(&resource, row.try_get("state")?)?,
                created_at: row.try_get("created_at")?,
                resource,
            },
            organization_guid: row.try_get("organization_guid")?,
            space_guid: row.try_get("space_guid")?,
            phase: Phase::of(row.try_get("phase")?),
            measured_at: row.try_get("measured_at")?,
            measured: row.try_get("measured")?,
        })
    }

    fn state(&self, resource: &str, sealed: Option<Vec<u8>>) -> Result<Secret, RowError> {
        let Some(sealed) = sealed else { return Ok(Secret::default()) };
        Ok(Secret(serde_json::from_slice(&self.sealer.open(&owner("instance", resource), &sealed)?)?))
    }

    /// Writes down that an instance is about to be made. False where the id is taken already.
    pub(super) async fn intend(&self, db: &mut SqliteConnection, row: &InstanceRow) -> Result<bool, RowError> {
        let instance = &row.instance;
        let done = sqlx::query(
            "insert into kit_instance (resource, id, service_id, plan_id, organization_guid, space_guid, parameters, tenant, \
             phase, created_at, measured_at, look_at) values ($1, $2, $3, $4, $5, $6, $7, $8, 'creating', $9, $9, $9) \
             on conflict (id) do nothing",
        )
        .bind(&instance.resource)
        .bind(&instance.id)
        .bind(&instance.service_id)
        .bind(&instance.plan_id)
        .bind(&row.organization_guid)
        .bind(&row.space_guid)
        .bind(text(&instance.parameters)?)
        .bind(instance.tenant.as_ref().map(text).transpose()?)
        .bind(instance.created_at)
        .execute(db)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// False where it is there no more, or is going: nothing calls that off. What is going has until `look_at`, then the
    /// janitor sees to it.
    pub(super) async fn set_phase(
        &self,
        db: &mut SqliteConnection,
        resource: &str,
        phase: Phase,
        look_at: i64,
    ) -> Result<bool, RowError> {
        let text = "update kit_instance set phase = $2, look_at = case when $2 = 'retiring' then $3 else look_at end \
             where resource = $1 and (phase <> 'retiring' or $2 = 'retiring')";
        let done = sqlx::query(text).bind(resource).bind(phase.word()).bind(look_at).execute(db).await?;
        Ok(done.rows_affected() == 1)
    }

    /// When the janitor sees to it next.
    pub(super) async fn look_at(&self, db: &mut SqliteConnection, resource: &str, at: i64) -> Result<(), RowError> {
        let text = "update kit_instance set look_at = $2 where resource = $1";
        sqlx::query(text).bind(resource).bind(at).execute(db).await?;
        Ok(())
    }

    /// The instance is as it says, and ready. False where it is there no more.
    pub(super) async fn settle(&self, db: &mut SqliteConnection, instance: &Instance) -> Result<bool, RowError> {
        let state = self.sealer.seal(&owner("instance", &instance.resource), text(&instance.state.0)?.as_bytes())?;
        let done = sqlx::query(
            "update kit_instance set phase = 'ready', plan_id = $2, parameters = $3, tenant = $4, state = $5 \
             where resource = $1 and phase <> 'retiring'",
        )
        .bind(&instance.resource)
        .bind(&instance.plan_id)
        .bind(text(&instance.parameters)?)
        .bind(instance.tenant.as_ref().map(text).transpose()?)
        .bind(state)
        .execute(db)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn forget(&self, db: &mut SqliteConnection, resource: &str) -> Result<(), RowError> {
        sqlx::query("delete from kit_binding where instance = $1").bind(resource).execute(&mut *db).await?;
        sqlx::query("delete from kit_instance where resource = $1").bind(resource).execute(db).await?;
        Ok(())
    }

    /// Keeps a retired instance until its data may go, and forgets it as an instance.
    pub(super) async fn retain(
        &self,
        db: &mut SqliteConnection,
        resource: &str,
        (retired_at, purge_at): (i64, i64),
    ) -> Result<(), RowError> {
        sqlx::query(
            "insert into kit_retained (resource, id, service_id, plan_id, organization_guid, space_guid, parameters, tenant, state, \
             created_at, measured, retired_at, purge_at) select resource, id, service_id, plan_id, organization_guid, space_guid, \
             parameters, tenant, state, created_at, measured, $2, $3 from kit_instance where resource = $1",
        )
        .bind(resource)
        .bind(retired_at)
        .bind(purge_at)
        .execute(&mut *db)
        .await?;
        self.forget(db, resource).await
    }

    /// Retired instances whose data may go by then, the first one first.
    pub(super) async fn retained(&self, pool: &SqlitePool, until: i64, limit: i64) -> Result<Vec<Retained>, RowError> {
        let text = sqlx::AssertSqlSafe(format!("{RETAINED} where purge_at <= $1 order by purge_at, resource limit $2"));
        let rows = sqlx::query(text).bind(until).bind(limit).fetch_all(pool).await?;
        rows.iter().map(|row| self.retained_of(row)).collect()
    }

    pub(super) async fn retained_one(&self, pool: &SqlitePool, resource: &str) -> Result<Option<Retained>, RowError> {
        let text = sqlx::AssertSqlSafe(format!("{RETAINED} where resource = $1"));
        let row = sqlx::query(text).bind(resource).fetch_optional(pool).await?;
        row.map(|row| self.retained_of(&row)).transpose()
    }

    fn retained_of(&self, row: &SqliteRow) -> Result<Retained, RowError> {
        let resource: String = row.try_get("resource")?;
        let instance = Instance {
            id: row.try_get("id")?,
            service_id: row.try_get("service_id")?,
            plan_id: row.try_get("plan_id")?,
            parameters: json(row, "parameters")?,
            tenant: tenant(row)?,
            state: self.state(&resource, row.try_get("state")?)?,
            created_at: row.try_get("created_at")?,
            resource,
        };
        let purging = row.try_get::<i64, _>("purging")? == 1;
        Ok(Retained { instance, purging, retired_at: row.try_get("retired_at")?, purge_at: row.try_get("purge_at")? })
    }

    /// Writes down that its data is being destroyed. False where it is retired no more.
    pub(super) async fn begin_purge(&self, db: &mut SqliteConnection, resource: &str) -> Result<bool, RowError> {
        let done = sqlx::query("update kit_retained set purging = 1 where resource = $1").bind(resource);
        Ok(done.execute(db).await?.rows_affected() == 1)
    }

    /// A retired instance is one again, and ready. False where its id is taken by another one, it is retired no more, or
    /// its data is being destroyed.
    pub(super) async fn restore(
        &self,
        db: &mut SqliteConnection,
        instance: &Instance,
        now: i64,
    ) -> Result<bool, RowError> {
        let done = sqlx::query(
            "insert into kit_instance (resource, id, service_id, plan_id, organization_guid, space_guid, parameters, tenant, \
             phase, created_at, measured_at, measured, look_at) select resource, id, service_id, plan_id, organization_guid, \
             space_guid, parameters, tenant, 'ready', created_at, $2, measured, $2 from kit_retained \
             where resource = $1 and purging = 0 on conflict do nothing",
        )
        .bind(&instance.resource)
        .bind(now)
        .execute(&mut *db)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.purged(db, &instance.resource, None).await?;
        self.settle(db, instance).await
    }

    /// Its data is gone, or (`again_at`) will be tried again.
    pub(super) async fn purged(
        &self,
        db: &mut SqliteConnection,
        resource: &str,
        again_at: Option<i64>,
    ) -> Result<(), RowError> {
        match again_at {
            None => sqlx::query("delete from kit_retained where resource = $1").bind(resource).execute(db).await?,
            Some(at) => {
                let text = "update kit_retained set purge_at = $2 where resource = $1";
                sqlx::query(text).bind(resource).bind(at).execute(db).await?
            }
        };
        Ok(())
    }

    pub(super) async fn binding(
        &self,
        pool: &SqlitePool,
        instance: &str,
        id: &str,
    ) -> Result<Option<BindingRow>, RowError> {
        let text = format!("{BINDING} where instance = $1 and id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(instance).bind(id).fetch_optional(pool).await?;
        row.map(|row| self.binding_of(&row)).transpose()
    }

    /// All bindings of an instance.
    pub(super) async fn bindings(&self, pool: &SqlitePool, instance: &str) -> Result<Vec<BindingRow>, RowError> {
        let text = format!("{BINDING} where instance = $1 order by resource");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).bind(instance).fetch_all(pool).await?;
        rows.iter().map(|row| self.binding_of(row)).collect()
    }

    fn binding_of(&self, row: &SqliteRow) -> Result<BindingRow, RowError> {
        let resource: String = row.try_get("resource")?;
        let sealed: Option<Vec<u8>> = row.try_get("issued")?;
        let issued = match sealed {
            None => None,
            Some(sealed) => {
                let clear = self.sealer.open(&owner("binding", &resource), &sealed)?;
                let SealedBinding { credentials, endpoints } = serde_json::from_slice(&clear)?;
                let (expires_at, renew_before) = (row.try_get("expires_at")?, row.try_get("renew_before")?);
                Some(Issued { credentials, expires_at, renew_before, endpoints })
            }
        };
        Ok(BindingRow {
            binding: Binding {
                id: row.try_get("id")?,
                parameters: json(row, "parameters")?,
                user: row.try_get("user_name")?,
                tenant: tenant(row)?,
                created_at: row.try_get("created_at")?,
                issued,
                resource,
            },
            predecessor: row.try_get("predecessor")?,
            revoking: row.try_get::<&str, _>("phase")? == "revoking",
        })
    }

    /// Writes down that access is about to be given. False where the id is taken already.
    pub(super) async fn intend_binding(
        &self,
        db: &mut SqliteConnection,
        instance: &str,
        row: &BindingRow,
    ) -> Result<bool, RowError> {
        let binding = &row.binding;
        let done = sqlx::query(
            "insert into kit_binding (resource, instance, id, parameters, predecessor, user_name, tenant, phase, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, 'issuing', $8) on conflict (instance, id) do nothing",
        )
        .bind(&binding.resource)
        .bind(instance)
        .bind(&binding.id)
        .bind(text(&binding.parameters)?)
        .bind(&row.predecessor)
        .bind(&binding.user)
        .bind(binding.tenant.as_ref().map(text).transpose()?)
        .bind(binding.created_at)
        .execute(db)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Access is given. False where it is being taken away already.
    pub(super) async fn settle_binding(
        &self,
        db: &mut SqliteConnection,
        resource: &str,
        issued: &Issued,
    ) -> Result<bool, RowError> {
        let clear = SealedBinding { credentials: issued.credentials.clone(), endpoints: issued.endpoints.clone() };
        let sealed = self.sealer.seal(&owner("binding", resource), text(&clear)?.as_bytes())?;
        let done = sqlx::query(
            "update kit_binding set phase = 'ready', issued = $2, expires_at = $3, renew_before = $4 \
             where resource = $1 and phase = 'issuing'",
        )
        .bind(resource)
        .bind(sealed)
        .bind(issued.expires_at)
        .bind(issued.renew_before)
        .execute(db)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn set_revoking(&self, db: &mut SqliteConnection, resource: &str) -> Result<(), RowError> {
        sqlx::query("update kit_binding set phase = 'revoking' where resource = $1").bind(resource).execute(db).await?;
        Ok(())
    }

    pub(super) async fn forget_binding(&self, db: &mut SqliteConnection, resource: &str) -> Result<(), RowError> {
        sqlx::query("delete from kit_binding where resource = $1").bind(resource).execute(db).await?;
        Ok(())
    }

    /// The ids of instances that have a binding which is going.
    pub(super) async fn revoking(&self, pool: &SqlitePool, limit: i64) -> Result<Vec<String>, RowError> {
        let text = "select distinct i.id from kit_binding b join kit_instance i on i.resource = b.instance \
             where b.phase = 'revoking' and i.phase <> 'retiring' order by i.id limit $1";
        Ok(sqlx::query_scalar(text).bind(limit).fetch_all(pool).await?)
    }

    /// Notes what was read of an instance's meters, unless somebody else was first.
    pub(super) async fn measured(
        &self,
        db: &mut SqliteConnection,
        (resource, measured): (&str, i64),
        (until, look_at): (i64, i64),
        events: &[Value],
    ) -> Result<bool, RowError> {
        let text = "update kit_instance set measured = measured + 1, measured_at = $3, look_at = $4 \
             where resource = $1 and measured = $2";
        let done = sqlx::query(text).bind(resource).bind(measured).bind(until).bind(look_at).execute(&mut *db).await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        for event in events {
            let id = event["id"].as_str().unwrap_or_default();
            let insert = sqlx::query("insert into kit_usage (id, event) values ($1, $2)");
            insert.bind(id).bind(event.to_string()).execute(&mut *db).await?;
        }
        Ok(true)
    }
}

/// Whom a sealed value belongs to.
fn owner(kind: &str, resource: &str) -> String {
    format!("{kind}:{resource}")
}

fn text(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, RowError> {
    Ok(serde_json::from_str(row.try_get(column)?)?)
}

fn tenant(row: &SqliteRow) -> Result<Option<Tenant>, RowError> {
    let tenant: Option<&str> = row.try_get("tenant")?;
    Ok(tenant.map(serde_json::from_str).transpose()?)
}
