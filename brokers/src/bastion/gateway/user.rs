//! The gateway as a server: who is let in, and what they may ask for.
//!
//! There is one way in, an OpenSSH user certificate whose key the client has; passwords, plain keys, agents and X11 are
//! refused. russh checks that the client has the key and that the certificate's signature is that of the key which the
//! certificate names as its authority; everything else is checked here and by the authority. Invariant: nothing here waits for
//! the target (see [`super::flow`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use russh::keys::Certificate;
use russh::server::{self, Auth, ChannelOpenHandle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, Error, Pty, Sig};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Shared;
use super::certificate::{allows_terminals, check_user, forced_command};
use super::flow::{Event, Sender, Size, Start, TRICKLE, Terminal, WINDOW, flow};
use super::leg::Forward;
use super::relay::{self, Purpose};
use super::session::{Admission, Cut, Session};
use crate::bastion::access::{self, Denied, Entry, Grant, parse_login};

/// How much of a name that a client made up is written down.
const SHOWN: usize = 64;

/// One user's connection.
pub(super) struct User {
    pub(super) shared: Arc<Shared>,
    pub(super) source: IpAddr,
    pub(super) admitted: watch::Sender<Option<Arc<Session>>>,
    pub(super) session: Option<Arc<Session>>,
    pub(super) channels: Channels,
}

/// The open channels.
#[derive(Clone, Default)]
pub(super) struct Channels(Arc<Mutex<HashMap<ChannelId, Open>>>);

struct Open {
    flow: Sender,
    /// Whether something may still be started on it.
    startable: bool,
}

impl Channels {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<ChannelId, Open>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn flow(&self, id: ChannelId) -> Option<Sender> {
        self.with(|open| open.get(&id).map(|open| open.flow.clone()))
    }

    fn crowded(&self) -> bool {
        self.with(|open| open.values().any(|open| open.flow.crowded()))
    }
}

impl User {
    async fn admit(&self, login: &str, certificate: &Certificate) -> Result<Session, Denied> {
        let asked = timeout(self.shared.limits.connect, self.shared.access.admit(certificate, self.source)).await;
        let grant = asked.unwrap_or_else(|_| Err(Denied::because("the authority did not answer in time")))?;
        let denied = |reason: String| Denied {
            reason,
            bastion: Some(grant.bastion.clone()),
            grant: Some(grant.resource.clone()),
        };
        let (principal, target) =
            parse_login(login).ok_or_else(|| denied("the login name is not PRINCIPAL+TARGET".to_owned()))?;
        // The authority has checked most of it: see `certificate`.
        let now = self.shared.clock.seconds();
        check_user(certificate, principal, self.source, now).map_err(|unsound| denied(unsound.to_string()))?;
        let may = |principals: &[String]| principals.iter().any(|named| named == principal);
        let shown: String = target.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        let target = grant.targets.iter().find(|known| known.name == target);
        let target = target.ok_or_else(|| denied(format!("the grant knows no target `{shown}`")))?.clone();
        if !may(&grant.principals) || !may(&target.principals) {
            return Err(denied(format!("the grant does not allow this principal at `{shown}`")));
        }
        let permit = Arc::clone(&self.shared.sessions).try_acquire_owned();
        let permit = permit.map_err(|_| denied("there are too many sessions".to_owned()))?;
        let (principal, forced) = (principal.to_owned(), forced_command(certificate));
        let terminals = allows_terminals(certificate);
        let admission = Admission { grant, target, principal, forced, terminals, source: self.source };
        Ok(Session::new(Arc::clone(&self.shared), admission, permit))
    }

    async fn denied(&self, denied: Denied) {
        tracing::warn!(source = %self.source, bastion.id = denied.bastion, "a login was refused: {denied}");
        if denied.bastion.is_none() && !self.shared.may_note_stranger() {
            return;
        }
        let Denied { reason, bastion, grant } = denied;
        let event = access::Event::Denied { target: None, reason };
        let entry = Entry { bastion, grant, user: None, session: None, source: self.source, event };
        self.shared.audit(entry).await;
    }

    fn grant(&self) -> Option<&Grant> {
        self.session.as_ref().map(|session| &session.admission.grant)
    }

    /// Gives a channel to a task of its own.
    async fn open(&self, channel: Channel<Msg>, reply: ChannelOpenHandle, handle: server::Handle, purpose: Purpose) {
        let Some(session) = &self.session else { return };
        let Some(slot) = session.channel() else { return reply.reject(ChannelOpenFailure::ResourceShortage).await };
        let (id, (sender, receiver)) = (channel.id(), flow());
        // The reading half is dropped: what is read comes to the handler's methods.
        let (_, write) = channel.split();
        let startable = matches!(purpose, Purpose::Session);
        self.channels.with(|open| open.insert(id, Open { flow: sender, startable }));
        let user = relay::User { id, handle, write, flow: receiver, reply, slot };
        let (channels, running) = (self.channels.clone(), Arc::clone(session));
        session.spawn(async move {
            relay::run(running, user, purpose).await;
            channels.with(|open| open.remove(&id));
        });
    }

    async fn push(&self, id: ChannelId, event: Event) {
        let Some(flow) = self.channels.flow(id) else { return };
        if flow.push(event).await.is_err()
            && let Some(session) = &self.session
        {
            session.cut(Cut::Flooded);
        }
    }

