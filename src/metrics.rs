//! Metrics, in a registry that is handed down: no global. It decides names, labels and buckets, and nothing else.
//!
//! Invariant: labels are names of brokers and sinks and words from closed sets, never tenants, ids or what a caller wrote, so
//! the number of series is bounded by the configuration.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// From 1 ms, since most answers are our own, to the minute that platforms wait.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of OSB requests as platforms make them, and of calls to brokers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
    broker: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BrokerLabels {
    broker: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    sink: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    operation: String,
    phase: String,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
/// Seconds have fractions.
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The state of a broker's breaker, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Calls go out: 0.
    Closed,
    /// One call at a time is tried: 1.
    HalfOpen,
    /// None goes out: 2.
    Open,
}

/// How an attempt to deliver an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The sink has it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It was given up.
    Dead,
}

/// Every metric. Cloning shares it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    http: Histograms<HttpLabels>,
    operations: Histograms<OperationLabels>,
    calls: Histograms<OperationLabels>,
    deliveries: Family<DeliveryLabels, Counter>,
    usage: Family<VerdictLabels, Counter>,
    scraped: Scraped,
    /// Held while the scraped gauges are replaced and rendered.
    scrape: Arc<Mutex<()>>,
}

/// Gauges that are set anew at each scrape.
#[derive(Clone, Default)]
struct Scraped {
    breakers: Family<BrokerLabels, Gauge>,
    under_way: Family<PhaseLabels, Gauge>,
    oldest: Family<PhaseLabels, Seconds>,
    outbox: Gauge,
    outbox_age: Seconds,
    sink_behind: Family<SinkLabels, Gauge>,
    sink_age: Family<SinkLabels, Seconds>,
    dead_letters: Family<SinkLabels, Gauge>,
}

/// What a scrape found in the database, and in this process at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// The brokers' breakers in this process, by name.
    pub breakers: Vec<(String, Breaker)>,
    /// Operations under way.
    pub operations: Vec<ScrapedOperations>,
    /// Events without a number.
    pub outbox: i64,
    /// How long the oldest of them has waited.
    pub outbox_age: Duration,
    /// The configured sinks.
    pub sinks: Vec<ScrapedSink>,
}

/// Operations of one kind and phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapedOperations {
    /// `provision`, ….
    pub kind: String,
    /// `calling`, ….
    pub phase: String,
    /// How many.
    pub count: i64,
    /// Of the oldest.
    pub age: Duration,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapedSink {
    /// Its name.
    pub name: String,
    /// Events that it has not been given.
    pub behind: i64,
    /// How long the oldest of them has waited.
    pub age: Duration,
    /// Events that it did not take.
    pub dead_letters: i64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Registers every metric.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::default(),
            http: Family::new_with_constructor(histogram),
            operations: Family::new_with_constructor(histogram),
            calls: Family::new_with_constructor(histogram),
            deliveries: Family::default(),
            usage: Family::default(),
            scraped: Scraped::default(),
            scrape: Arc::default(),
        };
        let mut registry = Registry::with_prefix("bourse");
        registry.register(
            "http_request_duration_seconds",
            "Answers by method, route and status class",
            metrics.http.clone(),
        );
        registry.register(
            "osb_request_duration_seconds",
            "OSB requests of platforms by operation, broker and outcome",
            metrics.operations.clone(),
        );
        registry.register(
            "broker_call_duration_seconds",
            "Calls to service brokers by operation, broker and outcome",
            metrics.calls.clone(),
        );
        registry.register(
            "event_deliveries",
            "Attempts to deliver events by sink and outcome",
            metrics.deliveries.clone(),
        );
        registry.register(
            "usage_events",
            "Usage events that were reported, by what became of them",
            metrics.usage.clone(),
        );
        metrics.scraped.register(&mut registry);
        Self { registry: Arc::new(registry), ..metrics }
    }

    /// An HTTP request was answered. `route` is the route's pattern, never the path that came.
    pub fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = HttpLabels { method: method_word(method), route: route.to_owned(), status: class_word(status) };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// An OSB request of a platform was answered. `broker` is empty where none is known, such as for a catalog.
    pub fn osb_request(&self, operation: &'static str, broker: &str, outcome: &'static str, took: Duration) {
        let labels = OperationLabels { operation, broker: broker.to_owned(), outcome };
        self.operations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A broker was called.
    pub fn broker_call(&self, operation: &'static str, broker: &str, outcome: &'static str, took: Duration) {
        let labels = OperationLabels { operation, broker: broker.to_owned(), outcome };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Events were delivered to a sink, or not.
    pub fn delivery(&self, sink: &str, outcome: Delivery, count: u64) {
        let outcome = match outcome {
            Delivery::Delivered => "delivered",
            Delivery::Failed => "failed",
            Delivery::Dead => "dead_letter",
        };
        self.deliveries.get_or_create(&DeliveryLabels { sink: sink.to_owned(), outcome }).inc_by(count);
    }

    /// A usage event was reported: `accepted`, `duplicate`, `conflict` or `rejected`.
    pub fn usage_event(&self, status: &'static str) {
        self.usage.get_or_create(&VerdictLabels { status }).inc();
    }

    /// The text that Prometheus reads, with the gauges that a scrape found in the database.
    pub fn render(&self, scrape: &Scrape) -> String {
        // Two scrapes at once must not mix their gauges.
        let turn = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.scraped.replace(scrape);
        let mut text = String::new();
        // Writing into a String fails only where an encoder does; what was written until then is still right.
        let outcome = encode(&mut text, &self.registry);
        drop(turn);
        if outcome.is_err() { String::new() } else { text }
    }
}

impl Scraped {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "broker_breaker_state",
            "Circuit breaker: 0 closed, 1 half open, 2 open",
            self.breakers.clone(),
        );
        registry.register("operations_in_progress", "Operations under way by kind and phase", self.under_way.clone());
        registry.register(
            "operations_oldest_age_seconds",
            "Age of the oldest operation under way by kind and phase",
            self.oldest.clone(),
        );
        registry.register("outbox_events", "Events that wait for their number", self.outbox.clone());
        registry.register("outbox_lag_seconds", "How long the oldest of them has waited", self.outbox_age.clone());
        registry.register("sink_events_behind", "Events that a sink has not been given", self.sink_behind.clone());
        registry.register("sink_lag_seconds", "How long the oldest of them has waited", self.sink_age.clone());
        registry.register("sink_dead_letters", "Events that a sink did not take", self.dead_letters.clone());
    }

    fn replace(&self, scrape: &Scrape) {
        self.breakers.clear();
        for (broker, state) in &scrape.breakers {
            let value = match state {
                Breaker::Closed => 0,
                Breaker::HalfOpen => 1,
                Breaker::Open => 2,
            };
            self.breakers.get_or_create(&BrokerLabels { broker: broker.clone() }).set(value);
        }
        self.under_way.clear();
        self.oldest.clear();
        for found in &scrape.operations {
            let labels = PhaseLabels { operation: found.kind.clone(), phase: found.phase.clone() };
            self.under_way.get_or_create(&labels).set(found.count);
            self.oldest.get_or_create(&labels).set(found.age.as_secs_f64());
        }
        self.outbox.set(scrape.outbox);
        self.outbox_age.set(scrape.outbox_age.as_secs_f64());
        self.sink_behind.clear();
        self.sink_age.clear();
        self.dead_letters.clear();
        for sink in &scrape.sinks {
            let labels = SinkLabels { sink: sink.name.clone() };
            self.sink_behind.get_or_create(&labels).set(sink.behind);
            self.sink_age.get_or_create(&labels).set(sink.age.as_secs_f64());
            self.dead_letters.get_or_create(&labels).set(sink.dead_letters);
        }
    }
}

