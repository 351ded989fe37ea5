//! What a bind gives: certificates, and the texts that go with them.
//!
//! A certificate is written down before it is signed, so that none is unknown to the revocation list. What comes of an
//! interrupted try was never handed out; it is revoked with the binding. Invariant: no private key is among the credentials.

use osb::Object;
use osb::kit::{Binding, Fault, Instance, Issued};
use russh::keys::HashAlg;
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::certificate::CertType;
use serde_json::{Value, json};

use super::Bastion;
use super::certificate::{Request, SKEW_SECONDS, SignError, sign};
use super::material::{CERTIFICATE, Subject, at_target};
use super::parameters::{HostOrder, UserOrder};
use super::store::{Access, Kind, Order, StoreError};

/// How much of a name a key id holds.
const NAME_MAX: usize = 64;

impl Bastion {
    pub(super) async fn certify_user(
        &self,
        instance: &Instance,
        binding: &Binding,
        subject: &Subject<'_>,
        order: &UserOrder,
    ) -> Result<Issued, Fault> {
        let now = self.clock.seconds();
        let (settings, through) = (subject.settings, subject.gateway);
        let (user, key_id) = names(instance, binding);
        let access = Access {
            binding: binding.resource.clone(),
            bastion: instance.resource.clone(),
            user,
            key_id: key_id.clone(),
            principals: order.principals.clone(),
            target: order.target.clone(),
            expires_at: now.saturating_add(order.ttl),
            revoked: false,
        };
        let principals = if through.is_some() { order.principals.clone() } else { scoped(order) };
        let wanted = Request {
            key: &order.key,
            kind: CertType::User,
            serial: 0,
            key_id,
            principals: &principals,
            valid_after: now.saturating_sub(SKEW_SECONDS),
            valid_before: access.expires_at,
            sources: &settings.sources,
            // Behind a gateway, it is what the gateway itself is certified for.
            force_command: settings.force_command.as_deref().filter(|_| through.is_none()),
            pty: true,
            port_forwarding: settings.port_forward || order.reach.iter().any(|target| target.via.is_some()),
        };
        let kind = if through.is_some() { Kind::Door } else { Kind::User };
        let at = (instance.resource.as_str(), binding.resource.as_str());
        let mut credentials = self.certify(at, &wanted, kind, Some(&access), order.reason.as_deref()).await?;
        credentials.insert("ssh_config".into(), subject.ssh_config(order).into());
        credentials.insert("known_hosts".into(), subject.known_hosts().into());
        credentials.insert("user_ca_public_key".into(), lines(&subject.user_cas));
        if let Some(gateway) = through {
            credentials.insert("gateway_host".into(), gateway.host.as_str().into());
            credentials.insert("gateway_port".into(), gateway.port.into());
        }
        Ok(Issued {
            credentials,
            expires_at: Some(access.expires_at),
            renew_before: Some(now.saturating_add(order.ttl - order.ttl / 3)),
            endpoints: endpoints(subject, order),
        })
    }

    pub(super) async fn certify_host(
        &self,
        instance: &Instance,
        binding: &Binding,
        subject: &Subject<'_>,
        key: &PublicKey,
        order: &HostOrder,
    ) -> Result<Issued, Fault> {
        let now = self.clock.seconds();
        let wanted = Request {
            key,
            kind: CertType::Host,
            serial: 0,
            key_id: names(instance, binding).1,
            principals: &order.hostnames,
            valid_after: now.saturating_sub(SKEW_SECONDS),
            valid_before: now.saturating_add(order.ttl),
            sources: &[],
            force_command: None,
            pty: false,
            port_forwarding: false,
        };
        let (expires_at, ttl) = (wanted.valid_before, order.ttl);
        let mut credentials =
            self.certify((&instance.resource, &binding.resource), &wanted, Kind::Host, None, None).await?;
        let certificate = credentials.get(CERTIFICATE).and_then(Value::as_str).unwrap_or_default().to_owned();
        credentials.extend(trust(subject, order, Some(&certificate)));
        let renew_before = Some(now.saturating_add(ttl - ttl / 3));
        Ok(Issued { credentials, expires_at: Some(expires_at), renew_before, endpoints: Vec::new() })
    }

