//! Table `tenant_members`: the members of tenants' documents by their names, so that it is known at each request which tenants a
//! caller belongs to. [`super::tenants`] keeps it as the documents are.

use super::Error;
use super::db::{Tx, column};
use crate::domain::tenant::{Member, Role};

/// Tenants of one caller that are looked at.
const MEMBERSHIPS_MAX: i64 = 10_000;

const FORGET: &str = "delete from tenant_members where tenant_id = $1";
const ADD_SQLITE: &str = "insert into tenant_members (tenant_id, kind, name, role) \
    select $1, value ->> 0, value ->> 1, value ->> 2 from json_each($2) where true on conflict do nothing";
const ADD_POSTGRES: &str = "insert into tenant_members (tenant_id, kind, name, role) \
    select $1, value ->> 0, value ->> 1, value ->> 2 from json_array_elements($2::json) on conflict do nothing";

/// Puts these members in the place of those that a tenant had.
///
/// # Errors
/// [`Error`].
pub(super) async fn replace(tx: &mut Tx<'_>, tenant_id: &str, members: &[Member]) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET).bind(tenant_id.to_owned())).await?;
    let row = |member: &Member| {
        let role = word(member.role);
        match (&member.user, &member.group) {
            (Some(user), _) => Some(["user", user, role].map(str::to_owned)),
            (None, Some(group)) => Some(["group", group, role].map(str::to_owned)),
            (None, None) => None,
        }
    };
    let rows: Vec<_> = members.iter().filter_map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = sqlx::query(tx.shared(ADD_SQLITE, ADD_POSTGRES)).bind(tenant_id.to_owned());
    tx.execute(sql.bind(serde_json::json!(rows).to_string())).await.map(drop)
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}

/// A tenant that somebody belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The tenant's id.
    pub tenant_id: String,
    /// Its name.
    pub tenant: String,
    /// As what.
    pub role: Role,
}

const OF_SQLITE: &str = "select m.tenant_id, t.name, m.role from tenant_members m join tenants t on t.id = m.tenant_id \
    where t.deleted_at is null and ((m.kind = 'user' and m.name = $1) \
      or (m.kind = 'group' and m.name in (select value from json_each($2)))) limit $3";
const OF_POSTGRES: &str = "select m.tenant_id, t.name, m.role from tenant_members m join tenants t on t.id = m.tenant_id \
    where t.deleted_at is null and ((m.kind = 'user' and m.name = $1) \
      or (m.kind = 'group' and m.name in (select value from json_array_elements_text($2::json)))) limit $3";

/// The tenants of a user and of groups.
///
/// # Errors
/// [`Error`].
pub async fn of(tx: &mut Tx<'_>, user: &str, groups: &[String]) -> Result<Vec<Membership>, Error> {
    let sql = sqlx::query(tx.shared(OF_SQLITE, OF_POSTGRES)).bind(user.to_owned());
    let rows = tx.fetch_all(sql.bind(serde_json::json!(groups).to_string()).bind(MEMBERSHIPS_MAX)).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let role: String = column(row, "role")?;
        let role = if role == word(Role::Owner) { Role::Owner } else { Role::Member };
        found.push(Membership { tenant_id: column(row, "tenant_id")?, tenant: column(row, "name")?, role });
    }
    Ok(found)
}
