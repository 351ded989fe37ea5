//! What users ask for, read from parameters: each refusal names the parameter and says what to do.
//!
//! Pure. It deliberately knows no key of a bastion. Invariant: no text that is read here can break out of a line of an
//! `ssh_config`, an `sshd_config` or a `known_hosts`, and no refusal repeats what could be a private key.

mod grant;
mod read;
mod targets;

use ipnet::IpNet;
use osb::Object;
use osb::kit::Refusal;
use serde_json::Value;

pub(super) use self::grant::{Bind, HostOrder, Placement, UserOrder, bind, reach};
use self::read::{duration, flag, integer, invalid, no_private_key, only, text};
pub(super) use self::targets::TargetOrder;
use super::plan::Plan;

/// No user's certificate is valid for longer: 8 hours.
const TTL_MAX: i64 = 8 * 60 * 60;
/// What a certificate gets that asks for nothing: 15 minutes.
const TTL_DEFAULT: i64 = 15 * 60;
/// The shortest that makes sense.
const TTL_MIN: i64 = 60;
const SOURCES_MAX: usize = 32;
const COMMAND_MAX: usize = 512;
const RETENTION_DEFAULT: u16 = 90;
const RETENTION_MAX: i64 = 3650;
/// The login name of a bastion that names none.
const PRINCIPAL_DEFAULT: &str = "deploy";

const INSTANCE: [&str; 10] = [
    "network",
    "targets",
    "principals",
    "default_ttl",
    "max_ttl",
    "source_cidrs",
    "allow",
    "force_command",
    "retention_days",
    "ca_generation",
];

/// A bastion as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// The network that it is for: a reference, only recorded and shown.
    pub(super) network: Option<String>,
    pub(super) targets: Vec<TargetOrder>,
    /// Login names where a target names none, and where there is no target.
    pub(super) principals: Vec<String>,
    pub(super) default_ttl: i64,
    pub(super) max_ttl: i64,
    pub(super) sources: Vec<IpNet>,
    pub(super) port_forward: bool,
    pub(super) sftp: bool,
    pub(super) force_command: Option<String>,
    pub(super) retention_days: u16,
    pub(super) ca_generation: u32,
}

/// Reads the parameters of an instance.
pub(super) fn settings(parameters: &Object, plan: &Plan) -> Result<Settings, Refusal> {
    no_private_key(parameters)?;
    only(parameters, &INSTANCE)?;
    let principals = match read::names(parameters, "principals")? {
        Some(principals) => principals,
        None => vec![PRINCIPAL_DEFAULT.to_owned()],
    };
    let max_ttl = duration(parameters, "max_ttl", TTL_MIN..=TTL_MAX)?.unwrap_or(TTL_MAX);
    let default_ttl = duration(parameters, "default_ttl", TTL_MIN..=max_ttl)?.unwrap_or(TTL_DEFAULT.min(max_ttl));
    let allow = allow(parameters, plan)?;
    let retention = integer(parameters, "retention_days", 0..=RETENTION_MAX)?;
    let generation = integer(parameters, "ca_generation", 1..=1_000_000)?;
    Ok(Settings {
        network: reference(parameters)?,
        targets: targets::read(parameters, &principals)?,
        principals,
        default_ttl,
        max_ttl,
        sources: sources(parameters)?,
        port_forward: allow.port_forward,
        sftp: allow.sftp,
        force_command: force_command(parameters)?,
        retention_days: retention.and_then(|days| u16::try_from(days).ok()).unwrap_or(RETENTION_DEFAULT),
        ca_generation: generation.and_then(|generation| u32::try_from(generation).ok()).unwrap_or(1),
    })
}

struct Allow {
    port_forward: bool,
    sftp: bool,
}

fn allow(parameters: &Object, plan: &Plan) -> Result<Allow, Refusal> {
    let none = Object::new();
    let allow = match parameters.get("allow") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(allow)) => allow,
        Some(_) => return Err(invalid("parameter `allow` must be an object such as {\"port_forward\": true}")),
    };
    if flag(allow, "agent_forward")?.unwrap_or(false) {
        return Err(invalid(
            "parameter `allow.agent_forward` can't be true: a forwarded agent lets every host on the way act for you; jump through the bastion instead",
        ));
    }
    let sftp = flag(allow, "sftp")?;
    if sftp.is_some() && plan.recording.is_none() {
        return Err(invalid(
            "parameter `allow.sftp` needs a gateway: a certificate alone can't forbid copying files; take a gateway plan",
        ));
    }
    only(allow, &["port_forward", "sftp", "agent_forward"])?;
    Ok(Allow { port_forward: flag(allow, "port_forward")?.unwrap_or(false), sftp: sftp.unwrap_or(true) })
}

