//! What users ask for, read from parameters: each refusal names the parameter and says what to do.
//!
//! Pure. It deliberately does not know what is free or taken. Invariant: what is read here has a prefix length that the plan
//! allows and subnets that are smaller than their network.

pub(super) mod update;

use std::ops::RangeInclusive;

use osb::Object;
use serde_json::Value;

use super::free_space::Strategy;
use super::plan::Plan;
use super::pool::{DEFAULT_V4, DEFAULT_V6};
use super::prefix::{Prefix, Version};

/// How many subnets a network may have.
pub(super) const SUBNETS_MAX: usize = 64;
/// How long a description may be, in characters.
pub(super) const DESCRIPTION_MAX: usize = 255;
/// For how many seconds a network may be reserved.
pub(super) const RESERVE_TTL: RangeInclusive<u32> = 60..=30 * 24 * 60 * 60;
/// For how many it is, unless asked otherwise.
pub(super) const RESERVE_TTL_DEFAULT: u32 = 24 * 60 * 60;
/// The routing domain of networks that name none.
pub(super) const DEFAULT_DOMAIN: &str = "default";

const PROVISION: [&str; 10] = [
    "prefix_length",
    "cidr",
    "ip_version",
    "pool",
    "routing_domain",
    "strategy",
    "subnets",
    "description",
    "reserve",
    "reserve_ttl",
];
const BIND: [&str; 2] = ["hostname", "subnet"];

/// A network that is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct NetworkOrder {
    pub(super) version: Version,
    pub(super) wanted: Wanted,
    pub(super) pool: Option<String>,
    pub(super) routing_domain: String,
    pub(super) strategy: Strategy,
    pub(super) subnets: Vec<SubnetOrder>,
    /// For how many seconds it is only reserved; `None`: it is there to stay.
    pub(super) reserved_for: Option<u32>,
}

impl NetworkOrder {
    /// The pool that is meant where the driver decides, which knows pools of its own.
    pub(super) fn pool_name(&self) -> &str {
        self.pool.as_deref().unwrap_or(match self.version {
            Version::V4 => DEFAULT_V4,
            Version::V6 => DEFAULT_V6,
        })
    }
}

/// Any prefix of a length, or one in particular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    Length(u8),
    Exactly(Prefix),
}

/// A part of a network that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SubnetOrder {
    pub(super) name: String,
    pub(super) length: u8,
}

/// An address that is asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AddressOrder {
    pub(super) hostname: Option<String>,
    pub(super) subnet: Option<String>,
}

/// A sentence for the user.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    /// What was sent can't be read, or never means anything.
    #[error("{0}")]
    Invalid(String),
    /// It would mean a change that is never made.
    #[error("{0}")]
    Unchangeable(String),
}

fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::Invalid(sentence.into())
}

/// Reads the parameters of a provision.
pub(super) fn network(parameters: &Object, plan: &Plan) -> Result<NetworkOrder, Refusal> {
    only(parameters, &PROVISION)?;
    check_description(parameters)?;
    let cidr = text(parameters, "cidr")?
        .map(|text| text.parse::<Prefix>().map_err(|error| invalid(format!("parameter `cidr`: {error}"))))
        .transpose()?;
    let version = version(parameters, cidr)?;
    let length = integer(parameters, "prefix_length", 0..=128)?;
    let wanted = match (cidr, length) {
        (Some(cidr), Some(length)) if cidr.length() != length => {
            return Err(invalid(format!(
                "parameters `cidr` ({cidr}) and `prefix_length` ({length}) contradict each other: send one of them"
            )));
        }
        (Some(cidr), _) => Wanted::Exactly(cidr),
        (None, length) => Wanted::Length(length.unwrap_or(plan.lengths(version).default)),
    };
    let (name, length) = match wanted {
        Wanted::Length(length) => ("prefix_length", length),
        Wanted::Exactly(cidr) => ("cidr", cidr.length()),
    };
    check_length(name, plan, version, length)?;
    Ok(NetworkOrder {
        version,
        wanted,
        pool: name_of(parameters, "pool")?,
        routing_domain: name_of(parameters, "routing_domain")?.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned()),
        strategy: strategy(parameters)?,
        subnets: subnets(parameters, version, length)?,
        reserved_for: reserved_for(parameters)?,
    })
}

/// Reads the parameters of a bind.
pub(super) fn address(parameters: &Object) -> Result<AddressOrder, Refusal> {
    only(parameters, &BIND)?;
    let hostname = text(parameters, "hostname")?.map(str::to_owned);
    if let Some(hostname) = hostname.as_deref().filter(|hostname| !is_hostname(hostname)) {
        return Err(invalid(format!(
            "parameter `hostname`: `{hostname}` is not a host name: use at most 253 of letters, digits, - and ., as in web-1.example"
        )));
    }
    Ok(AddressOrder { hostname, subnet: name_of(parameters, "subnet")? })
}

fn only(parameters: &Object, known: &[&str]) -> Result<(), Refusal> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(invalid(format!("parameter `{unknown}` is not known here: use {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn check_length(parameter: &str, plan: &Plan, version: Version, length: u8) -> Result<(), Refusal> {
    let allowed = &plan.lengths(version).allowed;
    if allowed.contains(&length) {
        return Ok(());
    }
    Err(invalid(format!(
        "parameter `{parameter}`: plan {} allows prefix lengths from {} to {} for IPv{}, not {length}; take another plan for other sizes",
        plan.name,
        allowed.start(),
        allowed.end(),
        version.number()
    )))
}

/// Absent and `null` are the same for a parameter.
fn text<'a>(parameters: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(format!("parameter `{name}` must be a string"))),
    }
}

