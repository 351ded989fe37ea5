//! The hub against the bare statements of its own transactions, side by side and by turns: how many orders in a second, and
//! what the hub adds to a single one. On either database, with the disk as it is and with a flush that takes 2 ms longer.

use std::path::Path;
use std::time::Duration;

use crate::broker::{Brokers, own_ids};
use crate::http::{Connection, Door};
use crate::hub::Plans;
use crate::load::{self, AT_ONCE};
use crate::orders::Batch;
use crate::page::{Page, row};
use crate::process;
use crate::stand::{On, Stand};
use crate::stats::{Series, difference, number, time};
use crate::yardstick::{Order, Yardstick};
use crate::{Outcome, Pace, flush, say};

/// Instances that binds go round, as many as the bare statements do.
const BOUND_TO: usize = 256;
/// Single orders of each kind in a turn.
const TURN: usize = 25;
/// How many numbers of bindings a round may use.
const ROUND: usize = 1_000_000;
const NO_END: usize = usize::MAX;

/// The tables that are filled on the way.
struct Tables {
    many: Vec<Vec<String>>,
    single: Vec<Vec<String>>,
}

/// Runs it.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    let library = flush::library(top)?;
    let mut tables = Tables {
        many: vec![row(["", "", "hub", "bare", "hub / bare", "hub p50", "bare p50", "CPU hub", "CPU bare"])],
        single: vec![row(["", "", "hub", "directly", "bare", "added beyond both"])],
    };
    let (usual, slow) = (flush::measure(top, None)?, flush::measure(top, Some(&library))?);
    for on in On::BOTH {
        for preload in [None, Some(library.as_path())] {
            let stand = Stand::start(top, on, brokers, preload).await?;
            let (stand, yardstick) = stand.with_yardstick(top, preload).await?;
            let disk = if preload.is_some() { "flush of 2 ms" } else { "disk as it is" };
            let name = format!("{}, {disk}", on.name());
            for order in [Order::Provision, Order::Bind] {
                many(&stand, &yardstick, order, &name, pace, page, &mut tables.many).await?;
            }
            single(&stand, &yardstick, brokers, &name, pace, page, &mut tables.single).await?;
        }
    }
    page.heading("Orders against the bare statements");
    page.text(format!(
        "Bare: the statements of the two transactions that the hub writes for an order, on a copy of its database, without HTTP, \
         sealing, stamps or a broker. {AT_ONCE} at once, by turns, {} rounds of {}. A flush of 4 KiB takes {} on this disk, and \
         {} with the library that sleeps 2 ms before each one.",
        pace.rounds,
        time(pace.round),
        time(usual),
        time(slow)
    ));
    page.table(tables.many);
    page.text(format!(
        "One provision at a time, by turns of {TURN}, {} of each; p50 / p99. What the hub adds beyond both is its time minus the \
         broker's when called directly, minus that of the bare statements.",
        pace.singles
    ));
    page.table(tables.single);
    Ok(())
}

/// The ratio of how many in a second.
async fn many(
    stand: &Stand,
    yardstick: &Yardstick,
    order: Order,
    name: &str,
    pace: &Pace,
    page: &mut Page,
    table: &mut Vec<Vec<String>>,
) -> Outcome<()> {
    let address = stand.door()?.address;
    let bound = stand.batch(20)?;
    if order == Order::Bind {
        let make = |number| (number < BOUND_TO).then(|| bound.provision(number));
        load::closed(address, AT_ONCE, Duration::from_secs(60), &make).await?;
    }
    let (mut hub, mut bare, mut cpu) = (Vec::new(), Vec::new(), [0.0, 0.0]);
    let database = || stand.postgres.as_ref().map_or(0.0, |server| process::cpu(server.pid()));
    for round in 0..pace.rounds {
        say(format!("{name}: {} at once, round {}", order.name(), round + 1));
        let batch = stand.batch(30 + u64::try_from(round)?)?;
        let make = |number: usize| {
            Some(match order {
                Order::Provision => batch.provision(number),
                Order::Bind => bound.bind(round * ROUND + number, number % BOUND_TO),
            })
        };
        let before = process::cpu(stand.hub.pid()) + database();
        hub.push(load::closed(address, AT_ONCE, pace.round, &make).await?);
        cpu[0] += process::cpu(stand.hub.pid()) + database() - before;
        let before = process::cpu(yardstick.pid()) + database();
        bare.push(yardstick.run(order, AT_ONCE, NO_END, pace.round).await?.0);
        cpu[1] += process::cpu(yardstick.pid()) + database() - before;
    }
    let (hub, bare) = (Series::join(hub), Series::join(bare));
    let ratio = hub.per_second() / bare.per_second();
    let each = |series: &Series, used: f64| format!("{:.0} µs", used * 1e6 / series.count().max(1) as f64);
    table.push(row([
        name,
        order.name(),
        &format!("{}/s", number(hub.per_second())),
        &format!("{}/s", number(bare.per_second())),
        &format!("{ratio:.2}"),
        &time(hub.p50()),
        &time(bare.p50()),
        &each(&hub, cpu[0]),
        &each(&bare, cpu[1]),
    ]));
    page.target(
        format!("{}: at least 0.5 of the bare statements ({name})", order.name()),
        format!("{ratio:.2}"),
        ratio >= 0.5,
    );
    Ok(())
}

/// What the hub adds to one order at a time.
async fn single(
    stand: &Stand,
    yardstick: &Yardstick,
    brokers: &Brokers,
    name: &str,
    pace: &Pace,
    page: &mut Page,
    table: &mut Vec<Vec<String>>,
) -> Outcome<()> {
    say(format!("{name}: one provision at a time"));
    let batch = stand.batch(50)?;
    let ((service, prompt), (_, slow)) = (own_ids("0", false), own_ids("0", true));
    let direct = Batch::new(&Door::new(&brokers.url("0"), None)?, &Plans { service, prompt, slow }, 50);
    let mut through = Connection::open(stand.door()?.address).await?;
    let mut past = Connection::open(Door::new(&brokers.url("0"), None)?.address).await?;
    let (mut hub, mut broker, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..pace.singles.div_ceil(TURN) {
        let numbers = turn * TURN..(turn + 1) * TURN;
        hub.extend(load::one_by_one(&mut through, numbers.clone(), &|number| Some(batch.provision(number))).await?);
        broker.extend(load::one_by_one(&mut past, numbers, &|number| Some(direct.provision(number))).await?);
        bare.extend(yardstick.run(Order::Provision, 1, TURN, Duration::from_secs(60)).await?.1);
    }
    let [hub, broker, bare] = [hub, broker, bare].map(|each| Series::new(each.iter().sum(), each));
    let added = |part: f64| {
        let millis = |series: &Series| series.at(part).as_secs_f64() * 1e3;
        millis(&hub) - millis(&broker) - millis(&bare)
    };
    let both = |series: &Series| format!("{} / {}", time(series.p50()), time(series.p99()));
    let beyond = format!("{} / {}", difference(added(0.5)), difference(added(0.99)));
    table.push(row([name, "provision", &both(&hub), &both(&broker), &both(&bare), &beyond]));
    let target = format!("one provision: two commits and at most 1 ms more at p99 ({name})");
    page.target(target, difference(added(0.99)), added(0.99) <= 1.0);
    Ok(())
}
