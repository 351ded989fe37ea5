//! `offerings` and `plans`: what each broker offers, one row each. What left the catalog stays as removed.

use std::collections::HashMap;

use sqlx::any::AnyRow;

use super::brokers::{json, text};
use super::db::column;
use super::{Error, Tx};
use crate::domain::catalog::clash::{Held, What, claims};
use crate::domain::catalog::{Offering, Plan, State};

fn state(row: &AnyRow) -> Result<State, Error> {
    let text: String = column(row, "state")?;
    State::parse(&text).ok_or_else(|| Error::Corrupt { column: "state", source: text.into() })
}

const OF_BROKER: &str = "select id, backend_id, name, state, document, findings, position from offerings
    where broker_id = $1 order by position, id";
const PLANS_OF_BROKER: &str =
    "select plans.id, plans.offering_id, plans.backend_id, plans.name, plans.state, plans.document, plans.position
    from plans join offerings on offerings.id = plans.offering_id
    where offerings.broker_id = $1 order by plans.position, plans.id";

/// All that a broker offers or offered; the import bounds how much that is.
///
/// # Errors
/// [`Error`]
pub async fn of_broker(tx: &mut Tx<'_>, broker_id: &str) -> Result<Vec<Offering>, Error> {
    let mut plans: HashMap<String, Vec<Plan>> = HashMap::new();
    for row in &tx.fetch_all(sqlx::query(PLANS_OF_BROKER).bind(broker_id.to_owned())).await? {
        let plan = Plan {
            id: column(row, "id")?,
            backend_id: column(row, "backend_id")?,
            name: column(row, "name")?,
            state: state(row)?,
            document: json(row, "document")?,
            position: column(row, "position")?,
        };
        plans.entry(column(row, "offering_id")?).or_default().push(plan);
    }
    let rows = tx.fetch_all(sqlx::query(OF_BROKER).bind(broker_id.to_owned())).await?;
    rows.iter()
        .map(|row| {
            let id: String = column(row, "id")?;
            Ok(Offering {
                plans: plans.remove(&id).unwrap_or_default(),
                id,
                backend_id: column(row, "backend_id")?,
                name: column(row, "name")?,
                state: state(row)?,
                document: json(row, "document")?,
                findings: json(row, "findings")?,
                position: column(row, "position")?,
            })
        })
        .collect()
}

const HOLDER_OF_OFFERING: &str = "select brokers.name from offerings join brokers on brokers.id = offerings.broker_id
    where offerings.id = $1 and brokers.id <> $2 and brokers.deleted_at is null";
const HOLDER_OF_NAME: &str = "select brokers.name from offerings join brokers on brokers.id = offerings.broker_id
    where offerings.name = $1 and offerings.state = 'available' and brokers.id <> $2";
const HOLDER_OF_PLAN: &str = "select brokers.name from plans join offerings on offerings.id = plans.offering_id
    join brokers on brokers.id = offerings.broker_id
    where plans.id = $1 and brokers.id <> $2 and brokers.deleted_at is null";

/// What other registered brokers hold of that which these offerings claim anew.
///
/// # Errors
/// [`Error`]
pub async fn held(
    tx: &mut Tx<'_>,
    broker_id: &str,
    known: &[Offering],
    offerings: &[Offering],
) -> Result<Vec<Held>, Error> {
    let mut held = Vec::new();
    for offering in offerings {
        let before = known.iter().find(|before| before.id == offering.id && before.state == State::Available);
        let before: Vec<_> = before.into_iter().flat_map(claims).collect();
        for (what, value) in claims(offering).filter(|claim| !before.contains(claim)) {
            let sql = match what {
                What::OfferingId => HOLDER_OF_OFFERING,
                What::OfferingName => HOLDER_OF_NAME,
                What::PlanId => HOLDER_OF_PLAN,
            };
            let sql = sqlx::query(sql).bind(value.to_owned()).bind(broker_id.to_owned());
            if let Some(row) = tx.fetch_optional(sql).await? {
                held.push(Held { broker: column(&row, "name")?, what, value: value.to_owned() });
            }
        }
    }
    Ok(held)
}

const NAMES_OF_PLAN: &str = "select brokers.name as broker, offerings.name as offering, plans.name as plan from plans
    join offerings on offerings.id = plans.offering_id join brokers on brokers.id = offerings.broker_id where plans.id = $1";

