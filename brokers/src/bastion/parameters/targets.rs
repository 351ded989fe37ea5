//! The hosts behind a bastion.

use std::collections::HashSet;

use osb::Object;
use osb::kit::Refusal;
use russh::keys::ssh_key::PublicKey;
use serde_json::Value;

use super::read::{integer, invalid, is_host, names_at, only, text};
use crate::bastion::access::Target;

const TARGETS_MAX: usize = 100;
const NAME_MAX: usize = 63;
const KNOWN: [&str; 6] = ["name", "host", "port", "principals", "host_key", "via"];
const AUTHORITY: &str = "@cert-authority ";

/// A target as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) struct TargetOrder {
    pub(in crate::bastion) target: Target,
    /// The target through which it is reached.
    pub(in crate::bastion) via: Option<String>,
}

/// Reads `targets`; those that name no principals take `principals`.
pub(super) fn read(parameters: &Object, principals: &[String]) -> Result<Vec<TargetOrder>, Refusal> {
    let Some(list) = parameters.get("targets").filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let list = list.as_array().filter(|list| list.len() <= TARGETS_MAX).ok_or_else(|| {
        invalid(format!(
            "parameter `targets` must be a list of at most {TARGETS_MAX} hosts, such as [{{\"name\": \"web-1\", \"host\": \"10.0.0.5\"}}]"
        ))
    })?;
    let targets: Vec<TargetOrder> =
        list.iter().enumerate().map(|(at, value)| target(at, value, principals)).collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = targets.iter().find(|order| !seen.insert(&order.target.name)) {
        return Err(invalid(format!("parameter `targets` has two targets named `{}`", twice.target.name)));
    }
    for (at, order) in targets.iter().enumerate() {
        let Some(via) = &order.via else { continue };
        let jump = targets.iter().find(|other| other.target.name == *via);
        if jump.is_none_or(|jump| jump.via.is_some() || jump.target.name == order.target.name) {
            return Err(invalid(format!(
                "parameter `targets[{at}].via` must name another target of this list that is reached directly"
            )));
        }
    }
    Ok(targets)
}

fn target(at: usize, value: &Value, principals: &[String]) -> Result<TargetOrder, Refusal> {
    let field = |name: &str| format!("targets[{at}].{name}");
    let Some(value) = value.as_object() else {
        return Err(invalid(format!(
            "parameter `targets[{at}]` must be an object such as {{\"name\": \"web-1\", \"host\": \"10.0.0.5\"}}"
        )));
    };
    only(value, &KNOWN)?;
    let name = text(value, "name", NAME_MAX)?.filter(|name| is_alias(name)).ok_or_else(|| {
        invalid(format!(
            "parameter `{}` must be 1 to {NAME_MAX} of a-z, 0-9, - and ., such as \"web-1\"",
            field("name")
        ))
    })?;
    let host = text(value, "host", 253)?.filter(|host| is_host(host)).ok_or_else(|| {
        invalid(format!("parameter `{}` must be a host name or an address, such as \"10.0.0.5\"", field("host")))
    })?;
    let port = integer(value, "port", 1..=65_535)?.and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
    let own = names_at(value, "principals", &field("principals"))?;
    let host_key = text(value, "host_key", 2048)?.map(|line| host_key(line, &field("host_key"))).transpose()?;
    Ok(TargetOrder {
        target: Target {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            principals: own.unwrap_or_else(|| principals.to_vec()),
            host_key,
        },
        via: text(value, "via", NAME_MAX)?.map(str::to_owned),
    })
}

fn is_alias(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit()) && text.bytes().all(fine)
}

/// A host's key without its comment, as a line of OpenSSH.
fn host_key(line: &str, shown: &str) -> Result<String, Refusal> {
    let (mark, key) = match line.trim().strip_prefix(AUTHORITY) {
        Some(key) => (AUTHORITY, key.trim()),
        None => ("", line.trim()),
    };
    let parsed =
        PublicKey::from_openssh(key).ok().and_then(|key| PublicKey::new(key.key_data().clone(), "").to_openssh().ok());
    let must = || {
        invalid(format!(
            "parameter `{shown}` must be the host's public key as one line, such as \"ssh-ed25519 AAAA…\", or \"@cert-authority \" and the line of the CA that signed its certificate"
        ))
    };
    parsed.map(|key| format!("{mark}{key}")).ok_or_else(must)
}
