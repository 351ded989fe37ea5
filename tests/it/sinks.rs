//! Sinks: every event arrives at least once and in order; what a sink does not take is tried again, then visible as a dead
//! letter, and the others go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bourse::app::Page;
use bourse::app::dead_letters::DeadLetter;
use bourse::config::{Config, Sink};
use bourse::delivery;
use bourse::secret::Secret;
use serde_json::Value;

use crate::support::bare::{Bare, On, Workers, on_each};
use crate::support::services::{Nats, nats};
use crate::support::wait::{wait_for, wait_until};

const BOUND: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver was sent, and what it is to answer.
#[derive(Clone, Default)]
struct Receiver {
    state: Arc<Mutex<State>>,
    url: String,
}

#[derive(Default)]
struct State {
    /// Answers to come; 204 when there is none left.
    answers: VecDeque<(u16, Option<&'static str>)>,
    /// Events that are always answered 400.
    refused: Option<i64>,
    taken: Vec<Value>,
    requests: usize,
    unsigned: usize,
}

impl Receiver {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let data = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .expect("no port");
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        Self { state, url: format!("http://{address}/events") }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().expect("a receiver panicked"))
    }

    fn taken(&self) -> Vec<i64> {
        self.with(|state| state.taken.iter().map(number).collect())
    }

    fn sink(&self) -> Sink {
        Sink::Webhook { name: "finops".into(), url: self.url.clone(), secret: Secret::new(SECRET.into()) }
    }
}

fn number(event: &Value) -> i64 {
    event["sequence"].as_str().and_then(|text| text.parse().ok()).expect("a decimal string")
}

async fn receive(request: HttpRequest, body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let mut state = state.lock().expect("a receiver panicked");
    state.requests += 1;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let secret = Secret::new(SECRET.to_owned());
    let expected = delivery::sign(&secret, header("webhook-id"), header("webhook-timestamp"), &body);
    let event: Value = serde_json::from_slice(&body).expect("no JSON");
    let right = expected.as_deref() == Ok(header("webhook-signature"))
        && event["id"] == header("webhook-id")
        && header("content-type").starts_with("application/cloudevents+json")
        && header("webhook-timestamp").parse::<i64>().is_ok();
    state.unsigned += usize::from(!right);
    if state.refused == Some(number(&event)) {
        return HttpResponse::BadRequest().finish();
    }
    let (status, retry_after) = state.answers.pop_front().unwrap_or((204, None));
    if status < 300 {
        state.taken.push(event);
    }
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
    if let Some(retry_after) = retry_after {
        answer.insert_header(("Retry-After", retry_after));
    }
    answer.finish()
}

async fn hub_with(on: On, sink: Sink, attempts_max: u32) -> Bare {
    Bare::on(on, move |config: &mut Config| {
        config.events.sinks = vec![sink];
        config.events.attempts_max = attempts_max;
    })
    .await
}

async fn dead_letters(hub: &Bare, sink: Option<&str>) -> Vec<DeadLetter> {
    let page = Page { limit: 10, after: String::new() };
    hub.app.dead_letters(sink, &page).await.expect("no list").items
}

async fn append_and_number(hub: &Bare, numbers: std::ops::RangeInclusive<i64>) {
    for number in numbers {
        hub.append("i", number).await;
    }
    hub.app.number_events().await.expect("could not number");
}