    /// Starts what is asked for, or the command that the certificate allows alone.
    async fn start(&self, id: ChannelId, asked: Start, session: &mut server::Session) -> Result<(), Error> {
        let may = self.grant().is_some_and(|grant| match &asked {
            Start::Shell => true,
            Start::Command(command) => grant.sftp || !copies(command),
            Start::Sftp => grant.sftp,
        });
        let forced = self.session.as_ref().and_then(|session| session.admission.forced.clone());
        let start = match (forced, asked) {
            (None, asked) => Some(asked),
            (Some(forced), Start::Shell | Start::Command(_)) => Some(Start::Command(forced.into_bytes())),
            (Some(_), Start::Sftp) => None,
        };
        let first =
            self.channels.with(|open| open.get_mut(&id).is_some_and(|open| std::mem::take(&mut open.startable)));
        match start {
            Some(start) if may && first => {
                self.push(id, Event::Start(start)).await;
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }
}

/// Whether a command is one that `scp`, `sftp` or `rsync` run at the other end. Who has a shell can copy by other means.
fn copies(command: &[u8]) -> bool {
    let text = String::from_utf8_lossy(command);
    let program = text.split_whitespace().find(|word| !word.contains('=')).unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("scp" | "sftp-server" | "internal-sftp" | "rsync"))
}

/// Which variables may be set at the target.
fn may_set(name: &str) -> bool {
    name == "LANG" || name.starts_with("LC_")
}

impl server::Handler for User {
    type Error = Error;

    async fn auth_openssh_certificate(&mut self, login: &str, certificate: &Certificate) -> Result<Auth, Error> {
        match self.admit(login, certificate).await {
            Ok(session) => {
                let session = Arc::new(session);
                self.session = Some(Arc::clone(&session));
                self.admitted.send_replace(Some(session));
                Ok(Auth::Accept)
            }
            Err(denied) => {
                self.denied(denied).await;
                Ok(Auth::reject())
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut server::Session,
    ) -> Result<(), Error> {
        self.open(channel, reply, session.handle(), Purpose::Session).await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        from_host: &str,
        from_port: u32,
        reply: ChannelOpenHandle,
        session: &mut server::Session,
    ) -> Result<(), Error> {
        if !self.grant().is_some_and(|grant| grant.port_forwarding) {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let (host, from_host) = (host.to_owned(), from_host.to_owned());
        let forward = Purpose::Forward(Forward { host, port, from_host, from_port });
        self.open(channel, reply, session.handle(), forward).await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut server::Session) -> Result<(), Error> {
        self.push(id, Event::Close).await;
        self.channels.with(|open| open.remove(&id));
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut server::Session) -> Result<(), Error> {
        self.push(id, Event::Eof).await;
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _session: &mut server::Session) -> Result<(), Error> {
        self.push(id, Event::Data(Bytes::copy_from_slice(data))).await;
        Ok(())
    }

    fn adjust_window(&mut self, _id: ChannelId, _current: u32) -> u32 {
        // russh keeps one target for all channels of a connection, so one that is crowded slows the others.
        if self.channels.crowded() { TRICKLE } else { WINDOW }
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
    ) -> Result<(), Error> {
        let may = self.session.as_ref().is_some_and(|session| session.admission.terminals);
        if !may || !self.channels.with(|open| open.get(&id).is_some_and(|open| open.startable)) {
            return session.channel_failure(id);
        }
        let size = Size { columns, rows, width, height };
        let terminal = Terminal { term: term.chars().take(SHOWN).collect(), size, modes: modes.to_vec() };
        self.push(id, Event::Terminal(terminal)).await;
        session.channel_success(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut server::Session,
    ) -> Result<(), Error> {
        if !may_set(name) {
            return session.channel_failure(id);
        }
        self.push(id, Event::Env(name.to_owned(), value.to_owned())).await;
        session.channel_success(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut server::Session) -> Result<(), Error> {
        self.start(id, Start::Shell, session).await
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Error> {
        self.start(id, Start::Command(command.to_vec()), session).await
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut server::Session,
    ) -> Result<(), Error> {
        match name {
            "sftp" => self.start(id, Start::Sftp, session).await,
            _ => session.channel_failure(id),
        }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        _session: &mut server::Session,
    ) -> Result<(), Error> {
        self.push(id, Event::Resize(Size { columns, rows, width, height })).await;
        Ok(())
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _session: &mut server::Session) -> Result<(), Error> {
        self.push(id, Event::Signal(signal)).await;
        Ok(())
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single_connection: bool,
        _x11_auth_protocol: &str,
        _x11_auth_cookie: &str,
        _x11_screen_number: u32,
        session: &mut server::Session,
    ) -> Result<(), Error> {
        session.channel_failure(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_copy_are_known_and_others_are_let_be() {
        for command in ["scp -t /tmp", "/usr/bin/scp -f x", "LC_ALL=C rsync --server .", "/usr/lib/openssh/sftp-server"]
        {
            assert!(copies(command.as_bytes()), "{command}");
        }
        for command in ["", "ls", "echo scp", "scpx"] {
            assert!(!copies(command.as_bytes()), "{command}");
        }
    }

    #[test]
    fn only_the_language_may_be_set() {
        assert!(may_set("LANG") && may_set("LC_ALL"));
        assert!(!may_set("LD_PRELOAD") && !may_set("PATH") && !may_set("LANGUAGE"));
    }
}
