//! The page of an order: what was chosen and filled in, what is wrong with it, and how it is shown.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::super::catalog::{is_free, price_of};
use super::super::form::tree::id;
use super::super::form::{Choosable, Faults, Form, Read, State, View};
use super::super::frame::Page;
use super::super::kit::{self, Line};
use super::super::shown;
use super::super::visit::Visit;
use super::program::{self, Ordered};
use super::verdict::{self, Verdict};
use super::{sentence, shown_in_form, wrong_name};
use crate::app::forms::Tenants;
use crate::app::people::PersonalOrder;
use crate::app::preview::{By, Preview, PreviewOf};
use crate::app::registry::OfferingView;
use crate::app::{self, App, Issue};
use crate::domain::caller::Caller;
use crate::domain::catalog::{Plan, State as Standing};
use crate::domain::tariff::Tariffs;
use crate::http::error::Failure;

/// An order that is being filled in.
pub(super) struct Sheet {
    view: OfferingView,
    tariffs: Option<Arc<Tariffs>>,
    tenants: Tenants,
    /// Whether what stands for the tenant is one that they may order for.
    known: bool,
    pub(super) tenant: String,
    pub(super) plan: String,
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) state: State,
    instances: Vec<Choosable>,
    /// What is wrong besides the parameters: ids of fields, empty for the whole, and sentences.
    own: Vec<(String, String)>,
    faults: Faults,
    preview: Option<Preview>,
    /// Whether what is wrong is told at its field.
    pub(super) tells: bool,
}

impl Sheet {
    /// Begins an order.
    pub(super) async fn open(
        app: &App,
        caller: &Caller,
        offering: &str,
        plan: &str,
        tenant: &str,
    ) -> Result<Self, Failure> {
        let seen = app.offered_tenants(caller, None).await?;
        let view = app.offering(caller, offering, seen.as_deref())?;
        let mut own = Vec::new();
        let mut tenants = app.tenants_to_order_for(caller, "").await?;
        let tenant = match (tenant, tenants.names.as_slice()) {
            ("", [only]) if !tenants.more => only.clone(),
            (tenant, _) => tenant.to_owned(),
        };
        let plans: Vec<&Plan> = view.plans().filter(|plan| plan.state == Standing::Available).collect();
        let chosen = plans.iter().find(|known| known.name == plan).or(plans.first()).map(|plan| plan.name.clone());
        let chosen = chosen.unwrap_or_default();
        if !plan.is_empty() && plan != chosen {
            own.push(("plan".to_owned(), format!("There is no plan “{plan}” to order: choose one of these")));
        }
        let mut known = !tenant.is_empty();
        let whose = known.then_some(tenant.as_str());
        let mut found = app.plan_form(caller, offering, &chosen, whose).await;
        if tenants.more && matches!(found, Err(app::Error::NotFound { what: "tenant", .. })) {
            // Whoever orders for many types a part of a name.
            (known, tenants) = (false, app.tenants_to_order_for(caller, &tenant).await?);
            tenants.more = true;
            own.push((
                "tenant".to_owned(),
                format!(
                    "There is no tenant “{tenant}”: choose one of those that are alike, or type another part of a name"
                ),
            ));
            found = app.plan_form(caller, offering, &chosen, None).await;
        }
        let (form, instances) = match found {
            Ok(found) => {
                let form = Form::of(found.plan.plan.create_schema(), found.rules.as_ref());
                let instances = if known { choosable(app, caller, &tenant, &form).await? } else { Vec::new() };
                (form, instances)
            }
            Err(app::Error::Invalid(_)) => (Form::of(None, None), Vec::new()),
            Err(other) => return Err(other.into()),
        };
        let tariffs = app.tariffs().await?;
        let (state, faults) = (State::default(), Faults::default());
        Ok(Self {
            view,
            tariffs,
            tenants,
            known,
            tenant,
            plan: chosen,
            name: String::new(),
            form,
            state,
            instances,
            own,
            faults,
            preview: None,
            tells: false,
        })
    }

    fn read(&self) -> Read {
        self.form.read(&self.state, None)
    }

    /// The parameters as they are sent: none where nothing was filled in.
    pub(super) fn parameters(&self) -> Option<Map<String, Value>> {
        Some(self.read().value).filter(|value| !value.is_empty())
    }

    /// Whether it can be sent, as far as the form knows.
    pub(super) fn is_complete(&self) -> bool {
        self.known
            && self.own.is_empty()
            && wrong_name(&self.name).is_none()
            && self.read().faults.is_empty()
            && !self.plan.is_empty()
    }

    /// Whether something speaks against it.
    pub(super) fn is_wrong(&self) -> bool {
        !self.own.is_empty()
            || !self.faults.is_empty()
            || self.preview.as_ref().is_some_and(|preview| preview.refused.is_some())
    }

