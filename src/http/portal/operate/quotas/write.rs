//! `/operator/add-quota`, and the form on a quota's page: a quota is set or changed, and what stands is counted with it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::super::parts;
use super::{ADD, HERE, facts};
use crate::app::quotas::QuotaView;
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::domain::quota::{Measure, Parameter, QuotaDocument, Reads};
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::permits::{Can, ManageQuotas};
use crate::http::portal::documents::{self, NAME_HINT};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

/// The query parameters of the form.
pub const QUERY: &[&str] = &["tenant"];
const MEASURES: &[(&str, &str)] = &[("count", "Instances"), ("parameter", "A parameter")];
const READS: &[(&str, &str)] =
    &[("", "Itself, as a number"), ("addresses_v4", "The length of an IPv4 prefix: its addresses count")];
const FIELDS: &[(&str, &str)] = &[
    ("/tenant", "tenant"),
    ("/offering", "offering"),
    ("/plan", "plan"),
    ("/limit", "limit"),
    ("/measure/parameter", "parameter"),
    ("/measure", "measure"),
    ("", "name"),
];

/// For whom the form is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Whose {
    tenant: String,
}

/// What was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    name: String,
    tenant: String,
    offering: String,
    plan: String,
    limit: String,
    measure: String,
    parameter: String,
    reads: String,
}

impl Typed {
    pub(super) fn of(view: &QuotaView) -> Self {
        let document = &view.row.document;
        let (measure, parameter, reads) = match &document.measure {
            Measure::Count(_) => ("count", "", ""),
            Measure::Parameter(Parameter { parameter, reads: None }) => ("parameter", parameter.as_str(), ""),
            Measure::Parameter(Parameter { parameter, reads: Some(Reads::AddressesV4) }) => {
                ("parameter", parameter.as_str(), "addresses_v4")
            }
        };
        Self {
            name: view.row.name.clone(),
            tenant: document.tenant.clone(),
            offering: document.offering.clone().unwrap_or_default(),
            plan: document.plan.clone().unwrap_or_default(),
            limit: document.limit.to_string(),
            measure: measure.to_owned(),
            parameter: parameter.to_owned(),
            reads: reads.to_owned(),
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            name: text("name"),
            tenant: text("tenant"),
            offering: text("offering"),
            plan: text("plan"),
            limit: text("limit"),
            measure: text("measure"),
            parameter: text("parameter"),
            reads: text("reads"),
        }
    }

    fn document(&self) -> Result<QuotaDocument, Wrong> {
        let limit =
            self.limit.parse().map_err(|_| Wrong::field("limit", "This must be a number, such as 20 or 2.5"))?;
        let measure = match (self.measure.as_str(), self.reads.as_str()) {
            ("count", _) if self.parameter.is_empty() => Measure::default(),
            ("count", _) => {
                let text = "Leave this empty, or choose above that a parameter is counted";
                return Err(Wrong::field("parameter", text));
            }
            ("parameter", reads @ ("" | "addresses_v4")) => Measure::Parameter(Parameter {
                parameter: self.parameter.clone(),
                reads: (!reads.is_empty()).then_some(Reads::AddressesV4),
            }),
            _ => return Err(Wrong::field("measure", "Choose what is counted")),
        };
        let (offering, plan) = (documents::some(&self.offering), documents::some(&self.plan));
        Ok(QuotaDocument { tenant: self.tenant.clone(), offering, plan, limit, measure })
    }
}

/// `GET /operator/add-quota`
///
/// # Errors
/// [`Failure`].
pub async fn begin(
    who: Can<ManageQuotas>,
    visit: Visit,
    app: Data<App>,
    whose: Params<Whose>,
) -> Result<HttpResponse, Failure> {
    let typed = Typed { tenant: whose.0.tenant, measure: "count".to_owned(), ..Typed::default() };
    adding(&who.caller, &visit, &app, &typed, &Wrong::default()).await
}

/// `POST /operator/add-quota`
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManageQuotas>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    let wrong = match app.quota(&who.sight, &typed.name).await {
        Ok(_) => Some(Wrong::field("name", "There is a quota of this name already: choose another one")),
        Err(app::Error::NotFound { .. }) => put(&app, &who.caller, &typed).await?,
        Err(error) => return Err(error.into()),
    };
    match wrong {
        None => Ok(visit.to(&format!("{HERE}/{}", kit::part(&typed.name)))),
        Some(wrong) => adding(&who.caller, &visit, &app, &typed, &wrong).await,
    }
}

