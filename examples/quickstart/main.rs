//! The whole of it at once, with nothing to set up: a hub with an embedded database, the reference brokers as real HTTP brokers
//! on loopback, two platforms, three tenants and prices. It prints credentials and `curl` lines that can be pasted in their order.
//!
//! What `bourse serve` and an operator do is done here in one process and by the same use cases; nothing is put into the
//! database behind their back. It is no way to run a hub for others: everything listens on one machine, without TLS.

mod brokers;
mod kept;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bourse::app::pairs::Pair;
use bourse::app::platforms::NewPlatform;
use bourse::app::tenants::Precondition;
use bourse::app::{self, App};
use bourse::clock::Clock;
use bourse::config::Config;
use bourse::domain::caller::Caller;
use bourse::domain::permission::Sight;
use bourse::domain::platform::PlatformKind;
use bourse::http::{self, Surface};
use bourse::secret::{Sealer, Secret, generate_password};
use bourse::store::Db;
use bourse::worker::{self, Work};
use clap::Parser;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::brokers::{Brokers, HUB};
use crate::kept::Kept;

/// A hub with the reference brokers, two platforms and three tenants, to try it out. Ctrl-C ends it.
#[derive(Debug, Parser)]
struct Args {
    /// Where the hub listens; port 0 picks one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where everything is kept for the next time; a temporary directory where absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The `curl` lines that are printed are those of the README, so that what is documented is what is shown.
const README: &str = include_str!("../../README.md");
/// What the reference brokers' services cost.
const PRICES: &str = include_str!("../../catalog/prices.json");

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run(Args::parse()).await else { return ExitCode::SUCCESS };
    let chain = std::iter::successors(Some(error.as_ref()), |error| (*error).source());
    let message = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // Where even standard error is closed there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "quickstart: {message}"));
    ExitCode::FAILURE
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        let what = "end what listens there, or give another address, such as --listen 127.0.0.1:0 for any free port";
        format!("could not listen on {}: {error}; {what}", args.listen)
    })?;
    let url = url(listener.local_addr()?);
    // Lives until the end, then removes its directory.
    let temporary = if args.data.is_none() { Some(tempfile::tempdir()?) } else { None };
    let folder = args.data.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| format!("could not make the directory {folder:?}: {error}"))?;
    // Given back by the system however this ends.
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|_| format!("another quickstart runs in {folder:?}: end it, or choose another --data"))?;
    let mut kept = Kept::open(folder.join("passwords.json"))?;

    let (app, db) = hub(&url, &folder, &mut kept).await?;
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(http::serve(app.clone(), Surface::Everything, listener, None, shutdown.clone()));

    let password = kept.or_make("brokers", || generate_password().map(|made| made.expose().clone()))?;
    let mut brokers = Brokers::start(&url, &folder, &password).await?;
    furnish(&app, &mut kept, &brokers.urls(), &password).await?;
    meter(&app, &mut kept, &mut brokers, &url).await?;
    let stop_work = CancellationToken::new();
    let workers = worker::start(&app, Work::Everything, &stop_work)?;

    let place = if temporary.is_some() { "removed at the end; --data DIR keeps one" } else { "kept" };
    let exports = [
        ("BOURSE", url.clone()),
        ("ADMIN", kept.get("admin")?),
        ("CF", kept.get("platform cf")?),
        ("K8S", kept.get("platform k8s")?),
        ("FAULTS", brokers.url("faults")),
        ("HUB", format!("{HUB}:{password}")),
    ];
    std::io::stdout().write_all(screen(&url, &folder, place, &exports).as_bytes())?;
    std::io::stdout().flush()?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    writeln!(std::io::stderr(), "stopping: answering what is in flight")?;
    shutdown.cancel();
    served.await??;
    stop_work.cancel();
    // What does not end in time is taken up again at the next start.
    drop(tokio::time::timeout(app.config().server.drain, workers.wait()).await);
    app.leave().await?;
    db.close().await;
    brokers.stop().await;
    Ok(())
}

/// The hub, as `bourse serve` puts it together, and its first administrator.
async fn hub(url: &str, folder: &Path, kept: &mut Kept) -> Result<(App, Db), Box<dyn Error>> {
    let mut config = Config::load(None, &BTreeMap::new())?;
    url.clone_into(&mut config.server.public_url);
    config.egress.allow = vec!["127.0.0.0/8".parse()?];
    config.log.level = "error".to_owned();
    bourse::telemetry::init(&config.log)?;
    drop(rustls::crypto::ring::default_provider().install_default());
    let sealer = Sealer::new(&[Secret::new(kept.or_make("encryption_key", Sealer::generate_key)?)])?;
    let db = Db::open(&format!("sqlite:{}", folder.join("bourse.db").display()), config.database.connections).await?;
    db.migrate().await?;
    let app = App::new(config, db.clone(), Clock::system(), sealer);
    app.ensure_builtin_platform().await?;
    app.reload_catalog().await?;
    if let Some(password) = app.first_administrator().await? {
        kept.keep("admin", format!("admin:{}", password.expose()))?;
    }
    app.join().await?;
    Ok((app, db))
}

