//! `vnet-ipam`: virtual networks. An instance is a prefix that overlaps no other, a binding an address inside it.
//!
//! Pools of addresses, routing domains, IPv4 and IPv6, subnets, quarantine before a prefix is used again. Every call ends
//! at once, so nothing here is asynchronous. This file only translates between OSB and the store; it deliberately makes no
//! interface on any machine. Invariant: inside a routing domain no address is handed out twice (see `store`).

mod answer;
pub mod driver;
pub mod free_space;
mod parameters;
pub mod plan;
pub mod pool;
pub mod prefix;
mod store;

use std::path::PathBuf;

use async_trait::async_trait;
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, Maybe, Object, OperationState, ProvisionRequest, ProvisionResponse, Provisioned, ServiceBroker,
    UnbindRequest, Unbound, UpdateRequest, UpdateResponse, Updated,
};
use serde_json::Value;

use self::plan::{CATALOG, Plan, SERVICE_ID};
use self::pool::Pool;
pub use self::store::OpenError;
use self::store::{Address, Network, Store};
use osb::kit::clock::Clock;
use osb::kit::stamped::tenant_of;

/// How long a prefix that was given back stays out of use: 7 days.
pub const QUARANTINE_SECONDS: u32 = 7 * 24 * 60 * 60;

/// What a [`VnetIpam`] works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The SQLite file; made where it is not there.
    pub file: PathBuf,
    /// Where prefixes are taken from. An IPv6 pool `default-v6` is added where there is none.
    pub pools: Vec<Pool>,
    /// How long a prefix that was given back stays out of use.
    pub quarantine_seconds: u32,
    /// The time.
    pub clock: Clock,
}

impl Config {
    /// The built-in pools, seven days of quarantine, and the system's time.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let pools = vec![Pool::built_in()];
        Self { file: file.into(), pools, quarantine_seconds: QUARANTINE_SECONDS, clock: Clock::System }
    }
}

/// The service broker.
#[derive(Debug)]
pub struct VnetIpam {
    store: Store,
}

impl VnetIpam {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Where the pools or the file can't be used.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let Config { file, pools, quarantine_seconds, clock } = config;
        Ok(Self { store: Store::open(&file, pools, quarantine_seconds, clock).await? })
    }

    /// Closes the file, at the end of the program: then nothing lies beside it.
    pub async fn close(&self) {
        self.store.close().await;
    }

    async fn network(&self, id: &str) -> Result<Network, Error> {
        let network = self.store.network(id).await.map_err(answer::from_store)?;
        network.ok_or_else(|| Error::not_found("there is no service instance with this id"))
    }

    /// What a repeat is answered: the same order is fine, another one is a conflict.
    fn repeated(network: &Network, request: &ProvisionRequest) -> Result<Provisioned, Error> {
        let same = network.service_id == request.service_id
            && network.plan_id == request.plan_id
            && network.organization_guid == request.organization_guid
            && network.space_guid == request.space_guid
            && Some(&network.parameters) == Some(&object(&request.parameters));
        if same {
            Ok(Provisioned::Existed(answer::provisioned(network)))
        } else {
            Err(Error::conflict("a service instance with this id exists with other attributes"))
        }
    }

    fn bound_again(network: &Network, address: &Address, request: &BindRequest) -> Result<Bound, Error> {
        let same = belongs(network, request.service_id.as_option(), request.plan_id.as_option())
            && address.parameters == object(&request.parameters);
        if same {
            Ok(Bound::Existed(answer::bound(network, address)))
        } else {
            Err(Error::conflict("a service binding with this id exists with other attributes"))
        }
    }
}

/// Parameters, where absent and `null` are the same as none.
fn object(parameters: &Maybe<Object>) -> Object {
    parameters.as_option().cloned().unwrap_or_default()
}

fn belongs(network: &Network, service_id: Option<&String>, plan_id: Option<&String>) -> bool {
    service_id == Some(&network.service_id) && plan_id == Some(&network.plan_id)
}

