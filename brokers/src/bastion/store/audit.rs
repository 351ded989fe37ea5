//! The audit: one line after the other, each with the hash of the one before it, so that a line that was changed or left out
//! inside the chain shows. A tail that was cut off shows only to who has kept the last hash: the platform is shown it.

use ring::digest::{Context, SHA256};
use serde_json::Value;
use sqlx::Row as _;

use super::{Connection, Store, StoreError, number_of};

/// How many lines that belong to no bastion are kept.
const STRAY_MAX: i64 = 10_000;
/// How many lines are verified at a time.
const PAGE: i64 = 1000;

/// What a look at a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each line is as it was written.
    Whole {
        /// How many there are.
        lines: u64,
        /// The hash of the last one, in hexadecimal.
        head: String,
    },
    /// The line with that number is not.
    Broken(i64),
}

/// Appends a line to a bastion's chain.
pub(super) async fn append(
    connection: &mut Connection,
    bastion: &str,
    at: i64,
    line: &Value,
) -> Result<(), StoreError> {
    let text = "select hash from audit where bastion = $1 order by number desc limit 1";
    let previous: Option<Vec<u8>> = sqlx::query_scalar(text).bind(bastion).fetch_optional(&mut *connection).await?;
    let (previous, line) = (previous.unwrap_or_default(), line.to_string());
    let hash = hash(&previous, bastion, at, &line);
    sqlx::query("insert into audit (bastion, at, line, previous, hash) values ($1, $2, $3, $4, $5)")
        .bind(bastion)
        .bind(at)
        .bind(line)
        .bind(previous)
        .bind(hash)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

fn hash(previous: &[u8], bastion: &str, at: i64, line: &str) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [previous, bastion.as_bytes(), &at.to_be_bytes(), line.as_bytes()] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

impl Store {
    /// Appends a line, and what it adds to the meters. `None`: to the chain of those that belong to no bastion.
    pub(in crate::bastion) async fn audit(
        &self,
        bastion: Option<&str>,
        at: i64,
        line: &Value,
        (seconds, bytes): (u64, u64),
    ) -> Result<(), StoreError> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let chain = bastion.unwrap_or_default();
        append(&mut transaction, chain, at, line).await?;
        let text = "update bastion set session_seconds = session_seconds + $2, recorded_bytes = recorded_bytes + $3
            where resource = $1";
        sqlx::query(text)
            .bind(chain)
            .bind(super::stored(seconds))
            .bind(super::stored(bytes))
            .execute(&mut *transaction)
            .await?;
        if chain.is_empty() {
            let text = "delete from audit where bastion = '' and number <= (select max(number) from audit) - $1";
            sqlx::query(text).bind(STRAY_MAX).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// How many lines a chain has, and the hash of the last one.
    pub(in crate::bastion) async fn head(&self, bastion: &str) -> Result<(u64, String), StoreError> {
        let text = "select count(*) as lines, (select hash from audit where bastion = $1 order by number desc limit 1)
            as head from audit where bastion = $1";
        let row = sqlx::query(text).bind(bastion).fetch_one(self.db.reader()).await?;
        let head: Option<Vec<u8>> = row.try_get("head")?;
        Ok((number_of(&row, "lines")?, hexadecimal(&head.unwrap_or_default())))
    }

    /// Reads a chain from its beginning.
    pub(in crate::bastion) async fn verify(&self, bastion: &str) -> Result<Verdict, StoreError> {
        let (mut lines, mut last, mut after) = (0_u64, None::<Vec<u8>>, 0_i64);
        loop {
            let text = "select * from audit where bastion = $1 and number > $2 order by number limit $3";
            let rows = sqlx::query(text).bind(bastion).bind(after).bind(PAGE).fetch_all(self.db.reader()).await?;
            if rows.is_empty() {
                return Ok(Verdict::Whole { lines, head: hexadecimal(&last.unwrap_or_default()) });
            }
            for row in rows {
                let (previous, kept): (Vec<u8>, Vec<u8>) = (row.try_get("previous")?, row.try_get("hash")?);
                after = row.try_get("number")?;
                let found = hash(&previous, bastion, row.try_get("at")?, row.try_get("line")?);
                let follows = last.as_ref().is_none_or(|last| *last == previous);
                let starts = last.is_some() || previous.is_empty() || bastion.is_empty();
                if found != kept || !follows || !starts {
                    return Ok(Verdict::Broken(after));
                }
                (last, lines) = (Some(kept), lines + 1);
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
