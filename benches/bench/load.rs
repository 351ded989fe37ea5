//! The two ways to send requests. A closed loop sends the next when the one before is over: for how many there are in a second.
//! An open loop sends at a fixed rate whatever happens, and times each request from when it was due: a stall shows in every
//! request that it delays (no coordinated omission).
//!
//! It knows nothing of what is sent. Invariant: an answer of another status than the expected one ends the run: a benchmark
//! of errors is none. The requests that were sent are those with the numbers from 0 on, without a gap.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Outcome;
use crate::http::Connection;
use crate::stats::Series;

/// Requests at once in a closed loop.
pub(crate) const AT_ONCE: usize = 32;
/// Connections of an open loop: more requests than that wait for one, and their time goes on.
const CONNECTIONS: usize = 128;
/// How long after its time a loop must be over.
const OVER_WITHIN: Duration = Duration::from_secs(90);

/// A request and the status of a good answer to it.
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) status: u16,
}

/// Makes the request with a number; nothing where there are no more.
pub(crate) type Make<'a> = &'a dyn Fn(usize) -> Option<Request>;

async fn send(connection: &mut Connection, request: &Request) -> Outcome<()> {
    let status = connection.send(&request.bytes).await?;
    if status == request.status {
        return Ok(());
    }
    let again = connection.exchange(&request.bytes).await?;
    let line = String::from_utf8_lossy(&request.bytes).lines().next().unwrap_or_default().to_owned();
    Err(format!("{line}: {status} instead of {}; sent again: {} {}", request.status, again.status, again.text()).into())
}

/// Sends for so long, `at_once` side by side.
pub(crate) async fn closed(address: SocketAddr, at_once: usize, lasting: Duration, make: Make<'_>) -> Outcome<Series> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let one = async || {
        let mut connection = Connection::open(address).await?;
        let mut each = Vec::new();
        // The next one is due the moment the one before is over, whatever is done in between.
        let mut due = Instant::now();
        while started.elapsed() < lasting
            && let Some(request) = make(next.fetch_add(1, Ordering::Relaxed))
        {
            send(&mut connection, &request).await?;
            let now = Instant::now();
            each.push(now - due);
            due = now;
        }
        Outcome::Ok(each)
    };
    let all = timeout(lasting + OVER_WITHIN, try_join_all((0..at_once).map(|_| one()))).await;
    let each = all.map_err(|_| "a closed loop did not end")??.concat();
    Ok(Series::new(started.elapsed(), each))
}

/// Sends so many, one after the other on one connection, and says how long each took.
pub(crate) async fn one_by_one(
    connection: &mut Connection,
    numbers: std::ops::Range<usize>,
    make: Make<'_>,
) -> Outcome<Vec<Duration>> {
    let mut each = Vec::with_capacity(numbers.len());
    for number in numbers {
        let Some(request) = make(number) else { break };
        let sent = Instant::now();
        timeout(OVER_WITHIN, send(connection, &request)).await??;
        each.push(sent.elapsed());
    }
    Ok(each)
}

/// Sends `rate` requests a second for so long.
pub(crate) async fn open(address: SocketAddr, rate: f64, lasting: Duration, make: Make<'_>) -> Outcome<Series> {
    let count = (rate * lasting.as_secs_f64()).max(1.0) as usize;
    let (due, next) = (Arc::new(Semaphore::new(0)), AtomicUsize::new(0));
    let one = async |mut connection: Connection, started: Instant| {
        let mut each = Vec::new();
        loop {
            due.acquire().await?.forget();
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = (number < count).then(|| make(number)).flatten() else { return Outcome::Ok(each) };
            send(&mut connection, &request).await?;
            each.push(started.elapsed().saturating_sub(Duration::from_secs_f64(number as f64 / rate)));
        }
    };
    let connections = try_join_all((0..CONNECTIONS).map(|_| Connection::open(address))).await?;
    let started = Instant::now() + Duration::from_millis(20);
    let clock = tick(Arc::clone(&due), started, rate, count);
    let all =
        timeout(lasting + OVER_WITHIN, try_join_all(connections.into_iter().map(|held| one(held, started)))).await;
    let each = all.map_err(|_| "an open loop did not end")??.concat();
    clock.join().map_err(|_| "the clock of an open loop panicked")?;
    Ok(Series::new(started.elapsed(), each))
}

/// Gives out one permit for each request when it is due, and at the end one for each connection. A thread of its own: the
/// runtime's timers are exact to a millisecond only, which is more than most requests take.
#[expect(clippy::disallowed_methods, reason = "a rate is kept by the clock, and there is no level to wait for")]
fn tick(due: Arc<Semaphore>, started: Instant, rate: f64, count: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for number in 0..count {
            let wait =
                (started + Duration::from_secs_f64(number as f64 / rate)).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            due.add_permits(1);
        }
        due.add_permits(CONNECTIONS);
    })
}
