//! The texts that OpenSSH reads: `ssh_config` and `known_hosts` for users, `sshd_config` and a script for hosts.
//!
//! Pure. Every text that comes from a user was read by `parameters`, so none can begin a line of its own. Invariant: what is
//! written here asks for no password, forwards no agent, and accepts no host key that nobody vouches for.

use super::GatewayAddress;
use super::access::{Target, login};
use super::parameters::{HostOrder, Placement, Settings, TargetOrder, UserOrder};

/// The name of the certificate among the credentials, and of its file.
pub(super) const CERTIFICATE: &str = "certificate";
const KNOWN_HOSTS: &str = "known_hosts";

/// What the texts are about.
pub(super) struct Subject<'a> {
    pub(super) settings: &'a Settings,
    /// Lines of the CAs that hosts trust.
    pub(super) user_cas: Vec<String>,
    /// Lines of the CAs that users trust.
    pub(super) host_cas: Vec<String>,
    /// `http://…/bastions/{resource}`.
    pub(super) url: String,
    /// Where the plan has one.
    pub(super) gateway: Option<&'a GatewayAddress>,
}

impl Subject<'_> {
    /// Who vouches for which host.
    pub(super) fn known_hosts(&self) -> String {
        let mut out = String::new();
        if let Some(gateway) = self.gateway {
            // One line for each name under which it can be reached.
            line(&mut out, format_args!("{} {}", pattern(&gateway.host, gateway.port), gateway.host_key));
            return out;
        }
        let targets: Vec<&Target> = self.settings.targets.iter().map(|order| &order.target).collect();
        for target in &targets {
            let pattern = pattern(&target.host, target.port);
            match target.host_key.as_deref() {
                Some(key) => match key.strip_prefix("@cert-authority ") {
                    Some(ca) => line(&mut out, format_args!("@cert-authority {pattern} {ca}")),
                    None => line(&mut out, format_args!("{pattern} {key}")),
                },
                None => {
                    self.host_cas.iter().for_each(|ca| line(&mut out, format_args!("@cert-authority {pattern} {ca}")))
                }
            }
        }
        if targets.is_empty() {
            self.host_cas.iter().for_each(|ca| line(&mut out, format_args!("@cert-authority * {ca}")));
        }
        out
    }

    /// What `ssh -F` reads.
    pub(super) fn ssh_config(&self, order: &UserOrder) -> String {
        let mut out = String::new();
        match &order.placement.directory {
            Some(directory) => line(&mut out, format_args!("# ssh -F {directory}/ssh_config NAME")),
            None => line(&mut out, format_args!("# In the directory that these files lie in: ssh -F ssh_config NAME")),
        }
        match self.gateway {
            Some(gateway) => order.reach.iter().for_each(|target| through_gateway(&mut out, gateway, target, order)),
            None => order.reach.iter().for_each(|target| direct(&mut out, target, order)),
        }
        let names: Vec<&str> = order.reach.iter().map(|target| target.target.name.as_str()).collect();
        let names = if names.is_empty() { "*".to_owned() } else { names.join(" ") };
        line(&mut out, format_args!("Host {names}"));
        if let (true, [principal, ..]) = (order.reach.is_empty(), order.principals.as_slice()) {
            line(&mut out, format_args!("    User {principal}"));
        }
        let Placement { identity_file, .. } = &order.placement;
        line(&mut out, format_args!("    IdentityFile {identity_file}"));
        line(&mut out, format_args!("    CertificateFile {}", beside(&order.placement, CERTIFICATE)));
        line(&mut out, format_args!("    UserKnownHostsFile {}", beside(&order.placement, KNOWN_HOSTS)));
        for fixed in [
            "IdentitiesOnly yes",
            "StrictHostKeyChecking yes",
            "UpdateHostKeys no",
            "PreferredAuthentications publickey",
            "ForwardAgent no",
        ] {
            line(&mut out, format_args!("    {fixed}"));
        }
        out
    }

    /// What `sshd` reads, from a file of `/etc/ssh/sshd_config.d`.
    pub(super) fn sshd_config(&self, order: &HostOrder, certified: bool) -> String {
        let directory = &order.directory;
        let mut out = String::new();
        line(&mut out, format_args!("# /etc/ssh/sshd_config.d/10-bourse.conf, once `sh setup` has run"));
        line(&mut out, format_args!("TrustedUserCAKeys {directory}/user-ca.pub"));
        line(&mut out, format_args!("RevokedKeys {directory}/revoked.krl"));
        line(&mut out, format_args!("AuthorizedPrincipalsFile {directory}/principals/%u"));
        if certified {
            line(&mut out, format_args!("# Beside the HostKey that was certified; the usual ones need no line here."));
            line(&mut out, format_args!("HostCertificate {directory}/{CERTIFICATE}"));
        }
        for fixed in [
            "PubkeyAuthentication yes",
            "AuthenticationMethods publickey",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "AllowAgentForwarding no",
            "AllowStreamLocalForwarding no",
            "X11Forwarding no",
            "PermitTunnel no",
        ] {
            line(&mut out, format_args!("{fixed}"));
        }
        out.push_str(&self.forwarding(order.target.as_ref()));
        line(&mut out, format_args!("# Once this works, nobody needs keys of their own on this host any more:"));
        line(&mut out, format_args!("# AuthorizedKeysFile none"));
        out
    }

    /// Hosts on the way let through to what lies behind them, and to nothing else.
    fn forwarding(&self, host: Option<&TargetOrder>) -> String {
        if self.settings.port_forward {
            return "AllowTcpForwarding yes\n".to_owned();
        }
        let behind = |host: &TargetOrder| {
            let behind = self.settings.targets.iter().filter(|other| other.via.as_ref() == Some(&host.target.name));
            let addresses = behind.map(|other| format!(" {}", address(&other.target.host, other.target.port)));
            addresses.collect::<String>()
        };
        match host.map(behind).filter(|open| !open.is_empty()) {
            Some(open) => format!("AllowTcpForwarding local\nPermitOpen{open}\n"),
            None if host.is_none() && self.settings.targets.iter().any(|target| target.via.is_some()) => {
                "# Ask with `target` for the lines of a host that others are reached through.\nAllowTcpForwarding no\n"
                    .to_owned()
            }
            None => "AllowTcpForwarding no\n".to_owned(),
        }
    }

    /// A script that puts the files of a host where `sshd_config` says. `certificate`: the host's own.
    pub(super) fn setup(&self, order: &HostOrder, certificate: Option<&str>) -> String {
        let mut out = format!("#!/bin/sh\nset -eu\numask 022\ndir='{}'\n", order.directory);
        out.push_str("mkdir -p \"$dir/principals\"\n");
        for (login, principals) in self.logins(order.target.as_ref()) {
            let lines: String = principals.iter().map(|principal| format!(" '{principal}'")).collect();
            line(&mut out, format_args!("printf '%s\\n'{lines} > \"$dir/principals/{login}\""));
        }
        if let Some(certificate) = certificate {
            line(&mut out, format_args!("printf '%s\\n' '{certificate}' > \"$dir/{CERTIFICATE}\""));
        }
        // Nothing in it is a line of its own that says END.
        line(&mut out, format_args!("cat > \"$dir/pull\" <<'END'\n{}END", self.pull(order)));
        out.push_str("sh \"$dir/pull\"\n");
        out
    }

    /// A script that fetches what changes, for a timer on the host.
    pub(super) fn pull(&self, order: &HostOrder) -> String {
        let mut out = format!("#!/bin/sh\nset -eu\numask 022\ndir='{}'\n", order.directory);
        for (file, path) in [("user-ca.pub", "user-ca.pub"), ("revoked.krl", "krl")] {
            let url = format!("{}/{path}", self.url);
            line(&mut out, format_args!("curl -fsS --retry 3 --max-time 20 -o \"$dir/{file}.new\" '{url}'"));
            line(&mut out, format_args!("mv \"$dir/{file}.new\" \"$dir/{file}\""));
        }
        out
    }

    /// The logins of a host, each with the principals that lead to it: its name, and its name at this target only.
    fn logins(&self, host: Option<&TargetOrder>) -> Vec<(String, Vec<String>)> {
        let every = || {
            let mut all = self.settings.principals.clone();
            all.extend(self.settings.targets.iter().flat_map(|order| order.target.principals.clone()));
            all.sort();
            all.dedup();
            all
        };
        let logins = host.map_or_else(every, |order| order.target.principals.clone());
        let with = |login: String| {
            let mut principals = vec![login.clone()];
            principals.extend(host.map(|order| at_target(&login, &order.target.name)));
            (login, principals)
        };
        logins.into_iter().map(with).collect()
    }
}

