//! What every case works with: it sends, it keeps the ledger and the book, and it knows when to give up.
//!
//! It knows no plan and judges only what holds for every answer ([`super::always`]).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::always;
use super::book::Book;
use super::exchange::Exchange;
use super::http::Http;
use super::ledger::Ledger;
use super::request::{Endpoint, Request};
use super::{Made, Options, Progress};

/// So many exchanges in a row that can't even begin mean that nobody is there any more.
const UNREACHABLE_MAX: usize = 3;

/// Why a case ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) reason: String,
    /// The requirement that is at fault.
    pub(super) because: Option<&'static str>,
}

/// What a case ends with.
pub(super) type CaseResult = Result<(), Stop>;

impl Stop {
    /// The case can't go on since that requirement is broken.
    pub(super) fn because(row: &'static str) -> Self {
        Self { reason: format!("{row} is broken, and this can't be looked at without it"), because: Some(row) }
    }

    /// The case can't go on for a reason that breaks no requirement.
    pub(super) fn reason(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), because: None }
    }
}

/// The broker under test, and what is known of it so far.
pub(super) struct Probe {
    http: Http,
    pub(super) options: Options,
    book: Mutex<Book>,
    ledger: Mutex<Ledger>,
    case: Mutex<&'static str>,
    incomplete: Mutex<Option<String>>,
    requests: AtomicUsize,
    unreachable: AtomicUsize,
    asynchronous: AtomicBool,
    trouble: AtomicBool,
    progress: Arc<dyn Progress>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probe {
    pub(super) fn new(http: Http, options: Options, progress: Arc<dyn Progress>) -> Self {
        Self {
            http,
            options,
            book: Mutex::default(),
            ledger: Mutex::default(),
            case: Mutex::new("before all"),
            incomplete: Mutex::default(),
            requests: AtomicUsize::new(0),
            unreachable: AtomicUsize::new(0),
            asynchronous: AtomicBool::new(false),
            trouble: AtomicBool::new(false),
            progress,
        }
    }

    /// From now on what is found belongs to that case.
    pub(super) fn begin(&self, case: &'static str) {
        *lock(&self.case) = case;
    }

    /// Sends a request and judges what holds for every answer.
    pub(super) async fn send(&self, request: Request) -> Arc<Exchange> {
        let exchange = self.send_unjudged(&request).await;
        always::judge(self, &request, &exchange);
        exchange
    }

    /// Sends a request. What it may make is written down before.
    pub(super) async fn send_unjudged(&self, request: &Request) -> Arc<Exchange> {
        let makes = request.method == "PUT" && matches!(request.endpoint, Endpoint::Provision | Endpoint::Bind);
        if makes && !self.makes(request).await {
            let mut exchange = Exchange::of(request, "nobody");
            exchange.no_answer = Some("it could not be written down first".to_owned());
            exchange.not_sent = true;
            // What was not asked was not found out: such a run never says that a broker conforms.
            self.incomplete("what the run was about to make could not be written down, so that it was not sent");
            return Arc::new(exchange);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let exchange = Arc::new(self.http.exchange(request).await);
        self.progress.exchange(&exchange);
        if exchange.not_sent {
            self.unreachable.fetch_add(1, Ordering::Relaxed);
        } else {
            self.unreachable.store(0, Ordering::Relaxed);
        }
        if makes && !exchange.is_refused() && !exchange.not_sent {
            lock(&self.ledger).likely(&request.instance, &request.binding);
        }
        if request.endpoint.changes() && exchange.is(202) {
            self.asynchronous.store(true, Ordering::Relaxed);
        }
        exchange
    }

    /// Writes down what a request may make, here and wherever else somebody wants to know; false where it must not be sent.
    async fn makes(&self, request: &Request) -> bool {
        let (instance, binding) = (request.instance.clone(), request.binding.clone());
        let made = Made { instance, binding, plan_id: request.plan_id().unwrap_or_default() };
        let told = self.progress.making(&made).await;
        if told {
            lock(&self.ledger).may_hold(&made.instance, &made.binding, &made.plan_id);
        }
        told
    }

    /// The requirement is kept where `holds`, else broken. Gives `holds` back.
    pub(super) fn expect(&self, row: &'static str, seen: &Arc<Exchange>, holds: bool, expected: &str) -> bool {
        if seen.not_sent {
            let reason = format!("no connection: {}", seen.no_answer.as_deref().unwrap_or("it failed"));
            lock(&self.book).not_judged(row, reason, None);
        } else if holds {
            lock(&self.book).kept(row);
        } else {
            lock(&self.book).broken(row, *lock(&self.case), expected, seen.came(), Some(seen));
        }
        holds
    }

    /// The answer has one of those statuses.
    pub(super) fn expect_status(&self, row: &'static str, seen: &Arc<Exchange>, statuses: &[u16]) -> bool {
        let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
        self.expect(row, seen, seen.is_any(statuses), &format!("status {}", words.join(" or ")))
    }

    /// The answer is 422 with that reserved word, which other rows ask for, too.
    pub(super) fn expect_code(&self, rows: &[&'static str], seen: &Arc<Exchange>, code: &str) -> bool {
        let holds = seen.is(422) && seen.text("error") == Some(code);
        for row in rows {
            self.expect(row, seen, holds, &format!("status 422 with error {code}"));
        }
        holds
    }

    /// The request is refused as the caller's fault, whichever way.
    pub(super) fn expect_refusal(&self, row: &'static str, seen: &Arc<Exchange>) -> bool {
        self.expect(row, seen, seen.is_refused(), "a status 4xx")
    }

    /// The requirement is kept where `holds`, else broken: for what is no exchange of its own.
    pub(super) fn check(&self, row: &'static str, holds: bool, expected: &str, came: &str) -> bool {
        if holds {
            lock(&self.book).kept(row);
        } else {
            lock(&self.book).broken(row, *lock(&self.case), expected, came.to_owned(), None);
        }
        holds
    }

    /// Forms that were looked at ([`super::shapes`]).
    pub(super) fn forms(&self, seen: &Arc<Exchange>, forms: super::shapes::Seen) {
        for (row, result) in forms {
            let wrong = result.as_ref().err().cloned().unwrap_or_default();
            let expected = super::requirement::row(row).map_or("the form that is defined", |row| row.text);
            if result.is_err() {
                let came = format!("{wrong}: {}", seen.came());
                lock(&self.book).broken(row, *lock(&self.case), expected, came, Some(seen));
            } else {
                lock(&self.book).kept(row);
            }
        }
    }

    /// The requirements don't concern this broker.
    pub(super) fn not_applicable(&self, rows: &[&'static str], reason: &str) {
        for row in rows {
            lock(&self.book).not_applicable(row, reason.to_owned());
        }
    }

    /// The requirements can't be looked at.
    pub(super) fn not_judged(&self, rows: &[&'static str], stop: &Stop) {
        for row in rows {
            if !self.knows(row) {
                lock(&self.book).not_judged(row, stop.reason.clone(), stop.because);
            }
        }
    }

    /// Whether anything is known of a requirement.
    pub(super) fn knows(&self, row: &str) -> bool {
        lock(&self.book).knows(row)
    }

    /// Whether a requirement was seen broken.
    pub(super) fn is_broken(&self, row: &str) -> bool {
        lock(&self.book).is_broken(row)
    }

    /// The run says less than it should, for that reason; the first one counts.
    pub(super) fn incomplete(&self, reason: impl Into<String>) {
        lock(&self.incomplete).get_or_insert(reason.into());
    }

    /// Why the run says less than it should.
    pub(super) fn why_incomplete(&self) -> Option<String> {
        lock(&self.incomplete).clone()
    }

    /// Whether nobody is there any more.
    pub(super) fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed) >= UNREACHABLE_MAX
    }

    /// Whether an operation was asynchronous.
    pub(super) fn saw_asynchronous(&self) -> bool {
        self.asynchronous.load(Ordering::Relaxed)
    }

    /// An operation could not be seen to its end: what it is about may be in the way of others.
    pub(super) fn trouble(&self) {
        self.trouble.store(true, Ordering::Relaxed);
    }

    /// Whether that was so since the last look.
    pub(super) fn take_trouble(&self) -> bool {
        self.trouble.swap(false, Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        self.http.credentials()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The verdicts, which are taken out.
    pub(super) fn take_book(&self) -> Book {
        std::mem::take(&mut *lock(&self.book))
    }

    /// Waits.
    pub(super) async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
