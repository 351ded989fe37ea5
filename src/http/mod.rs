//! What comes in over HTTP: the management API and its housekeeping, the portal ([`portal`]), and platforms ([`osb`]). [`routes`] is the table of everything that is served,
//! [`error`] alone turns outcomes into status codes, [`auth`] says who calls before a body is looked at, [`observe`] sees
//! each request first and last.
//!
//! Handlers hold no rules and reach no database: each calls one use case of [`crate::app`].

pub mod admin;
pub mod auth;
pub mod authorization;
pub mod detached;
pub mod error;
pub mod health;
pub mod input;
pub mod jwks;
pub mod login;
pub mod metrics;
pub mod observe;
pub mod openapi;
mod origin;
pub mod osb;
pub mod page;
pub mod permits;
pub mod pointer;
pub mod portal;
pub mod route;
pub mod routes;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{HttpServer, web};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How long a client may take for the head of a request; then it is answered 408. Longer than a process is likely to be paused:
/// its own slowness is not the client's.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long nothing must have been in flight before a draining process lets go of idle connections. Until then what was
/// answered last is on its way.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_TICKS: u32 = 20;

/// How a process stops: from the moment that it is told to, `GET /readyz` says so and no connection is kept; and how many
/// requests are being answered.
#[derive(Clone, Debug)]
pub struct Draining {
    shutdown: CancellationToken,
    in_flight: Arc<AtomicUsize>,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Draining {
    /// Follows a token.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, in_flight: Arc::default() }
    }

    /// Whether the process is stopping.
    pub fn is_draining(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Waits until the process is told to stop: for answers that would go on.
    pub(in crate::http) async fn begun(&self) {
        self.shutdown.cancelled().await;
    }

    pub(in crate::http) fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Waits until nothing has been in flight for [`QUIET`].
    async fn quiet(&self) {
        let mut ticks = tokio::time::interval(QUIET / QUIET_TICKS);
        let mut quiet = 0;
        while quiet <= QUIET_TICKS {
            ticks.tick().await;
            quiet = if self.in_flight.load(Ordering::SeqCst) == 0 { quiet + 1 } else { 0 };
        }
    }
}

/// How much of it a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Everything.
    Everything,
    /// Only what needs no credentials: health and the like, of a process that only works in the background.
    Open,
}

/// Adds everything that is served to an actix application.
pub fn configure(app: App, draining: Draining, surface: Surface) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.app_data(web::Data::new(app.clone())).app_data(web::Data::new(draining));
        routes::register_open(config);
        if surface == Surface::Everything {
            routes::register_api(config);
            portal::pages::register(config);
            let platforms = osb::server(app);
            config.service(web::scope("/brokers/{broker}").configure(platforms.configure()));
            config.configure(platforms.configure());
        }
        config.default_service(web::to(portal::visit::nothing_here));
    }
}

/// Serves until `shutdown`, then answers what is in flight for at most `server.drain`, and ends.
///
/// # Errors
/// Where the listener can't be used.
pub async fn serve(
    app: App,
    surface: Surface,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let (workers, drain) = (app.config().server.workers, app.config().server.drain);
    let draining = Draining::new(shutdown.clone());
    let factory = draining.clone();
    let server = HttpServer::new(move || {
        let parts = configure(app.clone(), factory.clone(), surface);
        actix_web::App::new().wrap(from_fn(observe::observe)).configure(parts)
    })
    .client_request_timeout(HEAD_WITHIN)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(drain.as_secs())
    .disable_signals();
    let server = if workers == 0 { server } else { server.workers(workers) };
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended.map_err(std::io::Error::other)?,
        () = shutdown.cancelled() => {}
    }
    // Closes the listener at once. It would then wait for connections to close, and an idle HTTP/2 one never does.
    let stopped = handle.stop(true);
    tokio::select! {
        ended = async { stopped.await; running.await } => ended.map_err(std::io::Error::other)?,
        () = draining.quiet() => Ok(()),
        () = tokio::time::sleep(drain) => Ok(()),
    }
}
