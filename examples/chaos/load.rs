//! Orderers: each lives through one instance after the other (order, bind, change, unbind, delete), repeats what got no answer,
//! and keeps what it was told. Some of what it is told would be wrong whatever happened: that is kept, too.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::hubs::{Answer, Plan, Site};

/// How long one request is repeated until it is answered.
const INSISTS: Duration = Duration::from_secs(90);
/// How long an operation is polled.
const POLLS: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(300);

/// What an orderer may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It was told that it is there, and has not deleted it.
    Stands,
    /// It was told that it is gone.
    Gone,
    /// It was told that there will be none.
    Refused,
    /// It was not told.
    Open,
}

/// One instance, as its orderer knows it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) id: String,
    pub(crate) expect: Expect,
    /// The parameter `x`, where it is certain.
    pub(crate) x: Option<u64>,
    pub(crate) bindings: BTreeMap<String, Expect>,
}

/// What one orderer kept.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) lives: Vec<Life>,
    pub(crate) wrong: Vec<String>,
    statuses: BTreeMap<(&'static str, u16), usize>,
    unanswered: usize,
}

pub(crate) fn start(
    site: &Site,
    seed: u64,
    orderers: usize,
    until: Instant,
    stop: &CancellationToken,
) -> JoinSet<Told> {
    let mut running = JoinSet::new();
    for number in 0..orderers {
        let rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64));
        let orderer = Orderer { site: site.clone(), rng, told: Told::default(), verb: "" };
        let stop = stop.clone();
        running.spawn(async move { orderer.run(number, until, &stop).await });
    }
    running
}

/// What all of them kept.
pub(crate) async fn finish(mut orderers: JoinSet<Told>) -> Told {
    let mut all = Told::default();
    while let Some(told) = orderers.join_next().await {
        match told {
            Ok(told) => all.add(told),
            Err(error) => all.wrong.push(format!("an orderer ended: {error}")),
        }
    }
    all
}

pub(crate) fn summary(told: &Told) -> String {
    let requests: usize = told.statuses.values().sum();
    let mut lines = vec![format!(
        "{} instances ordered, {requests} requests answered, {} not answered",
        told.lives.len(),
        told.unanswered
    )];
    let mut verbs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((verb, status), count) in &told.statuses {
        verbs.entry(verb).or_default().push(format!("{status}: {count}"));
    }
    lines.extend(verbs.into_iter().map(|(verb, counts)| format!("  {verb}: {}", counts.join(", "))));
    lines.join("\n")
}

impl Told {
    fn add(&mut self, other: Self) {
        let Self { lives, wrong, statuses, unanswered } = other;
        self.lives.extend(lives);
        self.wrong.extend(wrong);
        self.unanswered += unanswered;
        for (key, count) in statuses {
            *self.statuses.entry(key).or_default() += count;
        }
    }
}

/// A final answer to a request, and whether an earlier try of it may have been heard.
struct Settled {
    answer: Option<Answer>,
    repeated: bool,
}

struct Orderer {
    site: Site,
    rng: Rng,
    told: Told,
    verb: &'static str,
}

impl Orderer {
    async fn run(mut self, number: usize, until: Instant, stop: &CancellationToken) -> Told {
        let mut count = 0;
        while Instant::now() < until && !stop.is_cancelled() {
            let life = self.live(format!("o{number}-{count}")).await;
            self.told.lives.push(life);
            count += 1;
        }
        self.told
    }

    async fn live(&mut self, id: String) -> Life {
        let plan = self.rng.choice(self.site.plans()).cloned();
        let mut life = Life { id, expect: Expect::Open, x: None, bindings: BTreeMap::new() };
        let Some(plan) = plan else { return life };
        let x = self.rng.u64(1..1000);
        let parameters = self.faults(&plan, x);
        life.expect = self.provision(&life.id, &plan, &parameters).await;
        if life.expect != Expect::Stands {
            if self.rng.bool() {
                self.delete(&mut life, &plan).await;
            }
            return life;
        }
        life.x = Some(x);
        for number in 0..self.rng.u32(0..3) {
            let binding = format!("b{number}");
            let bound = self.bind(&life.id, &binding, &plan).await;
            life.bindings.insert(binding, bound);
        }
        if self.rng.u32(0..3) == 0 {
            life.x = self.update(&life.id, &plan).await;
        }
        if self.rng.bool() {
            let bound: Vec<String> = life.bindings.keys().cloned().collect();
            for binding in bound {
                let expect = self.unbind(&life.id, &binding, &plan).await;
                life.bindings.insert(binding, expect);
            }
        }
        if self.rng.u32(0..10) < 6 {
            self.delete(&mut life, &plan).await;
        }
        life
    }