    /// Writes a certificate down and signs it. The serial of `wanted` is set here.
    async fn certify(
        &self,
        (bastion, binding): (&str, &str),
        wanted: &Request<'_>,
        kind: Kind,
        access: Option<&Access>,
        reason: Option<&str>,
    ) -> Result<Object, Fault> {
        let order = Order {
            bastion,
            binding,
            kind,
            key_id: &wanted.key_id,
            principals: wanted.principals,
            valid_before: wanted.valid_before,
            fingerprint: wanted.key.fingerprint(HashAlg::Sha256).to_string(),
            reason,
            counted: true,
        };
        let (serial, ca) = self.store.issue(&order, access, self.clock.seconds()).await?;
        let signed = sign(&ca.key, Request { serial, ..wanted.clone() }).map_err(StoreError::from)?;
        let text = signed.to_openssh().map_err(SignError::from).map_err(StoreError::from)?;
        Ok(object(json!({
            CERTIFICATE: text,
            "key_id": wanted.key_id,
            "serial": serial,
            "valid_after": time(wanted.valid_after),
            "valid_before": time(wanted.valid_before),
        })))
    }
}

/// What a host needs: public keys, and the texts that make use of them.
pub(super) fn trust(subject: &Subject<'_>, order: &HostOrder, certificate: Option<&str>) -> Object {
    object(json!({
        "user_ca_public_key": lines(&subject.user_cas),
        "host_ca_public_key": lines(&subject.host_cas),
        "known_hosts": subject.known_hosts(),
        "krl_url": format!("{}/krl", subject.url),
        "user_ca_url": format!("{}/user-ca.pub", subject.url),
        "sshd_config": subject.sshd_config(order, certificate.is_some()),
        "setup": subject.setup(order, certificate),
        "pull": subject.pull(order),
    }))
}

/// The principals of a certificate that hosts see: where it is for one target, only that target's logins.
fn scoped(order: &UserOrder) -> Vec<String> {
    if order.target.is_none() {
        return order.principals.clone();
    }
    let at = |target: &super::access::Target| {
        let own = target.principals.iter().filter(|principal| order.principals.contains(principal));
        own.map(|principal| at_target(principal, &target.name)).collect::<Vec<_>>()
    };
    order.reach.iter().flat_map(|reached| at(&reached.target)).collect()
}

/// What must be reachable from where the user is.
fn endpoints(subject: &Subject<'_>, order: &UserOrder) -> Vec<Value> {
    let endpoint = |host: &str, port: u16| json!({"host": host, "ports": [port.to_string()], "protocol": "tcp"});
    match subject.gateway {
        Some(gateway) => vec![endpoint(&gateway.host, gateway.port)],
        None => {
            let direct = order.reach.iter().filter(|reached| reached.via.is_none());
            direct.map(|reached| endpoint(&reached.target.host, reached.target.port)).collect()
        }
    }
}

/// The user, and the key id: `bourse:{tenant}:{user}:{binding}`.
fn names(instance: &Instance, binding: &Binding) -> (String, String) {
    let tenant = binding.tenant.as_ref().or(instance.tenant.as_ref()).map_or("", |tenant| tenant.name.as_str());
    let user = plain(binding.user.as_deref().unwrap_or_default(), "anonymous");
    let key_id = format!("bourse:{}:{user}:{}", plain(tenant, "-"), plain(&binding.id, "-"));
    (user, key_id)
}

/// A name in a key id: nothing that could look like another part of it, or of a log's line.
fn plain(name: &str, absent: &str) -> String {
    if name.is_empty() {
        return absent.to_owned();
    }
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "._@+-".contains(letter);
    name.chars().take(NAME_MAX).map(|letter| if fine(letter) { letter } else { '_' }).collect()
}

fn lines(keys: &[String]) -> Value {
    keys.iter().map(|key| format!("{key}\n")).collect::<String>().into()
}

/// RFC 3339, UTC.
fn time(seconds: i64) -> Value {
    jiff::Timestamp::from_second(seconds).map_or(Value::Null, |time| time.to_string().into())
}

/// The object that a value is.
pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}
