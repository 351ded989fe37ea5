//! What a bind asks for: a user's certificate, a host's, or only what a host needs to trust the bastion.

use osb::Object;
use osb::kit::Refusal;
use russh::keys::ssh_key::PublicKey;

use super::read::{duration, invalid, is_host, is_path, names, no_private_key, only, text};
use super::{Settings, TTL_MIN, TargetOrder};
use crate::bastion::certificate::is_accepted;

const BIND: [&str; 9] =
    ["kind", "public_key", "principals", "target", "ttl", "reason", "hostnames", "identity_file", "directory"];
const KEY_MAX: usize = 4096;
const REASON_MAX: usize = 255;
const HOSTNAMES_MAX: usize = 16;
const DAY: i64 = 24 * 60 * 60;
/// What a host's certificate gets that asks for nothing, and the longest.
const HOST_TTL_DEFAULT: i64 = 90 * DAY;
const HOST_TTL_MAX: i64 = 365 * DAY;
const IDENTITY: &str = "~/.ssh/id_ed25519";
/// Where a host keeps what it got.
const HOST_DIRECTORY: &str = "/etc/ssh/bourse";

/// What a bind gives.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) enum Bind {
    /// Public keys and configurations; nobody gets in with these.
    Trust(HostOrder),
    /// A certificate for a user.
    User(UserOrder),
    /// A certificate for a host.
    Host(PublicKey, HostOrder),
}

/// A certificate for a user.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) struct UserOrder {
    pub(in crate::bastion) key: PublicKey,
    /// As whom; never empty, and each is a login name of one of `reach`.
    pub(in crate::bastion) principals: Vec<String>,
    /// The only target, where one was named.
    pub(in crate::bastion) target: Option<String>,
    /// The targets that these principals lead to, and those on the way.
    pub(in crate::bastion) reach: Vec<TargetOrder>,
    pub(in crate::bastion) ttl: i64,
    pub(in crate::bastion) reason: Option<String>,
    pub(in crate::bastion) placement: Placement,
}

/// Where a user keeps things.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) struct Placement {
    /// The private key.
    pub(in crate::bastion) identity_file: String,
    /// What the bind gave; `None`: the directory in which `ssh` is started.
    pub(in crate::bastion) directory: Option<String>,
}

/// A host's certificate, or what a host needs without one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bastion) struct HostOrder {
    /// Under which names and addresses users reach it; empty without a certificate.
    pub(in crate::bastion) hostnames: Vec<String>,
    /// The target that it is.
    pub(in crate::bastion) target: Option<TargetOrder>,
    pub(in crate::bastion) ttl: i64,
    pub(in crate::bastion) directory: String,
}

/// Reads the parameters of a bind to a bastion with these settings.
pub(in crate::bastion) fn bind(parameters: &Object, settings: &Settings) -> Result<Bind, Refusal> {
    no_private_key(parameters)?;
    only(parameters, &BIND)?;
    let key = text(parameters, "public_key", KEY_MAX)?.map(public_key).transpose()?;
    let kind = text(parameters, "kind", 16)?.unwrap_or(if key.is_some() { "user" } else { "trust" });
    let needs_key = || {
        invalid(format!(
            "parameter `public_key` is needed for a {kind}'s certificate: send the file that ends in .pub; only what is certified may know the private key"
        ))
    };
    match kind {
        "user" => {
            without(parameters, kind, &["hostnames"])?;
            Ok(Bind::User(user(parameters, settings, key.ok_or_else(needs_key)?)?))
        }
        "host" => {
            without(parameters, kind, &["principals", "identity_file"])?;
            Ok(Bind::Host(key.ok_or_else(needs_key)?, host(parameters, settings, true)?))
        }
        "trust" => {
            without(parameters, kind, &["public_key", "principals", "ttl", "hostnames", "identity_file"])?;
            Ok(Bind::Trust(host(parameters, settings, false)?))
        }
        _ => Err(invalid("parameter `kind` must be \"user\", \"host\" or \"trust\"")),
    }
}

/// Refuses what would be ignored: who sends it expects that it does something.
fn without(parameters: &Object, kind: &str, meaningless: &[&str]) -> Result<(), Refusal> {
    match meaningless.iter().find(|name| parameters.get(**name).is_some_and(|value| !value.is_null())) {
        Some(name) => Err(invalid(format!("parameter `{name}` means nothing for kind `{kind}`: leave it out"))),
        None => Ok(()),
    }
}

fn public_key(line: &str) -> Result<PublicKey, Refusal> {
    let line = line.trim();
    if line.split_whitespace().next().is_some_and(|kind| kind.ends_with("-cert-v01@openssh.com")) {
        return Err(invalid(
            "parameter `public_key` is a certificate: send the public key that it was made for, the file that ends in .pub and not in -cert.pub",
        ));
    }
    let key = PublicKey::from_openssh(line).map_err(|_| {
        invalid(
            "parameter `public_key` can't be read: send one line of a .pub file, such as \"ssh-ed25519 AAAA… you@host\"",
        )
    })?;
    if !is_accepted(&key.algorithm()) {
        return Err(invalid(
            "parameter `public_key` must be an ed25519 or ecdsa key, or one of a security key (sk-…): make one with `ssh-keygen -t ed25519`",
        ));
    }
    Ok(PublicKey::new(key.key_data().clone(), ""))
}

