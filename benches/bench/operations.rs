//! The same load on a broker directly, through nginx, and through the hub on either database: each operation in a closed loop
//! for how many there are in a second, then all subjects at one rate for how long each takes.

use std::path::Path;
use std::time::Duration;

use crate::broker::{Brokers, own_ids};
use crate::http::Door;
use crate::hub::Plans;
use crate::load::{self, AT_ONCE, Request};
use crate::nginx::Nginx;
use crate::orders::Batch;
use crate::page::{Page, row};
use crate::process::{self, Part};
use crate::stand::{On, Stand};
use crate::stats::{Series, number, time};
use crate::{Outcome, Pace, say};

/// Instances that are polled: they stay in progress.
const SLOW: usize = 16;
/// The least time between two polls of one instance that the hub sends.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Catalog,
    Provision,
    Bind,
    Poll,
    Unbind,
    Deprovision,
}

impl Operation {
    const ALL: [Self; 6] = [Self::Catalog, Self::Provision, Self::Bind, Self::Poll, Self::Unbind, Self::Deprovision];

    fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Provision => "provision",
            Self::Bind => "bind",
            Self::Poll => "last_operation",
            Self::Unbind => "unbind",
            Self::Deprovision => "delete",
        }
    }
}

/// Who is ordered from.
struct Subject {
    name: String,
    door: Door,
    plans: Plans,
    parts: Vec<Part>,
}

/// What came of one operation on one subject.
#[derive(Default)]
struct Result {
    closed: Series,
    /// Microseconds of each part for one request, in the order of the subject's parts.
    cpu: Vec<f64>,
    open: Series,
}

/// What a loop made, for the next one.
#[derive(Clone, Copy, Default)]
struct Made {
    instances: usize,
    bindings: usize,
}

/// Runs it all.
pub(crate) async fn run(top: &Path, brokers: &Brokers, pace: &Pace, page: &mut Page) -> Outcome<()> {
    let nginx = Nginx::start(top, brokers.address()).await?;
    let sqlite = Stand::start(top, On::Sqlite, brokers, None).await?;
    let postgres = Stand::start(top, On::Postgres, brokers, None).await?;
    let subjects = subjects(brokers, &nginx, [&sqlite, &postgres])?;
    let mut results: Vec<Vec<Result>> = Vec::new();
    let mut polls = Vec::new();
    for subject in &subjects {
        let (result, seen) = closed(subject, brokers, pace).await?;
        results.push(result);
        polls.push(seen);
    }
    let rates: Vec<f64> = (0..Operation::ALL.len())
        .map(|index| {
            let slowest = results.iter().map(|subject| subject[index].closed.per_second());
            slowest.fold(f64::INFINITY, f64::min) / 2.0
        })
        .collect();
    for (subject, result) in subjects.iter().zip(&mut results) {
        open(subject, &rates, result, pace).await?;
    }
    write(page, &subjects, &results, &rates, pace);
    write_memory(page, &subjects);
    write_polls(page, &subjects, &results, &polls);
    Ok(())
}

fn subjects(brokers: &Brokers, nginx: &Nginx, stands: [&Stand; 2]) -> Outcome<Vec<Subject>> {
    let ((service, prompt), (_, slow)) = (own_ids("0", false), own_ids("0", true));
    let plans = Plans { service, prompt, slow };
    let broker = Part { name: "broker", pid: brokers.pid() };
    let mut subjects = vec![
        Subject {
            name: "the broker directly".into(),
            door: Door::new(&brokers.url("0"), None)?,
            plans: plans.clone(),
            parts: vec![broker.clone()],
        },
        Subject {
            name: "through nginx".into(),
            door: Door::new(&format!("{}/b/0", nginx.url()), None)?,
            plans,
            parts: vec![Part { name: "nginx", pid: nginx.pid() }, broker.clone()],
        },
    ];
    for stand in stands {
        let parts = stand.parts().into_iter().chain([broker.clone()]).collect();
        let name = format!("through Bourse on {}", stand.on.name());
        subjects.push(Subject { name, door: stand.door()?, plans: stand.plans.clone(), parts });
    }
    Ok(subjects)
}

/// The request with a number, of an operation on what the loops before made.
fn request(batch: &Batch, slow: &Batch, operation: Operation, made: Made, number: usize) -> Option<Request> {
    let half = (made.instances / 2).max(1);
    match operation {
        Operation::Catalog => Some(batch.catalog()),
        Operation::Provision => Some(batch.provision(number)),
        Operation::Bind => Some(batch.bind(number, number % half)),
        Operation::Poll => Some(slow.poll(number % SLOW)),
        Operation::Unbind => (number < made.bindings).then(|| batch.unbind(number, number % half)),
        // The first half may still have bindings.
        Operation::Deprovision => (half + number < made.instances).then(|| batch.deprovision(half + number)),
    }
}