    /// Asks what would become of it.
    pub(super) async fn judge(&mut self, app: &App, caller: &Caller, call: &osb::Call) -> Result<(), Failure> {
        if !self.known && !self.own.iter().any(|(id, _)| id == "tenant") {
            self.own.push(("tenant".to_owned(), "Choose for whom it is".to_owned()));
        }
        if let Some(wrong) = wrong_name(&self.name) {
            self.own.push(("name".to_owned(), wrong.to_owned()));
        } else if self.known
            && !self.own.iter().any(|(id, _)| id == "name")
            && app.is_name_taken(caller, &self.tenant, &self.name).await?
        {
            self.own.push(("name".to_owned(), taken(&self.name)));
        }
        let mut read = self.read();
        if self.known && !self.plan.is_empty() {
            let fine = self.own.iter().all(|(id, _)| id != "name");
            let order = PersonalOrder {
                offering: self.view.offering().name.clone(),
                plan: self.plan.clone(),
                parameters: Some(read.value.clone()).filter(|value| !value.is_empty()),
            };
            let instance = Some(self.name.clone()).filter(|_| fine);
            let what = PreviewOf { by: By::Tenant(self.tenant.clone()), instance, order };
            let preview = app.preview(caller, call, what).await?;
            if let Some(refused) = &preview.refused {
                let others = read.blame(&refused.issues);
                self.own.extend(others.into_iter().map(|issue| (String::new(), issue.message)));
            }
            self.preview = Some(preview);
        }
        read.faults.extend(&self.faults);
        self.faults = read.faults;
        Ok(())
    }

    /// Keeps why an order was refused; the status of the page that says so.
    pub(super) fn refused(&mut self, error: app::Error) -> Result<StatusCode, Failure> {
        let (status, error) = shown_in_form(error)?;
        match error {
            app::Error::Invalid(issues) => {
                let mut read = self.read();
                for Issue { pointer, message } in read.blame(&issues) {
                    let id = if pointer == "/name" { "name" } else { "" };
                    self.own.push((id.to_owned(), message));
                }
                self.faults = read.faults;
            }
            app::Error::Conflict { code: "name_taken", .. } => self.own.push(("name".to_owned(), taken(&self.name))),
            other => self.own.push((String::new(), sentence(other))),
        }
        Ok(status)
    }

    /// All that is wrong: ids of fields and sentences with what they are called.
    fn open_points(&self) -> Vec<(String, String)> {
        let called = |(id, text): &(String, String)| {
            let text = match id.as_str() {
                "tenant" => format!("Tenant: {text}"),
                "plan" => format!("Plan: {text}"),
                "name" => format!("Name: {text}"),
                _ => text.clone(),
            };
            (id.clone(), text)
        };
        self.own.iter().map(called).chain(self.faults.listed(&self.form)).collect()
    }

    fn wrong(&self, id: &str) -> Option<&str> {
        self.own.iter().find(|(known, _)| self.tells && known == id).map(|(_, text)| text.as_str())
    }

    /// The page.
    pub(super) fn page(&self, visit: &Visit, status: StatusCode) -> HttpResponse {
        let offering = self.view.offering();
        let display = offering.document.pointer("/metadata/displayName").and_then(Value::as_str);
        let display = display.filter(|name| !name.is_empty()).unwrap_or(&offering.name);
        let about = format!("/catalog/{}", kit::part(&offering.name));
        let address = format!("{about}/order");
        let title = format!("Order {display}");
        let open = self.open_points();
        let mut errors = if self.tells { open.clone() } else { Vec::new() };
        if errors.is_empty()
            && self.tells
            && let Some(refused) = self.preview.as_ref().and_then(|preview| preview.refused.as_ref())
        {
            errors.push(("verdict".to_owned(), super::upper(&refused.reason)));
        }
        let page =
            Page::new(visit, &title).status(status).above(kit::trail(&[("Catalog", "/catalog"), (display, &about)]));
        if self.plan.is_empty() {
            return page.show(kit::empty(
                "No plan can be ordered",
                "Its broker offers none at the moment, or none of them to you.",
                Some(("To the catalog", "/catalog")),
            ));
        }
        let view = View {
            address: &address,
            faults: self.tells.then_some(&self.faults),
            instances: &self.instances,
            stands: false,
        };
        let parameters = self.form.masked(&self.read().value);
        let ordered = Ordered {
            tenant: &self.tenant,
            name: &self.name,
            offering: &offering.name,
            plan: &self.plan,
            parameters: &parameters,
        };
        let price = self.price();
        page.show(html! {
            (kit::errors(&errors))
            form.order method="post" action=(address) novalidate data-live {
                (kit::csrf(visit))
                input type="hidden" name="of" value=(self.plan);
                // What the Enter key presses.
                button.hidden-text type="submit" name="do" value="check" tabindex="-1" aria-hidden="true" { "Check" }
                div.with-verdict {
                    div data-fields {
                        (self.whose())
                        (self.plans())
                        (kit::line(&Line { name: "name", label: "Name", value: &self.name, required: true, autocomplete: "off",
                            hint: "What your tenant calls it: small letters, digits and '-'. It stays.", wrong: self.wrong("name"), ..Line::default() }))
                        h2 { "Parameters" }
                        (self.form.show(&self.state, &view))
                    }
                    div.aside {
                        (verdict::show(&Verdict { open: &open, preview: self.preview.as_ref(), price: &price, what: "order", idle: false }))
                        p.actions {
                            button type="submit" name="do" value="order" { "Order" }
                            button.second type="submit" name="do" value="check" { "Check" }
                            a href=(about) { "Back" }
                        }
                    }
                }
            }
            (program::show(&ordered))
        })
    }

