//! The conformance suite itself: its reports, how it ends, and that it leaves nothing behind. What it finds is in `broken`.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use osb::client::{Credentials, Egress};
use osb::conformance::{
    Error, Exchange, Made, Options, Outcome, Progress, Report, Target, Verdict, case_count, clean_up_after, junit, run,
    silent,
};
use serde_json::{Value, json};

use crate::exemplar::wire::{Answer, Endpoint, Running, Site, serve};
use crate::exemplar::{LARGE, OFFERING_STORE, PASSWORD, SMALL, USERNAME};

fn target(running: &Running) -> Target {
    Target::new(running.url()).with_credentials(USERNAME, PASSWORD)
}

fn options(plan: &str) -> Options {
    Options { plan: Some(plan.to_owned()), polling: Duration::from_secs(5), ..Options::default() }
}

async fn judged(site: Site, plan: &str) -> (Running, Report) {
    let running = serve(site);
    let report = run(&target(&running), options(plan), silent(), std::future::pending()).await.unwrap();
    (running, report)
}

/// Tags are closed in the order in which they were opened, and nothing unescaped stands between them.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "{part}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{part}");
        } else if !tag.ends_with('/') && !tag.starts_with('?') {
            open.push(tag.split(' ').next().unwrap().to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn a_report_is_read_as_it_was_written_and_holds_no_credential() {
    let site = Site::Answer(|request, answer| {
        if request.is(Endpoint::Bind) && answer.status == 201 {
            answer.status = 203;
        }
    });
    let (_running, report) = judged(site, "small").await;
    let text = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&report).unwrap());
    let finding = &report.row("BND-07").unwrap().findings[0];
    let shown = &finding.exchange.as_ref().unwrap().body;
    assert!(shown.contains(r#""password":"(masked)""#), "{shown}");
    assert!(!text.contains(PASSWORD) && !text.to_lowercase().contains("\"authorization\""), "a credential is in it");
    assert_eq!(report.outcome(false), Outcome::Fails);
}

#[tokio::test]
async fn junit_has_a_test_case_for_each_row_of_brokers() {
    let site = Site::Answer(|request, answer| {
        if request.is(Endpoint::Provision) && answer.status == 409 {
            answer.replace(Answer::new(200, &json!({"description": "<&\"'>\u{1}"})));
        }
    });
    let (_running, report) = judged(site, "small").await;
    let xml = junit(&report);
    assert_well_formed(&xml);
    assert_eq!(xml.matches("<testcase ").count(), report.of_brokers().len());
    assert_eq!(xml.matches("<failure ").count(), report.with(Verdict::Failed).len());
    assert!(xml.contains("name=\"PRV-10 ") && !xml.contains('\u{1}'), "{xml}");
}

struct Stopper {
    cases: AtomicUsize,
    after: usize,
    stop: tokio::sync::Notify,
    cleaned: AtomicUsize,
}

impl Progress for Stopper {
    fn exchange(&self, exchange: &Exchange) {
        let made = exchange.method == "PUT" && exchange.status.is_some_and(|status| status < 300);
        if made && self.cases.fetch_add(1, Ordering::SeqCst) == self.after {
            self.stop.notify_one();
        }
    }

    fn cleaning_up(&self) {
        self.cleaned.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_stops_it_wherever_it_is_leaves_nothing_behind() {
    for after in [0, 1, 4, 9] {
        let running = serve(Site::Nowhere);
        let stopper = Arc::new(Stopper {
            cases: AtomicUsize::new(0),
            after,
            stop: tokio::sync::Notify::new(),
            cleaned: AtomicUsize::new(0),
        });
        let waiting = Arc::clone(&stopper);
        let stop = async move { waiting.stop.notified().await };
        let progress: Arc<dyn Progress> = Arc::<Stopper>::clone(&stopper);
        let report = run(&target(&running), options("patient"), progress, stop).await.unwrap();
        assert!(report.interrupted && report.left_behind.is_empty(), "{after}: {:?}", report.left_behind);
        assert_eq!((running.broker.left(), stopper.cleaned.load(Ordering::SeqCst)), (0, 1), "{after}");
        assert_eq!(report.outcome(true), Outcome::Incomplete);
        assert_eq!(report.row("DEP-03").unwrap().verdict, Verdict::NotJudged);
    }
}

#[tokio::test]
async fn the_end_of_its_time_ends_the_cases_and_not_the_clean_up() {
    let running = serve(Site::Nowhere);
    // Less than a whole run takes on any machine, and enough to have made something.
    let short = Options { overall: Duration::from_millis(120), ..options("patient") };
    let report = run(&target(&running), short, silent(), std::future::pending()).await.unwrap();
    assert_eq!(report.incomplete.as_deref(), Some("the time for all cases was over"));
    assert_eq!((running.broker.left(), report.left_behind.len()), (0, 0));
}

#[tokio::test]
async fn a_broker_that_refuses_plain_orders_is_not_blamed_for_it() {
    let site = Site::Instead(|request| {
        let named = request.json()["organization_guid"] == "conformance-organization";
        let refused = request.is(Endpoint::Provision) && request.is_authorized() && named;
        refused.then(|| Answer::new(400, &json!({"description": "no such organization"})))
    });
    let (_running, report) = judged(site, "small").await;
    assert_eq!(report.with(Verdict::Failed), [""; 0]);
    assert_eq!(report.outcome(false), Outcome::Incomplete);
    assert!(report.incomplete.as_deref().is_some_and(|reason| reason.contains("no such organization")), "{report:?}");
    assert_eq!(report.row("PRV-07").unwrap().verdict, Verdict::NotJudged);
    assert_eq!(report.row("CAT-01").unwrap().verdict, Verdict::Passed);
}

#[tokio::test]
async fn what_could_not_be_deleted_is_named() {
    let site = Site::Instead(|request| {
        let refused = request.is(Endpoint::Deprovision) && request.is_authorized();
        refused.then(|| Answer::new(403, &json!({"description": "nothing is ever deleted here"})))
    });
    let (running, report) = judged(site, "archive").await;
    assert_eq!(report.left_behind.len(), running.broker.left());
    assert!(report.left_behind.iter().all(|left| left.starts_with("instance ")), "{:?}", report.left_behind);
    assert!(report.with(Verdict::Failed).contains(&"DEP-03"), "{:?}", report.with(Verdict::Failed));
}

#[tokio::test]
async fn one_row_is_judged_without_the_others() {
    let running = serve(Site::Nowhere);
    let one = Options { rows: vec!["PRV-10".to_owned()], ..options("small") };
    let report = run(&target(&running), one, silent(), std::future::pending()).await.unwrap();
    assert_eq!((report.row("PRV-10").unwrap().verdict, report.outcome(true)), (Verdict::Passed, Outcome::Conforms));
    assert_eq!(report.row("BND-10").unwrap().reason.as_deref(), Some("it was not asked for"));
    assert!(report.requests < 40, "{} requests", report.requests);
}

#[tokio::test]
async fn without_credentials_authentication_is_not_judged() {
    let running = serve(Site::Request(|request| {
        let authorization = crate::exemplar::wire::authorization();
        request.set_header("authorization", &authorization);
    }));
    let report = run(&Target::new(running.url()), options("small"), silent(), std::future::pending()).await.unwrap();
    assert_eq!(report.row("AUTH-02").unwrap().verdict, Verdict::NotApplicable);
    assert_eq!((report.with(Verdict::Failed), report.outcome(true)), (vec![], Outcome::Conforms));
}

#[tokio::test]
async fn nobody_there_and_a_malformed_url_are_errors() {
    let judge = async |url: &str| run(&Target::new(url), Options::default(), silent(), std::future::pending()).await;
    assert!(matches!(judge("http://127.0.0.1:1").await, Err(Error::Unreachable(_))));
    for url in ["127.0.0.1:1", "http://user:pw@127.0.0.1:1", "http://127.0.0.1:1/?a=b", "ftp://127.0.0.1"] {
        assert!(matches!(judge(url).await, Err(Error::Url)), "{url}");
    }
}

/// Refuses to write down what is made, or keeps it.
struct Diary {
    refuses: bool,
    made: Mutex<Vec<Made>>,
}

impl Progress for Diary {
    fn making<'a>(&'a self, made: &'a Made) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        self.made.lock().unwrap().push(made.clone());
        let refuses = self.refuses;
        Box::pin(async move { !refuses })
    }
}

fn diary(refuses: bool) -> Arc<Diary> {
    Arc::new(Diary { refuses, made: Mutex::default() })
}

#[tokio::test]
async fn an_address_that_the_egress_policy_refuses_is_not_connected_to() {
    let running = serve(Site::Nowhere);
    let judge = async |target: Target| run(&target, options("small"), silent(), std::future::pending()).await;
    let nowhere = |target: Target| target.through(Arc::new(Egress::default()), None);
    assert_eq!(judge(nowhere(target(&running))).await.unwrap_err(), Error::Egress);
    let named = Target::new(running.url().replace("127.0.0.1", "localhost")).with_credentials(USERNAME, PASSWORD);
    assert!(matches!(judge(nowhere(named)).await, Err(Error::Unreachable(_))));
    let token = Credentials::OAuth2 {
        token_url: "http://127.0.0.1:1/token".to_owned(),
        client_id: "c".to_owned(),
        client_secret: "s".to_owned(),
        scope: None,
    };
    let elsewhere = Target::new("http://broker.example").authorized(token);
    assert_eq!(judge(nowhere(elsewhere)).await.unwrap_err(), Error::Egress);
}

#[tokio::test]
async fn what_can_not_be_written_down_first_is_not_sent() {
    let running = serve(Site::Nowhere);
    let diary = diary(true);
    let progress = Arc::clone(&diary) as Arc<dyn Progress>;
    let report = run(&target(&running), options("small"), progress, std::future::pending()).await.unwrap();
    assert_eq!(report.outcome(false), Outcome::Incomplete, "{:?}", report.with(Verdict::Failed));
    assert!(report.left_behind.is_empty() && !diary.made.lock().unwrap().is_empty());
    assert_eq!(running.broker.left(), 0);
}

#[tokio::test]
async fn what_a_killed_run_has_made_is_deleted_by_who_knows_of_it() {
    let running = serve(Site::Nowhere);
    let diary = diary(false);
    // Killed in the middle: nothing of it goes on.
    let (running_target, progress) = (target(&running), Arc::clone(&diary) as Arc<dyn Progress>);
    let options_of_run = options("small");
    let judging = run(&running_target, options_of_run, progress, std::future::pending());
    let enough = async {
        while diary.made.lock().unwrap().len() < 12 || running.broker.left() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = judging => panic!("it was over before it was killed"),
        () = enough => {}
    }
    let made = diary.made.lock().unwrap().clone();
    let plans = [SMALL, LARGE].map(str::to_owned);
    let offering = OFFERING_STORE;
    let left = clean_up_after(&target(&running), options("small"), (offering, &plans), &made).await.unwrap();
    assert_eq!(left, [""; 0]);
    let again = clean_up_after(&target(&running), options("small"), (offering, &plans), &made).await.unwrap();
    assert_eq!((again, running.broker.left()), (Vec::<String>::new(), 0), "what is gone is gone");
}

#[test]
fn parameters_are_read_plainly_or_by_action() {
    let read = |document: Value| osb::conformance::Parameters::from_value(document);
    let plain = read(json!({"size": 1})).unwrap();
    assert_eq!((plain.create.map(Value::Object), plain.update), (Some(json!({"size": 1})), None));
    let by_action = read(json!({"create": {"a": 1}, "bind": {}, "update": null})).unwrap();
    assert_eq!(by_action.create.map(Value::Object), Some(json!({"a": 1})));
    assert_eq!((by_action.update, by_action.bind.map(Value::Object)), (None, Some(json!({}))));
    assert!(read(json!([])).is_err() && read(json!({"create": 1})).is_err());
    assert!(case_count() > 30);
}