fn check_belongs(network: &Network, service_id: Option<&String>, plan_id: Option<&String>) -> Result<(), Error> {
    if belongs(network, service_id, plan_id) {
        Ok(())
    } else {
        Err(Error::bad_request("service_id and plan_id are required and must be those of the service instance"))
    }
}

#[async_trait]
impl ServiceBroker for VnetIpam {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, Error> {
        Ok(CatalogDocument { json: CATALOG.into(), etag: None })
    }

    async fn provision(&self, _call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        if let Some(network) = self.store.network(&request.instance_id).await.map_err(answer::from_store)? {
            return Self::repeated(&network, &request);
        }
        let plan = Plan::by_id(&request.plan_id).filter(|_| request.service_id == SERVICE_ID);
        let plan =
            plan.ok_or_else(|| Error::bad_request("service_id and plan_id must be those of a plan of the catalog"))?;
        let maintenance = request.maintenance_info.as_option().and_then(|info| info.version.as_option());
        if maintenance.is_some() {
            return Err(Error::maintenance_info_conflict("this plan has no maintenance_info: send none"));
        }
        let parameters = object(&request.parameters);
        let order = parameters::network(&parameters, plan).map_err(answer::from_refusal)?;
        let tenant = tenant_of(&request.context);
        let new = store::NewInstance {
            id: &request.instance_id,
            service_id: &request.service_id,
            plan_id: &request.plan_id,
            organization_guid: &request.organization_guid,
            space_guid: &request.space_guid,
            parameters: &parameters,
            tenant: tenant.as_ref(),
        };
        match self.store.create(&new, &order).await {
            Ok(network) => {
                tracing::info!(instance.id = network.id, prefix = %network.prefix, "network {} has its prefix", network.id);
                Ok(Provisioned::Created(answer::provisioned(&network)))
            }
            Err(store::Error::Exists) => Self::repeated(&self.network(&request.instance_id).await?, &request),
            Err(error) => Err(answer::from_store(error)),
        }
    }

    async fn fetch_instance(
        &self,
        _call: &Call,
        request: FetchInstanceRequest,
    ) -> Result<FetchInstanceResponse, Error> {
        let network = self.network(&request.instance_id).await?;
        let ProvisionResponse { metadata, .. } = answer::provisioned(&network);
        Ok(FetchInstanceResponse {
            service_id: Maybe::Present(network.service_id),
            plan_id: Maybe::Present(network.plan_id),
            parameters: Maybe::Present(network.parameters),
            metadata,
            ..FetchInstanceResponse::default()
        })
    }

    async fn instance_operation(
        &self,
        _call: &Call,
        request: InstanceOperationRequest,
    ) -> Result<LastOperation, Error> {
        self.network(&request.instance_id).await?;
        Ok(LastOperation::new(OperationState::Succeeded, "the network stands"))
    }

    async fn update(&self, _call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        let network = self.network(&request.instance_id).await?;
        if request.service_id != network.service_id {
            return Err(Error::bad_request("service_id must be that of the service instance"));
        }
        match request.plan_id.as_option() {
            Some(plan) if Plan::by_id(plan).is_none() => {
                return Err(Error::bad_request("plan_id must be that of a plan of the catalog"));
            }
            Some(plan) if *plan != network.plan_id => {
                return Err(answer::unchangeable("the plan of a network can't be changed: order another network"));
            }
            _ => {}
        }
        if request.maintenance_info.as_option().and_then(|info| info.version.as_option()).is_some() {
            return Err(Error::maintenance_info_conflict("this plan has no maintenance_info: send none"));
        }
        let asked = object(&request.parameters);
        let subnets = parameters::changes(&asked, &network.parameters, network.prefix).map_err(answer::from_refusal)?;
        let tenant = tenant_of(&request.context);
        let changed = self.store.change(&network.id, |current| merged(current, &asked), &subnets, tenant.as_ref());
        changed.await.map_err(answer::from_store)?;
        Ok(Updated::Done(UpdateResponse {
            metadata: answer::provisioned(&self.network(&request.instance_id).await?).metadata,
            ..UpdateResponse::default()
        }))
    }

