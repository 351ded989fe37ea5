//! What the kit asks of networks: made, changed, taken away, and addresses given out.
//!
//! Each step is done in the store before the driver makes it real, and the driver takes it away before the store forgets it, so
//! that a crash in between leaves nothing at the driver that the store does not know.

use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Binding, Fault, Instance, Issued, Reading, Refusal, Service, Tenant, Window};

use super::driver::{AllocationRequest, DriverError, NetworkSpec, Range, Subnet};
use super::parameters::update::{self, Change, Standing};
use super::parameters::{self, NetworkOrder, Wanted};
use super::plan::{CATALOG, Plan};
use super::prefix::{Prefix, Version};
use super::store::{self, Address, Network, Placed, Status};
use super::{VnetIpam, answer};

/// How many networks one round removes at the driver, and how many may fail in it: each may take as long as a call may.
const REMOVED_AT_ONCE: usize = 100;
const FAILED_AT_ONCE: usize = 10;

impl VnetIpam {
    async fn network(&self, instance: &Instance) -> Result<Network, Fault> {
        let network = self.store.network(&instance.resource).await.map_err(answer::from_store)?;
        network.ok_or_else(|| Fault::failed("the network of a service instance is missing"))
    }

    /// A network as the driver shall make it.
    async fn spec(&self, instance: &Instance, network: &Network) -> Result<NetworkSpec, Fault> {
        let addresses = self.store.addresses(network).await.map_err(answer::from_store)?;
        Ok(spec_of(network, instance.tenant.clone(), &addresses))
    }

