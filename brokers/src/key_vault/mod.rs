//! `key-vault`: vaults for secrets and keys, behind the API of HashiCorp Vault and OpenBao.
//!
//! An instance is a vault of its own, a binding lets one consumer in. Two drivers make vaults: `embedded` keeps them in this
//! broker's own file and answers Vault's API itself, `openbao` drives an OpenBao or Vault server. This file only translates
//! between the kit and a driver; it deliberately sees no secret value. Invariant: what a binding gave is of no use once it
//! was revoked, and a deleted vault lets nobody in.

mod driver;
mod embedded;
mod openbao;
mod parameters;
pub mod plan;
mod policy;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Binding, Clock, Db, Fault, Instance, Issued, Reading, Refusal, Sealer, Service, Window};
use serde_json::{Value, json};

use self::driver::{Contents, Driver, Grantee, Wanted};
pub use self::embedded::{Api, SCHEMA};
pub use self::openbao::{
    AddressError, Config as OpenBaoConfig, Isolation, Issuer, IssuerKeys, StartError, TokenSource,
};
use self::parameters::Order;
use self::plan::Plan;

const DAY: u64 = 24 * 60 * 60;

/// The service that the kit's broker turns into a service broker. Cheap to clone.
#[derive(Clone)]
pub struct KeyVault {
    driver: Arc<dyn Driver>,
}

impl std::fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyVault").field("driver", &self.driver.name()).finish()
    }
}

impl KeyVault {
    /// Vaults in that file, which was opened with [`SCHEMA`]; consumers reach them at `address`, where the [`Api`] must be
    /// mounted.
    pub fn embedded(db: Db, sealer: Sealer, clock: Clock, address: &str) -> (Self, Api) {
        let (driver, api) = embedded::new(db, sealer, clock, address);
        (Self { driver: Arc::new(driver) }, api)
    }

    /// Vaults on an OpenBao or Vault server.
    ///
    /// # Errors
    /// Where the server can't be used like that; the sentence says what is missing.
    pub async fn openbao(config: OpenBaoConfig, clock: Clock) -> Result<Self, StartError> {
        Ok(Self { driver: Arc::new(openbao::OpenBao::connect(config, clock).await?) })
    }

    async fn contents(&self, instance: &Instance) -> Result<Contents, Fault> {
        self.driver.look(&name(&instance.resource), plan(instance)?.has_keys()).await
    }
}

/// The name of what belongs to a resource: letters, digits and dashes.
fn name(resource: &str) -> String {
    let plain = resource.bytes().filter(|b| b.is_ascii_alphanumeric() || *b == b'-').map(|b| b.to_ascii_lowercase());
    plain.map(char::from).collect()
}

/// What an application must be able to reach to use these credentials.
fn endpoints(credentials: &Object) -> Vec<Value> {
    let address =
        credentials.get("address").and_then(Value::as_str).and_then(|address| reqwest::Url::parse(address).ok());
    let endpoint = |address: reqwest::Url| {
        let (host, port) = (address.host_str()?, address.port_or_known_default()?);
        Some(json!({"host": host, "ports": [port.to_string()], "protocol": "tcp"}))
    };
    address.and_then(endpoint).into_iter().collect()
}

fn plan(instance: &Instance) -> Result<Plan, Refusal> {
    Plan::by_id(&instance.plan_id)
        .ok_or_else(|| Refusal::Invalid("there is no such plan: take one of the catalog".to_owned()))
}

fn order(instance: &Instance) -> Result<Order, Refusal> {
    parameters::order(&instance.parameters, plan(instance)?)
}

