//! Whether an offering is fit for publication: what is looked at ([`checks`]), and how a submission stands ([`ReviewState`]).
//!
//! It decides about nothing: whoever submits is held up by what is required and not there, and a person publishes. Invariant: what a
//! check says follows from the offering, its verdict and the prices in force alone, so who looks again sees the same.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::audit::hash;
use super::broker::Status;
use super::catalog::{Offering, Plan, Severity, State};
use super::judgement::{Outcome, Verdict};
use super::meter::{INSTANCE, Meter, SETUP};
use super::tariff::Tariffs;

/// Characters of what is said with a submission or a decision.
pub const REASON_MAX: usize = 1000;
/// Things that one sentence lists.
const LISTED_MAX: usize = 5;

/// How a submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// It waits for somebody.
    Submitted,
    /// The offering was published.
    Published,
    /// It was sent back, with a reason.
    SentBack,
    /// The offering changed meanwhile: what was submitted is not there any more.
    Void,
}

impl ReviewState {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Published => "published",
            Self::SentBack => "sent_back",
            Self::Void => "void",
        }
    }

    /// Reads what [`ReviewState::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Submitted, Self::Published, Self::SentBack, Self::Void].into_iter().find(|state| state.as_str() == text)
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReviewCheck)]
pub struct Check {
    /// `broker catalog schemas conformance price meters support documentation presentation`
    pub check: String,
    /// Whether the offering can't be submitted without it.
    pub required: bool,
    /// What it came to.
    pub state: Fit,
    /// What was found.
    pub message: String,
    /// What to do about it, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The offering as it is stored now.
    pub offering: &'a Offering,
    /// How its broker was when last asked.
    pub broker: Status,
    /// [`digest`] of it.
    pub digest: &'a str,
    /// The latest verdict on it, whatever form of it was judged.
    pub verdict: Option<&'a Verdict>,
    /// The prices in force.
    pub tariffs: Option<&'a Tariffs>,
}

/// Says which form of an offering this is, and where its broker is: what was judged or submitted is held against it.
pub fn digest(url: &str, offering: &Offering) -> String {
    let mut plans: Vec<&Plan> = offering.plans.iter().filter(|plan| plan.state == State::Available).collect();
    plans.sort_by(|left, right| left.id.cmp(&right.id));
    let plan = |plan: &&Plan| json!({"id": plan.id, "backend_id": plan.backend_id, "document": plan.document});
    let form = json!({
        "url": url,
        "name": offering.name,
        "backend_id": offering.backend_id,
        "document": offering.document,
        "plans": plans.iter().map(plan).collect::<Vec<_>>(),
    });
    hash("offering", &form)
}

/// Looks at everything.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let presentation = presentation(evidence.offering);
    let document = &evidence.offering.document;
    vec![
        broker(evidence.broker),
        catalog(evidence.offering),
        schemas(evidence.offering),
        conformance(evidence.verdict, evidence.digest),
        price(evidence),
        meters(evidence),
        link(
            document,
            "support",
            "supportUrl",
            "where people who use it get help",
            &["http://", "https://", "mailto:"],
        ),
        link(document, "documentation", "documentationUrl", "where it is described", &["http://", "https://"]),
        presentation,
    ]
}

/// What keeps an offering from being submitted.
pub fn missing(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.required && check.state == Fit::Failed).collect()
}

fn passed(check: &str, required: bool, message: impl Into<String>) -> Check {
    Check { check: check.to_owned(), required, state: Fit::Passed, message: message.into(), remedy: None }
}

fn failed(check: &str, required: bool, message: impl Into<String>, remedy: impl Into<String>) -> Check {
    let (message, remedy) = (message.into(), Some(remedy.into()));
    Check { check: check.to_owned(), required, state: Fit::Failed, message, remedy }
}

fn broker(status: Status) -> Check {
    match status {
        Status::Available => passed("broker", true, "the broker answers"),
        other => failed(
            "broker",
            true,
            format!("the broker is {}", other.as_str()),
            "look at its findings, put it right, and fetch its catalog again: POST /brokers/{name}/refresh",
        ),
    }
}

