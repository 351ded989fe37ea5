//! An authority in memory: it signs what it is told to, and knows what it let in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use bourse_brokers::bastion::access::{Access, AuditError, Denied, Entry, Event, Grant, Recording, Target};
use bourse_brokers::bastion::gateway::certificate::check_signature;
use osb::kit::Clock;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey, PublicKey};
use tokio::sync::watch;

/// A key that is always the same for its seed.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// What users' certificates allow.
pub(crate) const EXTENSIONS: [&str; 2] = ["permit-port-forwarding", "permit-pty"];

/// What is signed.
pub(crate) struct Order<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) principals: Vec<String>,
    pub(crate) after: i64,
    pub(crate) before: i64,
    pub(crate) critical: Vec<(&'a str, &'a str)>,
    pub(crate) kind: CertType,
    pub(crate) extensions: &'a [&'a str],
}

impl Order<'_> {
    pub(crate) fn sign(&self, authority: &PrivateKey, key: &PublicKey) -> Certificate {
        let after = u64::try_from(self.after).unwrap();
        let mut builder = Builder::new(vec![5; 16], key.clone(), after, u64::try_from(self.before).unwrap()).unwrap();
        builder.cert_type(self.kind).unwrap().key_id(self.key_id).unwrap();
        if self.principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        for principal in &self.principals {
            builder.valid_principal(principal.as_str()).unwrap();
        }
        for (name, value) in &self.critical {
            builder.critical_option(*name, *value).unwrap();
        }
        for extension in self.extensions {
            builder.extension(*extension, "").unwrap();
        }
        builder.sign(authority).unwrap()
    }
}

pub(crate) struct Authority {
    pub(crate) ca: PrivateKey,
    pub(crate) grants: Mutex<HashMap<String, Grant>>,
    revoked: Mutex<HashMap<String, watch::Sender<bool>>>,
    audit: watch::Sender<Vec<Entry>>,
    /// Whether the audit can't be written.
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

impl Authority {
    pub(crate) fn new(grant: Grant) -> Self {
        let revoked = HashMap::from([(grant.resource.clone(), watch::Sender::new(false))]);
        Self {
            ca: key(10),
            grants: Mutex::new(HashMap::from([(grant.resource.clone(), grant)])),
            revoked: Mutex::new(revoked),
            audit: watch::Sender::new(Vec::new()),
            broken: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn revoke(&self, resource: &str) {
        self.revoked.lock().unwrap()[resource].send_replace(true);
    }

    /// The audit, once it says something for which that holds.
    pub(crate) async fn heard(&self, what: impl Fn(&Event) -> bool) -> Vec<Entry> {
        let mut audit = self.audit.subscribe();
        let said = audit.wait_for(|audit| audit.iter().any(|entry| what(&entry.event)));
        let said = tokio::time::timeout(super::setup::PATIENCE, said).await;
        said.unwrap_or_else(|_| panic!("the audit says only {:?}", self.audit.borrow())).unwrap().clone()
    }

    pub(crate) fn audit(&self) -> Vec<Entry> {
        self.audit.borrow().clone()
    }

    /// Why the last login was refused.
    pub(crate) fn denials(&self) -> Vec<String> {
        let reason = |entry: Entry| match entry.event {
            Event::Denied { reason, .. } => Some(reason),
            Event::Started { .. } | Event::Ended { .. } => None,
        };
        self.audit().into_iter().filter_map(reason).collect()
    }
}

#[async_trait]
impl Access for Authority {
    async fn admit(&self, certificate: &Certificate, _source: IpAddr) -> Result<Grant, Denied> {
        check_signature(certificate, &[self.ca.public_key().clone()])
            .map_err(|why| Denied::because(why.to_string()))?;
        let grant = self.grants.lock().unwrap().get(certificate.key_id()).cloned();
        let grant = grant.ok_or_else(|| Denied::because("there is no such grant"))?;
        match *self.revoked.lock().unwrap()[&grant.resource].borrow() {
            true => Err(Denied::because("the certificate is revoked")),
            false => Ok(grant),
        }
    }

    async fn session_certificate(
        &self,
        grant: &Grant,
        target: &Target,
        session: &str,
        key: &PublicKey,
    ) -> Result<Certificate, Denied> {
        let now = Clock::System.seconds();
        let order = Order {
            key_id: &format!("{}:{session}", grant.user),
            principals: target.principals.clone(),
            after: now - 60,
            before: now + 60,
            critical: Vec::new(),
            kind: CertType::User,
            extensions: &EXTENSIONS,
        };
        Ok(order.sign(&self.ca, key))
    }

    async fn audit(&self, entry: Entry) -> Result<(), AuditError> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(AuditError("the disk is full".into()));
        }
        self.audit.send_modify(|audit| audit.push(entry));
        Ok(())
    }

    fn revoked(&self, grant: &Grant) -> watch::Receiver<bool> {
        self.revoked.lock().unwrap()[&grant.resource].subscribe()
    }
}

/// A grant of everything, to be made smaller.
pub(crate) fn grant(principal: &str, targets: Vec<Target>) -> Grant {
    Grant {
        resource: "binding-1".into(),
        bastion: "bastion-1".into(),
        tenant: Some("acme".into()),
        user: "ada".into(),
        principals: vec![principal.to_owned()],
        targets,
        recording: Recording::Full,
        port_forwarding: true,
        sftp: true,
        expires_at: Clock::System.seconds() + 3600,
    }
}
