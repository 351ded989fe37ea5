//! `netbox`: prefixes come from NetBox (4.x), by its REST API, and addresses are recorded there.
//!
//! Each object bears the mark of what it is for. NetBox knows no idempotency key, so an allocation looks for its mark, asks
//! for a prefix at most once, and looks again: of several the oldest counts, for ids grow, and the others are given back.
//! It makes no network. Invariant: whatever answers are lost, a resource is told of one prefix only, always the same.

mod api;
mod config;
mod place;
mod record;

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use osb::Object;
use serde_json::{Map, Value, json};

use self::api::{Api, ApiError};
pub use self::config::{Config, Parent, StartError};
pub use self::record::Mark;
use self::record::{ACTIVE, DEPRECATED, Held, RESERVED, Record};
use super::{AllocationRequest, Assigned, Driver, DriverError, NetworkSpec, PREFIXES_MAX, Workload};
use crate::vnet_ipam::prefix::Prefix;

const PREFIXES: &str = "/api/ipam/prefixes/";
const ADDRESSES: &str = "/api/ipam/ip-addresses/";

/// The driver.
pub struct NetBox {
    api: Api,
    config: Config,
}

impl fmt::Debug for NetBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetBox").field("config", &self.config).finish_non_exhaustive()
    }
}

impl NetBox {
    /// A driver. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the configuration is malformed.
    pub fn new(config: Config) -> Result<Self, StartError> {
        Ok(Self { api: Api::new(&config)?, config })
    }

    /// Finds out whether NetBox is there, lets the token in, and has what the configuration names. Returns its version.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub async fn check_start(&self) -> Result<String, StartError> {
        let said = |what: &str, error: ApiError| StartError::NetBox(format!("{what}: {error}"));
        let status = self.api.get("/api/status/", &[]).await.map_err(|error| said("can't be used", error))?;
        let version = status["netbox-version"].as_str().unwrap_or("an unknown version").to_owned();
        let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
        if major.is_none_or(|major| major < 4) {
            return Err(StartError::NetBox(format!("is {version}: 4.0 or later is needed")));
        }
        if let Mark::CustomField(name) = &self.config.mark {
            let found = self.api.list("/api/extras/custom-fields/", &[("name", name)]).await;
            let found = found.map_err(|error| said("does not show its custom fields", error))?;
            let field = found.iter().find(|field| field["name"].as_str() == Some(name));
            let Some(field) = field else {
                return Err(StartError::NetBox(format!("has no custom field `{name}`: add one of type text")));
            };
            if field["unique"] != Value::Bool(true) {
                tracing::warn!(
                    field = name,
                    "the custom field of the marks is not unique: NetBox may allocate twice for a moment"
                );
            }
        }
        for (pool, parent) in &self.config.parents {
            self.find_parent(parent).await.map_err(|error| StartError::NetBox(format!("pool `{pool}`: {error}")))?;
        }
        Ok(version)
    }

    async fn list(&self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<Record>, ApiError> {
        let found = self.api.list(path, filter).await?;
        let read = found.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
        read.map_err(|error| ApiError::Unknown(format!("answered what can't be read: {error}")))
    }

    /// What is held under marks, in their order.
    async fn held(&self, path: &str, marks: &[String]) -> Result<Vec<Held>, DriverError> {
        let name = self.config.mark.filter();
        let filter: Vec<_> = marks.iter().map(|mark| (name.as_str(), mark.as_str())).collect();
        let records = self.list(path, &filter).await.map_err(failed)?;
        let of =
            |mark: &String| records.iter().filter(|record| self.config.mark.is_on(record, mark)).cloned().collect();
        Ok(marks.iter().map(|mark| Held::of(of(mark))).collect())
    }

    /// The same for one mark; what came of lost answers is given back.
    async fn settled(&self, path: &str, mark: &str) -> Result<Held, DriverError> {
        let held = self.held(path, &[mark.to_owned()]).await?.pop().unwrap_or_default();
        for surplus in &held.surplus {
            tracing::warn!(
                netbox.id = surplus.id,
                "NetBox allocated twice, since an answer was lost; the later one is given back"
            );
            self.api.delete(&object(path, surplus.id)).await.map_err(failed)?;
        }
        Ok(held)
    }

    /// Records an address, unless it is.
    async fn record(&self, workload: &Workload, assigned: &Assigned, vrf: Option<u64>) -> Result<(), DriverError> {
        let mark = address_mark(&workload.binding_resource, assigned.address);
        let address = format!("{}/{}", assigned.address, assigned.prefix_length);
        let held = self.settled(ADDRESSES, &mark).await?;
        if let Some(first) = held.first {
            if first.is(&address) && first.status() == ACTIVE {
                return Ok(());
            }
            let body = json!({"address": address, "status": ACTIVE});
            return self.api.set(&object(ADDRESSES, first.id), &body).await.map_err(failed);
        }
        let mut body = Map::new();
        body.insert("address".to_owned(), address.into());
        body.insert("status".to_owned(), RESERVED.into());
        body.insert("vrf".to_owned(), vrf.into());
        if let Some(name) = workload.hostname.as_deref().filter(|name| is_dns_name(name)) {
            body.insert("dns_name".to_owned(), name.to_ascii_lowercase().into());
        }
        self.config.mark.put(&mut body, &mark, "");
        match self.api.add(ADDRESSES, &body.into()).await {
            Ok(_) | Err(ApiError::Unknown(_)) => {}
            Err(error) => return Err(failed(error)),
        }
        let first = self.settled(ADDRESSES, &mark).await?.first.ok_or_else(lost)?;
        self.api.set(&object(ADDRESSES, first.id), &json!({"status": ACTIVE})).await.map_err(failed)
    }

    /// The first prefixes of a network, by number, as far as NetBox holds them.
    async fn prefixes(&self, resource: &str) -> Result<Vec<Held>, DriverError> {
        let marks: Vec<_> = (0..PREFIXES_MAX).map(|number| prefix_mark(resource, number)).collect();
        self.held(PREFIXES, &marks).await
    }
}

