//! Pairs of user name and password, of platforms and of brokers. They overlap while they rotate. A password is given out once,
//! when it is made.

use serde_json::{Value, json};

use super::{App, Error};
use crate::clock::{Time, fresh_id};
use crate::domain::caller::Caller;
use crate::secret::{self, Secret};
use crate::store::credentials::{CredentialRow, OwnerKind};
use crate::store::{Tx, audit, brokers, credentials, platforms};

/// Pairs that one platform or broker may have at a time: enough for one to overlap the next.
const PAIRS_MAX: usize = 10;

/// A user name and password that were just made. The password is not kept.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Unique.
    pub username: String,
    /// Given out once.
    pub password: Secret<String>,
}

impl Pair {
    /// Makes a pair for something with a name.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn generate(name: &str) -> Result<Self, secret::Error> {
        let id = fresh_id();
        let suffix = id.rsplit('-').next().unwrap_or_default();
        Ok(Self { username: format!("{name}-{suffix}"), password: secret::generate_password()? })
    }

    /// What is stored of it.
    pub(in crate::app) fn row(&self, owner_kind: OwnerKind, owner_id: &str, now: Time) -> CredentialRow {
        CredentialRow {
            username: self.username.clone(),
            owner_kind,
            owner_id: owner_id.to_owned(),
            secret_hash: secret::hash_password(self.password.expose()),
            created_at: now,
        }
    }
}

/// Whose pairs.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Platform,
    Broker,
}

impl Owner {
    fn kind(self) -> OwnerKind {
        match self {
            Self::Platform => OwnerKind::Platform,
            Self::Broker => OwnerKind::Broker,
        }
    }

    /// Takes the owner of that name for this transaction, and says its id.
    async fn hold(self, tx: &mut Tx<'_>, name: &str) -> Result<String, Error> {
        let held = match self {
            Self::Platform => platforms::lock(tx, name).await?,
            Self::Broker => brokers::hold(tx, name).await?,
        };
        held.ok_or_else(|| Error::not_found(self.kind().as_str(), name))
    }
}

impl App {
    /// Gives a platform one more pair of credentials; those it has go on working.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where it has many already.
    pub async fn add_platform_credentials(&self, caller: &Caller, name: &str) -> Result<Pair, Error> {
        self.add_pair(caller, Owner::Platform, name).await
    }

    /// Gives a broker a new pair, with which it reports usage; older ones work until they are deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Conflict`] where it has too many.
    pub async fn add_broker_credentials(&self, caller: &Caller, name: &str) -> Result<Pair, Error> {
        self.may_change_broker(caller, name).await?;
        self.add_pair(caller, Owner::Broker, name).await
    }

    /// The user names of a broker's pairs, for whoever may change them.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn broker_usernames(&self, caller: &Caller, name: &str) -> Result<Vec<String>, Error> {
        self.may_change_broker(caller, name).await?;
        let id = self.broker_row(name).await?.id;
        let read =
            self.db().read(|tx| Box::pin(async move { credentials::of_owner(tx, OwnerKind::Broker, &id).await }));
        Ok(read.await?.into_iter().map(|row| row.username).collect())
    }

    /// Deletes one pair of a platform at once, and says how many it has left: without any it can't call.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_platform_credentials(
        &self,
        caller: &Caller,
        name: &str,
        username: &str,
    ) -> Result<usize, Error> {
        self.delete_pair(caller, Owner::Platform, name, username).await
    }

    /// Deletes one pair of a broker at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_broker_credentials(&self, caller: &Caller, name: &str, username: &str) -> Result<(), Error> {
        self.may_change_broker(caller, name).await?;
        self.delete_pair(caller, Owner::Broker, name, username).await.map(drop)
    }

    async fn add_pair(&self, caller: &Caller, owner: Owner, name: &str) -> Result<Pair, Error> {
        let (pair, what) = (Pair::generate(name)?, owner.kind().as_str());
        let new = pair.row(owner.kind(), "", self.clock().now());
        let detail = json!({ "username": pair.username });
        let audit = self.audit_row(caller, &format!("{what}.credentials.create"), format!("{what}s/{name}"), detail);
        let name = name.to_owned();
        let added = self.db().write::<_, Error, _>(move |tx| {
            let (name, mut new, audit) = (name.clone(), new.clone(), audit.clone());
            Box::pin(async move {
                new.owner_id = owner.hold(tx, &name).await?;
                let there = credentials::of_owner(tx, owner.kind(), &new.owner_id).await?.len();
                if there >= PAIRS_MAX {
                    let message = format!("{what} `{name}` has {there} pairs of credentials: delete one first");
                    return Err(Error::conflict("too_many_credentials", message));
                }
                credentials::insert(tx, &new).await?;
                let usernames = usernames(tx, owner, &new.owner_id).await?;
                let was = usernames.iter().filter(|name| **name != new.username).cloned().collect();
                Ok(audit::append(tx, &audit.changed(Some(document(was)), Some(document(usernames)))).await?)
            })
        });
        added.await?;
        Ok(pair)
    }

    async fn delete_pair(&self, caller: &Caller, owner: Owner, name: &str, username: &str) -> Result<usize, Error> {
        let (detail, what) = (json!({ "username": username }), owner.kind().as_str());
        let audit = self.audit_row(caller, &format!("{what}.credentials.delete"), format!("{what}s/{name}"), detail);
        let (name, username) = (name.to_owned(), username.to_owned());
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, username, audit) = (name.clone(), username.clone(), audit.clone());
            Box::pin(async move {
                let id = owner.hold(tx, &name).await?;
                let was = usernames(tx, owner, &id).await?;
                if !credentials::delete(tx, owner.kind(), &id, &username).await? {
                    return Err(Error::not_found("credential", username));
                }
                let left = usernames(tx, owner, &id).await?;
                let pairs = left.len();
                audit::append(tx, &audit.changed(Some(document(was)), Some(document(left)))).await?;
                Ok(pairs)
            })
        });
        deleted.await
    }
}

async fn usernames(tx: &mut Tx<'_>, owner: Owner, id: &str) -> Result<Vec<String>, Error> {
    let pairs = credentials::of_owner(tx, owner.kind(), id).await?;
    Ok(pairs.into_iter().map(|pair| pair.username).collect())
}

/// Who has credentials, for the audit: names, never passwords or their hashes.
fn document(usernames: Vec<String>) -> Value {
    json!({ "usernames": usernames })
}
