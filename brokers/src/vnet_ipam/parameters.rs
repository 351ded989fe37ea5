//! What users ask for, read from parameters: each refusal names the parameter and says what to do.
//!
//! Pure. It deliberately does not know what is free or taken. Invariant: what is read here has a prefix length that the plan
//! allows and subnets that are smaller than their network.

use std::ops::RangeInclusive;

use osb::Object;
use serde_json::Value;

use super::free_space::Strategy;
use super::plan::Plan;
use super::prefix::{Prefix, Version};

/// How many subnets a network may have.
pub(super) const SUBNETS_MAX: usize = 64;
/// How long a description may be, in characters.
pub(super) const DESCRIPTION_MAX: usize = 255;
/// The routing domain of networks that name none.
pub(super) const DEFAULT_DOMAIN: &str = "default";

const PROVISION: [&str; 8] =
    ["prefix_length", "cidr", "ip_version", "pool", "routing_domain", "strategy", "subnets", "description"];
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
    let allowed = &plan.lengths(version).allowed;
    if !allowed.contains(&length) {
        return Err(invalid(format!(
            "parameter `{name}`: plan {} allows prefix lengths from {} to {} for IPv{}, not {length}; take another plan for other sizes",
            plan.name,
            allowed.start(),
            allowed.end(),
            version.number()
        )));
    }
    Ok(NetworkOrder {
        version,
        wanted,
        pool: name_of(parameters, "pool")?,
        routing_domain: name_of(parameters, "routing_domain")?.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned()),
        strategy: strategy(parameters)?,
        subnets: subnets(parameters, version, length)?,
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

/// Reads the subnets that an update adds to a network that was ordered with `current` and became `prefix`.
pub(super) fn changes(parameters: &Object, current: &Object, prefix: Prefix) -> Result<Vec<SubnetOrder>, Refusal> {
    only(parameters, &PROVISION)?;
    check_description(parameters)?;
    for name in ["prefix_length", "cidr", "ip_version", "pool", "routing_domain", "strategy"] {
        let Some(asked) = parameters.get(name).filter(|asked| !asked.is_null()) else { continue };
        let same = match name {
            "prefix_length" => integer(parameters, name, 0..=128)? == Some(prefix.length()),
            "ip_version" => integer(parameters, name, 0..=128)? == Some(prefix.version().number()),
            "cidr" => asked.as_str() == Some(prefix.to_string().as_str()),
            _ => current.get(name) == Some(asked),
        };
        if !same {
            return Err(Refusal::Unchangeable(format!(
                "parameter `{name}` of a network can't be changed, because addresses in use would move: order another network"
            )));
        }
    }
    subnets(parameters, prefix.version(), prefix.length())
}

fn only(parameters: &Object, known: &[&str]) -> Result<(), Refusal> {
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(invalid(format!("parameter `{unknown}` is not known here: use {}", known.join(", ")))),
        None => Ok(()),
    }
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
        Some(_) => Err(invalid("parameter `strategy` must be best_fit, first_fit or last_fit")),
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
mod tests {
    use serde_json::json;

    use super::super::plan::PLANS;
    use super::*;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    #[track_caller]
    fn check_refused(parameters: Value, sentence: &str) {
        let refusal = network(&object(parameters), &PLANS[1]).unwrap_err();
        assert!(refusal.to_string().contains(sentence), "{refusal}");
    }

    #[track_caller]
    fn check_wanted(parameters: Value, version: Version, wanted: Wanted) {
        let order = network(&object(parameters), &PLANS[1]).unwrap();
        assert_eq!((order.version, order.wanted), (version, wanted));
    }

    #[test]
    fn sizes_follow_the_plan_the_version_and_the_request() {
        check_wanted(json!({}), Version::V4, Wanted::Length(24));
        check_wanted(json!({"prefix_length": 26}), Version::V4, Wanted::Length(26));
        check_wanted(json!({"prefix_length": null, "ip_version": 6}), Version::V6, Wanted::Length(60));
        let cidr = "10.3.0.0/24".parse().unwrap();
        check_wanted(json!({"cidr": "10.3.0.0/24", "prefix_length": 24}), Version::V4, Wanted::Exactly(cidr));
        let cidr = "fd00:0:0:1::/64".parse().unwrap();
        check_wanted(json!({"cidr": "fd00:0:0:1::/64"}), Version::V6, Wanted::Exactly(cidr));
    }

    #[test]
    fn refusals_name_the_parameter_and_say_what_to_do() {
        check_refused(json!({"prefix_lenght": 24}), "parameter `prefix_lenght` is not known here: use prefix_length,");
        check_refused(json!({"prefix_length": "24"}), "`prefix_length` must be a whole number");
        check_refused(json!({"prefix_length": 24.5}), "`prefix_length` must be a whole number");
        check_refused(json!({"prefix_length": 8}), "plan medium allows prefix lengths from 22 to 28 for IPv4, not 8");
        check_refused(json!({"cidr": "10.0.0.7/24"}), "its prefix is 10.0.0.0/24");
        check_refused(json!({"cidr": "10.0.0.0/8"}), "parameter `cidr`: plan medium allows");
        check_refused(json!({"cidr": "10.0.0.0/24", "prefix_length": 25}), "contradict each other");
        check_refused(json!({"cidr": "10.0.0.0/24", "ip_version": 6}), "contradict each other");
        check_refused(json!({"ip_version": 5}), "must be 4 or 6");
        check_refused(json!({"strategy": "worst_fit"}), "best_fit, first_fit or last_fit");
        check_refused(json!({"pool": "No Such"}), "parameter `pool` must be 1 to 63");
        check_refused(json!({"description": 7}), "parameter `description` must be a string");
    }

    #[test]
    fn subnets_are_given_by_new_bits_or_prefix_length_and_fit_in_their_network() {
        let parameters = json!({"subnets": [{"name": "web", "new_bits": 2}, {"name": "db", "prefix_length": 27}]});
        let order = network(&object(parameters), &PLANS[1]).unwrap();
        let lengths: Vec<_> = order.subnets.iter().map(|subnet| (subnet.name.as_str(), subnet.length)).collect();
        assert_eq!(lengths, [("web", 26), ("db", 27)]);
        check_refused(json!({"subnets": {}}), "must be an array");
        check_refused(json!({"subnets": [{"new_bits": 1}]}), "item 0: parameter `name` is missing");
        check_refused(json!({"subnets": [{"name": "a", "new_bits": 1, "prefix_length": 25}]}), "send either");
        check_refused(json!({"subnets": [{"name": "a", "prefix_length": 24}]}), "from 25 to 29, not 24");
        check_refused(json!({"subnets": [{"name": "a", "new_bits": 6}]}), "from 25 to 29, not 30");
        let twice = json!({"subnets": [{"name": "a", "new_bits": 1}, {"name": "a", "new_bits": 1}]});
        check_refused(twice, "`a` is named twice");
    }

    #[test]
    fn hostnames_are_checked() {
        let order = address(&object(json!({"hostname": "web-1.example", "subnet": "web"}))).unwrap();
        assert_eq!(order.hostname.as_deref(), Some("web-1.example"));
        for bad in ["", "-a", "a_b", "a..b", "ä"] {
            assert!(address(&object(json!({"hostname": bad}))).is_err(), "{bad}");
        }
    }

    #[test]
    fn upd_14_only_description_and_subnets_of_a_network_change() {
        let (current, prefix) = (object(json!({"pool": "dmz"})), "10.0.0.0/24".parse().unwrap());
        let same = json!({"prefix_length": 24, "cidr": "10.0.0.0/24", "pool": "dmz", "description": null});
        assert_eq!(changes(&object(same), &current, prefix), Ok(Vec::new()));
        for other in [
            json!({"prefix_length": 25}),
            json!({"pool": "x"}),
            json!({"routing_domain": "x"}),
            json!({"cidr": "10.0.1.0/24"}),
        ] {
            assert!(matches!(changes(&object(other), &current, prefix), Err(Refusal::Unchangeable(_))));
        }
        assert!(matches!(changes(&object(json!({"x": 1})), &current, prefix), Err(Refusal::Invalid(_))));
    }
}
