//! Prices as lines of a form, one for each plan and meter: made of the rules in force, and read back into rules. What lines can't say (tiers,
//! packages, free quantities) is written as JSON.

use std::sync::Arc;

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::domain::catalog::{Offering, State};
use crate::domain::decimal::Decimal;
use crate::domain::meter::{INSTANCE, Meter, SETUP};
use crate::domain::price::{Model, Per, Rule};
use crate::domain::tariff::{Tariffs, grows_with_time};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::http::portal::kit;

/// Lines of one form.
const LINES_MAX: usize = 100;

/// What a line is about. It goes with the form, so that a catalog that changes meanwhile changes nothing of what was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Of {
    offering: String,
    plan: String,
    meter: String,
    unit: String,
    /// Whether the price is for a time.
    timed: bool,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Priced {
    of: Of,
    amount: String,
    per: String,
    /// Why it costs nothing.
    free: String,
}

/// The lines of what a broker offers, with the prices in force; `None` where these say more than lines can, or there are too many.
pub(super) fn lines(offerings: &[Offering], tariffs: Option<&Arc<Tariffs>>) -> Option<Vec<Priced>> {
    let mut lines = Vec::new();
    let mut said = 0;
    for offering in offerings.iter().filter(|offering| offering.state == State::Available) {
        for plan in &offering.plans {
            let meters = Meter::declared(&plan.document).0;
            // What left the catalog may still stand, and goes on to cost what it costs.
            let costs = tariffs.is_some_and(|tariffs| !tariffs.lines(&offering.name, &plan.name, &meters).is_empty());
            if plan.state != State::Available && !costs {
                continue;
            }
            let own = [(INSTANCE, "", true), (SETUP, "", false)]
                .map(|(key, unit, timed)| (key.to_owned(), unit.to_owned(), timed));
            let declared = meters.iter().map(|meter| (meter.key.clone(), meter.unit.clone(), grows_with_time(meter)));
            for (meter, unit, timed) in own.into_iter().chain(declared) {
                let rule = tariffs.and_then(|tariffs| tariffs.rule(&offering.name, &plan.name, &meter));
                let of = Of { offering: offering.name.clone(), plan: plan.name.clone(), meter, unit, timed };
                lines.push(match rule {
                    Some(rule) => Priced::of_rule(of, rule)?,
                    None => Priced { of, amount: String::new(), per: "month".to_owned(), free: String::new() },
                });
            }
        }
        // A rule for a plan that is not there, or a meter that none declares, has no line.
        said += tariffs.map_or(0, |tariffs| {
            let known = |rule: &&Rule| {
                lines.iter().map(|line| &line.of).any(|of| {
                    of.offering == offering.name
                        && of.meter == rule.meter()
                        && rule.plan.as_ref().is_none_or(|plan| *plan == of.plan)
                })
            };
            tariffs.rules(&offering.name).iter().filter(|rule| !known(rule)).count()
        });
    }
    (said == 0 && lines.len() <= LINES_MAX).then_some(lines)
}

impl Priced {
    fn of_rule(of: Of, rule: &Rule) -> Option<Self> {
        let plain = rule.tiers.is_none()
            && rule.package_size.is_none()
            && rule.free_quantity.is_none()
            && rule.proration.is_none()
            && (!of.timed || rule.per.is_some() || rule.model == Model::Free)
            && matches!(rule.model, Model::Flat | Model::OneTime | Model::PerUnit | Model::Free);
        let per = match rule.per {
            Some(Per::Hour) => "hour",
            Some(Per::Day) => "day",
            Some(Per::Month) | None => "month",
        };
        plain.then(|| Self {
            of,
            amount: rule.amount.map(|amount| amount.to_string()).unwrap_or_default(),
            per: per.to_owned(),
            free: rule.reason.clone().unwrap_or_default(),
        })
    }

