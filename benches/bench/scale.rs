//! A million instances and five hundred brokers against an empty hub: the time of orders and polls, memory, and how soon a
//! process is ready. On either database; the two hubs run side by side and are loaded by turns.

use std::path::Path;
use std::time::Duration;

use crate::broker::Brokers;
use crate::fill;
use crate::http::Door;
use crate::hub::{Hub, Place, Plans};
use crate::load::{self, AT_ONCE};
use crate::orders::Batch;
use crate::page::{Page, row};
use crate::process;
use crate::stand::{On, Stand};
use crate::stats::{Series, number, time};
use crate::{Outcome, Pace, say};

/// Catalogs stored when the time until readiness has its target.
const CATALOGS: usize = 100;
const READY_WITHIN: Duration = Duration::from_millis(200);
/// How much slower orders and polls may be.
const SLOWER_MAX: f64 = 1.5;
/// How many MiB larger a hub may be: SQLite has a page cache of at most 2 MiB for each of nine connections, which a small
/// database does not fill; the rest is what an allocator keeps. One that kept instances in memory would need hundreds.
const LARGER_MAX: f64 = 24.0;
/// Polls a second at most: what is measured is the hub, not the load.
const POLLS_MAX: f64 = 2000.0;

/// A hub and what is ordered from it.
struct Side<'a> {
    door: Door,
    plans: &'a [Plans],
    /// Copies that can be polled; where there are none, what the first loop made.
    copies: usize,
}

/// Times of orders and polls.
#[derive(Default)]
struct Times {
    orders: Vec<Series>,
    polls: Vec<Series>,
    /// Bytes that PostgreSQL wrote into its log meanwhile.
    logged: u64,
}

/// Runs it.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    page.heading("A million instances");
    page.text(format!(
        "A hub with {} instances (each with its operation, span and events, copied in the database from rows that the hub wrote) and \
         {} brokers against one with a single broker and nothing else, each loaded by turns at the same rate, {} rounds of {}. \
         Orders are provisions, which go round the brokers; polls are of instances picked from all over.",
        number(pace.instances as f64),
        pace.brokers,
        pace.rounds,
        time(pace.round)
    ));
    let mut table = vec![row(["", "", "rate", "empty p50", "full p50", "empty p99", "full p99", "full / empty p99"])];
    let mut sizes = vec![row(["", "one broker", "all brokers", "all brokers and instances"])];
    let mut starts = vec![row(["ready after", "100 brokers", "all brokers", "all brokers and instances"])];
    for on in On::BOTH {
        one(top, brokers, on, pace, page, [&mut table, &mut sizes, &mut starts]).await?;
    }
    page.table(table);
    page.text("Resident memory of the hub after that load, now / peak:".into());
    page.table(sizes);
    page.text(format!("From the start of the process until `/readyz` says 200, median / slowest of {}:", pace.starts));
    page.table(starts);
    Ok(())
}

async fn one(
    top: &Path,
    brokers: &Brokers,
    on: On,
    pace: &Pace,
    page: &mut Page,
    [table, sizes, starts]: [&mut Vec<Vec<String>>; 3],
) -> Outcome<()> {
    let empty = Stand::start(top, on, brokers, None).await?;
    let (mut full, mut all) = match &empty.postgres {
        None => (Place::sqlite(top, None)?, Vec::new()),
        Some(server) => (Place::new(top, server.create("full", None).await?, None)?, Vec::new()),
    };
    let hub = full.start().await?.0;
    full.settle(&hub).await?;
    let hundred = CATALOGS.min(pace.brokers);
    let hub = register(hub, brokers, 0..hundred, &mut all, on).await?;
    let (hub, few) = restarts(hub, &full, pace.starts).await?;
    let hub = register(hub, brokers, hundred..pace.brokers, &mut all, on).await?;
    let (hub, many) = restarts(hub, &full, pace.starts).await?;
    // The same load as afterwards, so that the instances are all that differs.
    let one_plan = [empty.plans.clone()];
    let rate = warm(&Side { door: empty.door()?, plans: &one_plan, copies: 0 }, pace).await?;
    let side = Side { door: full.door(&hub)?, plans: &all, copies: 0 };
    warm(&side, pace).await?;
    say(format!("{}: hub with all brokers", on.name()));
    for round in 0..pace.rounds {
        turn(&side, round, rate, pace).await?;
    }
    let without = process::memory(hub.pid());
    hub.stop().await?;
    say(format!("{}: filling up to {} instances", on.name(), pace.instances));
    let copies = fill::fill(on, &full.database, pace.instances).await?;
    let (hub, most) = restarts(full.start().await?.0, &full, pace.starts).await?;
    let sides = [
        Side { door: empty.door()?, plans: &one_plan, copies: 0 },
        Side { door: full.door(&hub)?, plans: &all, copies },
    ];
    warm(&sides[1], pace).await?;
    compare(&empty, &sides, rate, pace, page, table).await?;
    let (alone, with) = (process::memory(empty.hub.pid()), process::memory(hub.pid()));
    sizes.push(row([on.name(), &alone.to_string(), &without.to_string(), &with.to_string()]));
    let grown = with.now - without.now;
    let target = format!("memory does not grow with instances: at most {LARGER_MAX} MiB ({})", on.name());
    page.target(target, format!("{grown:+.1} MiB with {} instances more", number(copies as f64)), grown <= LARGER_MAX);
    let cell = |series: &Series| format!("{} / {}", time(series.p50()), time(series.at(1.0)));
    starts.push(row([on.name(), &cell(&few), &cell(&many), &cell(&most)]));
    let target = format!("ready within 200 ms with {hundred} brokers' catalogs stored ({})", on.name());
    page.target(target, time(few.p50()), few.p50() <= READY_WITHIN);
    hub.stop().await?;
    if on == On::Sqlite {
        // As large as all the rest: the next one needs the room.
        std::fs::remove_file(full.database.trim_start_matches("sqlite:"))?;
    }
    Ok(())
}