    /// Makes networks again that are not as they shall be, such as after a restart of the machine that bore them. Says how many
    /// there were. For the start of the program, while no orders come.
    ///
    /// # Errors
    /// Where the file can't be used. What the driver can't make is logged.
    pub async fn repair(&self) -> Result<usize, store::Error> {
        let mut repaired = 0;
        for network in self.store.confirmed().await? {
            let spec = spec_of(&network, None, &self.store.addresses(&network).await?);
            let done = match self.driver.check(&spec).await {
                Ok(findings) if findings.is_empty() => continue,
                Ok(findings) => {
                    tracing::warn!(network = network.resource, ?findings, "a network is not as it shall be");
                    self.driver.apply(&spec).await
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => repaired += 1,
                Err(error) => tracing::error!(network = network.resource, ?error, "a network can't be made again"),
            }
        }
        Ok(repaired)
    }

    /// Removes networks at the driver whose time has come. One that can't be removed is put off, so that it stops no other.
    async fn remove_rested(&self) -> Result<(), store::Error> {
        let mut failed = 0;
        for _ in 0..REMOVED_AT_ONCE {
            let Some(resource) = self.store.next_removable().await? else { break };
            let Err(error) = self.driver.remove(&resource).await else {
                self.store.removed(&resource).await?;
                continue;
            };
            tracing::error!(network = resource, ?error, "a network can't be removed now: it is tried again later");
            // An answer that was lost may be of a removal that is still to come.
            self.store.put_off(&resource, matches!(error, DriverError::Unavailable { .. })).await?;
            failed += 1;
            if failed >= FAILED_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// Asks the driver for a prefix.
    async fn allocate(&self, instance: &Instance, asked: Asked<'_>) -> Result<Placed, DriverError> {
        let description = instance.parameters.get("description").and_then(|description| description.as_str());
        let request = AllocationRequest {
            resource: instance.resource.clone(),
            number: asked.number,
            pool: asked.pool.to_owned(),
            routing_domain: Some(asked.routing_domain.to_owned()),
            version: asked.version,
            length: asked.length,
            wanted: asked.wanted,
            tenant: instance.tenant.clone(),
            description: description.unwrap_or_default().to_owned(),
        };
        let placed = self.driver.allocate(&request).await?;
        Ok(placed.map_or(Placed::Here, Placed::Elsewhere))
    }

    async fn make(&self, instance: &Instance, order: &NetworkOrder) -> Result<Network, Fault> {
        if let Some(network) = self.store.network(&instance.resource).await.map_err(answer::from_store)? {
            return Ok(network);
        }
        let (length, wanted) = match order.wanted {
            Wanted::Length(length) => (length, None),
            Wanted::Exactly(prefix) => (prefix.length(), Some(prefix)),
        };
        let (pool, routing_domain) = (order.pool_name(), order.routing_domain.as_str());
        let asked = Asked { number: 0, pool, routing_domain, version: order.version, length, wanted };
        let placed = self.allocate(instance, asked).await?;
        match self.store.create(&instance.resource, order, placed, tenant(instance)).await {
            Ok(network) => Ok(network),
            Err(error) => {
                if error.is_refusal() && matches!(placed, Placed::Elsewhere(_)) {
                    self.driver.remove(&instance.resource).await?;
                }
                Err(answer::from_store(error))
            }
        }
    }

    /// Asks the driver for what a change needs: the prefixes of an expired reservation again, another one to grow by.
    async fn allocate_change(&self, instance: &Instance, network: &Network, change: &Change) -> Result<Placed, Fault> {
        let (pool, routing_domain) = (network.pool.as_str(), network.routing_domain.as_str());
        let asked = Asked { number: 0, pool, routing_domain, version: network.version, length: 0, wanted: None };
        if change.confirm && network.status == Status::Expired {
            for (number, prefix) in network.prefixes.iter().enumerate() {
                let asked = Asked { number, length: prefix.length(), wanted: Some(*prefix), ..asked };
                if let Placed::Elsewhere(other) = self.allocate(instance, asked).await?
                    && other != *prefix
                {
                    return Err(Fault::invalid(format!("{prefix} is not free any more: order another network")));
                }
            }
        }
        match network.missing(change.length).filter(|_| change.length < network.length) {
            Some(length) => {
                let asked = Asked { number: network.prefixes.len(), length, ..asked };
                Ok(self.allocate(instance, asked).await?)
            }
            None => Ok(Placed::Here),
        }
    }
}

/// A prefix that the driver is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    number: usize,
    pool: &'a str,
    routing_domain: &'a str,
    version: Version,
    length: u8,
    wanted: Option<Prefix>,
}

/// A network as the driver shall make it.
fn spec_of(network: &Network, tenant: Option<Tenant>, addresses: &[Address]) -> NetworkSpec {
    let subnets = network.subnets.iter();
    let subnets = subnets.map(|subnet| Subnet { name: subnet.name.clone(), range: Range::new(subnet.prefix) });
    NetworkSpec {
        resource: network.resource.clone(),
        prefixes: network.prefixes.iter().copied().map(Range::new).collect(),
        subnets: subnets.collect(),
        routing_domain: Some(network.routing_domain.clone()),
        tenant,
        workloads: addresses.iter().map(answer::workload).collect(),
    }
}

fn tenant(instance: &Instance) -> Option<&str> {
    instance.tenant.as_ref().map(|tenant| tenant.name.as_str())
}

fn plan(instance: &Instance) -> Result<&'static Plan, Refusal> {
    Plan::by_id(&instance.plan_id).ok_or_else(|| Refusal::Invalid("this plan is not known here".to_owned()))
}

/// What is half done can't be called refused: the order comes again.
fn not_refused(error: DriverError) -> Fault {
    match error {
        DriverError::Refused(sentence) => Fault::failed(sentence),
        error => error.into(),
    }
}

#[async_trait]
impl Service for VnetIpam {
    fn catalog(&self) -> &'static str {
        CATALOG
    }

    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal> {
        match before {
            None => parameters::network(&wanted.parameters, plan(wanted)?).map(drop)?,
            Some(_) => update::check(&wanted.parameters)?,
        }
        Ok(())
    }

    fn check_binding(&self, _instance: &Instance, binding: &Binding) -> Result<(), Refusal> {
        parameters::address(&binding.parameters)?;
        Ok(())
    }

    fn merge(&self, current: &Object, asked: &Object) -> Object {
        update::merged(current, asked)
    }

    async fn create(&self, instance: &Instance) -> Result<Object, Fault> {
        let order = parameters::network(&instance.parameters, plan(instance)?).map_err(Refusal::from)?;
        let network = self.make(instance, &order).await?;
        // A reservation is an entry in the books; it becomes real when it is confirmed.
        if network.status == Status::Confirmed
            && let Err(error) = self.driver.apply(&self.spec(instance, &network).await?).await
        {
            if matches!(error, DriverError::Refused(_)) {
                self.retire(instance).await?;
            }
            return Err(error.into());
        }
        tracing::info!(instance.id, prefixes = ?network.prefixes, "network {} has its prefix", instance.id);
        Ok(Object::new())
    }

