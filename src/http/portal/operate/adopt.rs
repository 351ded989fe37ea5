//! `/operator/adopt`: takes over what a service broker has already, under the ids that it knows it by. It is tried first; nothing there is
//! changed by it.
//!
//! Instances are given a line each, or as the API takes them, in JSON.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::adopt::{Adoption, Candidate, Outcome, Verdict};
use crate::app::{App, Page as Wanted};
use crate::domain::permission::Sight;
use crate::http::admin::adoption::CandidateIn;
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::observe;
use crate::http::permits::{Can, ManageInstances};
use crate::http::portal::documents;
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::visit::Visit;

/// The query parameters.
pub const QUERY: &[&str] = &["broker"];
const HERE: &str = "/operator/adopt";
/// Names that are offered to choose from.
const NAMES_MAX: u32 = 500;
const EXAMPLE: &str = "[{\"backend_instance_id\": \"8f0c\", \"platform_instance_id\": \"net-1\",\n  \"offering\": \"virtual-network\", \"plan\": \"small\",\n  \
    \"parameters\": {\"region\": \"eu-1\"},\n  \"bindings\": [{\"backend_binding_id\": \"b1\"}]}]";
const FIELDS: &[(&str, &str)] =
    &[("/broker", "broker"), ("/platform", "platform"), ("/tenant", "tenant"), ("/instances", "instances")];

/// Whose instances.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Of {
    broker: String,
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    broker: String,
    platform: String,
    tenant: String,
    instances: String,
}

impl Typed {
    fn adoption(&self, dry_run: bool) -> Result<Adoption, Wrong> {
        Ok(Adoption {
            broker: self.broker.clone(),
            platform: documents::some(&self.platform),
            tenant: documents::some(&self.tenant),
            instances: candidates(&self.instances)?,
            dry_run,
        })
    }
}

/// Instances as they were typed.
fn candidates(text: &str) -> Result<Vec<Candidate>, Wrong> {
    if text.trim_start().starts_with(['[', '{']) {
        let document = match documents::json("instances", text)? {
            Value::Array(items) => Value::Array(items),
            one => Value::Array(vec![one]),
        };
        let read: Result<Vec<CandidateIn>, _> = serde_json::from_value(document);
        let read =
            read.map_err(|error| Wrong::field("instances", &format!("This is no list of instances: {error}")))?;
        return Ok(read.into_iter().map(Candidate::from).collect());
    }
    documents::lines(text).iter().enumerate().map(|(index, line)| candidate(index + 1, line)).collect()
}

fn candidate(number: usize, line: &str) -> Result<Candidate, Wrong> {
    let parts: Vec<&str> = line.split(',').map(str::trim).collect();
    let (id, offering, plan, name) = match parts.as_slice() {
        [id, offering, plan] => (id, offering, plan, None),
        [id, offering, plan, name] => (id, offering, plan, documents::some(name)),
        _ => {
            let text =
                format!("Line {number} must be: id at the broker, offering, plan, and its name if it has another one");
            return Err(Wrong::field("instances", &text));
        }
    };
    Ok(Candidate {
        backend_instance_id: (*id).to_owned(),
        platform_instance_id: name,
        offering: (*offering).to_owned(),
        plan: (*plan).to_owned(),
        parameters: None,
        context: None,
        organization_guid: String::new(),
        space_guid: String::new(),
        bindings: Vec::new(),
    })
}

/// `GET /operator/adopt`
///
/// # Errors
/// [`Failure`].
pub async fn begin(
    _: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    of: Params<Of>,
) -> Result<HttpResponse, Failure> {
    let typed = Typed { broker: of.0.broker, ..Typed::default() };
    answer(&visit, &app, &typed, None, &Wrong::default()).await
}

/// `POST /operator/adopt`: `do` is `adopt`; anything else only says what would be done.
///
/// # Errors
/// [`Failure`].
pub async fn adopt(
    who: Can<ManageInstances>,
    visit: Visit,
    app: Data<App>,
    request: HttpRequest,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let text = |name: &str| fields.text(name).to_owned();
    let typed = Typed {
        broker: text("broker"),
        platform: text("platform"),
        tenant: text("tenant"),
        instances: text("instances"),
    };
    let dry_run = fields.text("do") != "adopt";
    let adoption = match typed.adoption(dry_run) {
        Ok(adoption) => adoption,
        Err(wrong) => return answer(&visit, &app, &typed, None, &wrong).await,
    };
    let (call, caller, work) = (observe::call(&request), who.caller.clone(), app.clone());
    // What is refused is told by the use case's own error, so that it finds its field.
    let outcome = detached(async move { Ok(work.adopt(&caller, &call, adoption).await) }).await?;
    match outcome {
        Ok(verdicts) => answer(&visit, &app, &typed, Some((dry_run, &verdicts)), &Wrong::default()).await,
        Err(error) => {
            let wrong = Wrong::of(error, FIELDS)?;
            answer(&visit, &app, &typed, None, &wrong).await
        }
    }
}

