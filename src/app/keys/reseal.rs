//! Seals values anew under the newest key, a bounded part at a time, beside a running hub.

use serde_json::json;

use crate::app::points::Step;
use crate::app::{App, Error};
use crate::domain::caller::Caller;
use crate::secret;
use crate::store::sealed::{self, COLUMNS, Column};
use crate::store::{self};

/// Rows that are looked at for one part.
const LOOKED_AT_ONCE: i64 = 1000;
/// Values that are written in one transaction.
const WRITTEN_AT_ONCE: usize = 100;
/// Parts of one call: so it ends in time, whatever there is.
const PARTS_MAX: usize = 10;

/// What a part of a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values that are under the newest key now and were not.
    pub resealed: u64,
    /// Values that somebody changed meanwhile: another pass finds them.
    pub changed: u64,
    /// Values that no key opens.
    pub unreadable: u64,
    /// Where to go on; `None` at the end of the pass.
    pub next: Option<String>,
}

/// How far a pass is.
struct Cursor {
    column: usize,
    after: String,
}

impl Cursor {
    fn read(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self { column: 0, after: String::new() }) };
        let wrong = || Error::Malformed("`after` is not a cursor of a rotation".to_owned());
        let (name, after) = text.split_once(':').ok_or_else(wrong)?;
        let column = COLUMNS.iter().position(|column| column.name() == name).ok_or_else(wrong)?;
        Ok(Self { column, after: after.to_owned() })
    }

    fn column(&self) -> Option<&'static Column> {
        COLUMNS.get(self.column)
    }

    fn text(&self) -> Option<String> {
        self.column().map(|column| format!("{}:{}", column.name(), self.after))
    }
}

impl App {
    /// Seals values anew, as many as fit into one call, from a cursor on. A pass that begins may make a new key first, where the hub
    /// looks after its key file itself.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is none; [`Error::Conflict`] where a new key is wanted and keys come from the settings.
    pub async fn reseal(&self, caller: &Caller, after: Option<&str>, new_key: bool) -> Result<Resealed, Error> {
        let mut cursor = Cursor::read(after)?;
        if after.is_none() {
            self.begin(caller, new_key).await?;
        }
        let mut done = Resealed::default();
        for _ in 0..PARTS_MAX {
            let Some(column) = cursor.column() else { break };
            let next = self.part(column, &cursor.after, &mut done).await?;
            cursor = match next {
                Some(after) => Cursor { after, ..cursor },
                None => Cursor { column: cursor.column + 1, after: String::new() },
            };
        }
        done.next = cursor.text();
        Ok(done)
    }

    async fn begin(&self, caller: &Caller, new_key: bool) -> Result<(), Error> {
        let before = self.sealer().key_ids();
        let app = self.clone();
        // Files: not on a thread that answers requests.
        let changed = tokio::task::spawn_blocking(move || {
            app.sealer().reload()?;
            if new_key { app.sealer().add_key() } else { Ok(()) }
        });
        changed.await.map_err(|_| secret::Error::Random)?.map_err(|error| match error {
            secret::Error::NotOurs => Error::conflict("keys_are_given", error.to_string()),
            error => error.into(),
        })?;
        let after = self.sealer().key_ids();
        self.tell_keys(caller, "keys.rotate", json!({ "keys": before }), json!({ "keys": after })).await
    }

    /// One part; where the next one begins, or `None` at the column's end.
    async fn part(&self, column: &'static Column, after: &str, done: &mut Resealed) -> Result<Option<String>, Error> {
        let (begin, newest) = (after.to_owned(), self.sealer().newest());
        let read = self.db().read(|tx| {
            Box::pin(async move {
                let rows = sealed::prefixes(tx, column, &begin, LOOKED_AT_ONCE).await?;
                let (mut stale, mut last) = (Vec::new(), None);
                for (id, prefix) in rows {
                    let key = secret::key_of(&prefix);
                    last = Some(id.clone());
                    if key.is_some_and(|key| key != newest)
                        && let Some(value) = sealed::value(tx, column, &id).await?
                    {
                        stale.push((id, value));
                        if stale.len() == WRITTEN_AT_ONCE {
                            break;
                        }
                    }
                }
                Ok::<_, store::Error>((stale, last))
            })
        });
        let (stale, last) = read.await?;
        let mut fresh = Vec::with_capacity(stale.len());
        for (id, old) in stale {
            let place = column.place(&id);
            match self.sealer().open(&place, &old) {
                Ok(plain) => fresh.push((id, old, self.sealer().seal(&place, &plain)?)),
                Err(error) => {
                    tracing::error!(%error, "a value cannot be sealed anew");
                    done.unreadable += 1;
                }
            }
        }
        if !fresh.is_empty() {
            self.points().step(Step::Resealed)?;
            let all = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
            let replaced = self.replace(column, fresh).await?;
            done.resealed += replaced;
            done.changed += all - replaced;
            self.points().step(Step::ResealWritten)?;
        }
        Ok(last)
    }

    async fn replace(&self, column: &'static Column, fresh: Vec<(String, Vec<u8>, Vec<u8>)>) -> Result<u64, Error> {
        let written = self.db().write::<_, store::Error, _>(move |tx| {
            let fresh = fresh.clone();
            Box::pin(async move {
                let mut replaced = 0;
                for (id, old, new) in &fresh {
                    replaced += u64::from(sealed::replace(tx, column, id, old, new).await?);
                }
                Ok(replaced)
            })
        });
        Ok(written.await?)
    }
}