    async fn change(&self, before: &Instance, after: &Instance, asked: &Object) -> Result<Object, Fault> {
        let network = self.network(before).await?;
        let standing = Standing {
            version: network.version,
            length: network.length,
            cidr: network.prefixes.first().copied(),
            pool: &network.pool,
            routing_domain: &network.routing_domain,
        };
        let change = update::change(asked, &before.parameters, standing, plan(after)?).map_err(Refusal::from)?;
        let placed = self.allocate_change(after, &network, &change).await?;
        let changed = self.store.change(&after.resource, &change, placed, tenant(after)).await;
        let network = changed.map_err(answer::from_store)?;
        if network.status == Status::Confirmed {
            self.driver.apply(&self.spec(after, &network).await?).await.map_err(not_refused)?;
        }
        Ok(Object::new())
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        match self.store.network(&instance.resource).await.map_err(answer::from_store)? {
            Some(network) => {
                self.driver.retire(&self.spec(instance, &network).await?).await?;
                self.store.release(&instance.resource).await.map_err(answer::from_store)?;
                tracing::info!(instance.id, prefixes = ?network.prefixes, "network {} gave its prefix back", instance.id);
            }
            // It rests already, or it was never made here, but perhaps at the driver.
            None if self.store.rests(&instance.resource).await.map_err(answer::from_store)? => {}
            None => self.driver.remove(&instance.resource).await?,
        }
        Ok(())
    }

    fn retention(&self, _instance: &Instance) -> Option<Duration> {
        // A network holds no data; its prefixes rest by themselves.
        None
    }

    async fn purge(&self, _instance: &Instance) -> Result<(), Fault> {
        Ok(())
    }

    async fn issue(
        &self,
        instance: &Instance,
        binding: &Binding,
        _predecessor: Option<&Binding>,
    ) -> Result<Issued, Fault> {
        let order = parameters::address(&binding.parameters).map_err(Refusal::from)?;
        let network = self.network(instance).await?;
        if let Status::Reserved { .. } = network.status {
            // What somebody uses is no mere reservation any more.
            self.driver.apply(&self.spec(instance, &network).await?).await?;
        }
        let assigned = self.store.assign(&instance.resource, &binding.resource, &order).await;
        let (network, address) = assigned.map_err(answer::from_store)?;
        let workload = answer::workload(&address);
        let attached = self.driver.attach(&self.spec(instance, &network).await?, &workload).await;
        let attached = match attached {
            Ok(attached) => attached,
            Err(error) => {
                if matches!(error, DriverError::Refused(_)) {
                    self.store.unassign(&binding.resource).await.map_err(answer::from_store)?;
                }
                return Err(error.into());
            }
        };
        let mut credentials = answer::credentials(&instance.id, &network, &address);
        credentials.extend(attached);
        Ok(Issued { credentials, ..Issued::default() })
    }

    async fn revoke(&self, instance: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.driver.detach(&instance.resource, &binding.resource).await?;
        self.store.unassign(&binding.resource).await.map_err(answer::from_store)
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        Ok(answer::attributes(&self.network(instance).await?))
    }

    async fn measure(&self, instance: &Instance, _window: Window) -> Result<Vec<Reading>, Fault> {
        let network = self.network(instance).await?;
        let reserved = self.store.address_count(&instance.resource).await.map_err(answer::from_store)?;
        Ok(answer::readings(&network, reserved))
    }

    async fn tend(&self) -> Result<(), Fault> {
        self.store.tidy().await.map_err(answer::from_store)?;
        // First: it must not wait for a driver.
        self.look_at_pools().await.map_err(answer::from_store)?;
        self.remove_rested().await.map_err(answer::from_store)
    }
}

impl From<parameters::Refusal> for Refusal {
    fn from(refusal: parameters::Refusal) -> Self {
        match refusal {
            parameters::Refusal::Invalid(sentence) => Self::Invalid(sentence),
            parameters::Refusal::Unchangeable(sentence) => Self::Unchangeable(sentence),
        }
    }
}

impl store::Error {
    /// Whether it is an answer rather than a fault of this program or its file.
    fn is_refusal(&self) -> bool {
        !matches!(self, Self::Gone | Self::Busy | Self::Corrupt(_) | Self::Database(_))
    }
}