async fn register(
    hub: Hub,
    brokers: &Brokers,
    keys: std::ops::Range<usize>,
    all: &mut Vec<Plans>,
    on: On,
) -> Outcome<Hub> {
    say(format!("{}: registering {} brokers", on.name(), keys.len()));
    for key in keys {
        all.push(hub.register(brokers, &key.to_string()).await?);
    }
    Ok(hub)
}

/// Starts the hub so often, and says how long each start took.
async fn restarts(mut hub: Hub, place: &Place, count: usize) -> Outcome<(Hub, Series)> {
    let mut each = Vec::with_capacity(count);
    for _ in 0..count {
        hub.stop().await?;
        let (again, took) = place.start().await?;
        (hub, _) = (again, each.push(took));
    }
    Ok((hub, Series::new(each.iter().sum(), each)))
}

/// Orders of every broker, and polls; gives half of the orders that it takes in a second.
async fn warm(side: &Side<'_>, pace: &Pace) -> Outcome<f64> {
    let batch = Batch::new(&side.door, &side.plans[0], 60);
    let made = load::closed(side.door.address, AT_ONCE, pace.warm * 4, &|number| {
        let number = number + side.copies;
        Some(batch.provision_of(number, &side.plans[number % side.plans.len()]))
    })
    .await?;
    load::closed(side.door.address, AT_ONCE, pace.warm, &|number| {
        Some(batch.poll(side.copies + number % made.count()))
    })
    .await?;
    Ok(made.per_second() / 2.0)
}

async fn compare(
    stand: &Stand,
    sides: &[Side<'_>; 2],
    rate: f64,
    pace: &Pace,
    page: &mut Page,
    table: &mut Vec<Vec<String>>,
) -> Outcome<()> {
    let on = stand.on;
    let mut times = [Times::default(), Times::default()];
    for round in 0..pace.rounds {
        for (index, side) in sides.iter().enumerate() {
            say(format!("{}: {} hub, round {}", on.name(), if index == 0 { "empty" } else { "full" }, round + 1));
            let before = logged(stand).await?;
            let (orders, polled) = turn(side, round, rate, pace).await?;
            times[index].logged += logged(stand).await? - before;
            times[index].orders.push(orders);
            times[index].polls.push(polled);
        }
    }
    if on == On::Postgres {
        let [empty, full] = times.each_ref().map(|times| {
            let orders: usize = times.orders.iter().map(Series::count).sum();
            times.logged as f64 / 1024.0 / orders.max(1) as f64
        });
        page.text(format!(
            "PostgreSQL wrote {empty:.1} KiB into its write-ahead log for an order in the empty hub, {full:.1} KiB in the full one."
        ));
    }
    let polls = polls_at(rate);
    let [empty, full] = times.map(|times| [Series::join(times.orders), Series::join(times.polls)]);
    for (index, (what, rate)) in [("provision", rate), ("last_operation", polls)].into_iter().enumerate() {
        let (empty, full) = (&empty[index], &full[index]);
        let ratio = full.p99().as_secs_f64() / empty.p99().as_secs_f64().max(1e-9);
        table.push(row([
            on.name(),
            what,
            &format!("{}/s", number(rate)),
            &time(empty.p50()),
            &time(full.p50()),
            &time(empty.p99()),
            &time(full.p99()),
            &format!("{ratio:.2}"),
        ]));
        let target =
            format!("{what} in a full hub: p99 at most {SLOWER_MAX} times that of an empty one ({})", on.name());
        page.target(target, format!("{ratio:.2}"), ratio <= SLOWER_MAX);
    }
    Ok(())
}

/// How far PostgreSQL's log has come.
async fn logged(stand: &Stand) -> Outcome<u64> {
    match &stand.postgres {
        Some(server) => server.logged().await,
        None => Ok(0),
    }
}

/// Polls a second beside so many orders.
fn polls_at(rate: f64) -> f64 {
    POLLS_MAX.min(rate * 4.0)
}

/// One round of orders and polls at their rates.
async fn turn(side: &Side<'_>, round: usize, rate: f64, pace: &Pace) -> Outcome<(Series, Series)> {
    let offset = round * 1_000_000;
    // Before and after the filling they must not be the same instances.
    let batch = Batch::new(&side.door, &side.plans[0], if side.copies == 0 { 61 } else { 62 });
    let make = |number: usize| Some(batch.provision_of(offset + number, &side.plans[number % side.plans.len()]));
    let orders = load::open(side.door.address, rate, pace.round, &make).await?;
    let made = orders.count().max(1);
    let make = |number: usize| {
        // A step that shares no factor with the number of copies goes all over them.
        let picked = (number + offset) * 7919;
        Some(match side.copies {
            0 => batch.poll(offset + picked % made),
            copies => batch.poll_id(&fill::platform_instance_id(1 + picked % copies)),
        })
    };
    Ok((orders, load::open(side.door.address, polls_at(rate), pace.round, &make).await?))
}