/// `POST /operator/quotas/{name}`: changes it.
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageQuotas>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.quota(&who.sight, &name).await?;
    let tenant = view.row.document.tenant.clone();
    let typed = Typed { name: view.row.name.clone(), tenant, ..Typed::read(&fields) };
    let wrong = match documents::changed_meanwhile(&fields, &view.row.document)? {
        Some(wrong) => Some(wrong),
        None => put(&app, &who.caller, &typed).await?,
    };
    match wrong {
        None => Ok(visit.to(visit.path())),
        Some(wrong) => Ok(one(&who.caller, &visit, &app, &view, &typed, &wrong)),
    }
}

async fn put(app: &App, caller: &Caller, typed: &Typed) -> Result<Option<Wrong>, Failure> {
    let document = match typed.document() {
        Ok(document) => document,
        Err(wrong) => return Ok(Some(wrong)),
    };
    match app.put_quota(caller, &typed.name, document).await {
        Ok(_) => Ok(None),
        Err(error) => Wrong::of(error, FIELDS).map(Some),
    }
}

async fn adding(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    typed: &Typed,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let tenants = documents::tenants(app).await?;
    let trail = kit::trail(&[("Operate", "/operator"), ("Quotas", HERE)]);
    Ok(Page::new(visit, "Set a quota").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action=(ADD) {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: NAME_HINT, value: &typed.name, required: true, wrong: wrong.at("name"), autocomplete: "off",
                ..Line::default()
            }))
            (forms::named(&Line {
                name: "tenant", label: "Tenant", hint: "Whose it is, by its name. It can't be changed later.", value: &typed.tenant, required: true,
                wrong: wrong.at("tenant"), ..Line::default()
            }, &tenants))
            (inputs(app, caller, typed, wrong))
            p.actions { button type="submit" { "Set the quota" } a href=(HERE) { "Back" } }
        }
        (by_program("NAME", typed))
    }))
}

/// A quota's page.
pub(super) fn one(
    caller: &Caller,
    visit: &Visit,
    app: &App,
    view: &QuotaView,
    typed: &Typed,
    wrong: &Wrong,
) -> HttpResponse {
    let (name, document) = (&view.row.name, &view.row.document);
    let here = format!("{HERE}/{}", kit::part(name));
    let title = format!("Quota {name}");
    Page::new(visit, &title).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (facts(view))
        @if Permission::ManageQuotas.sight(caller).is_some() {
            section aria-labelledby="change" {
                h2 id="change" { "Change it" }
                p { "What stands is counted anew, and stays also where there is more of it than the quota allows; only orders are refused." }
                form.panel method="post" action=(here) {
                    (kit::csrf(visit))
                    (documents::shown(document))
                    (inputs(app, caller, typed, wrong))
                    p.actions { button type="submit" { "Change the quota" } a.button.second href={ (here) "/delete" } { "Delete it …" } }
                }
            }
        }
        (by_program(name, &Typed::of(view)))
    })
}

fn inputs(app: &App, caller: &Caller, typed: &Typed, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value, required| {
        kit::line(&Line { name, label, hint, value, required, wrong: wrong.at(name), ..Line::default() })
    };
    html! {
        (line("limit", "Limit", "How much there may be, with at most six digits after the point.", &typed.limit, true))
        (forms::named(&Line {
            name: "offering", label: "Of one offering", hint: "By its name. Without one, all count.", value: &typed.offering,
            wrong: wrong.at("offering"), ..Line::default()
        }, &documents::offerings(app, caller)))
        (line("plan", "Of one plan", "By its name. Without one, all plans count.", &typed.plan, false))
        (documents::select(&Line {
            name: "measure", label: "What is counted", hint: "Each instance as one, or what a parameter of it says.", value: &typed.measure,
            required: true, wrong: wrong.at("measure"), ..Line::default()
        }, MEASURES))
        (line("parameter", "Parameter", "Where a parameter is counted: its place in the parameters, such as /size_gb.", &typed.parameter, false))
        (documents::select(&Line {
            name: "reads", label: "What the parameter stands for", hint: "Only where a parameter is counted.", value: &typed.reads,
            wrong: wrong.at("reads"), ..Line::default()
        }, READS))
    }
}

fn by_program(name: &str, typed: &Typed) -> Markup {
    let limit = if typed.limit.is_empty() { "20" } else { &typed.limit };
    let tenant = if typed.tenant.is_empty() { "TENANT" } else { &typed.tenant };
    let body =
        typed.document().map_or_else(|_| json!({ "tenant": tenant, "limit": limit }), |document| json!(document));
    let mut command = format!("bourse quota put {name} --tenant {tenant} --limit {limit}");
    for (option, value) in
        [("offering", &typed.offering), ("plan", &typed.plan), ("parameter", &typed.parameter), ("as", &typed.reads)]
    {
        if !value.is_empty() {
            command += &format!(" --{option} {}", documents::quoted(value));
        }
    }
    kit::same_by_program(&documents::curl("PUT", &format!("/quotas/{}", kit::part(name)), Some(&body)), Some(&command))
}