    /// Parameters that decide what goes wrong, and how often: what deletes fails twice at most, so that there is an end.
    fn faults(&mut self, plan: &Plan, x: u64) -> Value {
        let mut parameters = json!({
            "x": x, "polls": self.rng.u32(0..4), "delay_ms": self.rng.u32(300..4000), "hang_ms": 2500,
        });
        let calls = ["provision", "update", "deprovision"];
        let Some(fields) = parameters.as_object_mut() else { return parameters };
        if self.rng.bool() {
            fields.insert("times".into(), self.rng.u32(1..3).into());
            let hit: Vec<_> = calls.into_iter().filter(|_| self.rng.bool()).collect();
            if !hit.is_empty() {
                fields.insert("fail_on".into(), json!(hit));
            }
        }
        if plan.name == "fails-500" || plan.name == "wrong-status" {
            fields.insert("takes_effect".into(), self.rng.bool().into());
        }
        parameters
    }

    /// Repeats a request until it is settled: no answer, 503 and `ConcurrencyError` settle nothing.
    async fn insist(&mut self, verb: &'static str, method: Method, path: &str, body: Option<Value>) -> Settled {
        self.verb = verb;
        let (started, mut repeated, mut last) = (Instant::now(), false, None);
        while started.elapsed() < INSISTS {
            let hub = self.rng.usize(0..self.site.hubs().max(1));
            let answer = self.site.osb(hub, method.clone(), path, body.clone()).await;
            let Some(answer) = answer else {
                self.told.unanswered += 1;
                (repeated, last) = (true, None);
                sleep(PAUSE).await;
                continue;
            };
            *self.told.statuses.entry((verb, answer.status)).or_default() += 1;
            let busy = answer.status == 422 && answer.body["error"] == "ConcurrencyError";
            if answer.status == 408 {
                // The request came to a process that stood still: nobody heard it.
                repeated = true;
                continue;
            }
            if answer.status == 503 || busy {
                last = Some(answer);
                sleep(PAUSE * 3).await;
                continue;
            }
            return Settled { answer: Some(answer), repeated };
        }
        Settled { answer: last.filter(|answer| answer.status != 503), repeated: true }
    }

    fn wrong(&mut self, id: &str, what: &str, answer: &Answer) {
        self.told.wrong.push(format!("{} of {id}: {what}: {} {}", self.verb, answer.status, answer.body));
    }

    async fn provision(&mut self, id: &str, plan: &Plan, parameters: &Value) -> Expect {
        let body = json!({
            "service_id": plan.service_id, "plan_id": plan.plan_id, "parameters": parameters,
            "organization_guid": "o", "space_guid": "s", "context": {"platform": "other"},
        });
        let polls = self.rng.u32(0..4) != 0;
        let path = format!("service_instances/{id}?accepts_incomplete={polls}");
        let settled = self.insist("provision", Method::PUT, &path, Some(body)).await;
        let Some(answer) = settled.answer else { return Expect::Open };
        match answer.status {
            200 | 201 => Expect::Stands,
            202 if polls => self.created(&format!("service_instances/{id}")).await,
            202 | 409 | 410 => {
                self.wrong(id, "an answer that this order can't have", &answer);
                Expect::Open
            }
            // Busy with the clean-up of a try that the hub refused before it died.
            422 if answer.body["error"] == "ConcurrencyError" => Expect::Open,
            _ => Expect::Refused,
        }
    }

    async fn created(&mut self, path: &str) -> Expect {
        match self.outcome(path).await.as_deref() {
            Some("succeeded") => Expect::Stands,
            Some("failed") => Expect::Refused,
            _ => Expect::Open,
        }
    }

    /// Polls until an operation is over; `gone` where there is nothing any more.
    async fn outcome(&mut self, path: &str) -> Option<String> {
        self.verb = "last_operation";
        let (started, path) = (Instant::now(), format!("{path}/last_operation"));
        while started.elapsed() < POLLS {
            sleep(PAUSE).await;
            let hub = self.rng.usize(0..self.site.hubs().max(1));
            let Some(answer) = self.site.osb(hub, Method::GET, &path, None).await else { continue };
            match (answer.status, answer.body["state"].as_str()) {
                (200, Some("in progress")) => {}
                (200, Some(state @ ("succeeded" | "failed"))) => return Some(state.to_owned()),
                (410, _) => return Some("gone".to_owned()),
                (408 | 503, _) => {}
                _ => {
                    self.wrong(&path, "no answer to a poll", &answer);
                    return None;
                }
            }
        }
        None
    }

