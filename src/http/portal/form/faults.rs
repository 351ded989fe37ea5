//! What is wrong with a form, and where: what its own reading found, and what a use case says of the parameters by pointers into them.

use serde_json::{Map, Value};

use super::tree::{Kind, id, member, within};
use super::{Form, PREFIX};
use crate::app::Issue;

/// What is wrong with a form: by the name of a field, in the order of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<(String, String)>);

/// What came of a form.
#[derive(Clone, Debug)]
pub struct Read {
    /// The parameters.
    pub value: Map<String, Value>,
    /// Why they may not be sent.
    pub faults: Faults,
    pub(super) places: Vec<(String, String)>,
}

impl Faults {
    pub(super) fn new(wrong: Vec<(String, String)>) -> Self {
        Self(wrong)
    }

    /// What is wrong with the field of a name.
    pub fn at(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(at, _)| at == name).map(|(_, text)| text.as_str())
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and of others those at fields of which nothing is known yet.
    pub fn extend(&mut self, others: &Self) {
        for (name, text) in &others.0 {
            if self.at(name).is_none() {
                self.0.push((name.clone(), text.clone()));
            }
        }
    }

    /// Adds that something is wrong with a parameter.
    pub fn add(&mut self, key: &str, text: &str) {
        self.extend(&Self(vec![(within(PREFIX, key), text.to_owned())]));
    }

    /// For [`kit::errors`](super::kit::errors): the ids of fields, what they are called and what is wrong.
    pub fn listed(&self, form: &Form) -> Vec<(String, String)> {
        let called = |name: &str| form.called(name);
        self.0.iter().map(|(name, text)| (id(name), format!("{}: {text}", called(name)))).collect()
    }
}

impl Form {
    /// What the field of a name is called, with what it is in.
    fn called(&self, name: &str) -> String {
        let mut titles: Vec<String> = Vec::new();
        let mut field = &self.root;
        for part in name.split('/').skip(1) {
            while let Kind::Variants(shapes) = &field.kind {
                let known = shapes.iter().find(|shape| match &shape.kind {
                    Kind::Object(fields) => fields.iter().any(|field| within("", &field.key)[1..] == *part),
                    Kind::List { .. } => true,
                    _ => false,
                });
                match known {
                    Some(shape) => field = shape,
                    None => break,
                }
            }
            match &field.kind {
                Kind::Object(fields) => {
                    let Some(found) = fields.iter().find(|field| within("", &field.key)[1..] == *part) else { break };
                    titles.push(found.title.clone());
                    field = found;
                }
                Kind::List { item, .. } => field = item,
                _ => break,
            }
        }
        if titles.is_empty() { self.root_title().to_owned() } else { titles.join(", ") }
    }

    fn root_title(&self) -> &str {
        if self.root.title.is_empty() { "Parameters" } else { &self.root.title }
    }
}

impl Read {
    /// Puts what a use case found wrong at the fields that it is about. Pointers begin with `/parameters`; gives back what is about
    /// something else.
    pub fn blame(&mut self, issues: &[Issue]) -> Vec<Issue> {
        let mut others = Vec::new();
        for issue in issues {
            let pointer =
                issue.pointer.strip_prefix("/parameters").filter(|rest| rest.is_empty() || rest.starts_with('/'));
            let Some(pointer) = pointer else {
                others.push(issue.clone());
                continue;
            };
            let (pointer, text) = match missing(&issue.message) {
                Some(name) => (member(pointer, &name), "Fill this in".to_owned()),
                None => (pointer.to_owned(), humane(&issue.message)),
            };
            // The field itself, or the nearest one that it is in.
            let around = self.places.iter().filter(|(place, _)| {
                pointer.strip_prefix(place.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let name = around.max_by_key(|(place, _)| place.len()).map_or(PREFIX, |(_, name)| name.as_str());
            if self.faults.at(name).is_none() {
                self.faults.0.push((name.to_owned(), text));
            }
        }
        others
    }
}

/// The property that is missing, where that is what a message says.
fn missing(message: &str) -> Option<String> {
    let (name, _) = message.split_once(" is a required property")?;
    serde_json::from_str(name).ok()
}

/// A finding as a sentence about its field.
fn humane(message: &str) -> String {
    let text = match message.strip_prefix("value ") {
        Some(rest) => format!("This {rest}"),
        None => message.to_owned(),
    };
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
