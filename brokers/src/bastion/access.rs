//! Who may go where: what the gateway asks of the authority for each login.
//!
//! The gateway (an SSH server) knows this and nothing else of the authority; the authority knows nothing of the gateway but
//! its address. It deliberately carries no private key of the authority. Invariant: what a caller may do follows from a
//! [`Grant`] that [`Access::admit`] gave, and what the client learns of a refusal is only that it was refused.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use russh::keys::{Certificate, PublicKey};
use tokio::sync::watch;

/// Stands between principal and target in the login name that a user gives to the gateway: `deploy+db-1`.
pub const LOGIN_SEPARATOR: char = '+';

/// The login name at the gateway for a principal at a target.
pub fn login(principal: &str, target: &str) -> String {
    format!("{principal}{LOGIN_SEPARATOR}{target}")
}

/// Principal and target of a login name; `None` where one of them is missing. The target's name has no separator in it.
pub fn parse_login(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(LOGIN_SEPARATOR).filter(|(principal, target)| !principal.is_empty() && !target.is_empty())
}

/// Where recordings of a bastion lie; they go with it when its data is purged. `data` is the broker's directory.
pub fn recordings(data: &Path, bastion: &str) -> PathBuf {
    data.join("bastions").join(bastion).join("recordings")
}

/// What the bearer of a certificate may do, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The binding's resource.
    pub resource: String,
    /// The instance's resource.
    pub bastion: String,
    /// The tenant's name, where a stamp said so.
    pub tenant: Option<String>,
    /// The user, as the key id names them.
    pub user: String,
    /// As whom they may log in; never empty.
    pub principals: Vec<String>,
    /// Where they may go.
    pub targets: Vec<Target>,
    /// What is kept of their sessions.
    pub recording: Recording,
    /// Whether ports may be forwarded.
    pub port_forwarding: bool,
    /// Whether files may be copied.
    pub sftp: bool,
    /// Until when, in seconds since 1970.
    pub expires_at: i64,
}

/// A host behind a bastion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name within the bastion.
    pub name: String,
    /// A host name or address.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// As whom one may log in there; those of the grant that are not among these are of no use there.
    pub principals: Vec<String>,
    /// Its public key as an OpenSSH line; or lines, each `@cert-authority` and the line of a CA, one of which signed its host
    /// certificate.
    pub host_key: Option<String>,
}

/// What is kept of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Nothing but the audit's rows.
    Off,
    /// Who, where, when and how much.
    Metadata,
    /// What appeared on the terminal too.
    Full,
}

/// Why somebody is not let in: for the audit and the log, never for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// A lower-case fragment without a secret in it.
    pub reason: String,
    /// The bastion whose CA signed the certificate, where one did: its audit is told.
    pub bastion: Option<String>,
    /// The binding, where it is known.
    pub grant: Option<String>,
}

impl Denied {
    /// For that reason, with nothing else known.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), bastion: None, grant: None }
    }
}

/// What did not reach the audit; then the session must not begin, or must end.
#[derive(Debug, thiserror::Error)]
#[error("the audit could not be written")]
pub struct AuditError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A line of the audit. The authority adds the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bastion; `None` where it is not known whose the login was.
    pub bastion: Option<String>,
    /// The binding's resource.
    pub grant: Option<String>,
    /// The user, as the key id names them.
    pub user: Option<String>,
    /// An id that the gateway gave the session.
    pub session: Option<String>,
    /// Where the connection came from.
    pub source: IpAddr,
    /// What happened.
    pub event: Event,
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It reached the target.
    Started {
        /// The target's name.
        target: String,
        /// As whom.
        principal: String,
    },
    /// It is over. Said once for each that started.
    Ended {
        /// The target's name.
        target: String,
        /// How long it was, in whole seconds, rounded up.
        seconds: u64,
        /// The size of its recording.
        recorded_bytes: u64,
        /// Why, such as `closed by the user`, `revoked`, `expired`.
        reason: String,
    },
    /// It was refused.
    Denied {
        /// The target that was asked for, where it came that far.
        target: Option<String>,
        /// [`Denied::reason`].
        reason: String,
    },
}

/// The authority, as the gateway sees it.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Checks a user certificate: the signature of a bastion's CA, validity now, source address, principals, revocation.
    /// That the client has the private key is for the caller to check.
    ///
    /// # Errors
    /// Why not.
    async fn admit(&self, certificate: &Certificate, source: IpAddr) -> Result<Grant, Denied>;

    /// A certificate for the gateway's own fresh `key`, valid for minutes, to log in at `target` for one session of that
    /// grant. Its key id names the user and the session.
    ///
    /// # Errors
    /// Where the grant no longer stands, or the target is not among those that it may reach now.
    async fn session_certificate(
        &self,
        grant: &Grant,
        target: &Target,
        session: &str,
        key: &PublicKey,
    ) -> Result<Certificate, Denied>;

    /// Writes a line of the audit; it is on disk when this returns. No line may hold a secret.
    ///
    /// # Errors
    /// Where it is not.
    async fn audit(&self, entry: Entry) -> Result<(), AuditError>;

    /// Becomes true once the grant is revoked or has expired: then its sessions must be cut.
    fn revoked(&self, grant: &Grant) -> watch::Receiver<bool>;
}
