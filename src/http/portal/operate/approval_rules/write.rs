//! `/operator/add-approval-rule`, and the form on a rule's page: a rule is written or changed.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::json;

use super::super::parts;
use super::{ADD, HERE, facts};
use crate::app::approvals::RuleView;
use crate::app::{self, App};
use crate::domain::approval::{ApprovalRule, EXPIRES_AFTER, On};
use crate::domain::caller::Caller;
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageApprovalRules};
use crate::http::portal::documents::{self, NAME_HINT};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

const FIELDS: &[(&str, &str)] = &[
    ("/offering", "offering"),
    ("/plan", "plan"),
    ("/tenant", "tenant"),
    ("/on", "provision"),
    ("/approvers", "approvers"),
    ("/expires_after", "expires_after"),
    ("", "name"),
];

/// What was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    name: String,
    offering: String,
    plan: String,
    tenant: String,
    provision: bool,
    update: bool,
    approvers: String,
    expires_after: String,
}

impl Typed {
    pub(super) fn of(view: &RuleView) -> Self {
        let rule = &view.rule;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            name: view.name.clone(),
            offering: text(&rule.offering),
            plan: text(&rule.plan),
            tenant: text(&rule.tenant),
            provision: rule.on.contains(&On::Provision),
            update: rule.on.contains(&On::Update),
            approvers: rule.approvers.join("\n"),
            expires_after: rule.expires_after.clone(),
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            name: text("name"),
            offering: text("offering"),
            plan: text("plan"),
            tenant: text("tenant"),
            provision: fields.raw("provision").is_some(),
            update: fields.raw("update").is_some(),
            approvers: text("approvers"),
            expires_after: text("expires_after"),
        }
    }

    fn rule(&self) -> ApprovalRule {
        let on = [(self.provision, On::Provision), (self.update, On::Update)];
        ApprovalRule {
            offering: documents::some(&self.offering),
            plan: documents::some(&self.plan),
            tenant: documents::some(&self.tenant),
            on: on.into_iter().filter_map(|(ticked, on)| ticked.then_some(on)).collect(),
            approvers: documents::lines(&self.approvers),
            expires_after: documents::some(&self.expires_after).unwrap_or_else(|| EXPIRES_AFTER.to_owned()),
        }
    }
}

/// `GET /operator/add-approval-rule`
///
/// # Errors
/// [`Failure`].
pub async fn begin(who: Can<ManageApprovalRules>, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let expires_after = EXPIRES_AFTER.to_owned();
    let typed = Typed { provision: true, update: true, expires_after, ..Typed::default() };
    let names = documents::tenants(&app).await?;
    Ok(adding(&who.caller, &visit, (&app, &names), &typed, &Wrong::default()))
}

/// `POST /operator/add-approval-rule`
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManageApprovalRules>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    let wrong = match app.approval_rule(&typed.name).await {
        Ok(_) => Some(Wrong::field("name", "There is a rule of this name already: choose another one")),
        Err(app::Error::NotFound { .. }) => put(&app, &who.caller, &typed).await?,
        Err(error) => return Err(error.into()),
    };
    match wrong {
        None => Ok(visit.to(&format!("{HERE}/{}", kit::part(&typed.name)))),
        Some(wrong) => {
            let names = documents::tenants(&app).await?;
            Ok(adding(&who.caller, &visit, (&app, &names), &typed, &wrong))
        }
    }
}

/// `POST /operator/approval-rules/{name}`: changes it.
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageApprovalRules>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.approval_rule(&name).await?;
    let typed = Typed { name: view.name.clone(), ..Typed::read(&fields) };
    let wrong = match documents::changed_meanwhile(&fields, &view.rule)? {
        Some(wrong) => Some(wrong),
        None => put(&app, &who.caller, &typed).await?,
    };
    match wrong {
        None => Ok(visit.to(visit.path())),
        Some(wrong) => {
            let names = documents::tenants(&app).await?;
            Ok(one(&who.caller, &visit, (&app, &names), &view, &typed, &wrong))
        }
    }
}

