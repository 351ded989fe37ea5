//! Sessions of the portal: somebody signs in once, and their browser keeps a secret for as long as the settings allow. What they may do
//! is found out anew at each request, as with a token: whoever loses a role has lost it at once, in all processes.
//!
//! Invariant: the secret is kept by the browser alone; the database knows its hash, the log and the audit neither.

use std::collections::BTreeSet;

use serde_json::json;

use super::{App, Error};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::secret::{self, Secret};
use crate::store::audit;
use crate::store::credentials::{self, OwnerKind};
use crate::store::sessions::{self, Kind, SessionRow};

/// Sessions that one person may have at once; one more ends their oldest.
const SESSIONS_MAX: u32 = 20;
/// Into how many parts the time that a session may rest is cut: it is written down that somebody was seen at most once in each.
const TOUCHES: u32 = 20;

impl App {
    /// Signs the administrator in, and gives the session's secret.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] where user name and password are not an administrator's; [`Error::TooMany`].
    pub async fn sign_in_administrator(&self, username: &str, password: &str) -> Result<Secret<String>, Error> {
        match self.authenticate(username, password).await? {
            Caller::Admin(name) => self.open_session(Kind::Admin, name, BTreeSet::new()).await,
            // A platform's or a broker's password opens no door for people.
            _ => Err(Error::Unauthorized),
        }
    }

    /// Signs in whom the identity provider has named.
    pub(in crate::app) async fn open_session(
        &self,
        kind: Kind,
        name: String,
        groups: BTreeSet<String>,
    ) -> Result<Secret<String>, Error> {
        let made = secret::generate_password()?;
        let (hash, now) = (secret::hash_password(made.expose()), self.clock().now());
        let caller = match kind {
            Kind::Admin => Caller::Admin(name.clone()),
            Kind::User => Caller::User(Box::new(self.user(name.clone(), groups.clone()).await?)),
        };
        let row =
            SessionRow { kind, name, groups, created_at: now, seen_at: now, expires_at: self.rests_until(now, now) };
        let audited = self.audit_row(&caller, "session.open", caller.actor(), json!({}));
        let opened = self.db().write::<_, Error, _>(move |tx| {
            let (hash, row, audited) = (hash.clone(), row.clone(), audited.clone());
            Box::pin(async move {
                sessions::insert(tx, &hash, &row).await?;
                sessions::prune(tx, now, (row.kind, &row.name), SESSIONS_MAX).await?;
                Ok(audit::append(tx, &audited).await?)
            })
        });
        opened.await?;
        Ok(made)
    }

    /// Who has the session of this secret; nobody where it has ended.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn session(&self, secret: &str) -> Result<Option<Caller>, Error> {
        let (hash, now) = (secret::hash_password(secret), self.clock().now());
        let Some(row) = self.session_row(&hash).await? else { return Ok(None) };
        if now.since(row.seen_at) >= self.config().portal.session_idle / TOUCHES {
            let until = self.rests_until(row.created_at, now);
            let seen = self.db().write::<_, Error, _>(move |tx| {
                let hash = hash.clone();
                Box::pin(async move { Ok(sessions::touch(tx, &hash, now, until).await?) })
            });
            seen.await?;
        }
        Ok(Some(self.caller_of(row).await?))
    }

    /// The same by the hash of the secret, for what goes on by itself: nobody was seen, so the session ends no later.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn session_unseen(&self, hash: &str) -> Result<Option<Caller>, Error> {
        match self.session_row(hash).await? {
            Some(row) => Ok(Some(self.caller_of(row).await?)),
            None => Ok(None),
        }
    }

    async fn session_row(&self, hash: &str) -> Result<Option<SessionRow>, Error> {
        let (key, now) = (hash.to_owned(), self.clock().now());
        let found = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let Some(row) = sessions::find(tx, &key, now).await? else { return Ok(None) };
                let gone =
                    row.kind == Kind::Admin && credentials::of_owner(tx, OwnerKind::Admin, &row.name).await?.is_empty();
                Ok(Some(row).filter(|_| !gone))
            })
        });
        found.await
    }

    async fn caller_of(&self, row: SessionRow) -> Result<Caller, Error> {
        Ok(match row.kind {
            Kind::Admin => Caller::Admin(row.name),
            Kind::User => Caller::User(Box::new(self.user(row.name, row.groups).await?)),
        })
    }

    /// Ends the session of this secret.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn close_session(&self, caller: &Caller, secret: &str) -> Result<(), Error> {
        let hash = secret::hash_password(secret);
        let audited = self.audit_row(caller, "session.close", caller.actor(), json!({}));
        let closed = self.db().write::<_, Error, _>(move |tx| {
            let (hash, audited) = (hash.clone(), audited.clone());
            Box::pin(async move {
                if sessions::delete(tx, &hash).await? {
                    audit::append(tx, &audited).await?;
                }
                Ok(())
            })
        });
        closed.await
    }

    fn rests_until(&self, created_at: Time, seen_at: Time) -> Time {
        let settings = &self.config().portal;
        created_at.plus(settings.session).min(seen_at.plus(settings.session_idle))
    }
}
