//! One connection from its first byte to its last: how long it may take to log in, what ends it, and that it is ended.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::server::{self, Handle, RunningSession};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::leg::split;
use super::session::{Cut, Session};
use super::user::{Channels, User};
use super::{PATIENCE, Shared};

/// How long a client has to take its leave once it is told to.
const LEAVE: Duration = Duration::from_secs(1);

/// Serves a connection.
pub(super) async fn serve(
    shared: Arc<Shared>,
    ssh: Arc<server::Config>,
    stream: TcpStream,
    peer: SocketAddr,
    arriving: OwnedSemaphorePermit,
) {
    let stream = stream.set_nodelay(true).and_then(|()| split(stream));
    let (stream, socket) = match stream {
        Ok(split) => split,
        Err(error) => return tracing::debug!(%peer, %error, "a connection went away"),
    };
    let (admitted, waiting) = watch::channel(None);
    let user = User {
        shared: Arc::clone(&shared),
        source: peer.ip().to_canonical(),
        admitted,
        session: None,
        channels: Channels::default(),
    };
    let deadline = Instant::now() + shared.limits.handshake;
    let running = tokio::select! {
        running = timeout_at(deadline, server::run_stream(ssh, stream, user)) => running.ok().and_then(Result::ok),
        () = shared.until_stopped() => None,
    };
    if let Some(running) = running {
        let admitted = log_in(&shared, &waiting, deadline).await;
        drop(arriving);
        match &admitted {
            Some(session) => stay(&shared, running, session).await,
            None => {
                close(&socket);
                // Once it has ended nobody is let in any more.
                drop(timeout(PATIENCE, running).await);
            }
        }
        close(&socket);
        // Somebody may have been let in just as their time was up.
        let late = waiting.borrow().clone();
        if let Some(session) = late {
            session.cut(Cut::Closed);
            session.end(PATIENCE).await;
            shared.live(|live| live.remove(&session.id));
        }
    }
    // Whatever is still busy with it ends with it.
    close(&socket);
}

/// The session, where the user is let in in time.
async fn log_in(
    shared: &Shared,
    waiting: &watch::Receiver<Option<Arc<Session>>>,
    deadline: Instant,
) -> Option<Arc<Session>> {
    let mut waiting = waiting.clone();
    // Where the connection ends first, the sender of this is dropped with it.
    let admitted = tokio::select! {
        admitted = timeout_at(deadline, waiting.wait_for(Option::is_some)) => admitted.ok()?.ok()?.clone()?,
        () = shared.until_stopped() => return None,
    };
    shared.live(|live| live.insert(admitted.id.clone(), Arc::clone(&admitted)));
    Some(admitted)
}

/// Waits for whatever ends the session first, and sends the user away where it was not the user.
async fn stay(shared: &Shared, mut running: RunningSession<User>, session: &Session) {
    let grant = &session.admission.grant;
    let mut revoked = shared.access.revoked(grant);
    // A clock that is behind only makes it longer by what the authority notices anyway.
    let left = u64::try_from(grant.expires_at.saturating_sub(shared.clock.seconds())).unwrap_or(0);
    let reason = tokio::select! {
        ended = &mut running => {
            if let Err(error) = ended {
                tracing::debug!(session.id = session.id, %error, "the connection of {} broke", session.id);
            }
            return session.cut(Cut::Closed);
        }
        reason = session.until_cut() => reason,
        // An authority that can't say any more whether it stands has revoked it.
        _ = revoked.wait_for(|revoked| *revoked) => over(shared, session),
        () = tokio::time::sleep(Duration::from_secs(left)) => Cut::Expired,
        () = session.until_idle(shared.limits.idle) => Cut::Idle,
        () = shared.until_stopped() => Cut::Stopped,
    };
    session.cut(reason.clone());
    leave(running.handle(), &reason).await;
    // That it does not end by itself is why the socket is closed next.
    drop(timeout(LEAVE, running).await);
}

/// The authority says the same of what it took back and of what ran out.
fn over(shared: &Shared, session: &Session) -> Cut {
    match session.admission.grant.expires_at <= shared.clock.seconds() {
        true => Cut::Expired,
        false => Cut::Revoked,
    }
}

async fn leave(handle: Handle, reason: &Cut) {
    let told = handle.disconnect(Disconnect::ByApplication, format!("bastion: {reason}"), "en".to_owned());
    drop(timeout(LEAVE, told).await);
}

fn close(socket: &std::net::TcpStream) {
    // It may be closed already.
    drop(socket.shutdown(Shutdown::Both));
}
