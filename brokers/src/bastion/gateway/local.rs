//! A host to try the gateway with where there is no `sshd`: **not for production**.
//!
//! It runs commands by `sh` as the user that the broker runs as, whatever the principal, so whoever may log in may do what the
//! broker may do. Therefore it listens on loopback only, trusts one authority, and is never started unless it is asked for. It
//! knows shell and exec, with a terminal where `script` of util-linux is there; its size is that of the beginning. It
//! deliberately has no SFTP, no forwarding and no revocation list: the gateway's certificates live for minutes.

mod command;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use osb::kit::Clock;
use russh::keys::{Certificate, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Pty, SshId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use self::command::{Outlet, SCRIPT, command, run};
use super::certificate::{allows_terminals, check_signature, check_user, forced_command};
use super::flow::{Event, Receiver, Sender, Size, Start, TRICKLE, Terminal, WINDOW, flow};

/// Connections at a time.
const CONNECTIONS: usize = 32;
/// Channels of a connection at a time.
const CHANNELS: usize = 8;

/// Which CAs a local host trusts.
#[async_trait]
pub trait Authorities: Send + Sync + 'static {
    /// Whether this key is one whose certificates let users in.
    async fn trusts(&self, authority: &PublicKey) -> bool;
}

#[async_trait]
impl Authorities for Vec<PublicKey> {
    async fn trusts(&self, authority: &PublicKey) -> bool {
        self.iter().any(|known| known.key_data() == authority.key_data())
    }
}

/// What a local host works with.
pub struct LocalConfig {
    /// Its host key.
    pub host_key: PrivateKey,
    /// The certificate of its host key, where a host CA signed one.
    pub host_certificate: Option<Certificate>,
    /// The user CAs that it trusts.
    pub authorities: Arc<dyn Authorities>,
    /// As whom one may log in: names only, see above.
    pub principals: Vec<String>,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for LocalConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalConfig").field("principals", &self.principals).finish_non_exhaustive()
    }
}

/// Why a local host can't start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The socket can't be used.
    #[error("could not use the socket of the local host")]
    Socket(#[from] io::Error),
    /// Others could reach it.
    #[error("the local host is for trying out: it must listen on a loopback address")]
    Reachable,
}

/// A local host.
#[derive(Debug)]
pub struct LocalHost;

/// A local host that runs.
#[derive(Debug)]
pub struct LocalRunning {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl LocalHost {
    /// Starts a local host on that socket.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub fn start(listener: std::net::TcpListener, config: LocalConfig) -> Result<LocalRunning, LocalError> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(LocalError::Reachable);
        }
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let LocalConfig { host_key, host_certificate, authorities, principals, clock } = config;
        let ssh = server::Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-BourseLocal")),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: Duration::from_millis(300),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![host_key],
            certificates: host_certificate.into_iter().collect(),
            window_size: WINDOW,
            channel_buffer_size: 1,
            nodelay: true,
            ..server::Config::default()
        };
        let trust = Arc::new(Trust { authorities, principals, clock });
        let stop = watch::Sender::new(false);
        tracing::warn!(%address, "a host for trying out listens on {address}: it is not for production");
        let accepting = tokio::spawn(accept(listener, Arc::new(ssh), trust, stop.subscribe()));
        Ok(LocalRunning { address, stop, accepting })
    }
}

impl LocalRunning {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and what runs on it.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.accepting.await.is_err() {
            tracing::error!("the local host had ended before it was told to");
        }
    }
}

struct Trust {
    authorities: Arc<dyn Authorities>,
    principals: Vec<String>,
    clock: Clock,
}

async fn accept(listener: TcpListener, ssh: Arc<server::Config>, trust: Arc<Trust>, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut told = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = told.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) if connections.len() < CONNECTIONS => {
                connections.spawn(serve(Arc::clone(&ssh), Arc::clone(&trust), stream, peer.ip(), stop.clone()));
            }
            Ok((_, peer)) => tracing::warn!(%peer, "the local host has too many connections: one is turned away"),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(
    ssh: Arc<server::Config>,
    trust: Arc<Trust>,
    stream: TcpStream,
    source: IpAddr,
    mut stop: watch::Receiver<bool>,
) {
    let visitor = Visitor { trust, source, forced: None, terminals: false, open: HashMap::new(), stop: stop.clone() };
    let Ok(running) = server::run_stream(ssh, stream, visitor).await else { return };
    let handle = running.handle();
    let stopped = tokio::select! {
        _ = running => false,
        _ = stop.wait_for(|stop| *stop) => true,
    };
    if stopped {
        let told = handle.disconnect(russh::Disconnect::ByApplication, "the host stops".to_owned(), "en".to_owned());
        drop(timeout(Duration::from_secs(1), told).await);
    }
}

