//! What vnet-ipam answers: networks and addresses as OSB shows them, and what its errors mean on the wire.
//!
//! The one place of this broker that knows outcomes of OSB; sentences are made where the fault is found. A fault of the
//! database is logged here, and the caller learns only that there was one.

use osb::{BindResponse, Error, Maybe, Object, ProvisionResponse};
use serde_json::{Value, json};

use super::parameters::Refusal;
use super::prefix::Prefix;
use super::store::{self, Address, Network};

/// The answer to a provision.
pub(super) fn provisioned(network: &Network) -> ProvisionResponse {
    let mut attributes = Object::new();
    attributes.insert("cidr".into(), network.prefix.to_string().into());
    attributes.insert("gateway".into(), gateway(network.prefix).into());
    attributes.insert("ip_version".into(), network.prefix.version().number().into());
    attributes.insert("pool".into(), network.pool.as_str().into());
    attributes.insert("routing_domain".into(), network.routing_domain.as_str().into());
    attributes.insert("subnets".into(), subnets(network));
    if let Some(tenant) = &network.tenant {
        attributes.insert("tenant".into(), json!({"id": tenant.id, "name": tenant.name}));
    }
    let mut metadata = Object::new();
    metadata.insert("attributes".into(), attributes.into());
    ProvisionResponse { metadata: Maybe::Present(metadata), ..ProvisionResponse::default() }
}

/// The answer to a bind.
pub(super) fn bound(network: &Network, address: &Address) -> BindResponse {
    let subnet = network.subnets.iter().find(|subnet| Some(&subnet.name) == address.subnet.as_ref());
    let range = subnet.map_or(network.prefix, |subnet| subnet.prefix);
    let mut credentials = Object::new();
    credentials.insert("network_id".into(), network.id.as_str().into());
    credentials.insert("routing_domain".into(), network.routing_domain.as_str().into());
    credentials.insert("cidr".into(), network.prefix.to_string().into());
    credentials.insert("ip".into(), network.prefix.version().address(address.value).to_string().into());
    credentials.insert("prefix_length".into(), range.length().into());
    credentials.insert("gateway".into(), gateway(range).into());
    if let Some(subnet) = subnet {
        credentials.insert("subnet".into(), subnet.name.as_str().into());
    }
    if let Some(hostname) = &address.hostname {
        credentials.insert("hostname".into(), hostname.as_str().into());
    }
    credentials.insert("subnets".into(), subnets(network));
    BindResponse { credentials: Maybe::Present(credentials), ..BindResponse::default() }
}

fn subnets(network: &Network) -> Value {
    let shown = network.subnets.iter().map(
        |subnet| json!({"name": subnet.name, "cidr": subnet.prefix.to_string(), "gateway": gateway(subnet.prefix)}),
    );
    shown.collect()
}

/// The first address behind the network's own.
fn gateway(range: Prefix) -> String {
    range.version().address(range.first() + 1).to_string()
}

/// What the store's errors mean.
pub(super) fn from_store(error: store::Error) -> Error {
    use store::Error as E;
    match error {
        E::NotFound => Error::not_found("there is no service instance with this id"),
        E::Exists => Error::conflict("this id is taken"),
        E::NoPool { .. }
        | E::OutsidePools { .. }
        | E::Full { .. }
        | E::Taken { .. }
        | E::SubnetFull { .. }
        | E::SubnetsMany
        | E::NoSubnet { .. }
        | E::NoAddress(_) => Error::bad_request(error.to_string()),
        E::SubnetDiffers { .. } => unchangeable(error.to_string()),
        E::Busy => Error::unavailable(error.to_string(), 1),
        E::Corrupt(_) | E::Database(_) => {
            tracing::error!(error = ?error, "the store of vnet-ipam failed");
            Error::internal("the store of this service broker failed; nothing was changed")
        }
    }
}

/// What they mean to a deletion: what went in the meantime is gone.
pub(super) fn deleted(error: store::Error) -> Error {
    if matches!(error, store::Error::NotFound) { Error::gone() } else { from_store(error) }
}

/// What refused parameters mean.
pub(super) fn from_refusal(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Invalid(sentence) => Error::bad_request(sentence),
        Refusal::Unchangeable(sentence) => unchangeable(sentence),
    }
}

/// A change that is never made, so that repeating it is of no use.
pub(super) fn unchangeable(sentence: impl Into<String>) -> Error {
    let mut error = Error::unprocessable("Unchangeable", sentence);
    error.body.update_repeatable = Maybe::Present(false);
    error
}