async fn put(app: &App, caller: &Caller, typed: &Typed) -> Result<Option<Wrong>, Failure> {
    match app.put_approval_rule(caller, &typed.name, typed.rule()).await {
        Ok(_) => Ok(None),
        Err(error) => Wrong::of(error, FIELDS).map(Some),
    }
}

fn adding(caller: &Caller, visit: &Visit, from: (&App, &[String]), typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let trail = kit::trail(&[("Operate", "/operator"), ("Approval rules", HERE)]);
    Page::new(visit, "Write a rule of approval").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action=(ADD) {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: NAME_HINT, value: &typed.name, required: true, wrong: wrong.at("name"), autocomplete: "off",
                ..Line::default()
            }))
            (inputs(caller, from, typed, wrong))
            p.actions { button type="submit" { "Write the rule" } a href=(HERE) { "Back" } }
        }
        (by_program("NAME", typed))
    })
}

/// A rule's page.
pub(super) fn one(
    caller: &Caller,
    visit: &Visit,
    from: (&App, &[String]),
    view: &RuleView,
    typed: &Typed,
    wrong: &Wrong,
) -> HttpResponse {
    let here = format!("{HERE}/{}", kit::part(&view.name));
    let title = format!("Approval rule {}", view.name);
    Page::new(visit, &title).above(parts(visit, caller)).status(wrong.status()).show(html! {
        (wrong.above())
        (facts(view))
        @if Permission::ManageApprovalRules.sight(caller).is_some() {
            section aria-labelledby="change" {
                h2 id="change" { "Change it" }
                p { "It holds for orders that come from then on. What waits already goes on waiting." }
                form.panel method="post" action=(here) {
                    (kit::csrf(visit))
                    (documents::shown(&view.rule))
                    (inputs(caller, from, typed, wrong))
                    p.actions { button type="submit" { "Change the rule" } a.button.second href={ (here) "/delete" } { "Delete it …" } }
                }
            }
        }
        (by_program(&view.name, &Typed::of(view)))
    })
}

fn inputs(caller: &Caller, (app, tenants): (&App, &[String]), typed: &Typed, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value| {
        kit::line(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() })
    };
    html! {
        fieldset.wrong[wrong.at("provision").is_some()] {
            legend { "What waits" }
            @if let Some(text) = wrong.at("provision") { p.error { (text) } }
            (documents::check("provision", "A new instance", typed.provision))
            (documents::check("update", "A change of plan or parameters", typed.update))
        }
        (forms::named(&Line {
            name: "offering", label: "Of one offering", hint: "By its name. Without one, orders of all wait.", value: &typed.offering,
            wrong: wrong.at("offering"), ..Line::default()
        }, &documents::offerings(app, caller)))
        (line("plan", "Of one plan", "By its name. A change counts as an order of the plan that it leads to.", &typed.plan))
        (forms::named(&Line {
            name: "tenant", label: "For one tenant", hint: "By its name. Without one, orders for all wait.", value: &typed.tenant,
            wrong: wrong.at("tenant"), ..Line::default()
        }, tenants))
        (forms::area(&Line {
            name: "approvers", label: "Who may agree", hint: "Users, one a line. Without any, every administrator and approver may. Nobody decides their own order.",
            value: &typed.approvers, wrong: wrong.at("approvers"), ..Line::default()
        }, 4))
        (line("expires_after", "How long an order waits", "As an ISO 8601 duration of at most P6D, such as P3D or PT12H. Then it fails.", &typed.expires_after))
    }
}

fn by_program(name: &str, typed: &Typed) -> Markup {
    let rule = typed.rule();
    let mut command =
        format!("bourse approval-rule put {name} --expires-after {}", documents::quoted(&rule.expires_after));
    for (option, value) in [("offering", &typed.offering), ("plan", &typed.plan), ("tenant", &typed.tenant)] {
        if !value.is_empty() {
            command += &format!(" --{option} {}", documents::quoted(value));
        }
    }
    for user in &rule.approvers {
        command += &format!(" --approver {}", documents::quoted(user));
    }
    for on in &rule.on {
        command += match on {
            On::Provision => " --on provision",
            On::Update => " --on update",
        };
    }
    let path = format!("/approval-rules/{}", kit::part(name));
    kit::same_by_program(&documents::curl("PUT", &path, Some(&json!(rule))), Some(&command))
}