#[async_trait]
impl Service for KeyVault {
    fn catalog(&self) -> &'static str {
        self.driver.catalog()
    }

    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal> {
        let after = parameters::order(&wanted.parameters, plan(wanted)?)?;
        let Some(before) = before else { return Ok(()) };
        if plan(before)?.has_keys() && !plan(wanted)?.has_keys() {
            let sentence = "a vault can't go from plan kv-transit back to kv, because its keys would be lost";
            return Err(Refusal::Unchangeable(sentence.to_owned()));
        }
        parameters::check_change(&order(before)?, &after)
    }

    fn check_binding(&self, instance: &Instance, binding: &Binding) -> Result<(), Refusal> {
        self.driver.check(&parameters::access(&binding.parameters, plan(instance)?)?)
    }

    fn merge(&self, current: &Object, asked: &Object) -> Object {
        parameters::merge(current, asked)
    }

    async fn create(&self, instance: &Instance) -> Result<Object, Fault> {
        let (name, order) = (name(&instance.resource), order(instance)?);
        self.driver.make(&Wanted { name: &name, order: &order, has_keys: plan(instance)?.has_keys() }).await
    }

    async fn change(&self, _: &Instance, after: &Instance, asked: &Object) -> Result<Object, Fault> {
        let rotate = parameters::rotation(asked, plan(after)?)?;
        let (name, order) = (name(&after.resource), order(after)?);
        let wanted = Wanted { name: &name, order: &order, has_keys: plan(after)?.has_keys() };
        let others: Vec<_> = rotate.iter().filter(|name| !order.keys.iter().any(|key| key.name == **name)).collect();
        if !others.is_empty() {
            // Consumers make keys, too. Asked before anything is changed.
            let there = self.driver.look(wanted.name, wanted.has_keys).await?.keys;
            if let Some(name) = others.into_iter().find(|name| !there.iter().any(|key| key.name == **name)) {
                return Err(Fault::invalid(format!("parameter `rotate`: there is no key `{name}`")));
            }
        }
        let shown = self.driver.make(&wanted).await?;
        // After a crash in between a key may get two new versions: nothing is lost by that.
        self.driver.rotate(&wanted, &rotate).await?;
        Ok(shown)
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        self.driver.close(&name(&instance.resource)).await
    }

    fn retention(&self, instance: &Instance) -> Option<Duration> {
        let days = order(instance).map_or(30, |order| order.retention_days);
        Some(Duration::from_secs(u64::from(days) * DAY))
    }

    async fn purge(&self, instance: &Instance) -> Result<(), Fault> {
        self.driver.destroy(&name(&instance.resource)).await
    }

    async fn revive(&self, instance: &Instance) -> Result<Object, Fault> {
        let (name, order) = (name(&instance.resource), order(instance)?);
        self.driver.reopen(&Wanted { name: &name, order: &order, has_keys: plan(instance)?.has_keys() }).await
    }

    async fn issue(&self, instance: &Instance, binding: &Binding, _: Option<&Binding>) -> Result<Issued, Fault> {
        let (vault, grantee, plan, order) =
            (name(&instance.resource), name(&binding.resource), plan(instance)?, order(instance)?);
        let access = parameters::access(&binding.parameters, plan)?;
        let grantee =
            Grantee { vault: &vault, has_keys: plan.has_keys(), order: &order, name: &grantee, access: &access };
        let issued = self.driver.grant(&grantee).await?;
        Ok(Issued { endpoints: endpoints(&issued.credentials), ..issued })
    }

    async fn revoke(&self, instance: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.driver.revoke(&name(&instance.resource), &name(&binding.resource)).await
    }

    async fn tend(&self) -> Result<(), Fault> {
        self.driver.tend().await
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        let contents = self.contents(instance).await?;
        let mut shown = instance.state.0.clone();
        shown.insert("driver".into(), self.driver.name().into());
        if let Some(network) = order(instance)?.network {
            shown.insert("network".into(), network.into());
        }
        shown.insert("secrets".into(), contents.secrets.into());
        if plan(instance)?.has_keys() {
            let key =
                |key: &driver::Key| json!({"name": key.name, "type": key.kind, "latest_version": key.latest_version});
            shown.insert("keys".into(), contents.keys.iter().map(key).collect::<Value>());
        }
        Ok(shown)
    }

    async fn measure(&self, instance: &Instance, _: Window) -> Result<Vec<Reading>, Fault> {
        let contents = self.contents(instance).await?;
        let key_versions = contents.keys.iter().map(|key| key.versions).sum();
        let mut readings = vec![Reading::new("secrets", contents.secrets), Reading::new("key_versions", key_versions)];
        if let Some((api_ops, transit_ops)) = contents.requests {
            readings.push(Reading::new("api_ops", api_ops));
            readings.push(Reading::new("transit_ops", transit_ops));
        }
        readings.extend(contents.bytes.map(|bytes| Reading::new("stored_bytes", bytes)));
        Ok(readings)
    }
}