async fn answer(
    visit: &Visit,
    app: &App,
    typed: &Typed,
    verdicts: Option<(bool, &[Verdict])>,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let first = Wanted { limit: NAMES_MAX, after: String::new() };
    let brokers = app.brokers(&Sight::everything(), first.clone()).await?.items;
    let brokers: Vec<String> = brokers.into_iter().map(|view| view.row.name.clone()).collect();
    let platforms = app.platforms(&first).await?.items;
    let platforms: Vec<String> = platforms.into_iter().map(|view| view.row.platform.name).collect();
    let tenants = documents::tenants(app).await?;
    let trail = kit::trail(&[("Operate", "/operator"), ("Brokers", "/operator/brokers")]);
    let named = |name, label, hint, value, required, names: &[String]| {
        forms::named(&Line { name, label, hint, value, required, wrong: wrong.at(name), ..Line::default() }, names)
    };
    Ok(Page::new(visit, "Take over what a broker has").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        p { "Instances that stood at a service broker before this hub was in front of it are taken over (adopted) under the ids that it knows them by. Nothing there is changed. From then on they are changed, charged and deleted here." }
        @if let Some((dry_run, verdicts)) = verdicts { (outcome(dry_run, verdicts)) }
        form.panel method="post" action=(HERE) {
            (kit::csrf(visit))
            (named("broker", "Broker", "That has them, by its name.", &typed.broker, true, &brokers))
            (named("platform", "Platform", "That they belong to from then on. Without one, people order them by name.", &typed.platform, false, &platforms))
            (named("tenant", "Tenant", "Whose they are. Without one, what the platform says of each decides, as for its orders.", &typed.tenant, false, &tenants))
            div.source {
                (forms::area(&Line {
                    name: "instances", label: "Instances", required: true, value: &typed.instances, wrong: wrong.at("instances"),
                    hint: "One a line, 200 at most: id at the broker, offering, plan, and what it is called if that is something else. With bindings or parameters: JSON, as below.",
                    ..Line::default()
                }, 8))
            }
            p.actions {
                button type="submit" name="do" value="try" { "Say what would be done" }
                button.second type="submit" name="do" value="adopt" { "Take them over" }
            }
        }
        details.program {
            summary { "As JSON" }
            (kit::copied("With parameters and bindings", EXAMPLE))
        }
        (by_program(typed))
    }))
}

fn outcome(dry_run: bool, verdicts: &[Verdict]) -> Markup {
    let taken = verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Adopted).count();
    let left = verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Refused | Outcome::Unknown)).count();
    let tone = if left == 0 { Tone::Good } else { Tone::Warn };
    let row = |verdict: &Verdict| {
        vec![
            html! { code { (verdict.backend_instance_id) } },
            html! { (verdict.platform_instance_id) },
            html! { @match &verdict.tenant {
                // Where there is nothing yet, there is nothing to lead to.
                Some(tenant) if !dry_run && matches!(verdict.outcome, Outcome::Adopted | Outcome::Already) => {
                    a href=(kit::with("/services", "tenant", tenant)) { (tenant) }
                },
                Some(tenant) => { (tenant) },
                None => { "not known" },
            } },
            word(verdict.outcome, dry_run),
            html! { @if verdict.verified { "the broker says that it has it" } @else { "not asked" } @if !verdict.message.is_empty() { ": " (verdict.message) } },
        ]
    };
    let rows: Vec<_> = verdicts.iter().map(row).collect();
    html! {
        (kit::notice(tone, &html! { p {
            @if dry_run { "Nothing was done. " (taken) " of " (verdicts.len()) " would be taken over." }
            @else { (taken) " of " (verdicts.len()) " were taken over." }
            @if left > 0 { " Put the others right and send them once more; what is taken over already does not matter." }
        } }))
        (kit::table("What came of each", &["At the broker", "Called", "For", "Outcome", "Why"], &rows))
    }
}

fn word(outcome: Outcome, dry_run: bool) -> Markup {
    match outcome {
        Outcome::Adopted if dry_run => kit::badge(Tone::Busy, "would be taken over"),
        Outcome::Adopted => kit::badge(Tone::Good, "taken over"),
        Outcome::Already => kit::badge(Tone::Plain, "was before"),
        Outcome::Refused => kit::badge(Tone::Bad, "refused"),
        Outcome::Unknown => kit::badge(Tone::Warn, "not known: try again"),
    }
}

fn by_program(typed: &Typed) -> Markup {
    let body = json!({ "broker": typed.broker, "tenant": typed.tenant, "dry_run": true,
        "instances": [{ "backend_instance_id": "…", "offering": "…", "plan": "…" }] });
    kit::same_by_program(
        &documents::curl("POST", "/instances/adopt", Some(&body)),
        Some("bourse instance adopt --file adopt.json --dry-run\nbourse instance adopt --file adopt.json"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_read_a_line_each_or_as_json() {
        let read = candidates("\n i1, net, small \n i2,net,small, web\n").unwrap();
        let told: Vec<_> =
            read.iter().map(|one| (one.backend_instance_id.as_str(), one.platform_instance_id.as_deref())).collect();
        assert_eq!(told, [("i1", None), ("i2", Some("web"))]);
        let read = candidates("[{\"backend_instance_id\": \"i\", \"offering\": \"o\", \"plan\": \"p\"}]").unwrap();
        assert_eq!((read.len(), read[0].plan.as_str()), (1, "p"));
    }

    #[test]
    fn what_is_no_instance_is_told_at_its_line() {
        assert!(
            candidates("i1, net, small\ni2")
                .unwrap_err()
                .at("instances")
                .is_some_and(|text| text.starts_with("Line 2"))
        );
        assert!(
            candidates("[{\"id\": 1}]").unwrap_err().at("instances").is_some_and(|text| text.contains("unknown field"))
        );
    }
}