/// Registers what is not there yet. Brokers listen on other ports each time, so the hub is told where.
async fn furnish(app: &App, kept: &mut Kept, brokers: &[(&str, String)], password: &str) -> Result<(), Box<dyn Error>> {
    let admin = Caller::Admin("admin".to_owned());
    for (name, url) in brokers {
        if app.broker(&Sight::everything(), name).await.is_ok() {
            let change = serde_json::from_value(json!({ "url": url }))?;
            app.patch_broker(&admin, name, change, None).await?;
        } else {
            // With a timeout of 5 s, the plans of `faults` that never answer are no trial of patience.
            let credentials = json!({ "basic": { "username": HUB, "password": password } });
            let new = json!({ "name": name, "url": url, "credentials": credentials, "timeout_ms": 5000 });
            app.register_broker(&admin, serde_json::from_value(new)?).await?;
        }
    }
    for (name, kind) in [("cf", PlatformKind::CloudFoundry), ("k8s", PlatformKind::Kubernetes)] {
        let key = format!("platform {name}");
        let pair: Pair = match app.platform_by_name(name).await {
            Ok(_) if kept.values.contains_key(&key) => continue,
            Ok(_) => app.add_platform_credentials(&admin, name).await?,
            Err(app::Error::NotFound { .. }) => {
                let new = NewPlatform { name: name.to_owned(), kind, default_tenant: None, trust: None };
                app.create_platform(&admin, new).await?.1
            }
            Err(error) => return Err(error.into()),
        };
        kept.keep(&key, format!("{}:{}", pair.username, pair.password.expose()))?;
    }
    // Books are for ever: one that is there stays the only one.
    if app.price_books(None).await?.is_empty() {
        app.create_price_book(&admin, serde_json::from_str(PRICES)?).await?;
    }
    let tenants = [
        ("retail", "4711", vec![json!({ "platform": "cf", "organization_guid": "org-retail" })]),
        ("logistics", "4712", vec![json!({ "platform": "k8s", "namespace": "logistics" })]),
        ("research", "4713", vec![json!({ "platform": "k8s", "namespace": "research" })]),
    ];
    for (name, cost_center, identities) in tenants {
        // One that is there may have been changed since, and stays as it is.
        if app.tenant_by_name(name).await.is_err() {
            let document = json!({ "display_name": name, "cost_center": cost_center, "identities": identities });
            app.put_tenant(&admin, name, serde_json::from_value(document)?, Precondition::None).await?;
        }
    }
    Ok(())
}

/// Lets brokers that measure what they give tell the hub, each with credentials of its own.
async fn meter(app: &App, kept: &mut Kept, brokers: &mut Brokers, url: &str) -> Result<(), Box<dyn Error>> {
    let admin = Caller::Admin("admin".to_owned());
    for name in brokers.metered().collect::<Vec<_>>() {
        let key = format!("broker {name}");
        if !kept.values.contains_key(&key) {
            let pair = app.add_broker_credentials(&admin, name).await?;
            kept.keep(&key, format!("{}:{}", pair.username, pair.password.expose()))?;
        }
        let pair = kept.get(&key)?;
        brokers.report(name, url, pair.split_once(':').unwrap_or_default())?;
    }
    Ok(())
}

/// Everything that is printed once all is there.
fn screen(url: &str, folder: &Path, place: &str, exports: &[(&str, String)]) -> String {
    let section = README.split_once("<!-- quickstart -->").map_or("", |(_, rest)| rest);
    let mut lines = section.split("```").nth(1).unwrap_or_default().trim_start_matches("sh").trim().to_owned();
    let mut text = format!("listening on {url}\ndata in {} ({place})\n\n", folder.display());
    for (name, value) in exports {
        text.push_str(&format!("export {name}='{value}'\n"));
        lines = lines.replace(&format!("${name}"), value);
    }
    format!("{text}\n{lines}\n\nCtrl-C ends it.\n")
}

/// How the hub is reached: an address that means all of them can't be called.
fn url(bound: SocketAddr) -> String {
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}
