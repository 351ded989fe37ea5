//! The portal's pages as an administrator's browser asks for them: the catalog with a thousand offerings, and ten thousand services
//! from the first page to the last. On either database.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::broker::{Brokers, WIDE, WIDE_OFFERINGS};
use crate::fill;
use crate::http::{Door, Reply};
use crate::hub::{Hub, Place};
use crate::page::{Page, row};
use crate::postgres::Postgres;
use crate::stand::On;
use crate::stats::{Series, number, time};
use crate::{Outcome, Pace, say};

/// The first page's target.
const FIRST_PAGE_WITHIN: Duration = Duration::from_millis(50);
/// How much slower the last pages of a list may be than the first ones.
const SLOWER_MAX: f64 = 1.5;
/// Instances that are paged through, and how many the hub makes itself.
const SERVICES: usize = 10_000;
const TEMPLATES: usize = 50;
/// Pages at most: a list without an end would be a fault.
const PAGES_MAX: usize = 2000;

/// Runs it.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    page.heading("The portal");
    page.text(format!(
        "Pages as a browser of the administrator asks for them, one at a time on a connection of its own, {} times each: the catalog with \
         {} offerings, a search with a slip of the pen among them, an offering. Then {} services (copied in the database from rows that the \
         hub wrote), page by page to the last. Times are of whole answers.",
        pace.singles / 5,
        number(WIDE_OFFERINGS as f64),
        number(SERVICES as f64)
    ));
    let mut table = vec![row(["", "page", "KiB", "p50", "p99"])];
    let mut lists = vec![row(["", "pages", "first tenth p50", "last tenth p50", "last / first", "slowest"])];
    for on in On::BOTH {
        one(top, brokers, on, pace, page, [&mut table, &mut lists]).await?;
    }
    page.table(table);
    page.table(lists);
    Ok(())
}

async fn one(
    top: &Path,
    brokers: &Brokers,
    on: On,
    pace: &Pace,
    page: &mut Page,
    [table, lists]: [&mut Vec<Vec<String>>; 2],
) -> Outcome<()> {
    say(format!("{}: portal", on.name()));
    let (server, mut place) = match on {
        On::Sqlite => (None, Place::sqlite(top, None)?),
        On::Postgres => {
            let server = Postgres::start(top, None).await?;
            let database = server.create("portal", None).await?;
            (Some(server), Place::new(top, database, None)?)
        }
    };
    let (hub, _) = place.start().await?;
    place.settle(&hub).await?;
    hub.register(brokers, WIDE).await?;
    let plans = hub.register(brokers, "0").await?;
    let batch = crate::orders::Batch::new(&place.door(&hub)?, &plans, 1);
    for number in 0..TEMPLATES {
        batch.send(&batch.provision(number)).await?;
    }
    let browser = Browser::sign_in(&hub).await?;
    for (what, address) in
        [("catalog", "/catalog"), ("search", "/catalog?q=benchmrak"), ("offering", "/catalog/service-0")]
    {
        let (series, size) = browser.times(address, pace.singles / 5).await?;
        let size = format!("{:.0}", size as f64 / 1024.0);
        table.push(row([on.name(), what, &size, &time(series.p50()), &time(series.p99())]));
        if what == "catalog" {
            let target = format!("portal: first page within 50 ms at p99 with 1,000 offerings ({})", on.name());
            page.target(target, time(series.p99()), series.p99() <= FIRST_PAGE_WITHIN);
        }
    }
    hub.stop().await?;
    fill::fill(on, &place.database, SERVICES).await?;
    let (hub, _) = place.start().await?;
    let browser = Browser::sign_in(&hub).await?;
    let (times, links) = browser.through("/services").await?;
    if links < SERVICES {
        return Err(format!("only {links} services were shown on {} pages", times.len()).into());
    }
    let tenth = (times.len() / 10).max(1);
    let series = |part: &[Duration]| Series::new(part.iter().sum(), part.to_vec());
    let (first, last) = (series(&times[..tenth]), series(&times[times.len() - tenth..]));
    let ratio = last.p50().as_secs_f64() / first.p50().as_secs_f64().max(1e-9);
    let slowest = times.iter().max().copied().unwrap_or_default();
    lists.push(row([
        on.name(),
        &times.len().to_string(),
        &time(first.p50()),
        &time(last.p50()),
        &format!("{ratio:.2}"),
        &time(slowest),
    ]));
    let target =
        format!("portal: the last pages of 10,000 services at most {SLOWER_MAX} times the first ones ({})", on.name());
    page.target(target, format!("{ratio:.2}"), ratio <= SLOWER_MAX);
    hub.stop().await?;
    drop(server);
    Ok(())
}

/// A browser that is signed in.
struct Browser {
    door: Door,
    cookie: String,
}

impl Browser {
    async fn sign_in(hub: &Hub) -> Outcome<Self> {
        let (door, password) = hub.browser()?;
        let shown = door.once(&door.request("GET", "/sign-in", None)).await?;
        let text = shown.text();
        let (_, rest) = text.split_once("name=\"csrf\" value=\"").ok_or("no form to sign in with")?;
        let csrf = rest.split('"').next().unwrap_or_default();
        let headers = format!("Cookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n", cookie(&shown)?);
        let form = format!("csrf={csrf}&username=admin&password={password}");
        let answer = door.once(&door.request_with("POST", "/sign-in", &headers, Some(&form))).await?;
        if answer.status != 303 {
            return Err(format!("signing in: {} {}", answer.status, answer.text()).into());
        }
        let cookie = format!("Cookie: {}\r\n", cookie(&answer)?);
        Ok(Self { door, cookie })
    }

    async fn get(&self, address: &str) -> Outcome<(Reply, Duration)> {
        let request = self.door.request_with("GET", address, &self.cookie, None);
        let started = Instant::now();
        let reply = self.door.once(&request).await?;
        if reply.status != 200 {
            return Err(format!("{address}: {} {}", reply.status, reply.text()).into());
        }
        Ok((reply, started.elapsed()))
    }

    /// How long a page takes, after it was asked for once; and its bytes.
    async fn times(&self, address: &str, count: usize) -> Outcome<(Series, usize)> {
        let size = self.get(address).await?.0.body.len();
        let mut each = Vec::with_capacity(count);
        for _ in 0..count {
            each.push(self.get(address).await?.1);
        }
        Ok((Series::new(each.iter().sum(), each), size))
    }

    /// How long each page of a list takes from the first to the last, and how many services were linked in all.
    async fn through(&self, first: &str) -> Outcome<(Vec<Duration>, usize)> {
        let (mut address, mut times, mut links) = (first.to_owned(), Vec::new(), 0);
        self.get(first).await?;
        while times.len() < PAGES_MAX {
            let (reply, took) = self.get(&address).await?;
            times.push(took);
            let text = reply.text();
            links += text.matches("<a class=\"strong\" href=\"/services/").count();
            let next = text.split("<a rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
            match next {
                Some(next) => address = next.replace("&amp;", "&"),
                None => return Ok((times, links)),
            }
        }
        Err("the list has no end".into())
    }
}

fn cookie(reply: &Reply) -> Outcome<String> {
    let set = reply.header("set-cookie").ok_or("no cookie")?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}
