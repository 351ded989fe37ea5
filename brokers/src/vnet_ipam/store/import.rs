//! Ranges that were there before: all of a file or nothing, again as often as one likes.

use sqlx::Row;

use super::blocks::{self, Holder, Imported};
use super::work::Work;
use super::{Error, Store, bytes, prefix_of};
use crate::vnet_ipam::import::{Kind, Row as Line};
use crate::vnet_ipam::prefix::Prefix;

/// How many findings are told.
const FINDINGS_MAX: usize = 100;
/// How many of what a range overlaps are told.
const OVERLAPS_MAX: i64 = 20;

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Ranges that are new.
    pub added: usize,
    /// Ranges that were there with another description or owner.
    pub updated: usize,
    /// Ranges that were there, word for word, and networks that somebody has taken over.
    pub unchanged: usize,
    /// What is in the way, a sentence each; then nothing was changed.
    pub findings: Vec<String>,
}

impl Store {
    /// Adds ranges, all or nothing; with `dry_run` only says what would become of them.
    pub(crate) async fn import(&self, lines: &[Line], dry_run: bool) -> Result<Outcome, Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        let mut outcome = Outcome::default();
        for line in lines {
            work.import(line, &mut outcome).await?;
            if outcome.findings.len() >= FINDINGS_MAX {
                break;
            }
        }
        if outcome.findings.is_empty() && !dry_run {
            work.commit().await?;
        }
        Ok(outcome)
    }

    /// All ranges that were imported and not taken over, at most that many.
    pub(crate) async fn imported(&self, limit: i64) -> Result<Vec<Imported>, Error> {
        let rows = sqlx::query(
            "select routing_domain, ip_version, first, length, kind, name, tenant, description from block
            where name is not null order by routing_domain, ip_version, first limit $1",
        )
        .bind(limit)
        .fetch_all(self.db.reader())
        .await?;
        rows.iter().map(Imported::of).collect()
    }

    /// Frees a range that was imported. `None` where there is no such name.
    pub(crate) async fn forget(&self, domain: &str, name: &str) -> Result<Option<Imported>, Error> {
        let mut writer = self.db.writer().await?;
        let mut work = self.begin(&mut writer).await?;
        let Some(there) = work.named(domain, name).await? else { return Ok(None) };
        blocks::delete(&mut work.transaction, work.now, domain, there.prefix, true).await?;
        work.commit().await?;
        Ok(Some(there))
    }
}

impl Work<'_> {
    async fn import(&mut self, line: &Line, outcome: &mut Outcome) -> Result<(), Error> {
        let new = Imported {
            routing_domain: line.routing_domain.clone(),
            prefix: line.prefix,
            name: line.name.clone(),
            kind: line.kind,
            tenant: line.tenant.clone(),
            description: line.description.clone(),
        };
        match self.named(&new.routing_domain, &new.name).await? {
            Some(there) if there == new => outcome.unchanged += 1,
            Some(there) if there.prefix == new.prefix && there.kind == new.kind => {
                self.describe(&new).await?;
                outcome.updated += 1;
            }
            Some(there) => {
                let (name, routing_domain) = (new.name.clone(), new.routing_domain.clone());
                let present = format!("{} {}", there.kind.word(), there.prefix);
                let finding = Error::NameTaken { name, routing_domain, present };
                outcome.findings.push(format!("line {}: {finding}", line.line));
            }
            None => match self.overlaps(&new).await?.as_slice() {
                [] => {
                    let holder = Holder::Imported(&new);
                    blocks::insert(&mut self.transaction, self.now, &new.routing_domain, new.prefix, holder).await?;
                    outcome.added += 1;
                }
                // The owner of the network has come in the meantime.
                [(prefix, _, "network")] if *prefix == new.prefix && new.kind == Kind::Network => {
                    outcome.unchanged += 1
                }
                overlaps => {
                    let told = overlaps.iter().map(|(_, told, _)| told.as_str()).collect::<Vec<_>>().join(", ");
                    let Line { line, prefix, name, .. } = line;
                    outcome.findings.push(format!("line {line}: {prefix} ({name}) overlaps {told}"));
                }
            },
        }
        Ok(())
    }

    async fn named(&mut self, domain: &str, name: &str) -> Result<Option<Imported>, Error> {
        let row = sqlx::query(
            "select routing_domain, ip_version, first, length, kind, name, tenant, description from block
            where routing_domain = $1 and name = $2",
        )
        .bind(domain)
        .bind(name)
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(Imported::of).transpose()
    }

    async fn describe(&mut self, imported: &Imported) -> Result<(), Error> {
        sqlx::query("update block set tenant = $3, description = $4 where routing_domain = $1 and name = $2")
            .bind(&imported.routing_domain)
            .bind(&imported.name)
            .bind(&imported.tenant)
            .bind(&imported.description)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// What a range overlaps, as people call it.
    async fn overlaps(&mut self, new: &Imported) -> Result<Vec<(Prefix, String, &'static str)>, Error> {
        let rows = sqlx::query(
            "select * from (
                select first, last, length, kind, name, network from block
                where routing_domain = $1 and ip_version = $2 and first < $3 order by first desc limit 1
            ) where last >= $3
            union all
            select * from (
                select first, last, length, kind, name, network from block
                where routing_domain = $1 and ip_version = $2 and first >= $3 and first <= $4 order by first limit $5
            )",
        )
        .bind(&new.routing_domain)
        .bind(i64::from(new.prefix.version().number()))
        .bind(bytes(new.prefix.first()))
        .bind(bytes(new.prefix.last()))
        .bind(OVERLAPS_MAX)
        .fetch_all(&mut *self.transaction)
        .await?;
        let told = |row| {
            let prefix = prefix_of(row, new.prefix.version())?;
            let name = row.try_get::<Option<&str>, _>("name")?.unwrap_or_default();
            Ok(match row.try_get("kind")? {
                "network" => {
                    let network: &str = row.try_get::<Option<_>, _>("network")?.unwrap_or_default();
                    (prefix, format!("{prefix} (in use by network {network})"), "network")
                }
                "quarantine" => (prefix, format!("{prefix} (given back, and resting)"), "quarantine"),
                "external" => (prefix, format!("{prefix} (external {name})"), "external"),
                _ => (prefix, format!("{prefix} (network {name})"), "waiting"),
            })
        };
        rows.iter().map(told).collect()
    }
}