/// The closed loops; also how many polls the broker saw during that of `last_operation`.
async fn closed(subject: &Subject, brokers: &Brokers, pace: &Pace) -> Outcome<(Vec<Result>, u64)> {
    let batch = |id| Batch::new(&subject.door, &subject.plans, id);
    let (warm, batch, slow) = (batch(10), batch(11), batch(12));
    load::closed(subject.door.address, AT_ONCE, pace.warm, &|number| Some(warm.provision(number))).await?;
    let (mut results, mut made, mut seen) = (Vec::new(), Made::default(), 0);
    for operation in Operation::ALL {
        say(format!("{}: {}", subject.name, operation.name()));
        if operation == Operation::Poll {
            for number in 0..SLOW {
                slow.send(&slow.provision_slow(number)).await?;
            }
        }
        let make = |number| request(&batch, &slow, operation, made, number);
        let (polls, before) = (brokers.polls().await?, process::used(&subject.parts));
        let closed = load::closed(subject.door.address, AT_ONCE, pace.lasting, &make).await?;
        let after = process::used(&subject.parts);
        if operation == Operation::Poll {
            seen = brokers.polls().await? - polls;
        }
        match operation {
            Operation::Provision => made.instances = closed.count(),
            Operation::Bind => made.bindings = closed.count(),
            _ => {}
        }
        let each = |(after, before): (f64, f64)| (after - before) * 1e6 / closed.count().max(1) as f64;
        let cpu = after.into_iter().zip(before).map(each).collect();
        results.push(Result { closed, cpu, open: Series::default() });
    }
    Ok((results, seen))
}

/// The open loops, at the rate of each operation.
async fn open(subject: &Subject, rates: &[f64], results: &mut [Result], pace: &Pace) -> Outcome<()> {
    let (batch, slow) = (Batch::new(&subject.door, &subject.plans, 13), Batch::new(&subject.door, &subject.plans, 12));
    let mut made = Made::default();
    for ((operation, rate), result) in Operation::ALL.into_iter().zip(rates).zip(results) {
        say(format!("{}: {} at {rate:.0}/s", subject.name, operation.name()));
        let make = |number| request(&batch, &slow, operation, made, number);
        result.open = load::open(subject.door.address, *rate, pace.lasting, &make).await?;
        match operation {
            Operation::Provision => made.instances = result.open.count(),
            Operation::Bind => made.bindings = result.open.count(),
            _ => {}
        }
    }
    Ok(())
}

fn write(page: &mut Page, subjects: &[Subject], results: &[Vec<Result>], rates: &[f64], pace: &Pace) {
    page.heading("The same load, four ways");
    page.text(format!(
        "{AT_ONCE} requests at once for {} each (a closed loop) give the number in a second and the processor time; then every \
         subject gets the same rate, half of what the slowest reached, and each request is timed from when it was due. The \
         load runs on the same cores, in one thread, and is a large part of what the first two rows cost.",
        time(pace.lasting)
    ));
    for (index, operation) in Operation::ALL.into_iter().enumerate() {
        page.text(format!("**{}**, latency at {}/s:", operation.name(), number(rates[index])));
        let mut table = vec![row(["", "per second", "p50", "p99", "CPU per request"])];
        for (subject, result) in subjects.iter().zip(results) {
            let result = &result[index];
            let parts = subject.parts.iter().zip(&result.cpu);
            let cpu: Vec<_> = parts.map(|(part, micros)| format!("{} {micros:.0} µs", part.name)).collect();
            let (p50, p99) = (time(result.open.p50()), time(result.open.p99()));
            table.push(row([&subject.name, &number(result.closed.per_second()), &p50, &p99, &cpu.join(", ")]));
        }
        page.table(table);
    }
}

fn write_memory(page: &mut Page, subjects: &[Subject]) {
    page.text(
        "Resident memory after all of this, now / at the peak (of several processes: now, what they share counted once):".into(),
    );
    let mut table = vec![row(["", ""])];
    for subject in subjects {
        for part in subject.parts.iter().filter(|part| part.name != "broker" || subject.parts.len() == 1) {
            let name = format!("{}: {}", subject.name, part.name);
            table.push(row([name, process::memory(part.pid).to_string()]));
        }
    }
    page.table(table);
}

fn write_polls(page: &mut Page, subjects: &[Subject], results: &[Vec<Result>], seen: &[u64]) {
    page.text(format!("Polls of {SLOW} instances that stay in progress, and what of them the broker saw meanwhile:"));
    let mut table = vec![row(["", "polls a second", "polls in all", "the broker saw"])];
    let index = Operation::ALL.iter().position(|operation| *operation == Operation::Poll).unwrap_or_default();
    for ((subject, result), seen) in subjects.iter().zip(results).zip(seen) {
        let polls = &result[index].closed;
        let count = polls.count() as f64;
        table.push(row([&subject.name, &number(polls.per_second()), &number(count), &number(*seen as f64)]));
        if subject.parts[0].name != "hub" {
            continue;
        }
        let took = count / polls.per_second().max(1e-9);
        let most = SLOW as f64 * (took / INTERVAL.as_secs_f64() + 1.0);
        let target = format!("{}: polls cost the broker at most one an interval", subject.name);
        let measured = format!("{} polls, {seen} at the broker, at most {most:.0}", number(count));
        page.target(target, measured, *seen as f64 <= most);
    }
    page.table(table);
}