/// The principal of a certificate that is for one target only.
pub(super) fn at_target(principal: &str, target: &str) -> String {
    format!("{principal}@{target}")
}

fn direct(out: &mut String, order: &TargetOrder, user: &UserOrder) {
    let target = &order.target;
    line(out, format_args!("Host {}", target.name));
    line(out, format_args!("    HostName {}", target.host));
    line(out, format_args!("    Port {}", target.port));
    if let Some(principal) = target.principals.iter().find(|principal| user.principals.contains(principal)) {
        line(out, format_args!("    User {principal}"));
    }
    if let Some(via) = &order.via {
        line(out, format_args!("    ProxyJump {via}"));
    }
}

fn through_gateway(out: &mut String, gateway: &GatewayAddress, order: &TargetOrder, user: &UserOrder) {
    let target = &order.target;
    line(out, format_args!("Host {}", target.name));
    line(out, format_args!("    HostName {}", gateway.host));
    line(out, format_args!("    Port {}", gateway.port));
    if let Some(principal) = target.principals.iter().find(|principal| user.principals.contains(principal)) {
        line(out, format_args!("    User {}", login(principal, &target.name)));
    }
}

fn beside(placement: &Placement, file: &str) -> String {
    placement.directory.as_ref().map_or_else(|| file.to_owned(), |directory| format!("{directory}/{file}"))
}

/// A host in `known_hosts`. OpenSSH looks for certificates under the bare name too.
fn pattern(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

/// A host and port in `sshd_config`.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.push_str(&text.to_string());
    out.push('\n');
}
