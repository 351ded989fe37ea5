//! The page of a change: what stands, what is filled in, and what is different.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::catalog::{is_free, price_of};
use super::super::form::tree::id;
use super::super::form::{self, Choosable, Faults, Form, Read, State, View, hidden};
use super::super::frame::Page;
use super::super::kit::{self, Tone};
use super::super::order::program::{self, Ordered};
use super::super::order::sheet::choosable;
use super::super::order::verdict::{self, Verdict};
use super::super::order::{sentence, shown_in_form, upper};
use super::super::shown;
use super::super::visit::Visit;
use crate::app::forms::Changeable;
use crate::app::people::PersonalOrder;
use crate::app::preview::{By, Preview, PreviewOf};
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::InstanceState;
use crate::domain::parameters::ParameterRules;
use crate::domain::tariff::Tariffs;
use crate::http::error::Failure;

type Object = Map<String, Value>;

/// A change that is being filled in.
pub(super) struct Sheet {
    tenant: String,
    name: String,
    found: Changeable,
    /// The plan from then on.
    next: Arc<PlanEntry>,
    tariffs: Option<Arc<Tariffs>>,
    pub(super) form: Form,
    pub(super) state: State,
    instances: Vec<Choosable>,
    /// What is different, as it is sent.
    changes: Object,
    /// What is wrong with the whole.
    own: Vec<String>,
    faults: Faults,
    preview: Option<Preview>,
    /// Whether what is wrong is told at its field.
    pub(super) tells: bool,
}

impl Sheet {
    /// Begins a change.
    pub(super) async fn open(
        app: &App,
        caller: &Caller,
        tenant: &str,
        name: &str,
        plan: &str,
    ) -> Result<Self, Failure> {
        let found = app.changeable(caller, tenant, name).await?;
        let other = found.plans.iter().find(|other| other.plan_name == plan);
        let next = Arc::clone(other.unwrap_or(&found.plan));
        let own = match (plan.is_empty() || plan == next.plan_name, other) {
            (false, None) => vec![format!("It can't change to a plan “{plan}”")],
            _ => Vec::new(),
        };
        // What operators preset is for new orders; a plan that left its catalog has no rules any more.
        let rules = app.plan_form(caller, &next.offering_name, &next.plan_name, Some(tenant)).await;
        let rules = match rules {
            Ok(found) => found.rules.map(|rules| ParameterRules { default: Object::new(), ..rules }),
            Err(app::Error::Invalid(_)) => None,
            Err(other) => return Err(other.into()),
        };
        let form = Form::of(next.plan.update_schema(), rules.as_ref()).concealing(&found.parameters);
        let mut instances = choosable(app, caller, tenant, &form).await?;
        // It can't refer to itself.
        instances.iter_mut().for_each(|known| known.instances.retain(|(other, _)| other != name));
        Ok(Self {
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            tariffs: app.tariffs().await?,
            state: State::default(),
            changes: Object::new(),
            faults: Faults::default(),
            preview: None,
            tells: false,
            found,
            next,
            form,
            instances,
            own,
        })
    }

    /// The name of the plan from then on.
    pub(super) fn plan(&self) -> &str {
        &self.next.plan_name
    }

    /// What stands, in the fields.
    pub(super) fn standing(&self) -> State {
        if self.form.keys().next().is_none() { self.form.blank() } else { self.form.filled(&self.found.parameters) }
    }

    fn read(&self) -> Read {
        self.form.read(&self.state, Some(&self.found.parameters))
    }

    /// What is sent: each parameter that is not as it stands.
    fn compare(&self, read: &mut Read) -> Object {
        let known = &self.found.parameters;
        if self.form.keys().next().is_none() {
            return read.value.clone();
        }
        let before = self.form.read(&self.standing(), Some(known)).value;
        let mut changes = Object::new();
        for key in self.form.keys() {
            match (before.get(key), read.value.get(key)) {
                (old, new) if old == new => {}
                (old, Some(new)) => {
                    let kept = beside(new, known.get(key), old);
                    changes.insert(key.to_owned(), kept);
                }
                (_, None) if read.faults.at(&format!("p/{key}")).is_some() => {}
                (_, None) => match self.form.cleared(key) {
                    Some(nothing) => drop(changes.insert(key.to_owned(), nothing)),
                    None => read.faults.add(key, "This can be replaced, but not taken back"),
                },
            }
        }
        changes
    }

    /// Asks what would become of it.
    pub(super) async fn judge(&mut self, app: &App, caller: &Caller, call: &osb::Call) -> Result<(), Failure> {
        let mut read = self.read();
        self.changes = self.compare(&mut read);
        if read.faults.is_empty() && self.is_ready() && !self.is_idle() {
            let what = PreviewOf {
                by: By::Tenant(self.tenant.clone()),
                instance: Some(self.name.clone()),
                order: self.order(),
            };
            let preview = app.preview(caller, call, what).await?;
            if let Some(refused) = &preview.refused {
                let others = read.blame(&refused.issues);
                self.own.extend(others.into_iter().map(|issue| upper(&issue.message)));
            }
            self.preview = Some(preview);
        }
        self.faults = read.faults;
        Ok(())
    }

