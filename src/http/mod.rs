//! What comes in over HTTP: the management API and its housekeeping. [`routes`] is the table of everything that is served,
//! [`error`] alone turns outcomes into status codes, [`auth`] says who calls before a body is looked at, [`observe`] sees
//! each request first and last.
//!
//! Handlers hold no rules and reach no database: each calls one use case of [`crate::app`].

pub mod admin;
pub mod auth;
pub mod error;
pub mod health;
pub mod input;
pub mod jwks;
pub mod metrics;
pub mod observe;
pub mod openapi;
pub mod osb;
pub mod page;
pub mod pointer;
pub mod routes;

use std::net::TcpListener;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{HttpServer, web};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How long a client may take for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long an idle connection is kept; a draining process waits for it at most that long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// True for this process from the moment it is told to stop: `GET /readyz` says so, and no connection is kept.
#[derive(Clone, Debug)]
pub struct Draining(CancellationToken);

impl Draining {
    /// Follows a token.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self(shutdown)
    }

    /// Whether the process is stopping.
    pub fn is_draining(&self) -> bool {
        self.0.is_cancelled()
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
            let platforms = osb::server(app);
            config.service(web::scope("/brokers/{broker}").configure(platforms.configure()));
            config.configure(platforms.configure());
        }
        config.default_service(web::to(error::no_such_path));
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
    let server = HttpServer::new(move || {
        actix_web::App::new().wrap(from_fn(observe::observe)).configure(configure(
            app.clone(),
            draining.clone(),
            surface,
        ))
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
    let stop = async {
        shutdown.cancelled().await;
        handle.stop(true).await;
    };
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended.map_err(std::io::Error::other)?,
        () = stop => {}
    }
    running.await.map_err(std::io::Error::other)?
}
