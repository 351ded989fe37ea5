//! A server that listens on its own: for broker processes and for tests. The hub mounts [`Server::configure`] instead.
//!
//! It installs no signal handlers: its owner decides when to stop.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};
use tokio::task::JoinHandle;

use super::Server;

const WORKERS: usize = 2;
/// Longer than the time for which usual clients keep an idle connection, so that the client closes first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const SHUTDOWN_SECONDS: u64 = 10;

/// A listening server. Await it to learn that it ended; dropping it stops it.
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens there (port 0 picks one) and serves `/v2/…` until stopped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address can't be listened on.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Running> {
        let mounted = self.clone();
        self.bind_with(address, move |config| mounted.configure()(config))
    }

    /// The same, with what `mount` mounts: [`Server::configure`] within something of one's own, say.
    ///
    /// # Errors
    /// Where the address can't be listened on.
    pub fn bind_with(
        self,
        address: impl ToSocketAddrs,
        mount: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> io::Result<Running> {
        self.listen_with(TcpListener::bind(address)?, mount)
    }

    /// The same on a socket that listens already: its address was needed before the broker could be made.
    ///
    /// # Errors
    /// Where the socket can't be used.
    pub fn listen_with(
        self,
        listener: TcpListener,
        mount: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> io::Result<Running> {
        let server =
            HttpServer::new(move || App::new().configure(mount.clone()).default_service(web::to(self.nowhere())))
                .workers(WORKERS)
                .keep_alive(KEEP_ALIVE)
                .shutdown_timeout(SHUTDOWN_SECONDS)
                .disable_signals()
                .listen(listener)?;
        let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let server = server.run();
        Ok(Running { address, handle: server.handle(), task: tokio::spawn(server) })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections, finishes the requests under way, and ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

impl Future for Running {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|joined| joined.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent at once; only waiting for its effect would need the future.
        drop(self.handle.stop(false));
    }
}