    /// What is sent.
    pub(super) fn order(&self) -> PersonalOrder {
        PersonalOrder {
            offering: self.next.offering_name.clone(),
            plan: self.next.plan_name.clone(),
            parameters: Some(self.changes.clone()).filter(|changes| !changes.is_empty()),
        }
    }

    fn is_ready(&self) -> bool {
        self.found.instance.row.state == InstanceState::Ready
    }

    /// Whether nothing is different.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty() && self.next.plan_id == self.found.plan.plan_id
    }

    /// Whether something speaks against it.
    pub(super) fn is_wrong(&self) -> bool {
        let refused = self.preview.as_ref().is_some_and(|preview| preview.refused.is_some());
        !self.own.is_empty() || !self.faults.is_empty() || refused || !self.is_ready()
    }

    /// Stands for the change that was shown: its secrets are not in it.
    pub(super) fn digest(&self) -> String {
        let shown = json!([self.next.plan_id, self.found.plan.plan_id, self.form.masked(&self.changes)]).to_string();
        URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, shown.as_bytes()))
    }

    /// Keeps why a change was refused; the status of the page that says so.
    pub(super) fn refused(&mut self, error: app::Error) -> Result<StatusCode, Failure> {
        let (status, error) = shown_in_form(error)?;
        match error {
            app::Error::Invalid(issues) => {
                let mut read = self.read();
                let others = read.blame(&issues);
                self.own.extend(others.into_iter().map(|issue| upper(&issue.message)));
                self.faults = read.faults;
            }
            other => self.own.push(sentence(other)),
        }
        Ok(status)
    }

    /// The page.
    pub(super) fn page(&self, visit: &Visit, status: StatusCode) -> HttpResponse {
        let back = format!("/services/{}/{}", kit::part(&self.tenant), kit::part(&self.name));
        let address = format!("{back}/change");
        let title = format!("Change {}", self.name);
        let trail = kit::trail(&[("My services", "/services"), (&self.name, &back)]);
        let page = Page::new(visit, &title).status(status).above(trail);
        if !self.is_ready() {
            let state = self.found.instance.row.state.as_str();
            let text = format!("It is not ready but “{state}”. As soon as that is over it can be changed.");
            return page.show(kit::empty("It can't be changed now", &text, Some(("See how it stands", &back))));
        }
        let mut open: Vec<(String, String)> = self.own.iter().map(|text| (String::new(), text.clone())).collect();
        open.extend(self.faults.listed(&self.form));
        let mut errors = if self.tells { open.clone() } else { Vec::new() };
        if let Some(refused) = self.preview.as_ref().and_then(|preview| preview.refused.as_ref())
            && errors.is_empty()
            && self.tells
        {
            errors.push(("verdict".to_owned(), upper(&refused.reason)));
        }
        let view = View {
            address: &address,
            faults: self.tells.then_some(&self.faults),
            instances: &self.instances,
            stands: true,
        };
        let ready = self.tells && errors.is_empty() && !self.is_idle();
        let masked = self.form.masked(&self.changes);
        let ordered = Ordered {
            tenant: &self.tenant,
            name: &self.name,
            offering: &self.next.offering_name,
            plan: &self.next.plan_name,
            parameters: &masked,
        };
        let price = self.price();
        page.show(html! {
            (kit::errors(&errors))
            @if ready { (kit::notice(Tone::Busy, &html! { p { "Nothing has been sent yet: look at what changes, then send it." } })) }
            p.lead { (self.found.plan.offering_name) ", plan " (self.found.plan.plan_name) ", of tenant " (self.tenant) }
            form.order method="post" action=(address) novalidate data-live {
                (kit::csrf(visit))
                input type="hidden" name="of" value=(self.plan());
                button.hidden-text type="submit" name="do" value="check" tabindex="-1" aria-hidden="true" { "Look at the change" }
                div.with-verdict {
                    div data-fields {
                        (self.plans())
                        h2 { "Parameters" }
                        (self.form.show(&self.state, &view))
                    }
                    div.aside {
                        div data-changes {
                            (self.difference())
                            input type="hidden" name="seen" value=(self.digest());
                        }
                        (verdict::show(&Verdict { open: &open, preview: self.preview.as_ref(), price: &price, what: "change", idle: self.is_idle() }))
                        p.actions {
                            button type="submit" name="do" value="change" { "Send the change" }
                            button.second type="submit" name="do" value="check" { "Look at the change" }
                            a href=(back) { "Back" }
                        }
                    }
                }
            }
            (program::show(&ordered))
        })
    }

    fn plans(&self) -> Markup {
        let found = &self.found;
        html! {
            @if !found.plans.is_empty() {
                fieldset.plans-to-choose id="plan" tabindex="-1" {
                    legend { "Plan" }
                    @for plan in std::iter::once(&found.plan).chain(&found.plans) {
                        @let id = format!("plan-{}", id(&plan.plan_name));
                        div.check {
                            input type="radio" id=(id) name="plan" value=(plan.plan_name) checked[plan.plan_id == self.next.plan_id] data-turn;
                            label for=(id) {
                                (plan.plan_name)
                                @if plan.plan_id == found.plan.plan_id { span.under { " · as it is" } }
                                span.under { " · " (in_short(&self.prices(plan))) }
                            }
                        }
                    }
                    p { button.second.small type="submit" name="turn" value="plan" formnovalidate data-part { "Show the form of this plan" } }
                }
            }
        }
    }

    /// What is different, from what to what.
    fn difference(&self) -> Markup {
        let mut rows = Vec::new();
        if self.next.plan_id != self.found.plan.plan_id {
            rows.push(vec![
                html! { "Plan" },
                html! { (self.found.plan.plan_name) },
                html! { strong { (self.next.plan_name) } },
            ]);
        }
        for (key, new) in &self.changes {
            let hides = self.form.hides(key);
            let words = |value: &Value| {
                let shown = self.form.masked(&[(key.clone(), value.clone())].into_iter().collect());
                shown.get(key).map(|value| form::in_words(&hidden::masked(key, value))).unwrap_or_default()
            };
            let old = self.found.parameters.get(key).map_or_else(|| "not set".to_owned(), words);
            let title = self.form.title(key).unwrap_or(key);
            let note = if hides { " (with what is secret in it)" } else { "" };
            rows.push(vec![
                html! { (title) },
                html! { (old) },
                html! { strong { (words(new)) } span.under { (note) } },
            ]);
        }
        html! { @if !rows.is_empty() { (kit::table("What changes", &["What", "Now", "From then on"], &rows)) } }
    }

    fn prices(&self, plan: &PlanEntry) -> Vec<String> {
        let document = json!(plan.plan);
        let shown = crate::domain::catalog::Plan {
            id: plan.plan_id.clone(),
            backend_id: plan.plan_backend_id.clone(),
            name: plan.plan_name.clone(),
            state: crate::domain::catalog::State::Available,
            document,
            position: 0,
        };
        match (price_of(self.tariffs.as_ref(), &plan.offering_name, &shown), &self.tariffs) {
            (Some(price), Some(tariffs)) => price.lines.iter().map(|line| line.words(&tariffs.currency)).collect(),
            _ => vec![if is_free(&shown) { "Free".to_owned() } else { "No price yet".to_owned() }],
        }
    }

    fn price(&self) -> Markup {
        let (now, then) = (self.prices(&self.found.plan), self.prices(&self.next));
        html! {
            @if now == then { ul.plain.price { @for line in &now { li { (line) } } } }
            @else {
                (kit::facts(&[("Now", html! { ul.plain { @for line in &now { li { (line) } } } }), ("From then on", html! { ul.plain { @for line in &then { li { (line) } } } })]))
            }
        }
    }
}