fn catalog(offering: &Offering) -> Check {
    let errors: Vec<String> = offering
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{} {}", finding.pointer, finding.message))
        .collect();
    if offering.state == State::Available && errors.is_empty() {
        return passed("catalog", true, "nothing in the catalog keeps it from being served");
    }
    let message = if errors.is_empty() {
        format!("the offering is {} in the catalog", offering.state.as_str())
    } else {
        format!("the catalog is not in order: {}", listed(&errors))
    };
    failed("catalog", true, message, "put the broker's catalog right and fetch it again: POST /brokers/{name}/refresh")
}

fn schemas(offering: &Offering) -> Check {
    let about = |pointer: &str| pointer.contains("/schemas");
    let wrong: Vec<String> = offering
        .findings
        .iter()
        .filter(|finding| about(&finding.pointer))
        .map(|finding| format!("{} {}", finding.pointer, finding.message))
        .collect();
    if wrong.is_empty() {
        return passed("schemas", true, "the schemas of parameters can be read");
    }
    failed(
        "schemas",
        true,
        format!("schemas of parameters are not enforced as they stand: {}", listed(&wrong)),
        "write them in JSON Schema without references to other documents",
    )
}

fn conformance(verdict: Option<&Verdict>, digest: &str) -> Check {
    let ask = "have the broker judged: POST /brokers/{name}/conformance";
    let Some(verdict) = verdict else {
        return failed("conformance", true, "there is no verdict of the conformance suite on it", ask);
    };
    if verdict.digest != digest {
        let message = format!("the verdict of {} is on another form of it", verdict.at);
        return failed("conformance", true, message, format!("it changed since: {ask}"));
    }
    match verdict.outcome {
        Outcome::Conforms => {
            passed("conformance", true, format!("nothing that binds was found broken on {}", verdict.at))
        }
        Outcome::Fails => failed(
            "conformance",
            true,
            format!(
                "{} broken: {}",
                counted(verdict.failed.len(), "requirement of OSB is", "requirements of OSB are"),
                listed(&verdict.failed)
            ),
            format!("read the findings, put the broker right, then {ask}"),
        ),
        Outcome::Incomplete => failed(
            "conformance",
            true,
            format!("it could not be found out: {}", verdict.reason.as_deref().unwrap_or("the run was not finished")),
            format!("name a plan or parameters with which an instance can be made, then {ask}"),
        ),
    }
}

fn price(evidence: &Evidence<'_>) -> Check {
    let offering = evidence.offering;
    let without: Vec<String> = plans(offering)
        .filter(|plan| !is_free(plan))
        .filter(|plan| {
            let meters = Meter::declared(&plan.document).0;
            evidence.tariffs.is_none_or(|tariffs| tariffs.lines(&offering.name, &plan.name, &meters).is_empty())
        })
        .map(|plan| plan.name.clone())
        .collect();
    if without.is_empty() {
        return passed("price", true, "each plan has a price, or says that it is free");
    }
    failed(
        "price",
        true,
        format!("{} without a price in force: {}", counted(without.len(), "plan is", "plans are"), listed(&without)),
        "propose prices (POST /price-proposals) and wait until they are accepted and in force, or say \"free\": true in the plan",
    )
}

fn meters(evidence: &Evidence<'_>) -> Check {
    let offering = evidence.offering;
    let rules = evidence.tariffs.map(|tariffs| tariffs.rules(&offering.name)).unwrap_or_default();
    let mut wrong = Vec::new();
    for plan in plans(offering) {
        let declared = Meter::declared(&plan.document).0;
        let of_plan = rules.iter().filter(|rule| rule.plan.as_deref().is_none_or(|name| name == plan.name));
        for rule in of_plan {
            let key = rule.meter();
            // A rule for all plans may be about a meter that only some declare.
            let meant = rule.plan.is_some() || plans(offering).all(|plan| !declares(plan, key));
            if meant && key != INSTANCE && key != SETUP && declared.iter().all(|meter| meter.key != key) {
                wrong.push(format!("plan {} has a price for the meter `{key}` and does not declare it", plan.name));
            }
        }
        let priced = |meter: &&Meter| {
            evidence.tariffs.is_some_and(|tariffs| tariffs.rule(&offering.name, &plan.name, &meter.key).is_some())
        };
        if !is_free(plan) {
            let open = declared.iter().filter(|meter| !priced(meter));
            wrong.extend(
                open.map(|meter| format!("plan {} declares the meter `{}`, which has no price", plan.name, meter.key)),
            );
        }
    }
    if wrong.is_empty() {
        return passed("meters", true, "prices and declared meters fit each other");
    }
    let remedy =
        "declare each meter in the plan's metadata.x-meters, and propose a price for each: `free` with a reason is one";
    failed("meters", true, listed(&wrong), remedy)
}

