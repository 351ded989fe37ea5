//! The authority as the gateway sees it: who comes in, a certificate for each session, and the audit.
//!
//! Invariant: a decision is made on what the file says now: a changed target list, source list or plan holds at the next
//! login, whatever a certificate that was signed earlier says.

use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;
use osb::kit::Refusal;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Bastion;
use super::access::{Access, AuditError, Denied, Entry, Event, Grant, Recording, Target};
use super::certificate::{Request, SKEW_SECONDS, sign};
use super::parameters::{self, Settings, reach};
use super::plan::Plan;
use super::store::{self, Kind, Order, PublicCa, StoreError};

/// How long the gateway's own certificate for a session is valid: only for logging in.
const SESSION_SECONDS: i64 = 5 * 60;

#[async_trait]
impl Access for Bastion {
    async fn admit(&self, certificate: &Certificate, source: IpAddr) -> Result<Grant, Denied> {
        let signer = PublicKey::new(certificate.signature_key().clone(), "");
        let ca = self.store.authority(&signer).await.map_err(|error| failed(&error))?;
        let ca = ca.ok_or_else(|| Denied::because("the certificate is not signed by a bastion of this broker"))?;
        self.check(certificate, &ca, source)
            .await
            .map_err(|denied| Denied { bastion: Some(ca.bastion.clone()), ..denied })
    }

    async fn session_certificate(
        &self,
        grant: &Grant,
        target: &Target,
        session: &str,
        key: &PublicKey,
    ) -> Result<Certificate, Denied> {
        let now = self.clock.seconds();
        let denied = |reason: &str| Denied {
            reason: reason.to_owned(),
            bastion: Some(grant.bastion.clone()),
            grant: Some(grant.resource.clone()),
        };
        let access = self.store.access(&grant.resource).await.map_err(|error| failed(&error))?;
        let access = access.filter(|access| !access.revoked && now < access.expires_at);
        let access = access.ok_or_else(|| denied("access was taken away or has expired"))?;
        let (plan, settings, _) = self.standing(&access.bastion).await?;
        let (_, targets) = reachable(&settings, &access).map_err(|reason| denied(&reason))?;
        let same =
            |known: &&Target| (&known.name, &known.host, known.port) == (&target.name, &target.host, target.port);
        let target = targets.iter().find(same);
        let target = target.ok_or_else(|| denied("the target is not among those of the grant"))?;
        let principals: Vec<String> =
            target.principals.iter().filter(|name| access.principals.contains(name)).cloned().collect();
        let wanted = Request {
            key,
            kind: CertType::User,
            serial: 0,
            key_id: format!("{}:{}", access.key_id, plain(session)),
            principals: &principals,
            valid_after: now.saturating_sub(SKEW_SECONDS),
            valid_before: now.saturating_add(SESSION_SECONDS).min(access.expires_at),
            sources: &[],
            force_command: settings.force_command.as_deref(),
            pty: true,
            port_forwarding: plan.recording.is_some() && settings.port_forward,
        };
        let order = Order {
            bastion: &access.bastion,
            binding: &access.binding,
            kind: Kind::User,
            key_id: &wanted.key_id,
            principals: &principals,
            valid_before: wanted.valid_before,
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            reason: None,
            counted: false,
        };
        let (serial, ca) = self.store.issue(&order, None, now).await.map_err(|error| failed(&error))?;
        sign(&ca.key, Request { serial, ..wanted.clone() }).map_err(|error| failed(&StoreError::from(error)))
    }

    async fn audit(&self, entry: Entry) -> Result<(), AuditError> {
        let counts = match &entry.event {
            Event::Ended { seconds, recorded_bytes, .. } => (*seconds, *recorded_bytes),
            Event::Started { .. } | Event::Denied { .. } => (0, 0),
        };
        let written = self.store.audit(entry.bastion.as_deref(), self.clock.seconds(), &line(&entry), counts).await;
        written.map_err(|error| AuditError(error.into()))
    }

    fn revoked(&self, grant: &Grant) -> watch::Receiver<bool> {
        self.watches.of(&grant.resource, grant.expires_at, &self.store, &self.clock)
    }
}