    async fn deprovision(&self, _call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let network = self.store.network(&request.instance_id).await.map_err(answer::from_store)?;
        let network = network.ok_or_else(Error::gone)?;
        check_belongs(&network, Some(&request.service_id), Some(&request.plan_id))?;
        self.store.delete(&network.id).await.map_err(answer::deleted)?;
        tracing::info!(instance.id = network.id, prefix = %network.prefix, "network {} gave its prefix back", network.id);
        Ok(Deprovisioned::Done(Object::new()))
    }

    async fn bind(&self, _call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let network = self.network(&request.instance_id).await?;
        let present = self.store.address(&network.id, &request.binding_id).await.map_err(answer::from_store)?;
        if let Some(address) = present {
            return Self::bound_again(&network, &address, &request);
        }
        if request.predecessor_binding_id.as_option().is_some() {
            return Err(Error::bad_request("bindings of this plan can't be rotated: an address does not wear out"));
        }
        check_belongs(&network, request.service_id.as_option(), request.plan_id.as_option())?;
        let parameters = object(&request.parameters);
        let order = parameters::address(&parameters).map_err(answer::from_refusal)?;
        match self.store.reserve(&network.id, &request.binding_id, &parameters, &order).await {
            Ok((network, address)) => Ok(Bound::Created(answer::bound(&network, &address))),
            Err(store::Error::Exists) => {
                let present = self.store.address(&network.id, &request.binding_id).await.map_err(answer::from_store)?;
                let address = present.ok_or_else(|| Error::concurrency("this service binding is being deleted"))?;
                Self::bound_again(&network, &address, &request)
            }
            Err(error) => Err(answer::from_store(error)),
        }
    }

    async fn fetch_binding(&self, _call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let network = self.network(&request.instance_id).await?;
        let present = self.store.address(&network.id, &request.binding_id).await.map_err(answer::from_store)?;
        let address = present.ok_or_else(|| Error::not_found("there is no service binding with this id"))?;
        let binding = answer::bound(&network, &address);
        Ok(FetchBindingResponse { parameters: Maybe::Present(address.parameters), binding })
    }

    async fn binding_operation(&self, _call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        let present =
            self.store.address(&request.instance_id, &request.binding_id).await.map_err(answer::from_store)?;
        present.ok_or_else(|| Error::not_found("there is no service binding with this id"))?;
        Ok(LastOperation::new(OperationState::Succeeded, "the address is reserved"))
    }

    async fn unbind(&self, _call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let network = self.store.network(&request.instance_id).await.map_err(answer::from_store)?;
        let network = network.ok_or_else(Error::gone)?;
        let present = self.store.address(&network.id, &request.binding_id).await.map_err(answer::from_store)?;
        present.ok_or_else(Error::gone)?;
        check_belongs(&network, Some(&request.service_id), Some(&request.plan_id))?;
        self.store.free(&network.id, &request.binding_id).await.map_err(answer::deleted)?;
        Ok(Unbound::Done(Object::new()))
    }
}

/// The parameters after an update: what was asked replaces what stood, but subnets are added to those that are there.
fn merged(mut current: Object, asked: &Object) -> Object {
    for (name, value) in asked {
        match (current.get_mut(name), value) {
            (Some(Value::Array(present)), Value::Array(added)) if name == "subnets" => {
                let missing: Vec<_> =
                    added.iter().filter(|new| !present.iter().any(|old| old["name"] == new["name"])).cloned().collect();
                present.extend(missing);
            }
            // A subnet list of `null` asks for nothing.
            (_, Value::Null) if name == "subnets" => {}
            _ => {
                current.insert(name.clone(), value.clone());
            }
        }
    }
    current
}
