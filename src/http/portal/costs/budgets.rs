//! `/costs/budgets`: how much tenants and cost centers may cost in a month, how much of it is spent, and, for whoever may, forms to add,
//! change and delete one.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{money, tabs};
use crate::app::budgets::BudgetView;
use crate::app::costs::currency;
use crate::app::{self, App};
use crate::domain::budget::{Action, BudgetDocument};
use crate::domain::caller::Caller;
use crate::domain::decimal::{Exact, rounded};
use crate::domain::permission::Permission;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams, page};
use crate::http::permits::{Can, ManageBudgets, SeeBudgets};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shell;
use crate::http::portal::visit::Visit;

/// Budgets on one page: what is spent is computed for each.
const SHOWN: u32 = 20;
const HERE: &str = "/costs/budgets";

/// `GET /costs/budgets`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeBudgets>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let at = page(Some(SHOWN), params.0.cursor.as_deref())?;
    let listed: PageOut<_> = app.budgets(&who.sight, &at).await?.into();
    let mut rows = Vec::new();
    for row in listed.items {
        match app.budget(&who.sight, &row.name).await {
            Ok(view) => rows.push(budget(&view)),
            // Its tenant is gone, and with it what it may spend.
            Err(app::Error::NotFound { .. }) => rows.push(vec![
                link(&row.name),
                html! { (whose(&row.document)) },
                html! { "gone" },
                html! { (action(row.document.action)) },
            ]),
            Err(error) => return Err(error.into()),
        }
    }
    let manages = manages(&who.caller);
    Ok(Page::new(&visit, "Budgets").above(kit::trail(&[("Costs", "/costs")])).show(html! {
        (tabs(HERE, &who.caller))
        @if rows.is_empty() {
            (kit::empty("There is no budget", "A budget says how much a tenant or a cost center may cost in a month, and what happens then.",
                manages.then_some(("Add a budget", "/costs/add-budget"))))
        } @else {
            @if manages { p.actions { a.button href="/costs/add-budget" { "Add a budget" } } }
            (kit::table("Budgets and what was spent of them this month", &["Budget", "Of", "Spent", "When it is reached"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/budgets\"", None))
    }))
}

fn manages(caller: &Caller) -> bool {
    Permission::ManageBudgets.sight(caller).is_some()
}

fn link(name: &str) -> Markup {
    html! { a href={ (HERE) "/" (kit::part(name)) } { (name) } }
}

fn whose(document: &BudgetDocument) -> String {
    match (&document.tenant, &document.cost_center) {
        (Some(tenant), _) => format!("tenant {tenant}"),
        (None, Some(center)) => format!("cost center {center}"),
        (None, None) => String::new(),
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Notify => "it is told",
        Action::RequireApproval => "orders wait for an approval",
        Action::Block => "orders are refused",
    }
}

fn budget(view: &BudgetView) -> Vec<Markup> {
    let document = &view.row.document;
    vec![link(&view.row.name), html! { (whose(document)) }, used(view), html! { (action(document.action)) }]
}

/// How much of a budget is spent: a bar, and the same in words.
fn used(view: &BudgetView) -> Markup {
    let document = &view.row.document;
    let amount = document.amount.exact();
    let percent = &view.spent * Exact::from_integer(100.into()) / &amount;
    let words = format!("{} of {}", money(&view.spent, &document.currency), money(&amount, &document.currency));
    let over = view.spent >= amount;
    html! {
        div.used {
            meter min="0" max="100" high="80" optimum="0" value=(rounded(&percent, 0)) aria-label=(words) { (rounded(&percent, 0)) " %" }
            span { (words) " (" (rounded(&percent, 0)) " %)" @if over { " " (kit::badge(Tone::Bad, "spent")) } }
        }
    }
}

/// `GET /costs/budgets/{name}`
///
/// # Errors
/// 404 where there is none that they may see.
pub async fn show(
    who: Can<SeeBudgets>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.budget(&who.sight, &name).await?;
    Ok(one(&who.caller, &visit, &view, &Typed::of(&view), &Wrong::default()))
}

/// `POST /costs/budgets/{name}`: changes it.
///
/// # Errors
/// [`Failure`].
pub async fn change(
    who: Can<ManageBudgets>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.budget(&who.sight, &name).await?;
    let typed = Typed::read(&fields);
    match put(&app, &who.caller, &name, &typed).await? {
        None => Ok(visit.to(HERE)),
        Some(wrong) => Ok(one(&who.caller, &visit, &view, &typed, &wrong)),
    }
}

fn one(caller: &Caller, visit: &Visit, view: &BudgetView, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let document = &view.row.document;
    let title = format!("Budget {}", view.row.name);
    let trail = kit::trail(&[("Costs", "/costs"), ("Budgets", HERE)]);
    let thresholds: Vec<_> = document.thresholds.iter().map(|percent| format!("{percent} %")).collect();
    Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        (kit::facts(&[
            ("Of", html! { (whose(document)) }),
            ("Spent", used(view)),
            ("Month", html! { (view.period) }),
            ("Told at", html! {
                (thresholds.join(", "))
                @if !view.told.is_empty() { ", so far at " (view.told.join(" %, ")) " %" }
            }),
            ("When it is reached", html! { (action(document.action)) }),
        ]))
        @if manages(caller) {
            section aria-labelledby="change" {
                h2 id="change" { "Change it" }
                form.panel method="post" action=(visit.path()) {
                    (kit::csrf(visit))
                    (inputs(typed, wrong))
                    p.actions {
                        button type="submit" { "Change the budget" }
                        a.button.second href={ (visit.path()) "/delete" } { "Delete it …" }
                    }
                }
            }
        }
        (kit::same_by_program(
            &format!("curl -X PUT -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d {} \"$HUB/api/v1/budgets/{}\"", shell::quoted(&json!(document).to_string()), view.row.name),
            None,
        ))
    })
}