impl Bastion {
    /// Checks a certificate that this CA is said to have signed.
    async fn check(&self, certificate: &Certificate, ca: &PublicCa, source: IpAddr) -> Result<Grant, Denied> {
        if ca.kind != Kind::Door || certificate.cert_type() != CertType::User {
            return Err(Denied::because("the certificate is not one for the gateway"));
        }
        let now = self.clock.seconds();
        let moment = u64::try_from(now).map_err(|_| Denied::because("the clock is wrong"))?;
        if certificate.validate_at(moment, [&ca.key.fingerprint(HashAlg::Sha256)]).is_err() {
            return Err(Denied::because("the certificate has expired, is not valid yet, or its signature is wrong"));
        }
        for (name, value) in certificate.critical_options().iter() {
            let met = name == "source-address" && comes_from(value, source);
            if !met {
                return Err(Denied::because(format!("the critical option `{name}` is not met")));
            }
        }
        let held = self.store.held(&ca.bastion, certificate.serial()).await.map_err(|error| failed(&error))?;
        let held = held.ok_or_else(|| Denied::because("no certificate with this serial was given out"))?;
        let access = held.access;
        let denied = |reason: String| Denied { grant: Some(access.binding.clone()), ..Denied::because(reason) };
        if held.revoked || access.revoked {
            return Err(denied("the certificate is revoked".into()));
        }
        let (plan, settings, tenant) = self.standing(&ca.bastion).await?;
        if !settings.sources.is_empty() && !settings.sources.iter().any(|net| net.contains(&source)) {
            return Err(denied("the source address is not among those of the bastion".into()));
        }
        let (principals, mut targets) = reachable(&settings, &access).map_err(denied)?;
        self.vouch(&ca.bastion, &mut targets, now).await.map_err(|error| failed(&error))?;
        if principals.iter().any(|principal| !certificate.valid_principals().contains(principal)) {
            return Err(denied("the certificate lacks a principal of its grant".into()));
        }
        Ok(Grant {
            resource: access.binding.clone(),
            bastion: ca.bastion.clone(),
            tenant,
            user: access.user.clone(),
            principals,
            targets,
            recording: plan.recording.unwrap_or(Recording::Off),
            port_forwarding: settings.port_forward,
            sftp: settings.sftp,
            expires_at: access.expires_at,
        })
    }

    /// Hosts that the settings say no key of are those that this bastion itself has certified.
    async fn vouch(&self, bastion: &str, targets: &mut [Target], now: i64) -> Result<(), StoreError> {
        let authorities = self.lines(bastion, Kind::Host, now).await?;
        let lines: Vec<String> = authorities.iter().map(|ca| format!("@cert-authority {ca}")).collect();
        for target in targets.iter_mut().filter(|target| target.host_key.is_none()) {
            target.host_key = Some(lines.join("\n"));
        }
        Ok(())
    }

    /// A bastion as it stands now: plan, settings and tenant.
    async fn standing(&self, bastion: &str) -> Result<(&'static Plan, Settings, Option<String>), Denied> {
        let row = self.store.bastion(bastion).await.map_err(|error| failed(&error))?;
        let row: store::Bastion =
            row.filter(|row| !row.retired).ok_or_else(|| Denied::because("the bastion was deleted"))?;
        let unreadable = |error: Refusal| Denied::because(error.to_string());
        let plan = Self::plan(&row.plan_id).map_err(unreadable)?;
        let settings = self.settings_of(&row.parameters, plan).map_err(unreadable)?;
        Ok((plan, settings, row.tenant))
    }
}

/// As whom and where to, with the targets as they are now. Those that the bastion no longer allows are left out.
fn reachable(settings: &Settings, access: &store::Access) -> Result<(Vec<String>, Vec<Target>), String> {
    let mut principals = access.principals.clone();
    principals.retain(|principal| {
        let knows = |order: &parameters::TargetOrder| order.target.principals.contains(principal);
        settings.targets.iter().any(knows)
    });
    if principals.is_empty() {
        return Err("no target knows a principal of the grant".into());
    }
    let found = reach(settings, access.target.as_deref(), Some(principals));
    let (principals, orders) = found.map_err(|refusal| refusal.to_string())?;
    Ok((principals, orders.into_iter().map(|order| order.target).collect()))
}

/// Whether an address lies in one of the prefixes, separated by commas.
fn comes_from(prefixes: &str, source: IpAddr) -> bool {
    let inside = |text: &str| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.is_ok_and(|net| net.contains(&source))
    };
    prefixes.split(',').any(|text| inside(text.trim()))
}

fn failed(error: &StoreError) -> Denied {
    tracing::error!(%error, "the authority could not decide");
    Denied::because("the authority could not decide")
}

/// An id of the gateway's, as a key id may hold it.
fn plain(session: &str) -> String {
    session.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(64).collect()
}

/// An entry as the audit keeps it.
fn line(entry: &Entry) -> Value {
    let event = match &entry.event {
        Event::Started { target, principal } => {
            json!({"type": "session.started", "target": target, "principal": principal})
        }
        Event::Ended { target, seconds, recorded_bytes, reason } => json!({
            "type": "session.ended",
            "target": target,
            "seconds": seconds,
            "recorded_bytes": recorded_bytes,
            "reason": reason,
        }),
        Event::Denied { target, reason } => json!({"type": "session.denied", "target": target, "reason": reason}),
    };
    let mut line = event;
    line["binding"] = entry.grant.as_deref().into();
    line["user"] = entry.user.as_deref().into();
    line["session"] = entry.session.as_deref().into();
    line["source"] = entry.source.to_string().into();
    line
}