fn link(document: &Value, check: &str, field: &str, what: &str, begins: &[&str]) -> Check {
    let said = document.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default().trim();
    let fits = begins.iter().any(|begin| said.len() > begin.len() && said.starts_with(begin));
    if fits {
        return passed(check, true, format!("metadata.{field} says {what}"));
    }
    let message = format!("the offering does not say {what}");
    failed(
        check,
        true,
        message,
        format!("set metadata.{field} in the catalog to an address that begins with {}", begins.join(" or ")),
    )
}

/// Good to have, for the portal.
fn presentation(offering: &Offering) -> Check {
    let fields = ["displayName", "longDescription", "providerDisplayName"];
    let has = |field: &&&str| {
        let said = offering.document.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        said.is_none_or(|text| text.trim().is_empty())
    };
    let absent: Vec<String> = fields.iter().filter(has).map(|field| format!("metadata.{field}")).collect();
    if absent.is_empty() {
        return passed("presentation", false, "it has a name and a description for people");
    }
    failed("presentation", false, format!("not there: {}", listed(&absent)), "people find it more easily with them")
}

fn plans(offering: &Offering) -> impl Iterator<Item = &Plan> {
    offering.plans.iter().filter(|plan| plan.state == State::Available)
}

fn declares(plan: &Plan, key: &str) -> bool {
    Meter::declared(&plan.document).0.iter().any(|meter| meter.key == key)
}