/// `GET /costs/add-budget`
///
/// # Errors
/// None.
pub async fn begin(_: Can<ManageBudgets>, visit: Visit, app: Data<App>) -> Result<HttpResponse, Failure> {
    let currency = currency(&app.price_books(None).await?).unwrap_or_default();
    let typed = Typed { currency, thresholds: "80, 100".to_owned(), ..Typed::default() };
    Ok(adding(&visit, "", &typed, &Wrong::default()))
}

/// `POST /costs/add-budget`
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManageBudgets>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let (name, typed) = (fields.text("name"), Typed::read(&fields));
    let wrong = match app.budget(&who.sight, name).await {
        Ok(_) => Some(Wrong::field("name", "There is a budget of this name already: choose another one")),
        Err(app::Error::NotFound { .. }) => put(&app, &who.caller, name, &typed).await?,
        Err(error) => return Err(error.into()),
    };
    match wrong {
        None => Ok(visit.to(HERE)),
        Some(wrong) => Ok(adding(&visit, name, &typed, &wrong)),
    }
}

fn adding(visit: &Visit, name: &str, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let trail = kit::trail(&[("Costs", "/costs"), ("Budgets", HERE)]);
    Page::new(visit, "Add a budget").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action="/costs/add-budget" {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: "1 to 63 of a-z, 0-9 and '-'. It can't be changed later.", value: name,
                required: true, wrong: wrong.at("name"), ..Line::default()
            }))
            (inputs(typed, wrong))
            p.actions { button type="submit" { "Add the budget" } a href=(HERE) { "Back" } }
        }
    })
}

/// `GET /costs/budgets/{name}/delete`: asks first.
///
/// # Errors
/// 404 where there is none.
pub async fn sure(
    who: Can<ManageBudgets>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.budget(&who.sight, &name).await?;
    let title = format!("Delete budget {}?", view.row.name);
    let back = format!("{HERE}/{}", kit::part(&view.row.name));
    Ok(Page::new(&visit, &title).above(kit::trail(&[("Budgets", HERE), (&view.row.name, &back)])).show(html! {
        p { "Nobody is told any more when " (whose(&view.row.document)) " spends too much, and no order waits or is refused for it." }
        form method="post" action=(visit.path()) {
            (kit::csrf(&visit))
            p.actions { button.danger type="submit" { "Delete the budget" } a href=(back) { "Keep it" } }
        }
    }))
}

