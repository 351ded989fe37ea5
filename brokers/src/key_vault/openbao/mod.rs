//! The driver `openbao`: vaults on an OpenBao or HashiCorp Vault server.
//!
//! Each vault is a namespace of its own (OpenBao, Vault Enterprise) or has mounts of its own (Vault's community edition). Each
//! grantee has an auth mount, a token role and a policy of its own, so that taking those away ends every token that came from
//! it. It deliberately keeps nothing itself: what is there is asked for, so a repeat after a crash, or after somebody removed
//! things by hand, comes to the same end. Invariant: the broker's token and the secrets stay out of logs and errors.

mod call;
mod grant;
mod permissions;
mod place;

use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Clock, Fault, Issued, Refusal};
use serde_json::{Value, json};

pub use self::call::{AddressError, TokenSource};
use self::call::{CallError, Server};
use self::place::Place;
use super::driver::{Contents, Driver, Grantee, Key, Wanted};
use super::parameters::{Access, Auth, KeyOrder, Order};
use super::plan;

/// How many folders are walked to count secrets.
const FOLDERS_MAX: usize = 2000;
/// How often a mount that was just made, or a namespace that is going, is asked again, and how long apart.
const TRIES: usize = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A server and how it is used.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the broker reaches it.
    pub address: String,
    /// Where consumers reach it, where that is somewhere else.
    pub public_address: Option<String>,
    /// The broker's token.
    pub token: TokenSource,
    /// What keeps vaults apart.
    pub isolation: Isolation,
    /// The namespace that all of it lies in; the root where absent.
    pub namespace: Option<String>,
    /// Certificates of authorities, in PEM, that are trusted besides the usual ones.
    pub ca_pem: Option<String>,
    /// Whose tokens may log in where a binding asks for `jwt`.
    pub issuers: Vec<Issuer>,
}

/// What keeps vaults apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A namespace for each.
    Namespaces,
    /// Mounts for each.
    Mounts,
}

/// An issuer of JWTs that is trusted.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(try_from = "IssuerFields")]
pub struct Issuer {
    /// As in the claim `iss`.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: IssuerKeys,
}

/// Where an issuer's keys come from; the server fetches URLs, not the broker.
#[derive(Clone, Debug, PartialEq)]
pub enum IssuerKeys {
    /// A JWKS document.
    JwksUrl(String),
    /// OpenID Connect discovery.
    OidcDiscoveryUrl(String),
    /// The keys themselves, in PEM.
    PublicKeys(Vec<String>),
}

/// An issuer as it stands in a file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerFields {
    issuer: String,
    jwks_url: Option<String>,
    oidc_discovery_url: Option<String>,
    public_keys: Option<Vec<String>>,
}

impl TryFrom<IssuerFields> for Issuer {
    type Error = &'static str;

    fn try_from(fields: IssuerFields) -> Result<Self, Self::Error> {
        let IssuerFields { issuer, jwks_url, oidc_discovery_url, public_keys } = fields;
        let keys = match (jwks_url, oidc_discovery_url, public_keys) {
            (Some(url), None, None) => IssuerKeys::JwksUrl(url),
            (None, Some(url), None) => IssuerKeys::OidcDiscoveryUrl(url),
            (None, None, Some(keys)) if !keys.is_empty() => IssuerKeys::PublicKeys(keys),
            _ => return Err("an issuer has one of jwks_url, oidc_discovery_url and public_keys"),
        };
        Ok(Self { issuer, keys })
    }
}

/// Why a server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No client can be made.
    #[error("could not make a client for the vault server")]
    Client(#[from] AddressError),
    /// It can't be reached, is sealed, or does not know the token.
    #[error("could not use the vault server")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The broker's token may do too little.
    #[error("the broker's token may not do all that is needed: add to its policy {0}")]
    Forbidden(String),
}

/// The driver.
pub(super) struct OpenBao {
    server: Server,
    clock: Clock,
    isolation: Isolation,
    public_address: String,
    issuers: Vec<Issuer>,
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(_) | CallError::Sealed | CallError::Busy(_) => Self::Unavailable {
                what: "the vault server can't be used now: try again later".to_owned(),
                source: Some(error.into()),
            },
            other => Self::failed(other),
        }
    }
}

impl OpenBao {
    /// Connects and checks what the token may do.
    pub(super) async fn connect(config: Config, clock: Clock) -> Result<Self, StartError> {
        let Config { address, public_address, token, isolation, namespace, ca_pem, issuers } = config;
        let server = Server::new(&address, token, namespace.as_deref(), ca_pem.as_deref())?;
        let public_address = public_address.unwrap_or(address).trim_end_matches('/').to_owned();
        let missing = permissions::missing(&server, isolation).await;
        match missing.map_err(|error| StartError::Server(error.into()))? {
            missing if missing.is_empty() => Ok(Self { server, clock, isolation, public_address, issuers }),
            missing => Err(StartError::Forbidden(missing.join("; "))),
        }
    }

    fn place(&self, vault: &str) -> Place {
        Place::of(self.isolation, self.server.parent(), vault)
    }

