//! The next key for stamps, because somebody asks for it: published before it signs, or, where the one that signs is compromised, at once.

use osb::stamp::Signer;
use serde_json::json;

use super::SigningKey;
use crate::app::stamps::{LOCK, MARGIN, sealed_place};
use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::store::stamp_keys::{self, StampKey};
use crate::store::{self, audit, leases};

impl App {
    /// Makes the next key. It signs once it has been published for as long as the settings say; where the one that signs is compromised,
    /// it signs at once, and all others are gone: brokers refuse what they signed as soon as they read the keys again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn rotate_stamp_keys(&self, caller: &Caller, compromised: bool) -> Result<Vec<SigningKey>, Error> {
        let signer = Signer::generate().map_err(|error| Error::Unavailable(error.to_string()))?;
        let public_key = serde_json::to_string(&signer.jwk())
            .map_err(|error| Error::Unavailable(format!("a key could not be written: {error}")))?;
        let now = self.clock().now();
        let signs_from = if compromised {
            // Also for a process whose clock is behind.
            Time(now.0.saturating_sub(i64::try_from(MARGIN.as_micros()).unwrap_or(0)))
        } else {
            now.plus(self.config().security.stamp_key_published_before)
        };
        let fresh = StampKey {
            kid: signer.kid().to_owned(),
            private_key: self.sealer().seal(&sealed_place(signer.kid()), signer.to_pkcs8())?,
            public_key,
            created_at: now,
            signs_from,
        };
        let row =
            self.audit_row(caller, "keys.stamps.rotate", "keys".to_owned(), json!({ "compromised": compromised }));
        let process = self.process().to_owned();
        let rotated = self.db().write::<_, store::Error, _>(move |tx| {
            let (process, fresh, row) = (process.clone(), fresh.clone(), row.clone());
            Box::pin(async move {
                leases::lock(tx, LOCK, &process).await?;
                let before = stamp_keys::all(tx).await?;
                let waits = before.last().is_some_and(|last| last.signs_from > fresh.created_at);
                if compromised {
                    for key in &before {
                        stamp_keys::delete(tx, &key.kid).await?;
                    }
                }
                // One that is published already and waits for its time is the next one.
                if compromised || !waits {
                    stamp_keys::insert(tx, &fresh).await?;
                }
                let after = stamp_keys::all(tx).await?;
                let kids =
                    |keys: &[StampKey]| Some(json!({ "keys": keys.iter().map(|key| &key.kid).collect::<Vec<_>>() }));
                audit::append(tx, &row.changed(kids(&before), kids(&after))).await
            })
        });
        rotated.await?;
        self.forget_stamp_keys();
        Ok(self.signing_keys().await?.0)
    }

    /// Forgets keys in memory that are not those of the database any more.
    pub(super) async fn forget_changed_stamp_keys(&self) -> Result<(), Error> {
        let kids = self.db().read(|tx| Box::pin(stamp_keys::kids(tx))).await?;
        if self.known_stamp_keys().is_some_and(|known| known != kids) {
            self.forget_stamp_keys();
        }
        Ok(())
    }
}
