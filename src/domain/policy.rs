//! Policies: rules in Cedar that refuse orders, or warn of them. What a policy may be ([`Policy::read`]), all that are in force
//! ([`Book`]), and what they say about a case ([`Book::judge`]).
//!
//! A built-in permit stands, so a policy can only forbid. Invariant: a policy that refuses and can't be evaluated refuses: what nobody
//! understood is not allowed.

mod case;
mod schema;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Effect, PolicyId, PolicySet, Request, ValidationMode, Validator,
};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use case::{Action, Case, Principal};

/// Characters of a policy's text.
const TEXT_MAX: usize = 64 * 1024;
/// Characters of what is told of an error.
const ERROR_MAX: usize = 300;
/// Problems that are told at once.
const PROBLEMS_MAX: usize = 20;
/// What stands where nothing forbids.
const PERMIT: &str = "permit(principal, action, resource);";
/// The attribute that costs something to find out.
const PRICE: &str = "price_per_month";

/// What a policy does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It refuses.
    Enforce,
    /// It is told in previews, in the log and in the order's events, and refuses nothing.
    Warn,
}

/// A policy as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Cedar: one or more `forbid`, each with `@remedy("…")`.
    pub text: String,
    /// `enforce` or `warn`.
    pub mode: Mode,
}

/// What is wrong with a policy's text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub message: String,
    /// From 1; none where it is about no place.
    pub place: Option<(usize, usize)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A policy's text, read and found to be fine.
#[derive(Clone, Debug)]
pub struct Policy {
    set: PolicySet,
}

impl Policy {
    /// Reads a text.
    ///
    /// # Errors
    /// All that is wrong with it, with places.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let whole = |message: &str| vec![Problem { message: message.to_owned(), place: None }];
        if text.chars().count() > TEXT_MAX {
            return Err(whole(&format!("must have at most {TEXT_MAX} characters")));
        }
        let set = PolicySet::from_str(text).map_err(|errors| {
            let told = errors.iter().take(PROBLEMS_MAX).map(|error| problem(text, error, &error.to_string()));
            told.collect::<Vec<_>>()
        })?;
        if set.num_of_templates() > 0 {
            return Err(whole("has a template: give each policy its principal and its resource"));
        }
        if set.is_empty() {
            return Err(whole("holds no policy"));
        }
        let mut problems: Vec<Problem> = set.policies().filter_map(wrong_form).collect();
        let schema = schema::schema().map_err(|message| whole(&message))?;
        let checked = Validator::new(schema).validate(&set, ValidationMode::Partial);
        problems.extend(checked.validation_errors().take(PROBLEMS_MAX).map(|error| {
            let message = error.to_string();
            // Its own name means nothing to whoever wrote the text.
            let message = message.split_once("`, ").map_or(message.as_str(), |(_, rest)| rest);
            problem(text, error, message)
        }));
        if problems.is_empty() { Ok(Self { set }) } else { Err(problems) }
    }
}

/// What is wrong with a policy besides its grammar and its types.
fn wrong_form(policy: &cedar_policy::Policy) -> Option<Problem> {
    let say = |message: String| Some(Problem { message, place: None });
    if policy.effect() == Effect::Permit {
        let message = "has a `permit`: what is not forbidden is allowed already, so policies are `forbid`";
        return say(message.to_owned());
    }
    if policy.annotation("remedy").is_none_or(|remedy| remedy.trim().is_empty()) {
        let message = "has a policy without @remedy(\"…\"): say what whoever is refused can do";
        return say(message.to_owned());
    }
    let named = match policy.action_constraint() {
        ActionConstraint::Any => Vec::new(),
        ActionConstraint::Eq(action) => vec![action],
        ActionConstraint::In(actions) => actions,
    };
    let unknown = named.into_iter().find(|action| !Action::ALL.iter().any(|known| known.uid() == Some(action.clone())));
    let known: Vec<_> = Action::ALL.iter().map(|action| format!("Bourse::Action::\"{}\"", action.as_str())).collect();
    unknown.and_then(|action| say(format!("there is no action {action}; there are {}", known.join(", "))))
}

fn problem(text: &str, error: &dyn Diagnostic, message: &str) -> Problem {
    let place = error.labels().and_then(|mut labels| labels.next()).map(|label| {
        let before = text.get(..label.offset()).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    });
    Problem { message: message.chars().take(ERROR_MAX).collect(), place }
}

/// What a policy says about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The policy's name.
    pub policy: String,
    /// Whether it refuses.
    pub mode: Mode,
    /// Why: the policy's own words (`@reason`), or that it can't be evaluated.
    pub reason: Option<String>,
    /// What can be done.
    pub remedy: String,
    /// Whether it could not be evaluated.
    pub failed: bool,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, reason, remedy, failed, .. } = self;
        match (failed, reason) {
            (true, reason) => write!(
                f,
                "policy `{policy}` could not be evaluated, and what nobody understood is not allowed: {}",
                reason.as_deref().unwrap_or("it can't be read any more")
            )?,
            (false, Some(reason)) => write!(f, "policy `{policy}` forbids it: {reason}")?,
            (false, None) => write!(f, "policy `{policy}` forbids it")?,
        }
        write!(f, "; {remedy}")
    }
}