fn user(parameters: &Object, settings: &Settings, key: PublicKey) -> Result<UserOrder, Refusal> {
    let target = text(parameters, "target", 63)?;
    let ttl = duration(parameters, "ttl", TTL_MIN..=settings.max_ttl)?.unwrap_or(settings.default_ttl);
    let asked = names(parameters, "principals")?;
    let (principals, reach) = reach(settings, target, asked)?;
    let reason = text(parameters, "reason", REASON_MAX)?.map(|reason| reason.replace(char::is_control, " "));
    let identity_file = path(parameters, "identity_file")?.unwrap_or_else(|| IDENTITY.to_owned());
    let placement = Placement { identity_file, directory: path(parameters, "directory")? };
    Ok(UserOrder { key, principals, target: target.map(str::to_owned), reach, ttl, reason, placement })
}

/// As whom, and where to.
pub(in crate::bastion) fn reach(
    settings: &Settings,
    target: Option<&str>,
    asked: Option<Vec<String>>,
) -> Result<(Vec<String>, Vec<TargetOrder>), Refusal> {
    let candidates: Vec<&TargetOrder> = match target {
        None => settings.targets.iter().collect(),
        Some(name) => {
            let order = find(settings, name)?;
            let jump = order.via.iter().filter_map(|via| settings.targets.iter().find(|one| one.target.name == *via));
            jump.chain([order]).collect()
        }
    };
    let mut allowed: Vec<String> = Vec::new();
    if settings.targets.is_empty() {
        allowed.clone_from(&settings.principals);
    }
    for principal in candidates.iter().flat_map(|order| &order.target.principals) {
        if !allowed.contains(principal) {
            allowed.push(principal.clone());
        }
    }
    let principals = asked.unwrap_or_else(|| allowed.clone());
    if let Some(other) = principals.iter().find(|principal| !allowed.contains(principal)) {
        return Err(invalid(format!(
            "parameter `principals`: nobody may log in as `{other}` there; use some of {}",
            allowed.join(", ")
        )));
    }
    let direct = |order: &TargetOrder| order.target.principals.iter().any(|name| principals.contains(name));
    let reached = |order: &&TargetOrder| {
        let jump = order.via.as_ref().and_then(|via| candidates.iter().find(|one| one.target.name == *via));
        direct(order) && (order.via.is_none() || jump.is_some_and(|jump| direct(jump)))
    };
    let reach: Vec<TargetOrder> = candidates.iter().copied().filter(reached).cloned().collect();
    let leads = target.map_or(!reach.is_empty(), |name| reach.iter().any(|order| order.target.name == name));
    if !settings.targets.is_empty() && !leads {
        return Err(invalid(
            "parameter `principals` leads to no target: name one for each host on the way, or leave it out",
        ));
    }
    Ok((principals, reach))
}

fn find<'a>(settings: &'a Settings, name: &str) -> Result<&'a TargetOrder, Refusal> {
    settings.targets.iter().find(|order| order.target.name == name).ok_or_else(|| {
        let known: Vec<&str> = settings.targets.iter().map(|order| order.target.name.as_str()).collect();
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        invalid(format!("parameter `target` must name a target of this bastion ({known})"))
    })
}

fn host(parameters: &Object, settings: &Settings, certified: bool) -> Result<HostOrder, Refusal> {
    let target = text(parameters, "target", 63)?.map(|name| find(settings, name)).transpose()?.cloned();
    let must = || {
        invalid(format!(
            "parameter `hostnames` must be a list of 1 to {HOSTNAMES_MAX} names and addresses under which users reach the host, such as [\"web-1.example\", \"10.0.0.5\"]"
        ))
    };
    let hostnames = match (parameters.get("hostnames").filter(|list| !list.is_null()), &target) {
        (Some(list), _) => {
            let list = list.as_array().filter(|list| !list.is_empty() && list.len() <= HOSTNAMES_MAX);
            let name = |value: &serde_json::Value| value.as_str().filter(|text| is_host(text)).map(str::to_owned);
            list.and_then(|list| list.iter().map(name).collect()).ok_or_else(must)?
        }
        (None, Some(order)) => vec![order.target.host.clone(), order.target.name.clone()],
        (None, None) if certified => return Err(must()),
        (None, None) => Vec::new(),
    };
    let ttl = duration(parameters, "ttl", TTL_MIN..=HOST_TTL_MAX)?.unwrap_or(HOST_TTL_DEFAULT);
    let directory = path(parameters, "directory")?.unwrap_or_else(|| HOST_DIRECTORY.to_owned());
    if !directory.starts_with('/') || directory.contains(['%', '~']) {
        let sentence =
            format!("parameter `directory` must be an absolute path on the host, such as \"{HOST_DIRECTORY}\"");
        return Err(invalid(sentence));
    }
    Ok(HostOrder { hostnames, target, ttl, directory })
}

