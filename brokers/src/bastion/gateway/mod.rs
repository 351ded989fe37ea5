//! The recording gateway of a bastion: an SSH server that ends the user's session and begins another one at the target.
//!
//! A user logs in as `PRINCIPAL+TARGET` with a certificate of the bastion's authority ([`crate::bastion::access`]); the
//! gateway logs in at the target with a key and a certificate of its own, made for that session, and relays between the two.
//! A jump host would see ciphertext only; this one sees what appears, and records it ([`record`]). It deliberately keeps no
//! state but the sessions that are open, decides nothing that the authority decides, and never forwards an agent or X11.
//!
//! Invariants: nobody is let in whom [`Access::admit`] did not let in; no session without a line of the audit and, where the
//! grant wants one, a recording; a grant that is revoked or over ends its sessions at once.

pub mod certificate;
mod connection;
mod flow;
mod leg;
pub mod local;
mod record;
mod relay;
mod session;
mod sftp;
mod tape;
mod user;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use osb::kit::Clock;
use russh::keys::{Certificate, PrivateKey};
use russh::{MethodKind, MethodSet, SshId, server};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

pub use self::record::{BadSeed, Broken, End, SealKey, Verified, chain_of, verify};
use self::session::{Cut, Session, chain};
use super::access::{Access, Entry};

/// How long a session that is cut has to end by itself, and how long all have when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many connections may be on their way in at a time.
const ARRIVING: usize = 100;

/// What a gateway works with.
pub struct GatewayConfig {
    /// The host key that users see; kept by the caller.
    pub host_key: PrivateKey,
    /// The certificate of the host key, where a host CA signed one.
    pub host_certificate: Option<Certificate>,
    /// What recordings are signed with; kept by the caller, as secret as the host key.
    pub seal_key: SealKey,
    /// The broker's directory, below which recordings lie.
    pub data: PathBuf,
    /// The time.
    pub clock: Clock,
    /// The limits.
    pub limits: Limits,
}

impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayConfig").field("data", &self.data).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a gateway bears.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions at a time.
    pub sessions: usize,
    /// Channels of a session at a time.
    pub channels: usize,
    /// How long a user may take to log in.
    pub handshake: Duration,
    /// How long the authority and the target may take.
    pub connect: Duration,
    /// After how long without anything passing a session ends.
    pub idle: Duration,
    /// How large the recordings of one session may become, together.
    pub recorded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 500,
            channels: 8,
            handshake: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30 * 60),
            recorded_bytes: 256 << 20,
        }
    }
}

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket can't be used.
    #[error("could not use the gateway's socket")]
    Socket(#[from] io::Error),
    /// There is another certificate than the key's.
    #[error("the host certificate is not that of the host key")]
    HostCertificate,
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its id.
    pub id: String,
    /// The instance's resource.
    pub bastion: String,
    /// The binding's resource.
    pub grant: String,
    /// The user, as the key id names them.
    pub user: String,
    /// The target's name.
    pub target: String,
    /// As whom.
    pub principal: String,
    /// Where the connection came from.
    pub source: std::net::IpAddr,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Starts a gateway on that socket.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        listener: std::net::TcpListener,
        access: Arc<dyn Access>,
        config: GatewayConfig,
    ) -> Result<Running, StartError> {
        let GatewayConfig { host_key, host_certificate, seal_key, data, clock, limits } = config;
        if host_certificate
            .as_ref()
            .is_some_and(|certificate| certificate.public_key() != host_key.public_key().key_data())
        {
            return Err(StartError::HostCertificate);
        }
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let ssh = Arc::new(ssh_config(host_key, host_certificate, &limits));
        let shared = Arc::new(Shared {
            access,
            clock,
            data,
            seal_key: Arc::new(seal_key),
            sessions: Arc::new(Semaphore::new(limits.sessions)),
            arriving: Arc::new(Semaphore::new(ARRIVING)),
            limits,
            live: Mutex::default(),
            stop: watch::Sender::new(false),
            stranger_at: AtomicI64::new(i64::MIN),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), ssh));
        tracing::info!(%address, "the gateway listens on {address}");
        Ok(Running { shared, address, accepting })
    }
}