    fn whose(&self) -> Markup {
        let wrong = self.wrong("tenant");
        let names = &self.tenants.names;
        if self.tenants.more {
            let hint = "A tenant's name, or a part of it.";
            return html! {
                @if !self.known && !self.tenant.is_empty() && !names.is_empty() {
                    fieldset {
                        legend { "Tenants with “" (self.tenant) "” in their name" }
                        // Before the line: the first of a name counts.
                        div.tags { @for name in names { button.second.small type="submit" name="tenant" value=(name) formnovalidate { (name) } } }
                    }
                }
                (kit::line(&Line { name: "tenant", label: "Tenant", value: &self.tenant, required: true, autocomplete: "off", hint, wrong, ..Line::default() }))
                p.after-line { button.second.small type="submit" name="turn" value="tenant" formnovalidate { "Find the tenant" } }
            };
        }
        if names.is_empty() {
            return kit::empty(
                "There is nobody to order for",
                "You belong to no tenant yet. An owner of a tenant can make you a member.",
                None,
            );
        }
        html! {
            div.field.wrong[wrong.is_some()] {
                label for="tenant" { "Tenant" }
                p.hint id="tenant-hint" { "Whom it is for, and who pays." }
                @if let Some(text) = wrong { p.error id="tenant-error" { (text) } }
                select id="tenant" name="tenant" required data-turn aria-invalid=[wrong.map(|_| "true")]
                    aria-describedby=(if wrong.is_some() { "tenant-hint tenant-error" } else { "tenant-hint" }) {
                    @if names.len() > 1 { option value="" { "Choose …" } }
                    @for name in names { option value=(name) selected[*name == self.tenant] { (name) } }
                }
            }
        }
    }

    fn plans(&self) -> Markup {
        let offering = &self.view.offering().name;
        let plans = self.view.plans().filter(|plan| plan.state == Standing::Available);
        html! {
            fieldset.plans-to-choose.wrong[self.wrong("plan").is_some()] id="plan" tabindex="-1" {
                legend { "Plan" }
                @if let Some(text) = self.wrong("plan") { p.error { (text) } }
                @for plan in plans {
                    @let id = format!("plan-{}", id(&plan.name));
                    @let text = |place: &str| plan.document.pointer(place).and_then(Value::as_str).unwrap_or_default();
                    @let display = text("/metadata/displayName");
                    div.check {
                        input type="radio" id=(id) name="plan" value=(plan.name) checked[plan.name == self.plan] data-turn;
                        label for=(id) {
                            (if display.is_empty() { plan.name.as_str() } else { display })
                            span.under { " · " (price_in_words(self.tariffs.as_ref(), offering, plan)) }
                            @if !text("/description").is_empty() { span.under.block { (text("/description")) } }
                        }
                    }
                }
                p { button.second.small type="submit" name="turn" value="plan" formnovalidate data-part { "Show the form of this plan" } }
            }
        }
    }

    fn price(&self) -> Markup {
        let plan = self.view.plans().find(|plan| plan.name == self.plan);
        let words =
            plan.map(|plan| prices(self.tariffs.as_ref(), &self.view.offering().name, plan)).unwrap_or_default();
        html! { ul.plain.price { @for line in words { li { (line) } } } }
    }
}

fn taken(name: &str) -> String {
    format!(
        "This tenant has an instance “{name}” already. Choose another name, or change what is there on its own page"
    )
}

/// What a plan costs, line by line.
pub(super) fn prices(tariffs: Option<&Arc<Tariffs>>, offering: &str, plan: &Plan) -> Vec<String> {
    match (price_of(tariffs, offering, plan), tariffs) {
        (Some(price), Some(tariffs)) => price.lines.iter().map(|line| line.words(&tariffs.currency)).collect(),
        _ => vec![if is_free(plan) { "Free".to_owned() } else { "No price yet".to_owned() }],
    }
}

fn price_in_words(tariffs: Option<&Arc<Tariffs>>, offering: &str, plan: &Plan) -> String {
    let words = prices(tariffs, offering, plan);
    words.first().map_or_else(String::new, |first| shown::price(first, words.len() > 1))
}

/// The instances that a form may name, shown with their offering and plan.
pub(in crate::http::portal) async fn choosable(
    app: &App,
    caller: &Caller,
    tenant: &str,
    form: &Form,
) -> Result<Vec<Choosable>, Failure> {
    let wanted: Vec<_> = form.wanted().into_iter().cloned().collect();
    let found = app.nameable(caller, tenant, &wanted).await?;
    let shown = |instance: app::forms::Nameable| {
        let text = format!("{} ({}, {})", instance.name, instance.offering, instance.plan);
        (instance.name, text)
    };
    let both = wanted.into_iter().zip(found);
    Ok(both.map(|(wanted, found)| Choosable { wanted, instances: found.into_iter().map(shown).collect() }).collect())
}
