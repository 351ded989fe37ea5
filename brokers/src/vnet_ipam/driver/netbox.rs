//! `netbox`: prefixes come from NetBox (4.x), by its REST API, and addresses are recorded there.
//!
//! Each object bears the mark of what it is for. NetBox knows no idempotency key, so an allocation looks for its mark, asks
//! for a prefix at most once, and looks again: of several the oldest counts, for ids grow, and the others are given back.
//! It makes no network. Invariant: whatever answers are lost, a resource is told of one prefix only, always the same.

mod api;
mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use serde_json::{Map, Value, json};

use self::api::{Api, ApiError};
pub use self::record::Mark;
use self::record::{ACTIVE, DEPRECATED, Held, RESERVED, Record};
use super::{AllocationRequest, Assigned, Driver, DriverError, NetworkSpec, PREFIXES_MAX, Workload};
use crate::vnet_ipam::prefix::Prefix;

const PREFIXES: &str = "/api/ipam/prefixes/";
const ADDRESSES: &str = "/api/ipam/ip-addresses/";
/// The routing domain of networks that name none.
const DEFAULT_DOMAIN: &str = "default";
/// How long NetBox lets a description be.
const MARK_MAX: usize = 200;
/// How much of what somebody typed is written beside it.
const TEXT_MAX: usize = 1_000;

/// Where NetBox is and what may be taken from it.
#[derive(Clone)]
pub struct Config {
    /// Its URL, without `/api`.
    pub url: String,
    /// An API token that may view, add, change and delete prefixes and addresses, of either version.
    pub token: String,
    /// By pool, or by `routing domain/pool` for domains other than `default`: the prefix whose free space it is.
    pub parents: BTreeMap<String, Parent>,
    /// Where the mark stands.
    pub mark: Mark,
    /// Whether the addresses of bindings are recorded, too.
    pub addresses: bool,
    /// How long one exchange may take.
    pub timeout: Duration,
    /// Roots that are trusted besides the system's, in PEM.
    pub ca_pem: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, parents, mark, addresses, timeout, token: _, ca_pem: _ } = self;
        f.debug_struct("Config")
            .field("url", url)
            .field("parents", parents)
            .field("mark", mark)
            .field("addresses", addresses)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// A prefix of NetBox that others are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// By its id.
    Id(u64),
    /// By itself: the only one of its VRF, or of the global table.
    Prefix {
        /// The prefix.
        prefix: Prefix,
        /// The id of its VRF.
        vrf: Option<u64>,
    },
}

impl FromStr for Parent {
    type Err = String;

    /// `17`, `10.0.0.0/8` or `10.0.0.0/8@3`, where 3 is the id of a VRF.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (prefix, vrf) = match text.split_once('@') {
            None => (text, Ok(None)),
            Some((prefix, vrf)) => (prefix, vrf.parse().map(Some)),
        };
        match (prefix.parse(), vrf) {
            (Ok(prefix), Ok(vrf)) => Ok(Self::Prefix { prefix, vrf }),
            _ => Err(format!("`{text}` is neither the id of a prefix nor PREFIX nor PREFIX@VRF-ID")),
        }
    }
}

