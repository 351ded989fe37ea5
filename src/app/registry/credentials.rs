//! A broker's own credentials, with which it reports usage. A password is given out once, when it is made.

use serde_json::json;

use crate::app::platforms::Pair;
use crate::app::{App, Error};
use crate::domain::caller::Caller;
use crate::store::credentials::OwnerKind;
use crate::store::{Tx, audit, brokers, credentials};

/// Pairs that one broker may have at a time: enough for one to overlap the next.
const PAIRS_MAX: usize = 10;

impl App {
    /// Gives a broker a new pair; older ones work until they are deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Conflict`] where it has too many.
    pub async fn add_broker_credentials(&self, caller: &Caller, name: &str) -> Result<Pair, Error> {
        let pair = Pair::generate(name)?;
        let new = pair.row(OwnerKind::Broker, "", self.clock().now());
        let detail = json!({ "username": pair.username });
        let audit = self.audit_row(caller, "broker.credentials.create", format!("brokers/{name}"), detail);
        let name = name.to_owned();
        let added = self.db().write::<_, Error, _>(move |tx| {
            let (name, mut new, audit) = (name.clone(), new.clone(), audit.clone());
            Box::pin(async move {
                new.owner_id = lock(tx, &name).await?;
                let there = credentials::of_owner(tx, OwnerKind::Broker, &new.owner_id).await?.len();
                if there >= PAIRS_MAX {
                    let message = format!("broker `{name}` has {there} pairs of credentials: delete one first");
                    return Err(Error::conflict("too_many_credentials", message));
                }
                credentials::insert(tx, &new).await?;
                audit::append(tx, &audit).await?;
                Ok(())
            })
        });
        added.await?;
        Ok(pair)
    }

    /// Deletes one pair of a broker at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_broker_credentials(&self, caller: &Caller, name: &str, username: &str) -> Result<(), Error> {
        let detail = json!({ "username": username });
        let audit = self.audit_row(caller, "broker.credentials.delete", format!("brokers/{name}"), detail);
        let (name, username) = (name.to_owned(), username.to_owned());
        let deleted = self.db().write::<_, Error, _>(move |tx| {
            let (name, username, audit) = (name.clone(), username.clone(), audit.clone());
            Box::pin(async move {
                let id = lock(tx, &name).await?;
                if !credentials::delete(tx, OwnerKind::Broker, &id, &username).await? {
                    return Err(Error::not_found("credential", username));
                }
                Ok(audit::append(tx, &audit).await?)
            })
        });
        deleted.await
    }
}

async fn lock(tx: &mut Tx<'_>, name: &str) -> Result<String, Error> {
    brokers::hold(tx, name).await?.ok_or_else(|| Error::not_found("broker", name))
}