/// `POST /costs/budgets/{name}/delete`
///
/// # Errors
/// 404 where there is none.
pub async fn delete(
    who: Can<ManageBudgets>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    _: Fields,
) -> Result<HttpResponse, Failure> {
    app.delete_budget(&who.caller, &name).await?;
    Ok(visit.to(HERE))
}

/// What was typed into the form.
#[derive(Clone, Debug, Default)]
struct Typed {
    tenant: String,
    cost_center: String,
    amount: String,
    currency: String,
    thresholds: String,
    action: String,
}

impl Typed {
    fn of(view: &BudgetView) -> Self {
        let document = &view.row.document;
        let thresholds: Vec<_> = document.thresholds.iter().map(ToString::to_string).collect();
        Self {
            tenant: document.tenant.clone().unwrap_or_default(),
            cost_center: document.cost_center.clone().unwrap_or_default(),
            amount: document.amount.to_string(),
            currency: document.currency.clone(),
            thresholds: thresholds.join(", "),
            action: json!(document.action).as_str().unwrap_or_default().to_owned(),
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            tenant: text("tenant"),
            cost_center: text("cost_center"),
            amount: text("amount"),
            currency: text("currency"),
            thresholds: text("thresholds"),
            action: text("action"),
        }
    }

    /// The document that the API would be sent.
    fn document(&self) -> Result<BudgetDocument, Wrong> {
        let mut document = Map::new();
        for (name, value) in [("tenant", &self.tenant), ("cost_center", &self.cost_center)] {
            if !value.is_empty() {
                document.insert(name.to_owned(), json!(value));
            }
        }
        let thresholds: Vec<_> = self.thresholds.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        document.insert("amount".to_owned(), json!(self.amount));
        document.insert("currency".to_owned(), json!(self.currency));
        document.insert("thresholds".to_owned(), json!(thresholds));
        document.insert("action".to_owned(), json!(self.action));
        for (name, text) in [("amount", vec![self.amount.as_str()]), ("thresholds", thresholds)] {
            if text.iter().any(|text| text.parse::<crate::domain::decimal::Decimal>().is_err()) {
                return Err(Wrong::field(name, "This must be a number, such as 250 or 99.50"));
            }
        }
        serde_json::from_value(Value::Object(document)).map_err(|error| Wrong::field("", &error.to_string()))
    }
}

async fn put(app: &App, caller: &Caller, name: &str, typed: &Typed) -> Result<Option<Wrong>, Failure> {
    let document = match typed.document() {
        Ok(document) => document,
        Err(wrong) => return Ok(Some(wrong)),
    };
    let fields = [
        ("/tenant", "tenant"),
        ("/cost_center", "cost_center"),
        ("/amount", "amount"),
        ("/currency", "currency"),
        ("/thresholds", "thresholds"),
        ("/action", "action"),
    ];
    match app.put_budget(caller, name, document).await {
        Ok(_) => Ok(None),
        Err(error) => Wrong::of(error, &fields).map(Some),
    }
}

fn inputs(typed: &Typed, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value, required| {
        kit::line(&Line { name, label, hint, value, required, wrong: wrong.at(name), ..Line::default() })
    };
    let actions = [
        ("notify", "It is told, and no more"),
        ("require_approval", "Orders wait for an approval"),
        ("block", "Orders and changes of plan are refused"),
    ];
    html! {
        (line("tenant", "Tenant", "Whose costs count, by name. Give either a tenant or a cost center.", &typed.tenant, false))
        (line("cost_center", "Cost center", "All that goes to it, of all tenants.", &typed.cost_center, false))
        (line("amount", "Amount a month", "How much it may come to.", &typed.amount, true))
        (line("currency", "Currency", "That of the prices, such as EUR.", &typed.currency, true))
        (line("thresholds", "Told at", "Percent of the amount, separated by commas.", &typed.thresholds, false))
        (kit::choice("action", "When it is reached", &actions, &typed.action))
    }
}