fn method_word(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

fn class_word(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text_with_units_and_labels() {
        let metrics = Metrics::new();
        metrics.http_request("GET", "/v2/catalog", 200, Duration::from_millis(3));
        metrics.osb_request("provision", "vnet", "succeeded", Duration::from_millis(40));
        metrics.broker_call("provision", "vnet", "unknown", Duration::from_secs(45));
        metrics.delivery("finops", Delivery::Dead, 1);
        let sink = ScrapedSink { name: "finops".into(), behind: 7, dead_letters: 1, ..ScrapedSink::default() };
        let breakers = vec![("vnet".to_owned(), Breaker::Open)];
        let text = metrics.render(&Scrape { outbox: 2, sinks: vec![sink], breakers, ..Scrape::default() });
        for line in [
            r#"bourse_http_request_duration_seconds_count{method="GET",route="/v2/catalog",status="2xx"} 1"#,
            r#"bourse_osb_request_duration_seconds_bucket{le="0.05",operation="provision",broker="vnet",outcome="succeeded"} 1"#,
            r#"bourse_broker_call_duration_seconds_count{operation="provision",broker="vnet",outcome="unknown"} 1"#,
            r#"bourse_broker_breaker_state{broker="vnet"} 2"#,
            r#"bourse_event_deliveries_total{sink="finops",outcome="dead_letter"} 1"#,
            "bourse_outbox_events 2",
            r#"bourse_sink_events_behind{sink="finops"} 7"#,
            r#"bourse_sink_dead_letters{sink="finops"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_gauge_of_something_that_is_over_is_gone_at_the_next_scrape() {
        let metrics = Metrics::new();
        let found =
            ScrapedOperations { kind: "provision".into(), phase: "polling".into(), count: 3, ..Default::default() };
        let before = metrics.render(&Scrape { operations: vec![found], ..Scrape::default() });
        assert!(
            before.contains(r#"bourse_operations_in_progress{operation="provision",phase="polling"} 3"#),
            "{before}"
        );
        assert!(!metrics.render(&Scrape::default()).contains("polling"));
    }

    #[test]
    fn what_a_caller_writes_is_never_a_label() {
        let metrics = Metrics::new();
        metrics.http_request("BREW", "/v2/catalog", 999, Duration::ZERO);
        let text = metrics.render(&Scrape::default());
        assert!(text.contains(r#"method="other""#) && text.contains(r#"status="5xx""#), "{text}");
        assert!(!text.contains("BREW"));
    }
}