fn path(parameters: &Object, name: &str) -> Result<Option<String>, Refusal> {
    let Some(path) = text(parameters, name, 255)? else { return Ok(None) };
    if !is_path(path) {
        return Err(invalid(format!(
            "parameter `{name}` must be a path without spaces and quotes, such as \"{IDENTITY}\""
        )));
    }
    Ok(Some(path.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::bastion::parameters::settings;
    use crate::bastion::plan::PLANS;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMjOBkIz1Hf0cpDA2q6OX2KrR3ZxqfSIsxZ0qUHTz4qL me@laptop";

    fn read(instance: Value, parameters: Value) -> Result<Bind, Refusal> {
        let settings = settings(instance.as_object().unwrap(), &PLANS[0]).unwrap();
        bind(parameters.as_object().unwrap(), &settings)
    }

    fn hosts() -> Value {
        json!({"targets": [
            {"name": "jump", "host": "192.0.2.1", "principals": ["hop"]},
            {"name": "web", "host": "10.0.0.5", "principals": ["deploy", "root"], "via": "jump"},
            {"name": "db", "host": "10.0.0.6", "principals": ["dba"]},
        ]})
    }

    fn check(parameters: Value, principals: &[&str], reach: &[&str]) {
        let Bind::User(order) = read(hosts(), parameters).unwrap() else { panic!("a user's") };
        assert_eq!(order.principals, principals);
        assert_eq!(order.reach.iter().map(|one| one.target.name.as_str()).collect::<Vec<_>>(), reach);
    }

    #[test]
    fn principals_lead_to_the_targets_that_know_them_and_through_the_hosts_on_the_way() {
        check(json!({"public_key": KEY}), &["hop", "deploy", "root", "dba"], &["jump", "web", "db"]);
        check(json!({"public_key": KEY, "target": "web"}), &["hop", "deploy", "root"], &["jump", "web"]);
        check(json!({"public_key": KEY, "principals": ["dba", "deploy"]}), &["dba", "deploy"], &["db"]);
        for parameters in [json!({"principals": ["deploy"]}), json!({"principals": ["hop"], "target": "web"})] {
            let mut parameters = parameters;
            parameters["public_key"] = KEY.into();
            let refusal = read(hosts(), parameters).unwrap_err().to_string();
            assert!(refusal.contains("leads to no target"), "{refusal}");
        }
    }

    #[test]
    fn what_can_not_be_certified_is_refused_with_what_to_do() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7vbqajDhA";
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0";
        for (parameters, sentence) in [
            (json!({"public_key": private}), "holds a private key"),
            (json!({"public_key": rsa}), "can't be read"),
            (json!({"public_key": "ssh-ed25519-cert-v01@openssh.com AAAA"}), "is a certificate"),
            (json!({"public_key": KEY, "principals": ["root"], "target": "db"}), "nobody may log in as `root`"),
            (json!({"public_key": KEY, "principals": []}), "`principals` must be a list of 1 to"),
            (json!({"public_key": KEY, "target": "mail"}), "must name a target of this bastion (jump, web, db)"),
            (json!({"public_key": KEY, "ttl": "PT9H"}), "`ttl` must be a duration from PT1M to PT8H"),
            (json!({"public_key": KEY, "identity_file": "a\nProxyCommand x"}), "`identity_file` must be a path"),
            (json!({"kind": "host", "public_key": KEY}), "`hostnames` must be"),
            (json!({"kind": "user"}), "`public_key` is needed"),
            (json!({"directory": "~/.ssh"}), "`directory` must be an absolute path"),
            (json!({"ttl": "PT5M"}), "`ttl` means nothing for kind `trust`"),
            (json!({"kind": "robot"}), "`kind` must be"),
        ] {
            let refusal = read(hosts(), parameters.clone()).unwrap_err().to_string();
            assert!(refusal.contains(sentence) && !refusal.contains("c2VjcmV0"), "{parameters}: {refusal}");
        }
    }

    #[test]
    fn a_host_is_certified_under_the_names_of_its_target() {
        let parameters = json!({"kind": "host", "public_key": KEY, "target": "web"});
        let Bind::Host(_, order) = read(hosts(), parameters).unwrap() else { panic!("a host's") };
        assert_eq!((order.hostnames, order.ttl), (vec!["10.0.0.5".to_owned(), "web".into()], HOST_TTL_DEFAULT));
        assert!(matches!(read(json!({}), json!({})), Ok(Bind::Trust(_))), "nothing asked for is nobody let in");
    }
}
