//! `bourse serve`: opens everything, says where it listens, and runs until it is told to stop. The first SIGTERM or SIGINT
//! drains: what is in flight is answered within `server.drain`, and the process ends with 0. The second ends it at once.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process;
use std::time::Duration;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Error, Settings, block_on, keys, settings, tls};
use crate::app::App;
use crate::backend::http::{Error as HttpError, Outgoing};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::http::{self, Surface};
use crate::store::Db;
use crate::worker::{self, Work};

/// Arguments of `bourse serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// What this process does. Several processes with PostgreSQL are one hub.
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Both.
    All,
    /// Answers requests.
    Api,
    /// Drives operations, delivers events, and answers only health checks.
    Worker,
}

impl Role {
    fn works(self) -> Work {
        match self {
            Self::All | Self::Worker => Work::Everything,
            Self::Api => Work::KeepUp,
        }
    }
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<(), Error> {
    let config = settings::load(&args.settings)?;
    // An error means that there is one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    block_on(serve(config, args.role))
}

async fn serve(mut config: Config, role: Role) -> Result<(), Error> {
    check_egress(&config)?;
    let sealer = keys::sealer(&config)?;
    let tls = config.server.tls.as_ref().map(tls::server).transpose()?;
    let shutdown = stop_on_signals()?;
    let asked = config.server.listen;
    let listener = TcpListener::bind(asked).map_err(|error| Error::Listen(asked, error))?;
    let bound = listener.local_addr().map_err(|error| Error::Listen(asked, error))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    follow_port(&mut config, scheme, bound);

    let _alone = alone_with(config.database.url.expose())?;
    let db = Db::open(config.database.url.expose(), config.database.connections).await.map_err(Error::Open)?;
    if config.database.migrate {
        db.migrate().await.map_err(Error::Migrate)?;
    }
    let app = App::new(config, db.clone(), Clock::system(), sealer);
    let behind = app.not_ready().await;
    if !behind.is_empty() {
        return Err(Error::NotReady(behind.join("; ")));
    }
    prepare(&app).await?;
    writeln!(std::io::stdout(), "listening on {scheme}://{bound}").map_err(Error::Write)?;
    std::io::stdout().flush().map_err(Error::Write)?;
    tracing::info!(role = ?role, "listening on {scheme}://{bound}");

    let surface = match role {
        Role::All | Role::Api => Surface::Everything,
        Role::Worker => Surface::Open,
    };
    app.join().await.map_err(Error::Prepare)?;
    let stop_work = CancellationToken::new();
    let workers = worker::start(&app, role.works(), &stop_work).map_err(Error::Prepare)?;
    let served = http::serve(app.clone(), surface, listener, tls, shutdown).await;
    stop_work.cancel();
    if tokio::time::timeout(app.config().server.drain, workers.wait()).await.is_err() {
        tracing::warn!("some work did not end in time; it is taken up again at the next start");
    }
    app.leave().await.map_err(Error::Prepare)?;
    db.close().await;
    tracing::info!("stopped");
    served.map_err(Error::Run)
}

/// What everything goes out with must be usable: a hub that starts without the roots it was given reaches nobody.
fn check_egress(config: &Config) -> Result<(), Error> {
    let invalid = |key, message| config::Error::Invalid { key, message };
    let unreadable = |error| {
        let file = config.egress.ca_file.as_deref().unwrap_or(Path::new(""));
        invalid("egress.ca_file", format!("{} cannot be read: {error}", file.display()))
    };
    let outgoing = Outgoing::new(&config.egress).map_err(unreadable)?;
    let made = outgoing.http(Duration::from_secs(1)).map(drop);
    Ok(made.map_err(|error| match error {
        HttpError::Ca => invalid("egress.ca_file", "must hold certificates, PEM".to_owned()),
        _ => invalid("egress.proxy", "must be a URL such as http://proxy.example:3128".to_owned()),
    })?)
}

/// SQLite is for one process: a second one would take the first one's work for that of the dead. Held for as long as the
/// process serves; nothing for other databases.
fn alone_with(url: &str) -> Result<Option<File>, Error> {
    let Some(database) = keys::sqlite_file(url) else { return Ok(None) };
    let mut name = database.into_os_string();
    name.push(".lock");
    let lock = File::create(name).map_err(Error::Run)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse),
        Err(TryLockError::Error(error)) => Err(Error::Run(error)),
    }
}

/// What every start makes sure of: the built-in platform, the catalog in memory, and an administrator.
async fn prepare(app: &App) -> Result<(), Error> {
    app.ensure_builtin_platform().await.map_err(Error::Prepare)?;
    app.reload_catalog().await.map_err(Error::Prepare)?;
    if let Some(password) = app.first_administrator().await.map_err(Error::Prepare)? {
        let username = &app.config().admin.username;
        let mut terminal = std::io::stderr();
        let told = writeln!(terminal, "administrator `{username}`, password (shown this once): {}", password.expose());
        told.map_err(Error::Write)?;
    }
    Ok(())
}

/// With port 0, a public URL that follows the listener learns the port that was picked.
fn follow_port(config: &mut Config, scheme: &str, bound: SocketAddr) {
    if config.server.public_url == format!("{scheme}://{}", config.server.listen) {
        config.server.public_url = format!("{scheme}://{bound}");
    }
    config.server.listen = bound;
}

/// A token that the first signal cancels; the second ends the process.
fn stop_on_signals() -> Result<CancellationToken, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Run)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Run)?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        for round in 0_u8.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                process::exit(1);
            }
            tracing::info!("stopping: answering what is in flight");
            token.cancel();
        }
    });
    Ok(shutdown)
}