fn integer(parameters: &Object, name: &str, range: RangeInclusive<u8>) -> Result<Option<u8>, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
            number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
                invalid(format!("parameter `{name}` must be a whole number from {} to {}", range.start(), range.end()))
            })
        }
    }
}

fn name_of(parameters: &Object, name: &str) -> Result<Option<String>, Refusal> {
    match text(parameters, name)? {
        Some(value) if !is_name(value) => {
            Err(invalid(format!("parameter `{name}` must be 1 to 63 of a-z, 0-9 and -, not `{value}`")))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

fn version(parameters: &Object, cidr: Option<Prefix>) -> Result<Version, Refusal> {
    let asked = match integer(parameters, "ip_version", 0..=255)? {
        None => None,
        Some(4) => Some(Version::V4),
        Some(6) => Some(Version::V6),
        Some(_) => return Err(invalid("parameter `ip_version` must be 4 or 6")),
    };
    match (asked, cidr) {
        (Some(asked), Some(cidr)) if asked != cidr.version() => Err(invalid(format!(
            "parameters `cidr` ({cidr}) and `ip_version` ({}) contradict each other: send one of them",
            asked.number()
        ))),
        (asked, cidr) => Ok(asked.or(cidr.map(Prefix::version)).unwrap_or(Version::V4)),
    }
}

fn strategy(parameters: &Object) -> Result<Strategy, Refusal> {
    match text(parameters, "strategy")? {
        None | Some("best_fit") => Ok(Strategy::BestFit),
        Some("first_fit") => Ok(Strategy::FirstFit),
        Some("last_fit") => Ok(Strategy::LastFit),
        Some("sparse") => Ok(Strategy::Sparse),
        Some(_) => Err(invalid("parameter `strategy` must be best_fit, first_fit, last_fit or sparse")),
    }
}

/// For how long a network is only reserved, where it is.
fn reserved_for(parameters: &Object) -> Result<Option<u32>, Refusal> {
    let seconds = match parameters.get("reserve_ttl") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            let (least, most) = (RESERVE_TTL.start(), RESERVE_TTL.end());
            let within = seconds.filter(|seconds| RESERVE_TTL.contains(seconds));
            Some(within.ok_or_else(|| {
                invalid(format!("parameter `reserve_ttl` must be a whole number of seconds from {least} to {most}"))
            })?)
        }
    };
    match (flag(parameters, "reserve")?, seconds) {
        (true, seconds) => Ok(Some(seconds.unwrap_or(RESERVE_TTL_DEFAULT))),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(invalid("parameter `reserve_ttl` is for reservations: send `reserve` true with it")),
    }
}

fn flag(parameters: &Object, name: &str) -> Result<bool, Refusal> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(invalid(format!("parameter `{name}` must be true or false"))),
    }
}

/// A description is kept with the parameters and means nothing here.
fn check_description(parameters: &Object) -> Result<(), Refusal> {
    match text(parameters, "description")? {
        Some(description) if description.chars().count() > DESCRIPTION_MAX => {
            Err(invalid(format!("parameter `description` must be at most {DESCRIPTION_MAX} characters long")))
        }
        _ => Ok(()),
    }
}

fn subnets(parameters: &Object, version: Version, network: u8) -> Result<Vec<SubnetOrder>, Refusal> {
    let items = match parameters.get("subnets") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= SUBNETS_MAX => items,
        Some(_) => {
            return Err(invalid(format!(
                "parameter `subnets` must be an array of at most {SUBNETS_MAX} objects such as {{\"name\": \"web\", \"new_bits\": 2}}"
            )));
        }
    };
    let mut orders: Vec<SubnetOrder> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let order = subnet(item, version, network)
            .map_err(|refusal| invalid(format!("parameter `subnets`, item {at}: {refusal}")))?;
        if orders.iter().any(|other| other.name == order.name) {
            return Err(invalid(format!("parameter `subnets`: `{}` is named twice", order.name)));
        }
        orders.push(order);
    }
    Ok(orders)
}

fn subnet(item: &Value, version: Version, network: u8) -> Result<SubnetOrder, Refusal> {
    let Value::Object(item) = item else { return Err(invalid("it must be an object")) };
    only(item, &["name", "new_bits", "prefix_length"])?;
    let name = name_of(item, "name")?.ok_or_else(|| invalid("parameter `name` is missing"))?;
    let length = match (integer(item, "new_bits", 1..=76)?, integer(item, "prefix_length", 0..=128)?) {
        (Some(new_bits), None) => network.saturating_add(new_bits),
        (None, Some(length)) => length,
        _ => return Err(invalid("send either `new_bits` or `prefix_length`")),
    };
    // Below that size there is no room for a gateway and a host.
    let longest = version.bits() - 3;
    if length <= network || length > longest {
        return Err(invalid(format!(
            "a subnet of a /{network} can have a prefix length from {} to {longest}, not {length}",
            network + 1
        )));
    }
    Ok(SubnetOrder { name, length })
}

/// Whether it is made of 1 to 63 of a-z, 0-9 and -.
pub(super) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_hostname(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests;
