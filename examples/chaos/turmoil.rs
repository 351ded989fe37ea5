//! What is disturbed, and when: drawn from the seed alone. One thing at a time begins; several can last at the same time.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep_until};

use super::hubs::{Hubs, Signal};
use super::{Broker, Fallible};

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    kills: usize,
    pauses: usize,
    deaths: usize,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, pauses, deaths } = self;
        write!(f, "hubs killed {kills} times, paused {pauses} times; brokers died {deaths} times")
    }
}

/// What comes to its end later.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Start(usize),
    Continue(usize),
    Rise(usize),
}

/// Disturbs until the time is over; then everything runs again.
pub(crate) async fn run(hubs: &mut Hubs, brokers: &mut [Broker], seed: u64, until: Instant) -> Fallible<Done> {
    let mut rng = Rng::with_seed(seed ^ 0x7475_726d_6f69_6c00);
    let (mut done, mut pending) = (Done::default(), Vec::<(Instant, Pending)>::new());
    loop {
        let next = Instant::now() + Duration::from_millis(rng.u64(500..3500));
        wait(hubs, brokers, &mut pending, next.min(until)).await?;
        if Instant::now() >= until {
            break;
        }
        hubs.fallen()?;
        let lasting =
            |rng: &mut Rng, range: std::ops::Range<u64>| Instant::now() + Duration::from_millis(rng.u64(range));
        match rng.u32(0..10) {
            0..4 => {
                let hub = rng.usize(0..hubs.count());
                if is_free(&pending, hub) {
                    hubs.kill(hub)?;
                    done.kills += 1;
                    pending.push((lasting(&mut rng, 0..3000), Pending::Start(hub)));
                }
            }
            4..7 => {
                let hub = rng.usize(0..hubs.count());
                if is_free(&pending, hub) {
                    hubs.signal(hub, Signal::Stop)?;
                    done.pauses += 1;
                    // Often longer than it takes until others take its work.
                    pending.push((lasting(&mut rng, 500..14_000), Pending::Continue(hub)));
                }
            }
            _ => {
                let broker = rng.usize(0..brokers.len());
                if let Some(broker) = brokers.get_mut(broker) {
                    broker.die();
                    done.deaths += 1;
                }
                pending.push((lasting(&mut rng, 200..4000), Pending::Rise(broker)));
            }
        }
    }
    let last = Instant::now() + Duration::from_secs(30);
    while !pending.is_empty() && Instant::now() < last {
        wait(hubs, brokers, &mut pending, Instant::now() + Duration::from_millis(200)).await?;
    }
    if pending.is_empty() { Ok(done) } else { Err(format!("could not end {pending:?}").into()) }
}

/// A process that is dead or paused is left alone.
fn is_free(pending: &[(Instant, Pending)], hub: usize) -> bool {
    !pending.iter().any(|(_, what)| matches!(what, Pending::Start(at) | Pending::Continue(at) if *at == hub))
}

/// Waits, and ends what is due meanwhile.
async fn wait(
    hubs: &mut Hubs,
    brokers: &mut [Broker],
    pending: &mut Vec<(Instant, Pending)>,
    until: Instant,
) -> Fallible<()> {
    while Instant::now() < until {
        let due = pending.iter().map(|(at, _)| *at).min().unwrap_or(until);
        sleep_until(due.min(until)).await;
        let now = Instant::now();
        let mut later = Vec::new();
        for (at, what) in pending.drain(..) {
            if at > now {
                later.push((at, what));
                continue;
            }
            match what {
                Pending::Start(hub) => hubs.start(hub)?,
                Pending::Continue(hub) => hubs.signal(hub, Signal::Continue)?,
                Pending::Rise(broker) => {
                    if brokers.get_mut(broker).is_some_and(|broker| !broker.rise()) {
                        // Its port is not free yet.
                        later.push((now + Duration::from_millis(200), what));
                    }
                }
            }
        }
        *pending = later;
    }
    Ok(())
}