    async fn make_namespace(&self, vault: &str) -> Result<(), CallError> {
        let path = format!("sys/namespaces/{vault}");
        let parent = self.server.parent();
        if self.server.get(parent, &path).await?.is_none() {
            self.server.post(parent, &path, &json!({})).await?;
        }
        Ok(())
    }

    async fn mount(&self, place: &Place, name: &str, what: &Value) -> Result<(), CallError> {
        let mounts = self.server.get(place.namespace(), "sys/mounts").await?.unwrap_or_default();
        if mounts["data"].get(format!("{name}/")).is_none() {
            self.server.post(place.namespace(), &format!("sys/mounts/{name}"), what).await?;
        }
        Ok(())
    }

    /// Whether a vault is there with all that it was made of.
    async fn stands(&self, place: &Place, wanted: &Wanted<'_>) -> Result<bool, CallError> {
        if self.isolation == Isolation::Namespaces {
            let path = format!("sys/namespaces/{}", wanted.name);
            if self.server.get(self.server.parent(), &path).await?.is_none() {
                return Ok(false);
            }
        }
        let mounts = self.server.get(place.namespace(), "sys/mounts").await?.unwrap_or_default();
        let is_there = |name: &str| mounts["data"].get(format!("{name}/")).is_some();
        Ok(is_there(&place.kv) && (!wanted.has_keys || is_there(&place.transit)))
    }

    async fn configure_kv(&self, place: &Place, order: &Order) -> Result<(), CallError> {
        let config = json!({
            "max_versions": order.max_versions,
            "delete_version_after": format!("{}s", order.delete_version_after.unwrap_or(0)),
        });
        let mut ticks = tokio::time::interval(BETWEEN_TRIES);
        let mut tries = 0;
        loop {
            ticks.tick().await;
            tries += 1;
            // A mount that was just made may say for a moment that it is being upgraded.
            match self.server.post(place.namespace(), &format!("{}/config", place.kv), &config).await {
                Err(CallError::Refused { status: 400, sentence }) if sentence.contains("pgrad") && tries < TRIES => {}
                other => return other.map(|_| ()),
            }
        }
    }