fn reference(parameters: &Object) -> Result<Option<String>, Refusal> {
    let Some(id) = text(parameters, "network", 255)? else { return Ok(None) };
    if id.is_empty() || id.chars().any(char::is_control) {
        return Err(invalid("parameter `network` must be the name or id of a virtual network"));
    }
    Ok(Some(id.to_owned()))
}

fn force_command(parameters: &Object) -> Result<Option<String>, Refusal> {
    let Some(command) = text(parameters, "force_command", COMMAND_MAX)? else { return Ok(None) };
    if command.trim().is_empty() || command.chars().any(char::is_control) {
        return Err(invalid("parameter `force_command` must be one line, such as \"/usr/bin/uptime\""));
    }
    Ok(Some(command.to_owned()))
}

fn sources(parameters: &Object) -> Result<Vec<IpNet>, Refusal> {
    let must = || {
        invalid(format!(
            "parameter `source_cidrs` must be a list of at most {SOURCES_MAX} prefixes or addresses, such as [\"192.0.2.0/24\"]"
        ))
    };
    let Some(list) = parameters.get("source_cidrs").filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let list = list.as_array().filter(|list| list.len() <= SOURCES_MAX).ok_or_else(must)?;
    let source = |value: &Value| {
        let text = value.as_str().ok_or_else(must)?;
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        net.map(|net| net.trunc()).map_err(|_| must())
    };
    list.iter().map(source).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bastion::plan::PLANS;

    fn read(value: Value) -> Result<Settings, Refusal> {
        settings(value.as_object().unwrap(), &PLANS[0])
    }

    #[test]
    fn nothing_asked_for_is_fifteen_minutes_as_deploy_on_any_host_that_trusts_the_ca() {
        let settings = read(json!({})).unwrap();
        assert_eq!((settings.default_ttl, settings.max_ttl, settings.retention_days), (900, 28_800, 90));
        assert_eq!(
            (settings.targets.len(), settings.principals, settings.port_forward),
            (0, vec!["deploy".into()], false)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (parameters, sentence) in [
            (json!({"max_ttl": "PT9H"}), "`max_ttl` must be a duration from PT1M to PT8H"),
            (json!({"max_ttl": "PT5M", "default_ttl": "PT10M"}), "`default_ttl` must be a duration from PT1M to PT5M"),
            (json!({"default_ttl": "15 minutes please"}), "`default_ttl` must be a duration"),
            (json!({"source_cidrs": ["300.0.0.0/8"]}), "`source_cidrs`"),
            (json!({"allow": {"agent_forward": true}}), "`allow.agent_forward` can't be true"),
            (json!({"allow": {"sftp": true}}), "`allow.sftp` needs a gateway"),
            (json!({"force_command": "a\nb"}), "`force_command` must be one line"),
            (json!({"targets": [{"name": "a b", "host": "h"}]}), "`targets[0].name`"),
            (json!({"targets": [{"name": "a", "host": "h x"}]}), "`targets[0].host`"),
            (json!({"targets": [{"name": "a", "host": "h", "principals": ["a\nb"]}]}), "`targets[0].principals`"),
            (json!({"targets": [{"name": "a", "host": "h", "host_key": "ssh-ed25519 x"}]}), "`targets[0].host_key`"),
            (json!({"targets": [{"name": "a", "host": "h"}, {"name": "a", "host": "i"}]}), "two targets named `a`"),
            (json!({"targets": [{"name": "a", "host": "h", "via": "b"}]}), "`targets[0].via`"),
            (json!({"colour": "red"}), "`colour` is not known here"),
            (json!({"retention_days": -1}), "`retention_days`"),
        ] {
            let refusal = read(parameters.clone()).unwrap_err().to_string();
            assert!(refusal.contains(sentence), "{parameters}: {refusal}");
        }
    }

    #[test]
    fn a_private_key_anywhere_is_refused_without_repeating_it() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----";
        for parameters in [json!({"network": key}), json!({"targets": [{"name": "a", "host": key}]})] {
            let refusal = read(parameters).unwrap_err().to_string();
            assert!(refusal.contains("private key") && !refusal.contains("c2VjcmV0"), "{refusal}");
        }
    }
}
