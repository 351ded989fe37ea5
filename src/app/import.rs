//! Takes over tenants from an organisation's own list: each row as a `PUT` of its own, all or nothing, with a verdict.

use std::time::Duration;

use reqwest::Method;

use super::tenants::{Precondition, TenantView, as_read};
use super::{App, Error};
use crate::domain::caller::Caller;
use crate::domain::identity::MatchKey;
use crate::domain::name::{RULE, is_name};
use crate::domain::permission::Sight;
use crate::domain::tenant::{Tenant, TenantDocument};
use crate::domain::tenant_import::{Row, overlay, read};
use crate::store::{identities, platforms, tenants};

/// Bytes of a list.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a list may take to be fetched.
const FETCH_WITHIN: Duration = Duration::from_secs(30);
/// How often a row is looked at again because its tenant was changed at the same moment.
const RACES_MAX: u32 = 3;

/// What came of a row, or would come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The tenant is new.
    Created,
    /// It was another.
    Changed,
    /// It stood so already.
    Unchanged,
    /// Nothing was done.
    Error(String),
}

/// A row with its verdict.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Where it begins in the list.
    pub line: usize,
    /// The tenant's name.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
}

impl App {
    /// Imports a list; with `dry_run` it only says what would come of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is no list; where the database fails. What was imported by then stays.
    pub async fn import_tenants(&self, caller: &Caller, text: &str, dry_run: bool) -> Result<Vec<Imported>, Error> {
        let rows = read(text).map_err(|message| Error::invalid("", message))?;
        self.import_rows(caller, rows, dry_run).await
    }

    /// The same for rows that were read.
    ///
    /// # Errors
    /// As [`App::import_tenants`].
    pub async fn import_rows(&self, caller: &Caller, rows: Vec<Row>, dry_run: bool) -> Result<Vec<Imported>, Error> {
        let mut imported = Vec::with_capacity(rows.len());
        for row in rows {
            let verdict = match &row.problem {
                Some(problem) => Verdict::Error(problem.clone()),
                None => match Box::pin(self.import_row(caller, &row, dry_run)).await {
                    Ok(verdict) => verdict,
                    Err(error @ (Error::Store(_) | Error::Secret(_))) => return Err(error),
                    Err(error) => Verdict::Error(said(error)),
                },
            };
            imported.push(Imported { line: row.line, name: row.name, verdict });
        }
        Ok(imported)
    }

    /// Fetches a list, by the same rules as everything that goes out.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it can't be fetched.
    pub async fn fetch_tenants(&self, url: &str) -> Result<String, Error> {
        let wrong = |message: String| Error::invalid("/url", message);
        let http = self.outgoing().http(FETCH_WITHIN).map_err(|error| wrong(error.to_string()))?;
        let request = http.request(Method::GET, url).map_err(|error| wrong(error.to_string()))?;
        let (status, body) = http.exchange(request, BYTES_MAX).await.map_err(|error| wrong(error.to_string()))?;
        if status != 200 {
            return Err(wrong(format!("was answered with status {status}")));
        }
        String::from_utf8(body.to_vec()).map_err(|_| wrong("is not UTF-8".to_owned()))
    }

    async fn import_row(&self, caller: &Caller, row: &Row, dry_run: bool) -> Result<Verdict, Error> {
        for _ in 0..RACES_MAX {
            let before = match self.tenant_view(&Sight::everything(), &row.name).await {
                Ok(view) => Some(view),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            let known = before.as_ref().map(|view| &view.tenant.document);
            let document = overlay(known, &row.fields).map_err(|message| Error::invalid("", message))?;
            let verdict = self.row_verdict(&row.name, &document, before.as_ref()).await?;
            if dry_run || verdict == Verdict::Unchanged {
                return Ok(verdict);
            }
            let precondition = before.map_or(Precondition::Absent, |view| Precondition::Tag(view.tag()));
            match self.put_tenant(caller, &row.name, document, precondition).await {
                Ok(_) => return Ok(verdict),
                Err(Error::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::conflict("busy", "the tenant is being changed: try again"))
    }

    /// What would come of a `PUT`.
    async fn row_verdict(
        &self,
        name: &str,
        document: &TenantDocument,
        before: Option<&TenantView>,
    ) -> Result<Verdict, Error> {
        if !is_name(name) {
            return Ok(Verdict::Error(format!("a tenant's name {RULE}")));
        }
        if let Some((pointer, message)) = document.problems(name).into_iter().next() {
            return Ok(Verdict::Error(format!("{pointer} {message}").trim_start().to_owned()));
        }
        let own = before.map(|view| view.tenant.id.clone()).unwrap_or_default();
        let wanted: Vec<(String, MatchKey)> = document
            .identities
            .iter()
            .filter_map(|identity| Some((identity.platform.clone(), identity.match_key().ok()?)))
            .collect();
        let problem = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                for (platform, key) in wanted {
                    let Some(row) = platforms::by_name(tx, &platform).await? else {
                        return Ok(Some(format!("platform `{platform}` does not exist")));
                    };
                    let owner = identities::owner(tx, &row.platform.id, &key).await?.filter(|owner| *owner != own);
                    if let Some(owner) = owner {
                        let owner = tenants::by_id(tx, &owner).await?.map(|tenant| tenant.name).unwrap_or_default();
                        return Ok(Some(format!("an identity belongs to tenant `{owner}`")));
                    }
                }
                Ok(None)
            })
        });
        if let Some(problem) = problem.await? {
            return Ok(Verdict::Error(problem));
        }
        let Some(before) = before else { return Ok(Verdict::Created) };
        let tenant = Tenant { document: document.clone(), ..before.tenant.clone() };
        let after = TenantView { tenant: as_read(tenant), created_at: before.created_at };
        Ok(if after.tag() == before.tag() { Verdict::Unchanged } else { Verdict::Changed })
    }
}

fn said(error: Error) -> String {
    match error {
        Error::Invalid(issues) => issues
            .into_iter()
            .map(|issue| format!("{} {}", issue.pointer, issue.message).trim_start().to_owned())
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}
