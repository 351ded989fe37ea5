//! Chaos: orders against a hub whose processes are killed and paused at random, with brokers behind it that hang, drop, lie,
//! die and create late; then an audit from outside. What the brokers hold, what the hub says, the events, the spans and what
//! the orderers were told must all tell the same story, and nothing may be under way any more.
//!
//! `cargo run --release --example chaos -- --minutes 15 --seed 1 --database sqlite:chaos.db`
//!
//! The seed decides what is ordered and what is disturbed when; how it meets is up to the machine. Everything is on loopback;
//! only processes that this program started are signalled, by their ids. Ends with 0 where the audit finds nothing.

mod audit;
mod hubs;
mod load;
mod turmoil;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bourse_brokers::faults::{Faults, wire};
use clap::Parser;
use osb::server::BasicAuth;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use hubs::{Hubs, Site};

/// Orders against a hub whose processes and brokers fail at random, and an audit of what is left.
#[derive(Debug, Parser)]
struct Args {
    /// How long there is disorder.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Decides what is ordered, and what is disturbed when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An empty database: sqlite:FILE or postgres://…; a temporary SQLite file where absent.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Processes of the hub; 2 on PostgreSQL where absent, and 1 on SQLite, which takes no more.
    #[arg(long)]
    hubs: Option<usize>,
    /// Orderers, each with one instance at a time.
    #[arg(long, default_value_t = 12)]
    orderers: usize,
}

/// Brokers behind the hub.
const BROKERS: usize = 3;
/// How long a broker is waited for: short, so that there is much to find out afterwards.
const TIMEOUT_MS: u64 = 1500;
/// How long everything may take to be over once there is order again.
const SETTLED_WITHIN: Duration = Duration::from_secs(600);

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    // The hub's processes are this program, too: it is all there is to build.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return bourse::cli::main();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(Args::parse())));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("chaos: {error}"));
            ExitCode::from(2)
        }
    }
}

/// A line on standard output. Where that is closed there is nobody left to tell.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// A broker whose listener can die and come back on the same port, with all that it holds.
struct Broker {
    faults: Faults,
    address: std::net::SocketAddr,
    running: Option<wire::Running>,
}

impl Broker {
    fn start() -> Fallible<Self> {
        let faults = Faults::new();
        let running = Self::listen(&faults, "127.0.0.1:0".parse()?)?;
        Ok(Self { address: running.address(), faults, running: Some(running) })
    }

    fn listen(faults: &Faults, address: std::net::SocketAddr) -> std::io::Result<wire::Running> {
        wire::bind(BasicAuth::new(Arc::new(faults.clone()), "hub", "secret"), faults, address)
    }

    /// Ends with all its connections.
    fn die(&mut self) {
        self.running = None;
    }

    /// Listens again; false where the port is not free yet.
    fn rise(&mut self) -> bool {
        if self.running.is_none() {
            self.running = Self::listen(&self.faults, self.address).ok();
        }
        self.running.is_some()
    }
}

async fn run(args: Args) -> Fallible<bool> {
    if !(0.0..=1440.0).contains(&args.minutes) {
        return Err("--minutes must be 0 to 1440".into());
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir()?;
    let database = args.database.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("chaos.db").display()));
    let on_postgres = database.starts_with("postgres");
    let hubs = args.hubs.unwrap_or(if on_postgres { 2 } else { 1 });
    if hubs == 0 || hubs > 8 || (!on_postgres && hubs != 1) {
        return Err("--hubs must be 1 to 8, and 1 on SQLite".into());
    }
    let mut brokers = (0..BROKERS).map(|_| Broker::start()).collect::<Fallible<Vec<_>>>()?;
    let mut hubs = Hubs::new(hubs, &database, folder.path())?;
    for index in 0..hubs.count() {
        hubs.start(index)?;
    }
    hubs.answer().await?;
    let site = furnish(&hubs, &brokers).await?;
    say(&format!(
        "seed {}: {} minutes on {}",
        args.seed,
        args.minutes,
        if on_postgres { "PostgreSQL" } else { "SQLite" }
    ));

    let started = Instant::now();
    let until = started + Duration::from_secs_f64(args.minutes * 60.0);
    let stop = CancellationToken::new();
    let orderers = load::start(&site, args.seed, args.orderers, until, &stop);
    let turmoil = turmoil::run(&mut hubs, &mut brokers, args.seed, until).await?;
    hubs.answer().await?;
    let told = load::finish(orderers).await;
    say(&format!("{turmoil}; a hub gave up at its start {} times\n{}", hubs.gave_up(), load::summary(&told)));
    stop.cancel();

    let settled = audit::settled(&site, SETTLED_WITHIN).await;
    let faults: Vec<_> = brokers.iter().map(|broker| broker.faults.clone()).collect();
    let found = audit::audit(&site, &database, &faults, &told, settled).await?;
    say(&found.summary);
    for wrong in &found.wrong {
        say(&format!("WRONG: {wrong}"));
    }
    hubs.stop().await?;
    let verdict = if found.wrong.is_empty() { "clean" } else { "NOT clean" };
    say(&format!("seed {}: the audit is {verdict}, after {} s", args.seed, started.elapsed().as_secs()));
    if !found.wrong.is_empty() {
        let kept = folder.keep();
        say(&format!("logs of the hubs, and the database where none was given: {}", kept.display()));
    }
    Ok(found.wrong.is_empty())
}

/// Registers brokers, a tenant and a platform.
async fn furnish(hubs: &Hubs, brokers: &[Broker]) -> Fallible<Site> {
    let mut site = hubs.site();
    if site.items("instances?limit=1").await?.is_empty() && site.items("brokers").await?.is_empty() {
        for (index, broker) in brokers.iter().enumerate() {
            let registration = json!({
                "name": format!("faults-{index}"), "name_prefix": format!("b{index}-"), "timeout_ms": TIMEOUT_MS,
                "url": format!("http://{}", broker.address),
                "credentials": {"basic": {"username": "hub", "password": "secret"}},
            });
            site.admin_ok("POST", "brokers", Some(registration)).await?;
        }
        site.admin_ok("PUT", "tenants/retail", Some(json!({"display_name": "Retail"}))).await?;
        let platform = json!({"name": "p", "kind": "other", "default_tenant": "retail"});
        let made = site.admin_ok("POST", "platforms", Some(platform)).await?;
        site.enter(&made["credentials"])?;
        site.look_at_catalog().await?;
        return Ok(site);
    }
    Err("the database is not empty: give a fresh one".into())
}
