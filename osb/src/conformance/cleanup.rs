//! Deleting what the suite made, whatever became of the run.
//!
//! Nothing is judged here: a broker that deletes wrongly has been found out before. Bounded in attempts, in waiting, and as a whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::exchange::Exchange;
use super::http::Http;
use super::ledger::{Held, Thing};
use super::probe::Probe;
use super::request::{Endpoint, Request};
use super::target::Target;
use super::{Error, Made, Options, silent};

/// How often a deletion is asked for, while another operation stands in its way.
const ATTEMPTS_MAX: usize = 30;
/// The same while nobody is there at all: some ten seconds, in which a broker may come back.
const UNREACHABLE_MAX: usize = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Deletes what a run may have left that was killed, and says what is still left: what [`super::Progress::making`] was told of. `offering`
/// is its id at the broker, `plans` are those of its plans.
///
/// # Errors
/// Where it can't even begin, as [`super::run`].
pub async fn clean_up_after(
    target: &Target,
    options: Options,
    (offering, plans): (&str, &[String]),
    made: &[Made],
) -> Result<Vec<String>, Error> {
    let probe = Probe::new(Http::new(target, options.exchange)?, options, silent());
    for made in made {
        probe.ledger().may_hold(&made.instance, &made.binding, &made.plan_id);
        probe.ledger().likely(&made.instance, &made.binding);
    }
    Ok(clean_up(&probe, offering, plans).await)
}

/// Deletes everything that may be there, and says what may be left. `ids` is the offering, and its plans.
pub(super) async fn clean_up(probe: &Probe, service_id: &str, plan_ids: &[String]) -> Vec<String> {
    let ends = Instant::now() + probe.options.cleanup;
    let mut left = Vec::new();
    let things = probe.ledger().left();
    for (thing, held) in things {
        if Instant::now() > ends || probe.is_unreachable() {
            if held.likely {
                left.push(named(&thing, "there was no time, or no broker, to delete it"));
            }
            continue;
        }
        match delete(probe, &thing, &held, (service_id, plan_ids), ends).await {
            Ok(()) => probe.ledger().gone(&thing.instance, &thing.binding),
            Err(_) if !held.likely => {}
            Err(reason) => left.push(named(&thing, &reason)),
        }
    }
    left
}

fn named(thing: &Thing, reason: &str) -> String {
    if thing.binding.is_empty() {
        format!("instance {}: {reason}", thing.instance)
    } else {
        format!("binding {} of instance {}: {reason}", thing.binding, thing.instance)
    }
}

async fn delete(
    probe: &Probe,
    thing: &Thing,
    held: &Held,
    ids: (&str, &[String]),
    ends: Instant,
) -> Result<(), String> {
    let (service_id, plan_ids) = ids;
    let endpoint = if thing.binding.is_empty() { Endpoint::Deprovision } else { Endpoint::Unbind };
    let mut plans = plan_ids.iter().filter(|plan| **plan != held.plan_id);
    let mut plan_id = if held.plan_id.is_empty() { plans.next().map_or("", String::as_str) } else { &held.plan_id };
    let mut pause = FIRST_PAUSE;
    let (mut said, mut likely) = (String::new(), held.likely);
    for attempt in 0..ATTEMPTS_MAX {
        let request = Request::new(endpoint, &thing.instance, &thing.binding)
            .query("service_id", service_id)
            .query("plan_id", plan_id)
            .polls();
        let seen = probe.send_unjudged(&request).await;
        said = seen.came();
        match seen.status {
            Some(200 | 204 | 404 | 410) => return Ok(()),
            Some(202) => return follow(probe, thing, &seen, ends).await,
            // It may stand under another plan than was thought.
            Some(400) => match plans.next() {
                Some(other) => plan_id = other,
                None => return Err(said),
            },
            // Something else is in its way. Some brokers go on only when they are asked how it goes.
            // What is busy is there: its order was answered to nobody, perhaps because the run was stopped.
            Some(status @ (422 | 429 | 500..)) => {
                likely |= status == 422;
                drop(probe.send_unjudged(&operation_of(thing)).await);
            }
            None => drop(probe.send_unjudged(&operation_of(thing)).await),
            Some(_) => return Err(said),
        }
        let nobody = probe.is_unreachable() && attempt >= UNREACHABLE_MAX;
        if Instant::now() + pause > ends || !likely || nobody {
            break;
        }
        probe.pause(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(said)
}

/// Asks how the latest operation on it goes.
fn operation_of(thing: &Thing) -> Request {
    let endpoint = if thing.binding.is_empty() { Endpoint::InstanceOperation } else { Endpoint::BindingOperation };
    Request::new(endpoint, &thing.instance, &thing.binding)
}

/// Polls a deletion to its end.
async fn follow(probe: &Probe, thing: &Thing, answer: &Arc<Exchange>, ends: Instant) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut request = operation_of(thing);
        if let Some(operation) = answer.text("operation").filter(|text| !text.is_empty()) {
            request = request.query("operation", operation);
        }
        let seen = probe.send_unjudged(&request).await;
        match (seen.status, seen.text("state")) {
            (Some(200), Some("succeeded")) | (Some(404 | 410), _) => return Ok(()),
            (Some(200), Some("failed")) => return Err(format!("its deletion failed: {}", seen.came())),
            _ => {}
        }
        if Instant::now() + pause > ends {
            return Err(format!("its deletion goes on: {}", seen.came()));
        }
        probe.pause(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
