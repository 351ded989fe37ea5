//! What the hub costs, in one command: `cargo bench --bench bench` measures everything side by side in one run and writes the
//! figures into docs/performance.md, with a verdict for each target.
//!
//! `-- --quick` goes through all of it in short, prints and writes nothing; `-- --only NAME` runs one part (`operations`,
//! `catalog`, `orders`, `usage`, `scale`, `portal`) and prints; `--only usage` and `--only portal` write, since they have blocks of their own there. nginx, PostgreSQL and a C compiler must be installed; the parts say how.
//!
//! Broker, nginx, hub, database and bare statements are processes of their own, so that each one's processor time and memory are
//! its own; the load is in this one. It judges nothing but figures of the same run. Invariant: whatever happens, no process
//! and no file stays behind.

mod bare;
mod broker;
mod catalog;
mod fill;
mod flush;
#[expect(
    clippy::expect_used,
    dead_code,
    reason = "it is made for tests; a benchmark without its guard had better not run"
)]
#[path = "../../tests/it/support/guard.rs"]
mod guard;
mod honest;
mod http;
mod hub;
mod load;
mod machine;
mod nginx;
mod operations;
mod orders;
mod page;
mod portal;
mod postgres;
mod process;
mod ratios;
mod scale;
mod stand;
mod stats;
mod usage;
mod yardstick;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What may go wrong is told to whoever started it, whatever it is.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PARTS: [&str; 6] = ["operations", "catalog", "orders", "usage", "scale", "portal"];
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");

/// How long and how much.
pub(crate) struct Pace {
    /// A loop that stands by itself.
    pub(crate) lasting: Duration,
    /// A round of what runs by turns, and how many there are.
    pub(crate) round: Duration,
    pub(crate) rounds: usize,
    /// Before anything is measured.
    pub(crate) warm: Duration,
    /// Orders one at a time.
    pub(crate) singles: usize,
    /// Starts of a hub.
    pub(crate) starts: usize,
    pub(crate) instances: usize,
    pub(crate) brokers: usize,
    /// Instances that are metered for a month.
    pub(crate) metered: usize,
}

impl Pace {
    const FULL: Self = Self {
        lasting: Duration::from_secs(4),
        round: Duration::from_secs(3),
        rounds: 4,
        warm: Duration::from_millis(500),
        singles: 1500,
        starts: 7,
        instances: 1_000_000,
        brokers: 500,
        metered: 1000,
    };
    const QUICK: Self = Self {
        lasting: Duration::from_millis(700),
        round: Duration::from_millis(700),
        rounds: 1,
        warm: Duration::from_millis(100),
        singles: 50,
        starts: 2,
        instances: 20_000,
        brokers: 20,
        metered: 20,
    };
}

/// Says how far it is.
pub(crate) fn say(what: String) {
    drop(writeln!(std::io::stderr(), "bench: {what}"));
}

fn main() -> ExitCode {
    let Err(error) = serve() else { return ExitCode::SUCCESS };
    say(error.to_string());
    ExitCode::FAILURE
}

fn serve() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child", "broker"] => broker::serve(),
        ["child", "bare", url] => bare::serve(url),
        ["child", "flush", folder] => flush::child(Path::new(folder)),
        [] => measure(&PARTS, &Pace::FULL, true),
        ["--quick"] => measure(&PARTS, &Pace::QUICK, false),
        ["--only", part @ ("usage" | "portal")] => measure(&[part], &Pace::FULL, true),
        ["--only", part] if PARTS.contains(part) => measure(&[part], &Pace::FULL, false),
        ["--quick", "--only", part] | ["--only", part, "--quick"] if PARTS.contains(part) => {
            measure(&[part], &Pace::QUICK, false)
        }
        _ => Err(format!("usage: cargo bench --bench bench [-- [--quick] [--only {}]]", PARTS.join("|")).into()),
    }
}

/// One thread for the load, so that it takes one core at most.
fn measure(parts: &[&str], pace: &Pace, written: bool) -> Outcome<()> {
    let (started, mut machine) = (Instant::now(), machine::facts()?);
    let top = tempfile::Builder::new().prefix("bourse-bench-").tempdir()?;
    std::fs::set_permissions(top.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    // Removes the folder also where this process is killed.
    let guard = guard::Guard::start(guard::Ending::Kill, top.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    machine.push(("flush of 4 KiB", stats::time(flush::measure(top.path(), None)?)));
    let pages = runtime.block_on(run(top.path(), parts, pace));
    drop(guard);
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    machine.push(("the run took", format!("{minutes:.1} minutes")));
    for (block, page) in pages?.into_iter().filter(|(_, page)| !page.is_empty()) {
        let figures = page.finish(&machine);
        if written {
            page::replace(Path::new(PAGE), block, &figures)?;
            say(format!("written into {PAGE} after {minutes:.1} minutes"));
        } else {
            writeln!(std::io::stdout(), "{figures}")?;
        }
    }
    Ok(())
}

async fn run(top: &Path, parts: &[&str], pace: &Pace) -> Outcome<[(page::Block, page::Page); 3]> {
    let (mut page, mut usage, mut portal) = (page::Page::default(), page::Page::default(), page::Page::default());
    let brokers = broker::Brokers::start(top).await?;
    if parts.contains(&"orders") {
        honest::check(top, &brokers).await?;
    }
    for part in parts {
        match *part {
            "operations" => operations::run(top, &brokers, pace, &mut page).await?,
            "catalog" => catalog::run(top, &brokers, pace, &mut page).await?,
            "usage" => usage::run(top, &brokers, pace, &mut usage).await?,
            "portal" => portal::run(top, &brokers, pace, &mut portal).await?,
            "orders" => ratios::run(top, &brokers, pace, &mut page).await?,
            _ => scale::run(top, &brokers, pace, &mut page).await?,
        }
    }
    Ok([(page::Block::Figures, page), (page::Block::Usage, usage), (page::Block::Portal, portal)])
}
