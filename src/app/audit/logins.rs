//! Logins that failed: counted in memory by address and written as one row for each address and minute, never one for each request,
//! which would let anybody fill the audit. A process that is killed takes the counts of its last minute with it.
//!
//! A user name that nobody has is not kept: people type passwords there.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::Origin;
use crate::app::{App, Error};
use crate::clock::Time;
use crate::store::audit::{self, AuditRow};

/// Addresses that are counted one by one; those beyond are counted together.
const ADDRESSES_MAX: usize = 1000;
/// Rows that are written at once, those beyond are one.
const ROWS_MAX: usize = 50;
/// Accounts that are named of one address.
const ACCOUNTS_MAX: usize = 8;

/// What was counted since it was written last.
#[derive(Debug, Default)]
pub(in crate::app) struct Attempts(Mutex<HashMap<Option<IpAddr>, Attempt>>);

#[derive(Clone, Debug)]
struct Attempt {
    times: u64,
    first: Time,
    last: Time,
    channel: &'static str,
    /// Whose password was wrong, as audit rows name them.
    accounts: BTreeMap<String, u64>,
}

impl Attempt {
    fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (account, times) in &other.accounts {
            if self.accounts.len() < ACCOUNTS_MAX || self.accounts.contains_key(account) {
                *self.accounts.entry(account.clone()).or_default() += times;
            }
        }
    }
}

impl Attempts {
    fn note(&self, origin: &Origin, account: Option<String>, now: Time) {
        let accounts = account.map(|account| (account, 1)).into_iter().collect();
        let one = Attempt { times: 1, first: now, last: now, channel: origin.channel, accounts };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = counted.len() >= ADDRESSES_MAX && !counted.contains_key(&origin.address);
        let key = if full { None } else { origin.address };
        counted.entry(key).and_modify(|attempt| attempt.add(&one)).or_insert(one);
    }

    /// What was counted, most first; what is beyond the bound comes together, without an address.
    fn drain(&self) -> Vec<(Option<IpAddr>, Attempt)> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<_> = counted.into_iter().collect();
        all.sort_by_key(|(address, attempt)| (std::cmp::Reverse(attempt.times), *address));
        let beyond = all.split_off(all.len().min(ROWS_MAX));
        let together = beyond.into_iter().map(|(_, attempt)| attempt).reduce(|mut sum, attempt| {
            sum.add(&attempt);
            sum
        });
        all.extend(together.map(|attempt| (None, attempt)));
        all
    }
}

impl App {
    /// Counts a login that failed, of an account where there is one of that user name.
    pub(in crate::app) fn note_failed_login(&self, account: Option<String>) {
        self.attempts().note(&Origin::here(), account, self.clock().now());
    }

    /// Writes down the logins that failed since the last time, and says how many rows that took.
    ///
    /// # Errors
    /// Where the database fails: those counts are lost then.
    pub async fn write_failed_logins(&self) -> Result<usize, Error> {
        let rows: Vec<_> =
            self.attempts().drain().into_iter().map(|(address, attempt)| self.row(address, attempt)).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let written = self.db().write::<_, Error, _>(move |tx| {
            let rows = rows.clone();
            Box::pin(async move {
                for row in &rows {
                    audit::append(tx, row).await?;
                }
                Ok(rows.len())
            })
        });
        written.await
    }

    fn row(&self, address: Option<IpAddr>, attempt: Attempt) -> AuditRow {
        let Attempt { times, first, last, channel, accounts } = attempt;
        let subject = address.map_or_else(|| "logins/several".to_owned(), |address| format!("logins/{address}"));
        let detail = json!({ "times": times, "first": first, "last": last, "accounts": accounts });
        let origin = Origin { address, channel, ..Origin::default() }.document();
        AuditRow { origin, ..self.audit_of("nobody".to_owned(), "login.failed", subject, detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: usize) -> Origin {
        let bytes = u32::try_from(last).unwrap().to_be_bytes();
        Origin { address: Some(IpAddr::from(bytes)), channel: "api", ..Origin::default() }
    }

    #[test]
    fn attempts_of_one_address_are_one_row_that_names_accounts() {
        let attempts = Attempts::default();
        for (at, account) in [(3, Some("administrators/admin")), (1, None), (2, Some("administrators/admin"))] {
            attempts.note(&from(1), account.map(str::to_owned), Time(at));
        }
        let rows = attempts.drain();
        assert_eq!(rows.len(), 1);
        let (_, attempt) = &rows[0];
        assert_eq!((attempt.times, attempt.first, attempt.last), (3, Time(1), Time(3)));
        assert_eq!(attempt.accounts, BTreeMap::from([("administrators/admin".to_owned(), 2)]));
        assert!(attempts.drain().is_empty());
    }

    #[test]
    fn a_flood_from_everywhere_takes_bounded_memory_and_rows_and_loses_no_count() {
        let attempts = Attempts::default();
        let floods = ADDRESSES_MAX * 3;
        (0..floods).for_each(|index| attempts.note(&from(index), Some(format!("users/{index}")), Time(0)));
        assert_eq!(attempts.0.lock().unwrap().len(), ADDRESSES_MAX + 1);
        let rows = attempts.drain();
        assert_eq!(rows.len(), ROWS_MAX + 1);
        assert_eq!(rows.iter().map(|(_, attempt)| attempt.times).sum::<u64>(), u64::try_from(floods).unwrap());
        assert!(rows.iter().all(|(_, attempt)| attempt.accounts.len() <= ACCOUNTS_MAX));
    }
}