/// What is told in events of policies that warned, as JSON; nothing where none did. It holds the policies' own words and nothing of the
/// order: why one could not be evaluated may name a value.
pub fn warnings(judged: &[Judged]) -> Option<String> {
    let short = |text: &str| text.chars().take(ERROR_MAX).collect::<String>();
    let warned = judged.iter().filter(|judged| judged.mode == Mode::Warn).take(PROBLEMS_MAX);
    let told: Vec<_> = warned
        .map(|judged| {
            let mut told = serde_json::json!({ "policy": judged.policy, "remedy": short(&judged.remedy) });
            match &judged.reason {
                _ if judged.failed => told["failed"] = true.into(),
                Some(reason) => told["reason"] = short(reason).into(),
                None => {}
            }
            told
        })
        .collect();
    (!told.is_empty()).then(|| serde_json::Value::Array(told).to_string())
}

/// A policy of a book.
#[derive(Clone, Debug)]
struct Known {
    policy: String,
    mode: Mode,
    reason: Option<String>,
    remedy: String,
}

/// All policies that are in force.
#[derive(Debug, Default)]
pub struct Book {
    set: PolicySet,
    known: HashMap<PolicyId, Known>,
    /// Those that can't be read any more.
    broken: Vec<(String, Mode)>,
    asks_price: bool,
}

const NO_REMEDY: &str = "ask whoever keeps the policies";

impl Book {
    /// Puts policies together, by their names.
    pub fn new<'a>(documents: impl IntoIterator<Item = (&'a str, &'a PolicyDocument)>) -> Self {
        let mut book = Self::default();
        for (name, document) in documents {
            match Policy::read(&document.text) {
                Ok(policy) => book.add(name, document.mode, &policy),
                Err(_) => book.broken.push((name.to_owned(), document.mode)),
            }
            book.asks_price |= document.text.contains(PRICE);
        }
        if !book.known.is_empty()
            && let Ok(permit) = cedar_policy::Policy::parse(Some(PolicyId::new("permit")), PERMIT)
        {
            // Without it everything would be refused, which a test would see.
            drop(book.set.add(permit));
        }
        book
    }

    fn add(&mut self, name: &str, mode: Mode, policy: &Policy) {
        for (number, one) in policy.set.policies().enumerate() {
            let id = PolicyId::new(format!("{name}/{number}"));
            let text = |key: &str| one.annotation(key).map(str::to_owned).filter(|text| !text.trim().is_empty());
            let (reason, remedy) = (text("reason"), text("remedy").unwrap_or_else(|| NO_REMEDY.to_owned()));
            let known = Known { policy: name.to_owned(), mode, reason, remedy };
            match self.set.add(one.new_id(id.clone())) {
                Ok(()) => drop(self.known.insert(id, known)),
                Err(_) => self.broken.push((name.to_owned(), mode)),
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.broken.is_empty()
    }

    /// Whether some policy wants to know what a month costs.
    pub fn asks_price(&self) -> bool {
        self.asks_price
    }

    /// What applies to a case: by the policies' names, those that refuse first.
    pub fn judge(&self, case: &Case<'_>) -> Vec<Judged> {
        let broken = |(policy, mode): &(String, Mode)| Judged {
            policy: policy.clone(),
            mode: *mode,
            reason: None,
            remedy: NO_REMEDY.to_owned(),
            failed: true,
        };
        let mut found: Vec<Judged> = self.broken.iter().map(broken).collect();
        match self.ask(case) {
            Ok(judged) => found.extend(judged),
            // The case itself can't be said in Cedar.
            Err(reason) => found.extend(self.known.values().map(|known| known.failed(&reason))),
        }
        found.sort_by(|one, other| {
            let key = |judged: &Judged| (judged.mode == Mode::Warn, judged.policy.clone(), judged.reason.clone());
            key(one).cmp(&key(other))
        });
        found.dedup();
        found
    }

    fn ask(&self, case: &Case<'_>) -> Result<Vec<Judged>, String> {
        if self.known.is_empty() {
            return Ok(Vec::new());
        }
        let case::Asked { principal, action, resource, context, entities } = case.asked()?;
        let request = Request::new(principal, action, resource, context, None).map_err(|error| error.to_string())?;
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let applies = response.diagnostics().reason().filter_map(|id| self.known.get(id));
        let mut found: Vec<Judged> = applies.map(Known::applies).collect();
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            let reason: String = error.inner().to_string().chars().take(ERROR_MAX).collect();
            found.extend(self.known.get(error.policy_id()).map(|known| known.failed(&reason)));
        }
        Ok(found)
    }
}

impl Known {
    fn applies(&self) -> Judged {
        let Self { policy, mode, reason, remedy } = self.clone();
        Judged { policy, mode, reason, remedy, failed: false }
    }

    fn failed(&self, reason: &str) -> Judged {
        Judged { reason: Some(reason.to_owned()), failed: true, ..self.applies() }
    }
}

#[cfg(test)]
mod tests;