    fn rule(&self, index: usize) -> Result<Option<Rule>, Wrong> {
        let id = format!("amount-{index}");
        let amount = match self.amount.as_str() {
            "" => None,
            text => {
                let read = text.parse::<Decimal>();
                Some(read.map_err(|_| Wrong::field(&id, "This must be a number, such as 9 or 0.25"))?)
            }
        };
        let model = match (amount.is_some(), self.free.is_empty()) {
            (false, true) => return Ok(None),
            (true, false) => {
                return Err(Wrong::field(&id, "It costs something, or it is free for a reason: say one of the two"));
            }
            (false, false) => Model::Free,
            (true, true) => match self.of.meter.as_str() {
                INSTANCE => Model::Flat,
                SETUP => Model::OneTime,
                _ => Model::PerUnit,
            },
        };
        let per = match self.per.as_str() {
            _ if model == Model::Free || !self.of.timed => None,
            "hour" => Some(Per::Hour),
            "day" => Some(Per::Day),
            _ => Some(Per::Month),
        };
        let meter = Some(self.of.meter.clone()).filter(|meter| meter != INSTANCE);
        Ok(Some(Rule {
            offering: self.of.offering.clone(),
            plan: Some(self.of.plan.clone()),
            meter,
            model,
            amount,
            per,
            proration: None,
            tiers: None,
            package_size: None,
            free_quantity: None,
            reason: Some(self.free.clone()).filter(|reason| !reason.is_empty()),
        }))
    }

    fn what(&self) -> String {
        match self.of.meter.as_str() {
            INSTANCE => "for an instance".to_owned(),
            SETUP => "once, when an instance is made".to_owned(),
            key => format!("for each {} ({key})", self.of.unit),
        }
    }
}

/// The lines of a form that was sent.
pub(super) fn read(fields: &Fields) -> Vec<Priced> {
    let line = |index: usize| {
        let of = serde_urlencoded::from_str(fields.raw(&format!("of-{index}"))?).ok()?;
        let text = |name: &str| fields.text(&format!("{name}-{index}")).to_owned();
        Some(Priced { of, amount: text("amount"), per: text("per"), free: text("free") })
    };
    (0..LINES_MAX).map_while(line).collect()
}

/// The rules that lines say, each with the id of the field that it comes from.
pub(super) fn rules(lines: &[Priced]) -> Result<(Vec<Rule>, Vec<String>), Wrong> {
    let (mut rules, mut ids) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        if let Some(rule) = line.rule(index)? {
            rules.push(rule);
            ids.push(format!("amount-{index}"));
        }
    }
    Ok((rules, ids))
}

/// The lines as fields, those of a plan together.
pub(super) fn inputs(lines: &[Priced], currency: &str, wrong: &Wrong) -> Markup {
    let mut plans: Vec<(&str, &str)> =
        lines.iter().map(|line| (line.of.offering.as_str(), line.of.plan.as_str())).collect();
    plans.dedup();
    html! {
        @for (offering, plan) in plans {
            fieldset {
                legend { (offering) ", plan " (plan) }
                @for (index, line) in lines.iter().enumerate().filter(|(_, line)| (line.of.offering.as_str(), line.of.plan.as_str()) == (offering, plan)) {
                    (input(index, line, currency, wrong))
                }
            }
        }
    }
}

fn input(index: usize, line: &Priced, currency: &str, wrong: &Wrong) -> Markup {
    let (amount, per, free) = (format!("amount-{index}"), format!("per-{index}"), format!("free-{index}"));
    let what = line.what();
    let error = format!("{amount}-error");
    html! {
        input type="hidden" name={ "of-" (index) } value=(serde_urlencoded::to_string(&line.of).unwrap_or_default());
        div.price-line.wrong[wrong.at(&amount).is_some()] role="group" aria-label={ "Price " (what) } {
            @if let Some(text) = wrong.at(&amount) { p.error id=(error) { (text) } }
            div.field {
                label for=(amount) { @if !currency.is_empty() { (currency) " " } (what) }
                input id=(amount) name=(amount) value=(line.amount) inputmode="decimal" autocomplete="off"
                    aria-invalid=[wrong.at(&amount).map(|_| "true")] aria-describedby=[wrong.at(&amount).map(|_| error.as_str())];
            }
            @if line.of.timed {
                (kit::choice(&per, "per", &[("hour", "hour"), ("day", "day"), ("month", "month")], &line.per))
            }
            div.field { label for=(free) { "or free, because" } input id=(free) name=(free) value=(line.free) autocomplete="off"; }
        }
    }
}