/// A gateway that runs. It goes on running when this is dropped.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The public half of the key that recordings are signed with, for [`verify`].
    pub fn seal_public_key(&self) -> &[u8] {
        self.shared.seal_key.public_key()
    }

    /// The sessions that are open, oldest first.
    pub fn sessions(&self) -> Vec<Live> {
        let mut live: Vec<_> = self.shared.live(|live| live.values().map(|session| as_live(session)).collect());
        live.sort_by(|a: &Live, b| a.id.cmp(&b.id));
        live
    }

    /// Cuts a session; whether there is one of that id.
    pub fn cut(&self, session: &str) -> bool {
        let found = self.shared.live(|live| live.get(session).cloned());
        found.is_some_and(|session| {
            session.cut(Cut::Ordered);
            true
        })
    }

    /// Accepts nobody any more, cuts all sessions, and returns once they have ended: within seconds.
    pub async fn stop(self) {
        self.shared.stop.send_replace(true);
        if self.accepting.await.is_err() {
            tracing::error!("the gateway had ended before it was told to");
        }
    }
}

fn as_live(session: &Session) -> Live {
    let admission = &session.admission;
    Live {
        id: session.id.clone(),
        bastion: admission.grant.bastion.clone(),
        grant: admission.grant.resource.clone(),
        user: admission.grant.user.clone(),
        target: admission.target.name.clone(),
        principal: admission.principal.clone(),
        source: admission.source,
    }
}

/// What all connections share.
struct Shared {
    access: Arc<dyn Access>,
    clock: Clock,
    data: PathBuf,
    seal_key: Arc<SealKey>,
    limits: Limits,
    sessions: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
    live: Mutex<HashMap<String, Arc<Session>>>,
    stop: watch::Sender<bool>,
    stranger_at: AtomicI64,
}

impl Shared {
    /// Whether the audit has room for one more whom no authority knows: one a second, for anybody can make such logins.
    fn may_note_stranger(&self) -> bool {
        let now = self.clock.seconds();
        self.stranger_at.swap(now, Ordering::SeqCst) != now
    }

    fn live<T>(&self, work: impl FnOnce(&mut HashMap<String, Arc<Session>>) -> T) -> T {
        work(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes a line that nothing waits for; that it can't be written is said.
    async fn audit(&self, entry: Entry) {
        let written = timeout(self.limits.connect, self.access.audit(entry)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = chain(&error), "a line of the audit is lost"),
            Err(_) => tracing::error!("a line of the audit was not written in time"),
        }
    }

    /// Returns once the gateway is told to stop.
    async fn until_stopped(&self) {
        // The sender lives as long as this: there is no error.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, ssh: Arc<server::Config>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = shared.until_stopped() => break,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&shared.arriving).try_acquire_owned() {
                Ok(permit) => {
                    connections.spawn(connection::serve(Arc::clone(&shared), Arc::clone(&ssh), stream, peer, permit));
                }
                Err(_) => tracing::warn!(%peer, "too many connections are on their way in: one is turned away"),
            },
            Err(error) => {
                // Too many open files, most likely: what is open must have a chance to end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(3 * PATIENCE, ended).await.is_err() {
        connections.shutdown().await;
    }
}

fn ssh_config(host_key: PrivateKey, certificate: Option<Certificate>, limits: &Limits) -> server::Config {
    server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Bourse")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(300),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        certificates: certificate.into_iter().collect(),
        window_size: flow::WINDOW,
        // Nothing is read through channels: see `user`.
        channel_buffer_size: 1,
        max_auth_attempts: 6,
        inactivity_timeout: Some(limits.idle.max(limits.handshake)),
        keepalive_interval: Some(Duration::from_secs(30)),
        nodelay: true,
        ..server::Config::default()
    }
}