    async fn ensure_key(&self, place: &Place, key: &KeyOrder) -> Result<(), CallError> {
        let path = format!("{}/keys/{}", place.transit, key.name);
        let every = key.auto_rotate.unwrap_or(0);
        match self.server.get(place.namespace(), &path).await? {
            None => {
                let wanted = json!({"type": key.kind.name(), "exportable": false, "auto_rotate_period": every});
                self.server.post(place.namespace(), &path, &wanted).await?;
            }
            Some(standing) if standing["data"]["auto_rotate_period"].as_i64() != Some(every) => {
                let config = json!({"auto_rotate_period": every});
                self.server.post(place.namespace(), &format!("{path}/config"), &config).await?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    async fn limit(&self, place: &Place, wanted: &Wanted<'_>) -> Result<(), CallError> {
        for (name, path) in place.quotas(wanted.has_keys) {
            let quota = json!({"path": path, "rate": wanted.order.rps});
            // Quotas are the root namespace's.
            self.server.post(None, &format!("sys/quotas/rate-limit/{name}"), &quota).await?;
        }
        Ok(())
    }

    async fn count_secrets(&self, place: &Place) -> Result<u64, CallError> {
        let (mut secrets, mut folders, mut walked) = (0, vec![String::new()], 0);
        while let Some(folder) = folders.pop() {
            walked += 1;
            if walked > FOLDERS_MAX {
                return Err(CallError::Busy("there are too many folders to count"));
            }
            let listed = self.server.list(place.namespace(), &format!("{}/metadata/{folder}", place.kv)).await?;
            for entry in listed {
                if entry.ends_with('/') {
                    folders.push(format!("{folder}{entry}"));
                } else {
                    secrets += 1;
                }
            }
        }
        Ok(secrets)
    }

    async fn keys(&self, place: &Place) -> Result<Vec<Key>, CallError> {
        let mut keys = Vec::new();
        for name in self.server.list(place.namespace(), &format!("{}/keys", place.transit)).await? {
            let Some(key) = self.server.get(place.namespace(), &format!("{}/keys/{name}", place.transit)).await? else {
                continue;
            };
            let data = &key["data"];
            keys.push(Key {
                kind: data["type"].as_str().unwrap_or("unknown").to_owned(),
                latest_version: data["latest_version"].as_u64().unwrap_or(0),
                versions: data["keys"].as_object().and_then(|keys| u64::try_from(keys.len()).ok()).unwrap_or(0),
                name,
            });
        }
        Ok(keys)
    }

    /// Waits until a namespace that is going is gone.
    async fn await_gone(&self, vault: &str) -> Result<(), CallError> {
        let mut ticks = tokio::time::interval(BETWEEN_TRIES);
        for _ in 0..TRIES {
            ticks.tick().await;
            if self.server.get(self.server.parent(), &format!("sys/namespaces/{vault}")).await?.is_none() {
                return Ok(());
            }
        }
        Err(CallError::Busy("the namespace is still being deleted"))
    }

    /// The issuer that a binding means.
    fn issuer(&self, access: &Access) -> Result<&Issuer, Refusal> {
        let refused = |sentence: &str| Err(Refusal::Invalid(sentence.to_owned()));
        match (&access.claims.issuer, self.issuers.as_slice()) {
            (_, []) => refused(
                "parameter `auth`: no issuer of JWTs is trusted here: use approle or token, or ask the operator to add yours",
            ),
            (Some(name), issuers) => issuers.iter().find(|issuer| issuer.issuer == *name).map_or_else(
                || refused("parameter `bound_claims.iss`: this issuer is not trusted here: ask the operator to add it"),
                Ok,
            ),
            (None, [only]) => Ok(only),
            (None, _) => refused("parameter `bound_claims.iss` is needed, because several issuers are trusted here"),
        }
    }
}

#[async_trait]
impl Driver for OpenBao {
    fn name(&self) -> &'static str {
        "openbao"
    }

    fn catalog(&self) -> &'static str {
        plan::catalog_without_request_meters()
    }

    fn check(&self, access: &Access) -> Result<(), Refusal> {
        match access.auth {
            Auth::AppRole | Auth::Token => Ok(()),
            Auth::Jwt => self.issuer(access).map(|_| ()),
        }
    }

    async fn make(&self, wanted: &Wanted<'_>) -> Result<Object, Fault> {
        let place = self.place(wanted.name);
        if self.isolation == Isolation::Namespaces {
            self.make_namespace(wanted.name).await?;
        }
        self.mount(&place, &place.kv, &json!({"type": "kv", "options": {"version": "2"}})).await?;
        self.configure_kv(&place, wanted.order).await?;
        if wanted.has_keys {
            self.mount(&place, &place.transit, &json!({"type": "transit"})).await?;
            for key in &wanted.order.keys {
                self.ensure_key(&place, key).await?;
            }
        }
        self.limit(&place, wanted).await?;
        Ok(place.shown(&self.public_address, wanted.has_keys))
    }

    async fn reopen(&self, wanted: &Wanted<'_>) -> Result<Object, Fault> {
        // Before anything is made: an empty vault in its place would pass for the one that was deleted.
        if !self.stands(&self.place(wanted.name), wanted).await? {
            return Err(Fault::failed("the vault is not on the server any more: it can't be taken into use again"));
        }
        self.make(wanted).await
    }

    async fn tend(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn rotate(&self, wanted: &Wanted<'_>, keys: &[String]) -> Result<(), Fault> {
        let place = self.place(wanted.name);
        for key in keys {
            let path = format!("{}/keys/{key}", place.transit);
            if self.server.get(place.namespace(), &path).await?.is_none() {
                return Err(Fault::invalid(format!("parameter `rotate`: there is no key `{key}`")));
            }
            self.server.post(place.namespace(), &format!("{path}/rotate"), &json!({})).await?;
        }
        Ok(())
    }

    async fn close(&self, vault: &str) -> Result<(), Fault> {
        Ok(self.end_all_access(&self.place(vault)).await?)
    }

    async fn destroy(&self, vault: &str) -> Result<(), Fault> {
        let place = self.place(vault);
        match self.isolation {
            Isolation::Namespaces => {
                let path = format!("sys/namespaces/{vault}");
                if self.server.get(self.server.parent(), &path).await?.is_some() {
                    self.server.delete(self.server.parent(), &path).await?;
                    self.await_gone(vault).await?;
                }
            }
            Isolation::Mounts => {
                for mount in [&place.kv, &place.transit] {
                    self.server.delete(place.namespace(), &format!("sys/mounts/{mount}")).await?;
                }
            }
        }
        for (quota, _) in place.quotas(true) {
            self.server.delete(None, &format!("sys/quotas/rate-limit/{quota}")).await?;
        }
        Ok(())
    }

    async fn grant(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault> {
        self.give(grantee).await
    }

    async fn revoke(&self, vault: &str, grantee: &str) -> Result<(), Fault> {
        Ok(self.end_access(&self.place(vault), grantee).await?)
    }

    async fn look(&self, vault: &str, has_keys: bool) -> Result<Contents, Fault> {
        let place = self.place(vault);
        let keys = if has_keys { self.keys(&place).await? } else { Vec::new() };
        Ok(Contents { secrets: self.count_secrets(&place).await?, keys, requests: None, bytes: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_read_with_one_kind_of_keys_each() {
        let read = |fields: Value| serde_json::from_value::<Issuer>(fields);
        let issuer = read(json!({"issuer": "https://i.example", "jwks_url": "https://i.example/keys"})).unwrap();
        assert_eq!(issuer.keys, IssuerKeys::JwksUrl("https://i.example/keys".to_owned()));
        assert!(read(json!({"issuer": "https://i.example", "public_keys": ["PEM"]})).is_ok());
        for wrong in [
            json!({"issuer": "https://i.example"}),
            json!({"issuer": "https://i.example", "public_keys": []}),
            json!({"issuer": "https://i.example", "jwks_url": "a", "oidc_discovery_url": "b"}),
            json!({"issuer": "https://i.example", "jwks_uri": "a"}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