    async fn bind(&mut self, id: &str, binding: &str, plan: &Plan) -> Expect {
        // What comes late comes within the time after which a deletion is final.
        let mut parameters = json!({"polls": 1, "times": 1, "hang_ms": 2500, "delay_ms": 1000});
        if self.rng.u32(0..3) == 0
            && let Some(fields) = parameters.as_object_mut()
        {
            fields.insert("fail_on".into(), json!(["bind"]));
        }
        let body = json!({"service_id": plan.service_id, "plan_id": plan.plan_id, "parameters": parameters});
        let polls = self.rng.bool();
        let path = format!("service_instances/{id}/service_bindings/{binding}");
        let sent = format!("{path}?accepts_incomplete={polls}");
        let settled = self.insist("bind", Method::PUT, &sent, Some(body.clone())).await;
        let Some(answer) = settled.answer else { return Expect::Open };
        match answer.status {
            200 | 201 => {
                let again = self.insist("bind", Method::PUT, &sent, Some(body)).await;
                if let Some(again) = again.answer
                    && again.status == 200
                    && again.body["credentials"] != answer.body["credentials"]
                {
                    self.wrong(id, "other credentials for the same binding", &again);
                }
                if !answer.body["credentials"].is_object() {
                    self.wrong(id, "no credentials", &answer);
                }
                Expect::Stands
            }
            202 => self.created(&path).await,
            404 | 409 | 410 => {
                self.wrong(id, "an answer that this bind can't have", &answer);
                Expect::Open
            }
            422 if answer.body["error"] == "ConcurrencyError" => Expect::Open,
            _ => Expect::Refused,
        }
    }

    async fn update(&mut self, id: &str, plan: &Plan) -> Option<u64> {
        let x = self.rng.u64(1000..2000);
        let body = json!({"service_id": plan.service_id, "parameters": {"x": x}});
        let polls = self.rng.u32(0..4) != 0;
        let path = format!("service_instances/{id}?accepts_incomplete={polls}");
        let answer = self.insist("update", Method::PATCH, &path, Some(body)).await.answer?;
        match answer.status {
            200 => Some(x),
            202 => (self.outcome(&format!("service_instances/{id}")).await? == "succeeded").then_some(x),
            404 | 409 | 410 => {
                self.wrong(id, "an answer that this update can't have", &answer);
                None
            }
            // Refused or failed: which of the two it is now is the hub's to find out.
            _ => None,
        }
    }

    async fn unbind(&mut self, id: &str, binding: &str, plan: &Plan) -> Expect {
        let path = format!("service_instances/{id}/service_bindings/{binding}");
        self.deleted("unbind", &path, plan).await
    }

    async fn delete(&mut self, life: &mut Life, plan: &Plan) {
        let stood = life.expect == Expect::Stands;
        let path = format!("service_instances/{}", life.id);
        match self.deleted("deprovision", &path, plan).await {
            Expect::Gone => {
                life.expect = Expect::Gone;
                life.bindings.values_mut().for_each(|binding| *binding = Expect::Gone);
            }
            Expect::Stands if stood => {}
            _ if life.expect == Expect::Refused => {}
            _ => {
                life.expect = Expect::Open;
                life.bindings.values_mut().for_each(|binding| *binding = Expect::Open);
            }
        }
    }

    async fn deleted(&mut self, verb: &'static str, path: &str, plan: &Plan) -> Expect {
        let query = format!("service_id={}&plan_id={}&accepts_incomplete=true", plan.service_id, plan.plan_id);
        let settled = self.insist(verb, Method::DELETE, &format!("{path}?{query}"), None).await;
        let Some(answer) = settled.answer else { return Expect::Open };
        match answer.status {
            200 | 410 => Expect::Gone,
            202 => match self.outcome(path).await.as_deref() {
                Some("succeeded" | "gone") => Expect::Gone,
                _ => Expect::Open,
            },
            400 if !settled.repeated => Expect::Open,
            404 | 409 => {
                self.wrong(path, "an answer that a deletion can't have", &answer);
                Expect::Open
            }
            _ => Expect::Open,
        }
    }
}