/// The first of several prices.
fn in_short(prices: &[String]) -> String {
    prices.first().map_or_else(String::new, |first| shown::price(first, prices.len() > 1))
}

/// A new value with what stands beside it and no field showed: an update replaces a parameter as a whole.
fn beside(new: &Value, known: Option<&Value>, shown: Option<&Value>) -> Value {
    let (Value::Object(new), Some(Value::Object(known))) = (new, known) else { return new.clone() };
    let mut all = new.clone();
    for (key, value) in known {
        let seen = shown.and_then(|shown| shown.get(key));
        match (all.get(key), seen) {
            (Some(inner), seen) => {
                let inner = beside(inner, Some(value), seen);
                all.insert(key.clone(), inner);
            }
            (None, None) => drop(all.insert(key.clone(), value.clone())),
            // It was shown, and taken out.
            (None, Some(_)) => {}
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_field_showed_stays_beside_what_changes() {
        let known = json!({"a": 1, "b": {"c": 2, "hidden": 3}, "gone": 4});
        let shown = json!({"a": 1, "b": {"c": 2}, "gone": 4});
        let new = json!({"a": 5, "b": {"c": 2}});
        assert_eq!(beside(&new, Some(&known), Some(&shown)), json!({"a": 5, "b": {"c": 2, "hidden": 3}}));
        assert_eq!(beside(&json!([1]), Some(&known), None), json!([1]));
    }
}