/// Why NetBox can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The URL.
    #[error(
        "NetBox's URL must begin with http:// or https:// and hold a host, no credentials, no query and no fragment"
    )]
    Url,
    /// The token.
    #[error("NetBox's token is empty or holds what can't be sent in a header")]
    Token,
    /// The roots.
    #[error("the CA certificates are not PEM")]
    Ca,
    /// All else that the HTTP library refuses.
    #[error("the HTTP client can't be made: {0}")]
    Http(String),
    /// It is not there, or not as it must be.
    #[error("NetBox {0}")]
    NetBox(String),
}

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
            self.parent_id(parent).await.map_err(|error| StartError::NetBox(format!("pool `{pool}`: {error}")))?;
        }
        Ok(version)
    }

    /// The prefix that a pool's prefixes are taken from.
    async fn parent_id(&self, parent: &Parent) -> Result<u64, ApiError> {
        let (prefix, vrf) = match parent {
            Parent::Id(id) => {
                self.api.get(&object(PREFIXES, *id), &[]).await?;
                return Ok(*id);
            }
            Parent::Prefix { prefix, vrf } => (prefix.to_string(), *vrf),
        };
        let vrf_id = vrf.map_or_else(|| "null".to_owned(), |vrf| vrf.to_string());
        let found = self.list(PREFIXES, &[("prefix", &prefix), ("vrf_id", &vrf_id)]).await?;
        let found: Vec<_> = found.into_iter().filter(|one| one.is(&prefix) && one.vrf() == vrf).collect();
        match found.as_slice() {
            [one] => Ok(one.id),
            [] => Err(ApiError::Refused(200, format!("there is no prefix {prefix} there"))),
            _ => Err(ApiError::Refused(200, format!("there are several prefixes {prefix}: name one by its id"))),
        }
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

    fn parent(&self, domain: &str, pool: &str) -> Result<&Parent, DriverError> {
        let parents = &self.config.parents;
        let of_domain = parents.get(&format!("{domain}/{pool}"));
        let parent = of_domain.or_else(|| parents.get(pool).filter(|_| domain == DEFAULT_DOMAIN));
        parent.ok_or_else(|| {
            let known = parents.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            DriverError::Refused(format!("there is no pool `{pool}` in routing domain `{domain}`: use one of {known}"))
        })
    }

    async fn take(&self, request: &AllocationRequest, domain: &str, mark: &str) -> Result<(), DriverError> {
        let parent = self.parent_id(self.parent(domain, &request.pool)?).await.map_err(failed)?;
        let mut body = Map::new();
        body.insert("prefix_length".to_owned(), request.length.into());
        body.insert("status".to_owned(), RESERVED.into());
        self.config.mark.put(&mut body, mark, &text(request));
        let added = self.api.add(&format!("{PREFIXES}{parent}/available-prefixes/"), &body.into()).await;
        match added {
            // Whether it is there, and whether it is the one that counts, shows by looking.
            Ok(_) | Err(ApiError::Unknown(_)) => Ok(()),
            Err(ApiError::Full) => Err(DriverError::Refused(format!(
                "no free /{} in pool `{}`: ask for a longer prefix_length or another pool",
                request.length, request.pool
            ))),
            // With a unique custom field: it is there since a moment ago.
            Err(ApiError::Refused(400, detail)) if detail.contains("unique") => Ok(()),
            Err(error) => Err(failed(error)),
        }
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
        let mark = prefix_mark(&request.resource, request.number);
        if mark.len() > MARK_MAX || request.number >= PREFIXES_MAX {
            return Err(DriverError::Failed { what: "the prefix can't be marked".to_owned(), detail: Some(mark) });
        }
        let mut held = self.settled(PREFIXES, &mark).await?.first;
        if held.is_none() {
            if request.wanted.is_some() {
                let sentence = "NetBox chooses the prefixes here: ask for `prefix_length` instead of `cidr`";
                return Err(DriverError::Refused(sentence.to_owned()));
            }
            self.take(request, domain, &mark).await?;
            held = self.settled(PREFIXES, &mark).await?.first;
        }
        // Not asked again here: the first order may still be under way, and the caller's next one will find it.
        let held = held.ok_or_else(lost)?;
        let prefix = prefix_of(&held)?;
        if (prefix.version(), prefix.length()) != (request.version, request.length) {
            let what = "NetBox holds a prefix of another size or version for this network".to_owned();
            return Err(DriverError::Failed { what, detail: Some(prefix.to_string()) });
        }
        Ok(Some(prefix))
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

fn prefix_of(record: &Record) -> Result<Prefix, DriverError> {
    record.range.parse().map_err(|_| DriverError::Failed {
        what: "NetBox holds what is no prefix".to_owned(),
        detail: Some(record.range.clone()),
    })
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

/// What people read beside it.
fn text(request: &AllocationRequest) -> String {
    let tenant = request.tenant.as_ref().map(|tenant| format!("Tenant {} ({}). ", tenant.name, tenant.id));
    let text = format!("{}{}", tenant.unwrap_or_default(), request.description);
    text.chars().take(TEXT_MAX).collect()
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