/// Somebody's connection.
struct Visitor {
    trust: Arc<Trust>,
    source: IpAddr,
    forced: Option<String>,
    /// Whether the certificate allows terminals.
    terminals: bool,
    open: HashMap<ChannelId, Open>,
    stop: watch::Receiver<bool>,
}

struct Open {
    flow: Sender,
    terminal: Option<Terminal>,
    /// Until something is started.
    idle: Option<(ChannelWriteHalf<Msg>, Receiver)>,
}

impl Visitor {
    async fn push(&self, id: ChannelId, event: Event) -> Result<(), russh::Error> {
        match self.open.get(&id) {
            Some(open) => open.flow.push(event).await.map_err(|_| russh::Error::Inconsistent),
            None => Ok(()),
        }
    }

    fn start(&mut self, id: ChannelId, asked: Start, session: &mut server::Session) -> Result<(), russh::Error> {
        let forced = self.forced.clone().map(|forced| Start::Command(forced.into_bytes()));
        let started = self.open.get_mut(&id).and_then(|open| Some((open.idle.take()?, open.terminal.clone())));
        let Some(((write, flow), terminal)) = started else { return session.channel_failure(id) };
        match command(&forced.unwrap_or(asked), terminal.as_ref()).and_then(|mut command| command.spawn()) {
            Ok(child) => {
                // It ends with its channel, which ends with the connection.
                tokio::spawn(run(child, Outlet { id, handle: session.handle(), write }, flow, self.stop.clone()));
                session.channel_success(id)
            }
            Err(error) => {
                tracing::warn!(%error, "the local host could not run a command");
                session.channel_failure(id)
            }
        }
    }
}

impl server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_openssh_certificate(&mut self, login: &str, certificate: &Certificate) -> Result<Auth, russh::Error> {
        let now = self.trust.clock.seconds();
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        if !self.trust.authorities.trusts(&authority).await {
            tracing::warn!("a login at the local host was refused: its authority is not trusted here");
            return Ok(Auth::reject());
        }
        let checked =
            check_signature(certificate, &[authority]).and_then(|()| check_user(certificate, login, self.source, now));
        match checked {
            Ok(()) if self.trust.principals.iter().any(|known| known == login) => {
                self.forced = forced_command(certificate);
                self.terminals = allows_terminals(certificate);
                Ok(Auth::Accept)
            }
            Ok(()) => Ok(Auth::reject()),
            Err(unsound) => {
                tracing::warn!("a login at the local host was refused: {unsound}");
                Ok(Auth::reject())
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        // russh says nothing of a channel that the host closed first.
        self.open.retain(|_, open| !open.flow.closed());
        if self.open.len() >= CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let (id, (sender, receiver)) = (channel.id(), flow());
        let (_, write) = channel.split();
        self.open.insert(id, Open { flow: sender, terminal: None, idle: Some((write, receiver)) });
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut server::Session) -> Result<(), russh::Error> {
        self.push(id, Event::Close).await?;
        self.open.remove(&id);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut server::Session) -> Result<(), russh::Error> {
        self.push(id, Event::Eof).await
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _session: &mut server::Session) -> Result<(), russh::Error> {
        self.push(id, Event::Data(Bytes::copy_from_slice(data))).await
    }

    fn adjust_window(&mut self, _id: ChannelId, _current: u32) -> u32 {
        if self.open.values().any(|open| open.flow.crowded()) { TRICKLE } else { WINDOW }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        match self.open.get_mut(&id) {
            Some(open) if self.terminals && Path::new(SCRIPT).exists() => {
                let size = Size { columns, rows, width, height };
                open.terminal = Some(Terminal { term: term.to_owned(), size, modes: modes.to_vec() });
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut server::Session) -> Result<(), russh::Error> {
        self.start(id, Start::Shell, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        self.start(id, Start::Command(command.to_vec()), session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }
}
