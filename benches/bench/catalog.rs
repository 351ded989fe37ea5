//! The hub's catalog against nginx serving the very same bytes as a file: small, large, and not modified.

use std::path::Path;

use crate::broker::{Brokers, LARGE};
use crate::http::Door;
use crate::load::{self, AT_ONCE, Request};
use crate::nginx::Nginx;
use crate::page::{Page, row};
use crate::process;
use crate::stand::{On, Stand};
use crate::stats::{Series, number, time};
use crate::{Outcome, Pace, say};

/// From this size on the hub must come closer to a file server.
const LARGE_FROM: usize = 256 * 1024;

struct Contestant {
    door: Door,
    pid: u32,
    path: String,
}

/// Runs it.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    let nginx = Nginx::start(top, brokers.address()).await?;
    let stand = Stand::start(top, On::Sqlite, brokers, None).await?;
    page.heading("The catalog against a file");
    page.text(format!(
        "The hub's merged catalog (Basic credentials checked, `ETag` sent) and nginx serving the same bytes as a file, {AT_ONCE} at \
         once, by turns, {} rounds of {}. Not modified: with `If-None-Match`, answered 304.",
        pace.rounds,
        time(pace.round)
    ));
    let mut table =
        vec![row(["", "size", "hub", "nginx", "hub / nginx", "p99 hub", "p99 nginx", "CPU hub", "CPU nginx"])];
    for name in ["small", LARGE] {
        if name == LARGE {
            stand.hub.register(brokers, LARGE).await?;
        }
        let reply = stand.door()?.once(&stand.door()?.request("GET", "/v2/catalog", None)).await?;
        let size = reply.body.len();
        let path = nginx.keep(&format!("{name}.json"), &reply.body)?;
        let pair = [
            Contestant { door: stand.door()?, pid: stand.hub.pid(), path: "/v2/catalog".into() },
            Contestant { door: Door::new(nginx.url(), None)?, pid: nginx.pid(), path },
        ];
        for conditional in [false, true] {
            let what = if conditional { format!("{name}, not modified") } else { name.to_owned() };
            say(format!("catalog: {what}"));
            let (ratio, cells) = compare(&pair, conditional, pace).await?;
            let size = format!("{:.1} KiB", size as f64 / 1024.0);
            table.push(row([&what, &size].into_iter().map(String::as_str).chain(cells.iter().map(String::as_str))));
            let least = if size_is_large(reply.body.len()) { 0.9 } else { 0.5 };
            if !conditional {
                let target = format!("catalog of {size}: at least {least} of nginx serving a file");
                page.target(target, format!("{ratio:.2}"), ratio >= least);
            }
        }
    }
    page.table(table);
    Ok(())
}

fn size_is_large(size: usize) -> bool {
    size >= LARGE_FROM
}

/// The ratio, and the cells of the table.
async fn compare(pair: &[Contestant; 2], conditional: bool, pace: &Pace) -> Outcome<(f64, Vec<String>)> {
    let mut requests = Vec::new();
    for contestant in pair {
        let plain = contestant.door.request("GET", &contestant.path, None);
        let etag = contestant.door.once(&plain).await?.header("etag").ok_or("no ETag")?.to_owned();
        let header = if conditional { format!("If-None-Match: {etag}\r\n") } else { String::new() };
        requests.push(contestant.door.request_with("GET", &contestant.path, &header, None));
    }
    let (mut rounds, mut cpu) = ([Vec::new(), Vec::new()], [0.0, 0.0]);
    for _ in 0..pace.rounds {
        for (index, contestant) in pair.iter().enumerate() {
            let status = if conditional { 304 } else { 200 };
            let make = |_| Some(Request { bytes: requests[index].clone(), status });
            let before = process::cpu(contestant.pid);
            rounds[index].push(load::closed(contestant.door.address, AT_ONCE, pace.round, &make).await?);
            cpu[index] += process::cpu(contestant.pid) - before;
        }
    }
    let [hub, nginx] = rounds.map(Series::join);
    let ratio = hub.per_second() / nginx.per_second();
    let each = |series: &Series, used: f64| format!("{:.0} µs", used * 1e6 / series.count().max(1) as f64);
    Ok((
        ratio,
        vec![
            format!("{}/s", number(hub.per_second())),
            format!("{}/s", number(nginx.per_second())),
            format!("{ratio:.2}"),
            time(hub.p99()),
            time(nginx.p99()),
            each(&hub, cpu[0]),
            each(&nginx, cpu[1]),
        ],
    ))
}