/// The names of a plan's broker and offering, and its own, whether or not they are still in the catalog.
///
/// # Errors
/// [`Error`]
pub async fn names_of_plan(tx: &mut Tx<'_>, id: &str) -> Result<Option<(String, String, String)>, Error> {
    let found = tx.fetch_optional(sqlx::query(NAMES_OF_PLAN).bind(id.to_owned())).await?;
    found.map(|row| Ok((column(&row, "broker")?, column(&row, "offering")?, column(&row, "plan")?))).transpose()
}

const FREE_NAME: &str = "update offerings set state = 'quarantined' where id = $1";
const DROP: &str = "delete from offerings where id = $1";

/// Brings the rows of a broker from what they were to what they are to be, touching only what differs.
/// [`Error::Taken`] where another broker was quicker with an id or a name.
///
/// # Errors
/// [`Error`]
pub async fn save(tx: &mut Tx<'_>, broker_id: &str, before: &[Offering], after: &[Offering]) -> Result<(), Error> {
    let was: HashMap<&str, &Offering> = before.iter().map(|offering| (offering.id.as_str(), offering)).collect();
    let is: HashMap<&str, &Offering> = after.iter().map(|offering| (offering.id.as_str(), offering)).collect();
    for old in before {
        match is.get(old.id.as_str()) {
            // Only what never could be ordered disappears: nothing refers to it.
            None if old.plans.is_empty() => drop(tx.execute(sqlx::query(DROP).bind(old.id.clone())).await?),
            // Two may exchange their names.
            Some(new) if new.name != old.name || new.state != old.state => {
                tx.execute(sqlx::query(FREE_NAME).bind(old.id.clone())).await?;
            }
            _ => {}
        }
    }
    for new in after {
        let old = was.get(new.id.as_str()).copied();
        if old.is_none_or(|old| !old.same_row(new)) {
            save_offering(tx, broker_id, new).await?;
        }
        for plan in &new.plans {
            let old = old.and_then(|old| old.plans.iter().find(|old| old.id == plan.id));
            if old != Some(plan) {
                save_plan(tx, &new.id, plan).await?;
            }
        }
    }
    Ok(())
}

const SAVE_OFFERING: &str = "insert into offerings (id, broker_id, backend_id, name, state, document, findings, position)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (id) do update set broker_id = excluded.broker_id, backend_id = excluded.backend_id, name = excluded.name,
        state = excluded.state, document = excluded.document, findings = excluded.findings, position = excluded.position
    where offerings.broker_id = excluded.broker_id
        or offerings.broker_id in (select id from brokers where deleted_at is not null)";

async fn save_offering(tx: &mut Tx<'_>, broker_id: &str, offering: &Offering) -> Result<(), Error> {
    let sql = sqlx::query(SAVE_OFFERING)
        .bind(offering.id.clone())
        .bind(broker_id.to_owned())
        .bind(offering.backend_id.clone())
        .bind(offering.name.clone())
        .bind(offering.state.as_str())
        .bind(text("document", &offering.document)?)
        .bind(text("findings", &offering.findings)?)
        .bind(offering.position);
    written(tx.execute(sql).await?)
}

const SAVE_PLAN: &str = "insert into plans (id, offering_id, backend_id, name, state, document, position)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (id) do update set offering_id = excluded.offering_id, backend_id = excluded.backend_id,
        name = excluded.name, state = excluded.state, document = excluded.document, position = excluded.position
    where plans.offering_id = excluded.offering_id
        or plans.offering_id in (select offerings.id from offerings join brokers on brokers.id = offerings.broker_id
            where brokers.deleted_at is not null)";

async fn save_plan(tx: &mut Tx<'_>, offering_id: &str, plan: &Plan) -> Result<(), Error> {
    let sql = sqlx::query(SAVE_PLAN)
        .bind(plan.id.clone())
        .bind(offering_id.to_owned())
        .bind(plan.backend_id.clone())
        .bind(plan.name.clone())
        .bind(plan.state.as_str())
        .bind(text("document", &plan.document)?)
        .bind(plan.position);
    written(tx.execute(sql).await?)
}

/// Nothing written means that the id is another's.
fn written(rows: u64) -> Result<(), Error> {
    if rows == 0 { Err(Error::Taken) } else { Ok(()) }
}
