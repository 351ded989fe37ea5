//! The gateway as a client: its connection to the target, with a key and a certificate made for this session alone.
//!
//! Here the reading of a channel may block the connection (unlike on the user's side, see [`super::flow`]): what the target
//! sends waits for the user, and only one of the two sides may wait. Invariant: no target is spoken to whose host key is not
//! the one that the grant names.

use std::borrow::Cow;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Preferred, SshId};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::certificate::{check_host, check_signature};
use super::session::Session;
use crate::bastion::access::{Denied, Target};

/// What precedes the key of an authority in [`Target::host_key`]; there may be several such lines while a CA's key is replaced.
const AUTHORITY: &str = "@cert-authority";
/// Messages of the target that may wait for the user, for each channel: 512 KiB.
const WAITING: usize = 16;

/// Why the target was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum LegError {
    #[error("refused: {0}")]
    Refused(String),
    #[error("no host key is known for the target")]
    NoHostKey,
    #[error("the target's host key is not the one that was expected")]
    HostKey,
    #[error("the target did not accept the session's certificate")]
    Login,
    #[error("the target did not answer in time")]
    Late,
    #[error("could not reach the target")]
    Connect(#[source] std::io::Error),
    #[error("could not speak SSH with the target")]
    Speak(#[source] russh::Error),
    #[error("could not make a key for the session")]
    Key,
}

impl LegError {
    /// What the user may know of it.
    pub(super) fn shown(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NoHostKey | Self::HostKey => "the target is not the host that it should be",
            Self::Login => "the target refused the login",
            Self::Late | Self::Connect(_) | Self::Speak(_) => "the target can't be reached",
            Self::Key => "the gateway can't make a key",
        }
    }
}

impl From<Denied> for LegError {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied.reason)
    }
}

/// The connection.
pub(super) struct Leg {
    handle: Handle<Host>,
    socket: std::net::TcpStream,
    patience: Duration,
}

impl Leg {
    /// Connects and logs in.
    pub(super) async fn connect(session: &Session) -> Result<Self, LegError> {
        let patience = session.shared.limits.connect;
        timeout(patience, Self::connect_slowly(session, patience)).await.unwrap_or(Err(LegError::Late))
    }

    async fn connect_slowly(session: &Session, patience: Duration) -> Result<Self, LegError> {
        let (shared, admission) = (&session.shared, &session.admission);
        let seed = osb::kit::seal::random::<32>().map_err(|_| LegError::Key)?;
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let asked =
            shared.access.session_certificate(&admission.grant, &admission.target, &session.id, key.public_key());
        let certificate = asked.await?;
        let host = Host::of(&admission.target, shared.clock.seconds())?;
        let config = config(&host.expected);
        let stream = TcpStream::connect((admission.target.host.as_str(), admission.target.port));
        let stream = stream.await.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let (stream, socket) = stream.and_then(split).map_err(LegError::Connect)?;
        let mut handle = client::connect_stream(Arc::new(config), stream, host).await.map_err(|error| match error {
            russh::Error::UnknownKey => LegError::HostKey,
            // Where it has no key of the kinds that were asked for.
            russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. } => LegError::HostKey,
            error => LegError::Speak(error),
        })?;
        let login = handle.authenticate_openssh_cert(admission.principal.clone(), Arc::new(key), certificate);
        match login.await.map_err(LegError::Speak)? {
            AuthResult::Success => Ok(Self { handle, socket, patience }),
            AuthResult::Failure { .. } => Err(LegError::Login),
        }
    }

    /// A channel for a session.
    pub(super) async fn session(&self) -> Result<Channel<client::Msg>, ChannelOpenFailure> {
        opened(timeout(self.patience, self.handle.channel_open_session()).await)
    }

    /// A channel for a port that the target shall connect to.
    pub(super) async fn forward(&self, to: &Forward) -> Result<Channel<client::Msg>, ChannelOpenFailure> {
        let Forward { host, port, from_host, from_port } = to;
        let asked = self.handle.channel_open_direct_tcpip(host, *port, from_host, *from_port);
        opened(timeout(self.patience, asked).await)
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        // Whatever it is busy with. That it is closed already is no harm.
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

/// A port that a user wants to reach.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) host: String,
    pub(super) port: u32,
    pub(super) from_host: String,
    pub(super) from_port: u32,
}

type Opened<T, E> = Result<Result<T, russh::Error>, E>;

fn opened<T, E>(opened: Opened<T, E>) -> Result<T, ChannelOpenFailure> {
    match opened {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(russh::Error::ChannelOpenFailure(why))) => Err(why),
        Ok(Err(_)) | Err(_) => Err(ChannelOpenFailure::ConnectFailed),
    }
}

/// A stream, and a second hold on its socket to close it with whatever happens.
pub(super) fn split(stream: TcpStream) -> std::io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let socket = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, socket))
}

fn config(expected: &Expected) -> client::Config {
    let mut preferred = Preferred::default();
    match expected {
        // Only the key's own kind: else a host with several would show another one first.
        Expected::Key(key) => preferred.key = Cow::Owned(vec![key.algorithm()]),
        Expected::Authority(_) => preferred.host_key_certificates = preferred.key.clone(),
    }
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Bourse")),
        channel_buffer_size: WAITING,
        keepalive_interval: Some(Duration::from_secs(30)),
        nodelay: true,
        preferred,
        ..client::Config::default()
    }
}

/// Who the target must be.
enum Expected {
    Key(Box<PublicKey>),
    /// One of these signed its certificate.
    Authority(Vec<PublicKey>),
}

/// Checks that the target is who it must be. It opens no channels towards the user: all that it asks for is refused.
struct Host {
    expected: Expected,
    names: [String; 2],
    now: i64,
}

impl Host {
    fn of(target: &Target, now: i64) -> Result<Self, LegError> {
        let line =
            target.host_key.as_deref().map(str::trim).filter(|line| !line.is_empty()).ok_or(LegError::NoHostKey)?;
        let parse = |line: &str| PublicKey::from_openssh(line.trim()).map_err(|_| LegError::NoHostKey);
        let authorities = line.lines().map(|line| line.trim().strip_prefix(AUTHORITY)).collect::<Option<Vec<_>>>();
        let expected = match authorities {
            Some(lines) => Expected::Authority(lines.into_iter().map(parse).collect::<Result<_, _>>()?),
            None => Expected::Key(Box::new(parse(line)?)),
        };
        Ok(Self { expected, names: [target.host.clone(), target.name.clone()], now })
    }

    fn accepts(&self, shown: &PublicKeyOrCertificate) -> bool {
        match (&self.expected, shown) {
            (Expected::Key(expected), PublicKeyOrCertificate::PublicKey { key, .. }) => {
                expected.key_data() == key.key_data()
            }
            (Expected::Authority(authorities), PublicKeyOrCertificate::Certificate(certificate)) => {
                let names = self.names.each_ref().map(String::as_str);
                check_signature(certificate, authorities).is_ok() && check_host(certificate, &names, self.now).is_ok()
            }
            _ => false,
        }
    }
}

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(self.accepts(shown))
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<client::Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<client::Msg>,
        _socket_path: &str,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<client::Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<client::Msg>,
        _socket_path: &str,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<client::Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        refuse(reply).await
    }
}

async fn refuse(reply: client::ChannelOpenHandle) -> Result<(), russh::Error> {
    reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
    Ok(())
}