/// Runs rounds until nothing is left, stepping the clock over each pause.
async fn drain(hub: &Bare) -> usize {
    use bourse::app::relay::Relayed;
    let mut sinks = hub.app.sinks().expect("could not make the sinks");
    let sink = sinks.first_mut().expect("a sink");
    for round in 0..200 {
        match hub.app.relay(sink).await.expect("could not relay") {
            Relayed::Moved => {}
            Relayed::Wait(pause) => hub.clock.advance(pause),
            Relayed::Idle => return round,
            Relayed::Elsewhere => panic!("nobody else is there"),
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_gets_every_event_signed_and_in_order() {
    on_each(async |on| {
        let receiver = Receiver::start().await;
        let hub = hub_with(on, receiver.sink(), 12).await;
        let workers = Workers::new().sequence(&hub).relay(&hub);
        for number in 1..=30 {
            hub.append("i", number).await;
        }
        wait_until("all events arrived", BOUND, async || receiver.taken().len() >= 30).await;
        workers.stop().await;
        assert_eq!(receiver.taken(), (1..=30).collect::<Vec<_>>());
        assert_eq!(receiver.with(|state| (state.requests, state.unsigned)), (30, 0));
    })
    .await;
}

#[tokio::test]
async fn a_webhook_that_fails_for_a_while_gets_everything_in_order_later() {
    on_each(async |on| {
        let receiver = Receiver::start().await;
        let hub = hub_with(on, receiver.sink(), 12).await;
        receiver.with(|state| state.answers = [(204, None), (503, None), (500, None), (429, Some("120"))].into());
        append_and_number(&hub, 1..=3).await;
        let began = hub.clock.now();
        drain(&hub).await;
        assert_eq!(receiver.taken(), [1, 2, 3]);
        assert_eq!(receiver.with(|state| (state.requests, state.unsigned)), (6, 0));
        let waited = hub.clock.now().since(began);
        assert!(waited >= Duration::from_secs(1 + 2 + 120), "Retry-After and back-off were not kept: {waited:?}");
        assert!(dead_letters(&hub, None).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_event_that_is_refused_three_times_is_a_dead_letter_and_the_others_go_on_until_it_is_redelivered_on_sqlite()
{
    check_refused(On::Sqlite).await;
}

#[tokio::test]
async fn an_event_that_is_refused_three_times_is_a_dead_letter_and_the_others_go_on_until_it_is_redelivered_on_postgres()
 {
    check_refused(On::Postgres).await;
}

async fn check_refused(on: On) {
    let receiver = Receiver::start().await;
    let sink = receiver.sink();
    let hub = Bare::on(on, |config| config.events.sinks = vec![sink]).await;
    receiver.with(|state| state.refused = Some(2));
    append_and_number(&hub, 1..=4).await;
    drain(&hub).await;
    assert_eq!(receiver.taken(), [1, 3, 4]);
    let dead = dead_letters(&hub, Some("finops")).await;
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((letter.sequence, letter.attempts, letter.error.as_str()), (2, 3, "answered 400"));
    let text = hub.app.render_metrics().await.expect("no metrics");
    for line in [r#"bourse_sink_dead_letters{sink="finops"} 1"#, r#"bourse_sink_events_behind{sink="finops"} 0"#] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    // Asked while it still refuses: it stays a dead letter, and is not tried over and over.
    assert_eq!(hub.app.redeliver("users/admin", "finops").await.expect("could not redeliver"), 1);
    drain(&hub).await;
    let dead = dead_letters(&hub, None).await;
    assert_eq!(dead.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [4]);

    receiver.with(|state| state.refused = None);
    hub.app.redeliver("users/admin", "finops").await.expect("could not redeliver");
    drain(&hub).await;
    assert_eq!(receiver.taken(), [1, 3, 4, 2]);
    assert!(dead_letters(&hub, None).await.is_empty());
    assert!(hub.app.redeliver("users/admin", "nobody").await.is_err());
}

#[tokio::test]
async fn an_event_that_fails_too_often_is_a_dead_letter_too() {
    on_each(async |on| {
        let receiver = Receiver::start().await;
        let hub = hub_with(on, receiver.sink(), 4).await;
        receiver.with(|state| state.answers = [(500, None); 4].into());
        append_and_number(&hub, 1..=2).await;
        drain(&hub).await;
        assert_eq!(receiver.taken(), [2]);
        let dead = dead_letters(&hub, None).await;
        assert_eq!(dead.iter().map(|letter| (letter.sequence, letter.attempts)).collect::<Vec<_>>(), [(1, 4)]);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_where_the_egress_policy_forbids_it_is_an_error_at_the_start() {
    on_each(async |on| {
        let hub = Bare::on(on, |config| {
            config.egress.allow.clear();
            config.events.sinks = vec![Receiver { url: "http://127.0.0.1:9/".into(), ..Receiver::default() }.sink()];
        })
        .await;
        let outcome = hub.app.sinks();
        assert!(outcome.as_ref().is_err_and(|error| error.to_string().contains("egress.allow")), "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn a_webhook_by_a_name_that_leads_to_a_forbidden_address_is_not_called() {
    on_each(async |on| {
        let receiver = Receiver::start().await;
        let url = receiver.url.replace("127.0.0.1", "localhost");
        let hub = Bare::on(on, |config| {
            config.egress.allow.clear();
            config.events.attempts_max = 1;
            config.events.sinks = vec![Receiver { url, ..Receiver::default() }.sink()];
        })
        .await;
        append_and_number(&hub, 1..=1).await;
        drain(&hub).await;
        let dead = dead_letters(&hub, None).await;
        assert_eq!(dead.iter().map(|letter| letter.error.as_str()).collect::<Vec<_>>(), ["no connection"]);
        assert_eq!(receiver.with(|state| state.requests), 0);
    })
    .await;
}

#[tokio::test]
async fn a_file_has_whole_lines_only_and_a_restart_goes_on_where_it_was() {
    on_each(async |on| {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let path = folder.path().join("events.jsonl");
        let hub = hub_with(on, Sink::File { name: "file".into(), path: path.clone() }, 12).await;
        append_and_number(&hub, 1..=3).await;
        drain(&hub).await;
        // A crash in the middle of a line, before the cursor was written.
        let whole = std::fs::read_to_string(&path).expect("no file");
        std::fs::write(&path, format!("{whole}{{\"specversion\":\"1.")).expect("could not write");
        let restarted = hub.another().await;
        append_and_number(&restarted, 4..=5).await;
        drain(&restarted).await;
        let lines = std::fs::read_to_string(&path).expect("no file");
        let numbers: Vec<_> =
            lines.lines().map(|line| number(&serde_json::from_str(line).expect("a torn line"))).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_serve_a_sink_one_at_a_time_and_the_second_takes_over_on_postgres() {
    let receiver = Receiver::start().await;
    let sink = receiver.sink();
    let one = Bare::on(On::Postgres, |config| config.events.sinks = vec![sink]).await;
    let two = one.another().await;
    one.beat().await;
    append_and_number(&one, 1..=2).await;
    drain(&one).await;
    append_and_number(&one, 3..=3).await;
    let mut sinks = two.app.sinks().expect("could not make the sinks");
    let round = two.app.relay(&mut sinks[0]).await.expect("could not relay");
    assert_eq!(round, bourse::app::relay::Relayed::Elsewhere);
    one.leave().await;
    drain(&two).await;
    assert_eq!(receiver.taken(), [1, 2, 3]);
}

fn nats_sink(url: String, name: &str) -> Sink {
    Sink::Nats { name: "nats".into(), url, subject: format!("{name}.events"), stream: name.to_owned() }
}

async fn stream(url: &str, name: &str) -> Option<async_nats::jetstream::stream::Stream> {
    let client = async_nats::connect(url).await.ok()?;
    async_nats::jetstream::new(client).get_stream(name).await.ok()
}

async fn messages(url: &str, name: &str) -> Vec<(String, i64)> {
    let stream = stream(url, name).await.expect("no stream");
    let state = stream.get_info().await.expect("no state").state;
    let mut found = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await.expect("no message");
        let id = message.headers.get("Nats-Msg-Id").map(ToString::to_string).unwrap_or_default();
        let event: Value = serde_json::from_slice(&message.payload).expect("no JSON");
        assert_eq!(event["id"], id.as_str());
        found.push((id, number(&event)));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream_gets_every_event_once_and_in_order_into_a_stream_that_is_made() {
    on_each(async |on| {
        let (url, name) = (nats().await.url(), format!("SINKS_ORDER_{on:?}"));
        let hub = hub_with(on, nats_sink(url.clone(), &name), 12).await;
        let workers = Workers::new().sequence(&hub).relay(&hub);
        for number in 1..=20 {
            hub.append("i", number).await;
        }
        wait_for("all events are in the stream", BOUND, async || {
            let stream = stream(&url, &name).await?;
            (stream.get_info().await.ok()?.state.messages >= 20).then_some(())
        })
        .await;
        workers.stop().await;
        // A process that crashed before it wrote the cursor delivers again: the stream knows the ids.
        let again = hub_with(on, nats_sink(url.clone(), &name), 12).await;
        append_and_number(&again, 1..=20).await;
        drain(&again).await;
        let numbers: Vec<_> = messages(&url, &name).await.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream_that_is_away_gets_everything_when_it_is_back() {
    let mut server = Nats::start().await.expect("no NATS");
    for on in [On::Sqlite, On::Postgres] {
        let name = format!("SINKS_BACK_{on:?}");
        let hub = hub_with(on, nats_sink(server.url(), &name), 100).await;
        append_and_number(&hub, 1..=2).await;
        drain(&hub).await;
        server.process().signal(crate::support::process::Signal::Stop);
        let stopped = async {
            let mut sinks = hub.app.sinks().expect("could not make the sinks");
            append_and_number(&hub, 3..=4).await;
            hub.app.relay(&mut sinks[0]).await.expect("could not relay")
        };
        let round = stopped.await;
        server.process().signal(crate::support::process::Signal::Continue);
        assert!(matches!(round, bourse::app::relay::Relayed::Wait(_)), "{round:?}");
        drain(&hub).await;
        let numbers: Vec<_> = messages(&server.url(), &name).await.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}