/// OSB takes a plan without that field for free; here it has to be said.
fn is_free(plan: &Plan) -> bool {
    plan.document.get("free").and_then(Value::as_bool) == Some(true)
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn listed(items: &[String]) -> String {
    let mut text = items.iter().take(LISTED_MAX).cloned().collect::<Vec<_>>().join("; ");
    if items.len() > LISTED_MAX {
        text.push_str(&format!("; and {} more", items.len() - LISTED_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::domain::catalog::Ids;
    use crate::domain::catalog::import::{Source, import};
    use crate::domain::price::PriceBook;

    fn offering(change: impl Fn(&mut Value)) -> Offering {
        let mut service = json!({
            "id": "1", "name": "db", "description": "d", "bindable": true,
            "metadata": {"documentationUrl": "https://docs.example/db", "supportUrl": "mailto:db@example.com",
                "displayName": "DB", "longDescription": "l", "providerDisplayName": "p"},
            "plans": [{"id": "p", "name": "small", "description": "d", "free": false,
                "metadata": {"x-meters": [{"key": "gb", "kind": "gauge", "unit": "GB"}]}}],
        });
        change(&mut service);
        let source =
            Source { broker: "acme", name_prefix: "", ids: Ids::Mapped, hub: "hub", terms: Default::default() };
        import(source, &json!({"services": [service]}), &[]).unwrap().remove(0)
    }

    fn tariffs(rules: Value) -> Tariffs {
        let document = serde_json::from_value(
            json!({"currency": "EUR", "effective_from": "2026-01-01T00:00:00Z", "rules": rules}),
        );
        Tariffs::new(&PriceBook { id: "b".to_owned(), document: document.unwrap(), created_at: Time(0) })
    }

    fn good_rules() -> Value {
        json!([{"offering": "db", "model": "flat", "amount": "1", "per": "month"},
            {"offering": "db", "plan": "small", "meter": "gb", "model": "per_unit", "amount": "1", "per": "month"}])
    }

    fn verdict(offering: &Offering, outcome: Outcome) -> Verdict {
        Verdict {
            digest: digest("u", offering),
            outcome,
            failed: vec!["PRV-07".to_owned()],
            reason: Some("no instance could be made".to_owned()),
            at: Time(0),
        }
    }

    /// The names of the checks that fail.
    fn failing(offering: &Offering, verdict: Option<&Verdict>, rules: Value, broker: Status) -> Vec<String> {
        let tariffs = tariffs(rules);
        let digest = digest("u", offering);
        let evidence = Evidence { offering, broker, digest: &digest, verdict, tariffs: Some(&tariffs) };
        let found = checks(&evidence);
        assert_eq!(found.len(), 9);
        for check in &found {
            assert_eq!(check.remedy.is_some(), check.state == Fit::Failed, "{check:?}");
        }
        found.into_iter().filter(|check| check.state == Fit::Failed).map(|check| check.check).collect()
    }

    #[test]
    fn what_is_in_order_passes_everything() {
        let offering = offering(|_| {});
        let good = verdict(&offering, Outcome::Conforms);
        assert_eq!(failing(&offering, Some(&good), good_rules(), Status::Available), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_not_there_fails_its_own_check() {
        let good = |offering: &Offering| verdict(offering, Outcome::Conforms);
        let check = |change: &dyn Fn(&mut Value), expected: &[&str]| {
            let offering = offering(change);
            let found = failing(&offering, Some(&good(&offering)), good_rules(), Status::Available);
            assert_eq!(found, expected);
        };
        check(&|service| service["metadata"]["supportUrl"] = json!("ask me"), &["support"]);
        check(&|service| service["metadata"]["documentationUrl"] = json!("mailto:a@b"), &["documentation"]);
        check(&|service| service["metadata"]["documentationUrl"] = json!("https://"), &["documentation"]);
        check(&|service| service["metadata"]["displayName"] = json!(" "), &["presentation"]);
        check(&|service| service["plans"][0]["metadata"] = json!({}), &["meters"]);
        let remote =
            json!({"service_instance": {"create": {"parameters": {"$ref": "http://elsewhere.example/s.json"}}}});
        check(&|service| service["plans"][0]["schemas"] = remote.clone(), &["schemas"]);
        let sound = offering(|_| {});
        assert_eq!(failing(&sound, None, good_rules(), Status::Available), ["conformance"]);
        assert_eq!(failing(&sound, Some(&good(&sound)), good_rules(), Status::Unavailable), ["broker"]);
        assert_eq!(failing(&sound, Some(&good(&sound)), json!([]), Status::Available), ["price", "meters"]);
    }

    #[test]
    fn a_plan_that_says_that_it_is_free_needs_no_price_and_one_that_says_nothing_does() {
        let free = offering(|service| service["plans"][0]["free"] = json!(true));
        assert_eq!(failing(&free, Some(&verdict(&free, Outcome::Conforms)), json!([]), Status::Available), [""; 0]);
        let silent = offering(|service| {
            service["plans"][0] = json!({"id": "p", "name": "small", "description": "d"});
        });
        let found = failing(&silent, Some(&verdict(&silent, Outcome::Conforms)), json!([]), Status::Available);
        assert_eq!(found, ["price"]);
    }

    #[test]
    fn a_verdict_counts_for_the_form_that_was_judged_and_only_without_failures() {
        let (before, after) = (offering(|_| {}), offering(|service| service["description"] = json!("other")));
        let of_before = verdict(&before, Outcome::Conforms);
        assert_eq!(failing(&after, Some(&of_before), good_rules(), Status::Available), ["conformance"]);
        for outcome in [Outcome::Fails, Outcome::Incomplete] {
            let found = failing(&before, Some(&verdict(&before, outcome)), good_rules(), Status::Available);
            assert_eq!(found, ["conformance"]);
        }
        assert_ne!(digest("u", &before), digest("v", &before), "another place is another broker");
    }
}
