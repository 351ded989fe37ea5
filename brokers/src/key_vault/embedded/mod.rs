//! The driver `embedded`: vaults in this broker's own file, and Vault's API in front of them.
//!
//! It deliberately is no Vault: no unsealing, no policies of users' own, no other engines. Invariant: a secret value leaves
//! this module only towards a token that may read it, and lies on disk only under its vault's own key.

mod api;
mod envelope;
mod key_ring;
mod limits;
mod record;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Clock, Db, Fault, Issued, Refusal, Sealer};
use serde_json::json;

pub use self::api::Api;
use self::store::{Settings, Store, StoreError};
use super::driver::{Contents, Driver, Grantee, Key, Wanted};
use super::parameters::{Access, Auth};
use super::plan;

/// The tables that a [`Db`] must be opened with.
pub const SCHEMA: &str = include_str!("store/schema.sql");

/// What the mounts are called.
const KV: &str = "kv";
const TRANSIT: &str = "transit";
/// Where role ids log in.
const APPROLE: &str = "approle";

/// The driver.
pub(super) struct Embedded {
    store: Arc<Store>,
    address: String,
}

/// The driver, and what must be mounted at that address.
pub(super) fn new(db: Db, sealer: Sealer, clock: Clock, address: &str) -> (Embedded, Api) {
    let store = Arc::new(Store::new(db, sealer, clock));
    (Embedded { store: Arc::clone(&store), address: address.trim_end_matches('/').to_owned() }, Api::new(store))
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            return Self::unavailable("the vault's file is busy: try again later");
        }
        match error {
            StoreError::OutOfRoom(_) => Self::invalid(error.to_string()),
            error => Self::failed(error),
        }
    }
}

impl Embedded {
    fn mounts(has_keys: bool) -> Object {
        let mut mounts = Object::new();
        mounts.insert("kv".into(), KV.into());
        if has_keys {
            mounts.insert("transit".into(), TRANSIT.into());
        }
        mounts
    }

    async fn log_in_by_token(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault> {
        let ttl = grantee.access.ttl;
        let token = self.store.issue_token(grantee.name, ttl).await?;
        let credentials = self.credentials(grantee, json!({"method": "token", "accessor": token.accessor}));
        let mut credentials = credentials;
        credentials.insert("token".into(), token.clear.into());
        let expires_at = token.expires_at;
        Ok(Issued {
            credentials,
            expires_at: Some(expires_at),
            renew_before: Some(expires_at - ttl / 3),
            endpoints: vec![],
        })
    }

    async fn log_in_by_approle(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault> {
        let wrap_ttl = grantee.access.wrap_ttl;
        let creation_path = format!("auth/{APPROLE}/role/{}/secret-id", grantee.name);
        let issued = self.store.issue_secret_id(grantee.vault, grantee.name, &creation_path, wrap_ttl).await?;
        let auth = json!({
            "method": APPROLE,
            "path": format!("auth/{APPROLE}"),
            "role": grantee.name,
            "role_id": issued.role_id,
            "wrapped_secret_id": issued.wrapped,
            "wrap_ttl": format!("{wrap_ttl}s"),
            "creation_path": creation_path,
        });
        Ok(Issued { credentials: self.credentials(grantee, auth), ..Issued::default() })
    }

    fn credentials(&self, grantee: &Grantee<'_>, auth: serde_json::Value) -> Object {
        let mut credentials = Object::new();
        credentials.insert("address".into(), self.address.as_str().into());
        credentials.insert("namespace".into(), grantee.vault.into());
        credentials.insert("mounts".into(), Self::mounts(grantee.has_keys).into());
        credentials.insert("auth".into(), auth);
        credentials
    }
}

#[async_trait]
impl Driver for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn catalog(&self) -> &'static str {
        plan::CATALOG
    }

    fn check(&self, access: &Access) -> Result<(), Refusal> {
        match access.auth {
            Auth::AppRole | Auth::Token => Ok(()),
            Auth::Jwt => Err(Refusal::Invalid(
                "parameter `auth`: this vault can't check tokens of other issuers; jwt is there where the broker drives an OpenBao server: use approle or token"
                    .to_owned(),
            )),
        }
    }

    async fn make(&self, wanted: &Wanted<'_>) -> Result<Object, Fault> {
        let Wanted { name, order, has_keys } = wanted;
        self.store.make(name, &Settings::of(order), *has_keys).await?;
        if *has_keys {
            self.store.ensure_keys(name, &order.keys).await?;
        }
        let mut shown = Object::new();
        shown.insert("address".into(), self.address.as_str().into());
        shown.insert("namespace".into(), (*name).into());
        shown.insert("mounts".into(), Self::mounts(*has_keys).into());
        Ok(shown)
    }

    async fn reopen(&self, wanted: &Wanted<'_>) -> Result<Object, Fault> {
        self.store.reopen(wanted.name).await?;
        self.make(wanted).await
    }

    async fn tend(&self) -> Result<(), Fault> {
        Ok(self.store.tend().await?)
    }

    async fn rotate(&self, wanted: &Wanted<'_>, keys: &[String]) -> Result<(), Fault> {
        for key in keys {
            if !self.store.rotate_key(wanted.name, key).await? {
                return Err(Fault::invalid(format!("parameter `rotate`: there is no key `{key}`")));
            }
        }
        Ok(())
    }

    async fn close(&self, vault: &str) -> Result<(), Fault> {
        Ok(self.store.close(vault).await?)
    }

    async fn destroy(&self, vault: &str) -> Result<(), Fault> {
        Ok(self.store.destroy(vault).await?)
    }

    async fn grant(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault> {
        self.check(grantee.access)?;
        let Access { grant, auth, ttl, .. } = grantee.access;
        self.store.let_in(grantee.vault, grantee.name, grant, *ttl).await?;
        match auth {
            Auth::Token => self.log_in_by_token(grantee).await,
            Auth::AppRole | Auth::Jwt => self.log_in_by_approle(grantee).await,
        }
    }

    async fn revoke(&self, _: &str, grantee: &str) -> Result<(), Fault> {
        Ok(self.store.let_out(grantee).await?)
    }

    async fn look(&self, vault: &str, has_keys: bool) -> Result<Contents, Fault> {
        let requests = self.store.count(vault).await?;
        let secrets = self.store.live_secrets(vault).await?;
        let bytes = self.store.stored_bytes(vault).await?;
        let rings = if has_keys { self.store.rings(vault).await? } else { Vec::new() };
        let key = |ring: key_ring::Ring| Key {
            kind: ring.kind.name().to_owned(),
            latest_version: ring.latest(),
            versions: u64::try_from(ring.versions.len()).unwrap_or(u64::MAX),
            name: ring.name,
        };
        Ok(Contents {
            secrets,
            keys: rings.into_iter().map(key).collect(),
            requests: Some(requests),
            bytes: Some(bytes),
        })
    }
}
