//! `bastion`: an SSH certificate authority. An instance is a bastion with CA keys of its own; a binding certifies a public key
//! for minutes or hours, and is revoked before its deletion is answered.
//!
//! It deliberately makes no key for a user or a host: private keys never come here. What an SSH gateway asks of it is in
//! [`access`]. Invariants: a CA's private key is never on disk in clear; a certificate always names its principals, ends
//! within a bounded time, and stands in the audit.

pub mod access;
mod authority;
mod certificate;
pub mod gateway;
pub mod http;
mod issue;
pub mod krl;
mod material;
mod parameters;
pub mod plan;
pub mod process;
mod service;
mod store;
mod watch;

use std::path::PathBuf;

use osb::Object;
use osb::kit::{Clock, Db, Fault, Instance, Refusal, Sealer};
use russh::keys::HashAlg;

use self::access::Target;
use self::material::Subject;
use self::parameters::{Settings, TargetOrder};
use self::plan::Plan;
use self::store::{Kind, Store};
pub use self::store::{SCHEMA, StoreError, Verdict};
use self::watch::Watches;

/// What a bastion broker works with.
#[derive(Debug)]
pub struct Config {
    /// Its file, opened with [`SCHEMA`].
    pub db: Db,
    /// Seals the keys of CAs.
    pub sealer: Sealer,
    /// The time.
    pub clock: Clock,
    /// Its directory: revocation lists lie below it.
    pub data: PathBuf,
    /// Where hosts reach [`http`], without a slash at the end.
    pub public_url: String,
    /// The gateway of this process; without one, its plans can't be ordered.
    pub gateway: Option<GatewayAddress>,
    /// Where bastions behind the gateway lead to that name no targets.
    pub try_host: Option<Target>,
}

/// Where users reach the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its public key, an OpenSSH line.
    pub host_key: String,
}

/// The authority: an [`osb::kit::Service`] for platforms, and an [`access::Access`] for the gateway.
#[derive(Debug)]
pub struct Bastion {
    store: Store,
    clock: Clock,
    public_url: String,
    gateway: Option<GatewayAddress>,
    try_host: Option<Target>,
    watches: Watches,
}

impl Bastion {
    /// An authority.
    pub fn new(config: Config) -> Self {
        let Config { db, sealer, clock, data, public_url, gateway, try_host } = config;
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { store: Store::new(db, sealer, data), clock, public_url, gateway, try_host, watches: Watches::default() }
    }

    /// Reads the audit of an instance (by its resource) from its beginning.
    ///
    /// # Errors
    /// Where the file fails.
    pub async fn verify_audit(&self, resource: &str) -> Result<Verdict, StoreError> {
        self.store.verify(resource).await
    }

    fn plan(id: &str) -> Result<&'static Plan, Refusal> {
        Plan::by_id(id).ok_or_else(|| Refusal::Invalid("plan_id must be that of a plan of the catalog".into()))
    }

    fn settings(&self, instance: &Instance) -> Result<(&'static Plan, Settings), Refusal> {
        let plan = Self::plan(&instance.plan_id)?;
        Ok((plan, self.settings_of(&instance.parameters, plan)?))
    }

    fn settings_of(&self, parameters: &Object, plan: &Plan) -> Result<Settings, Refusal> {
        let mut settings = parameters::settings(parameters, plan)?;
        if let Some(target) = self.try_host.as_ref().filter(|_| plan.recording.is_some() && settings.targets.is_empty())
        {
            settings.targets.push(TargetOrder { target: target.clone(), via: None });
        }
        Ok(settings)
    }

    /// Where the public material of a bastion is served.
    fn url(&self, resource: &str) -> String {
        format!("{}/bastions/{resource}", self.public_url)
    }

    /// What the texts for users and hosts are made of.
    async fn subject<'a>(
        &'a self,
        resource: &str,
        plan: &Plan,
        settings: &'a Settings,
        now: i64,
    ) -> Result<Subject<'a>, Fault> {
        let user_cas = self.lines(resource, Kind::User, now).await?;
        let host_cas = self.lines(resource, Kind::Host, now).await?;
        let gateway = self.gateway.as_ref().filter(|_| plan.recording.is_some());
        Ok(Subject { settings, user_cas, host_cas, url: self.url(resource), gateway })
    }

    /// The public keys that are to be trusted, as lines.
    async fn lines(&self, resource: &str, kind: Kind, now: i64) -> Result<Vec<String>, StoreError> {
        let trusted = self.store.trusted(resource, kind, now).await?;
        let line = |key: &russh::keys::PublicKey| key.to_openssh().map_err(|_| StoreError::Corrupt("a public key"));
        trusted.iter().map(|ca| line(&ca.key)).collect()
    }

    /// The fingerprints of the same, the one that signs first.
    async fn fingerprints(&self, resource: &str, kind: Kind, now: i64) -> Result<Vec<String>, StoreError> {
        let trusted = self.store.trusted(resource, kind, now).await?;
        let mark = |signs: bool| if signs { "" } else { " (until its last certificate has expired)" };
        let text = |ca: &store::PublicCa| format!("{}{}", ca.key.fingerprint(HashAlg::Sha256), mark(ca.signs));
        Ok(trusted.iter().map(text).collect())
    }
}