#[async_trait]
impl Driver for NetBox {
    async fn allocate(&self, request: &AllocationRequest) -> Result<Option<Prefix>, DriverError> {
        // A domain of the network's own is none that NetBox has to keep free of overlaps.
        let Some(domain) = &request.routing_domain else { return Ok(None) };
        self.placed(request, domain).await.map(Some)
    }

    async fn apply(&self, network: &NetworkSpec) -> Result<(), DriverError> {
        if network.routing_domain.is_none() {
            return Ok(());
        }
        for (number, range) in network.prefixes.iter().enumerate() {
            let held = self.settled(PREFIXES, &prefix_mark(&network.resource, number)).await?;
            let first = held.first.filter(|first| first.is(&range.prefix.to_string()));
            let Some(first) = first else {
                let detail = Some(format!("prefix {} of network {}", range.prefix, network.resource));
                return Err(DriverError::Failed {
                    what: "NetBox no longer holds the network's prefix".to_owned(),
                    detail,
                });
            };
            if first.status() != ACTIVE {
                self.api.set(&object(PREFIXES, first.id), &json!({"status": ACTIVE})).await.map_err(failed)?;
            }
        }
        for workload in &network.workloads {
            self.attach(network, workload).await?;
        }
        Ok(())
    }

    async fn retire(&self, network: &NetworkSpec) -> Result<(), DriverError> {
        for first in self.prefixes(&network.resource).await?.into_iter().filter_map(|held| held.first) {
            if first.status() != DEPRECATED {
                self.api.set(&object(PREFIXES, first.id), &json!({"status": DEPRECATED})).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn remove(&self, resource: &str) -> Result<(), DriverError> {
        for Held { first, surplus, foreign } in self.prefixes(resource).await? {
            for one in foreign {
                tracing::warn!(netbox.id = one.id, "a prefix in NetBox bears the mark of another one: it is left");
            }
            // The oldest goes last: while it is there, none of the others can be taken for it.
            for one in surplus.into_iter().chain(first) {
                self.api.delete(&object(PREFIXES, one.id)).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn attach(&self, network: &NetworkSpec, workload: &Workload) -> Result<Object, DriverError> {
        if self.config.addresses && network.routing_domain.is_some() {
            let firsts = self.prefixes(&network.resource).await?;
            let vrf = firsts.into_iter().find_map(|held| held.first).and_then(|first| first.vrf());
            for assigned in &workload.addresses {
                self.record(workload, assigned, vrf).await?;
            }
        }
        Ok(Object::new())
    }

    async fn detach(&self, _resource: &str, binding_resource: &str) -> Result<(), DriverError> {
        if !self.config.addresses {
            return Ok(());
        }
        let marks = ["4", "6"].map(|version| format!("bourse:{binding_resource}/ipv{version}"));
        for Held { first, surplus, .. } in self.held(ADDRESSES, &marks).await? {
            for one in surplus.into_iter().chain(first) {
                self.api.delete(&object(ADDRESSES, one.id)).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn check(&self, network: &NetworkSpec) -> Result<Vec<String>, DriverError> {
        let mut findings = Vec::new();
        if network.routing_domain.is_none() {
            return Ok(findings);
        }
        for (number, held) in self.prefixes(&network.resource).await?.into_iter().enumerate() {
            let wanted = network.prefixes.get(number).map(|range| range.prefix.to_string());
            compare("prefix", wanted, &held, &mut findings);
        }
        for workload in network.workloads.iter().filter(|_| self.config.addresses) {
            for assigned in &workload.addresses {
                let mark = address_mark(&workload.binding_resource, assigned.address);
                let held = self.held(ADDRESSES, &[mark]).await?.pop().unwrap_or_default();
                let wanted = format!("{}/{}", assigned.address, assigned.prefix_length);
                compare("address", Some(wanted), &held, &mut findings);
            }
        }
        Ok(findings)
    }
}

/// What is not as it shall be under one mark.
fn compare(kind: &str, wanted: Option<String>, held: &Held, findings: &mut Vec<String>) {
    match (&wanted, &held.first) {
        (None, None) => {}
        (Some(wanted), None) => findings.push(format!("NetBox does not hold the {kind} {wanted}")),
        (None, Some(first)) => {
            findings.push(format!(
                "NetBox holds the {kind} {} (id {}), which the network does not have",
                first.range, first.id
            ));
        }
        (Some(wanted), Some(first)) if !first.is(wanted) => {
            findings
                .push(format!("NetBox holds the {kind} {} (id {}) where it shall be {wanted}", first.range, first.id));
        }
        (Some(wanted), Some(first)) if first.status() != ACTIVE => {
            findings.push(format!(
                "the {kind} {wanted} (id {}) is {} in NetBox and not active",
                first.id,
                first.status()
            ));
        }
        _ => {}
    }
    for one in held.surplus.iter().chain(&held.foreign) {
        findings.push(format!("NetBox holds another {kind} {} (id {}) with the same mark", one.range, one.id));
    }
}

fn object(path: &str, id: u64) -> String {
    format!("{path}{id}/")
}

fn prefix_mark(resource: &str, number: usize) -> String {
    if number == 0 { format!("bourse:{resource}") } else { format!("bourse:{resource}/{number}") }
}

fn address_mark(binding_resource: &str, address: IpAddr) -> String {
    format!("bourse:{binding_resource}/ipv{}", if address.is_ipv4() { 4 } else { 6 })
}

/// What NetBox takes for one.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 255 && name.split('.').all(is_label)
}

fn lost() -> DriverError {
    DriverError::Unavailable {
        what: "NetBox's answer was lost: ask again".to_owned(),
        retry_after_seconds: None,
        detail: None,
    }
}

fn failed(error: ApiError) -> DriverError {
    let detail = Some(format!("NetBox {error}"));
    let what = "the address management can't be used now".to_owned();
    match error {
        ApiError::Busy { retry_after_seconds } => DriverError::Unavailable { what, retry_after_seconds, detail },
        ApiError::NotSent(_) | ApiError::Unknown(_) => {
            DriverError::Unavailable { what, retry_after_seconds: None, detail }
        }
        ApiError::Denied(_) | ApiError::NotFound | ApiError::Full | ApiError::Refused(..) => {
            DriverError::Failed { what: "the address management refuses".to_owned(), detail }
        }
    }
}
