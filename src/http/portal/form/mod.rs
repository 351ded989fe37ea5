//! Forms made from a JSON Schema: for the parameters of an order, of a change, and of a binding.
//!
//! [`Form::of`] reads a schema once for a request ([`schema`] → [`tree`]). What stands in its fields is a [`State`], made with
//! [`Form::blank`], [`Form::filled`] or [`Form::sent`]; [`Form::show`] makes markup of it ([`show`]), [`Form::read`] the parameters
//! ([`sent`]), exactly typed. What a use case finds wrong with them goes to its field with [`Read::blame`]. So a page with such a form is:
//!
//! ```text
//! let form = Form::of(plan.bind_schema(), None);
//! GET:  form.show(&form.blank(), &View { address, ..View::default() })      in a <form method="post" novalidate> with `kit::csrf`
//! POST: let (state, turned) = form.sent(fields.all());                      what was typed; a list's "Add" or "Remove" was carried out
//!       if turned { show it again with the state }                          status 200: nothing was meant to be sent
//!       let mut read = form.read(&state, None);                             `read.faults` is empty where `read.value` may be sent
//!       on app::Error::Invalid(issues): read.blame(&issues) → show again with `View { faults: &read.faults, .. }`, status 422,
//!       `kit::errors(&read.faults.listed(&form))` above it
//! ```
//!
//! It knows no use case and no database. Invariants: a secret that was typed is in no markup; what is shown and sent back unchanged is the
//! same value, numbers as they were written; what no field can say is written as JSON, and said so.

mod faults;
pub mod hidden;
#[cfg(test)]
mod hostile;
mod merge;
#[cfg(test)]
mod properties;
pub mod schema;
mod sent;
mod show;
mod state;
#[cfg(test)]
mod tests;
pub mod tree;
mod words;

use serde_json::{Map, Value};

use self::tree::{Field, Kind, Said, within};
use crate::domain::parameters::ParameterRules;
use crate::domain::reference::Wanted;

pub use self::faults::{Faults, Read};
pub use self::state::State;

/// What names of fields begin with.
const PREFIX: &str = "p";

/// Fields of one page, entries of lists within entries of lists counted one by one.
const SHOWN_MAX: usize = 20_000;

/// A form.
#[derive(Clone, Debug)]
pub struct Form {
    root: Field,
    preset: Map<String, Value>,
}

/// Instances to choose from where one may be named.
#[derive(Clone, Debug)]
pub struct Choosable {
    /// What may be named.
    pub wanted: Wanted,
    /// Names, and how they are shown.
    pub instances: Vec<(String, String)>,
}

/// What a form is shown with.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The path that it is sent to.
    pub address: &'a str,
    /// What is wrong.
    pub faults: Option<&'a Faults>,
    /// Instances to choose from.
    pub instances: &'a [Choosable],
    /// Whether something stands already, so that a secret may be left empty.
    pub stands: bool,
}

impl Form {
    /// The form of what fits a schema; one text of JSON where there is none. What operators say about the parameters is shown: what they
    /// forbid is not there, what they force can't be changed, what they preset is filled in.
    pub fn of(schema: Option<&Value>, rules: Option<&ParameterRules>) -> Self {
        let Some(rules) = rules else { return Self { root: schema::read(schema), preset: Map::new() } };
        let mut shown = schema.cloned();
        if let Some(shown) = &mut shown {
            // What is forced or preset shows below as what it is; forbidden fields go.
            ParameterRules { forbid: rules.forbid.clone(), ..ParameterRules::default() }.show(shown);
        }
        let mut root = schema::read(shown.as_ref());
        say(&mut root, &rules.default, Said::Preset);
        say(&mut root, &rules.force, Said::Forced);
        Self { root, preset: rules.default.clone() }
    }

    /// The same for what stands already: what is called like a secret there is one, also where the schema does not say so.
    #[must_use]
    pub fn concealing(mut self, known: &Map<String, Value>) -> Self {
        if let Kind::Object(fields) = &mut self.root.kind {
            for field in fields {
                if let Some(value) = known.get(&field.key) {
                    hidden::conceal(field, &field.key.clone(), value);
                }
            }
        }
        self
    }

    /// As it is first shown: with what operators preset, and with the defaults of what has to be there.
    pub fn blank(&self) -> State {
        let mut all = Map::new();
        if let Kind::Object(fields) = &self.root.kind {
            let needed = fields.iter().filter(|field| field.required);
            all.extend(needed.filter_map(|field| Some((field.key.clone(), field.default.clone()?))));
        }
        all.extend(self.preset.clone());
        self.filled(&all)
    }

    /// With those parameters filled in. Those that the schema does not name are left out.
    pub fn filled(&self, value: &Map<String, Value>) -> State {
        let mut state = State::default();
        match &self.root.kind {
            Kind::Object(fields) => {
                for field in fields {
                    if let Some(value) = value.get(&field.key) {
                        state.fill(field, &within(PREFIX, &field.key), value, field.required);
                    }
                }
            }
            _ if value.is_empty() => {}
            _ => state.fill(&self.root, PREFIX, &Value::Object(value.clone()), true),
        }
        state
    }

    /// What was sent, and whether by a button that only turns the form: `add` or `remove` of a list's entry, `turn` to see the fields of
    /// what was chosen.
    pub fn sent(&self, fields: &[(String, String)]) -> (State, bool) {
        let mut state = State::of(fields.iter(), PREFIX);
        let mut room = SHOWN_MAX;
        if !self.root.fits(PREFIX, &state, &mut room) {
            // No form of ours has so many entries within entries: nobody typed this.
            return (self.blank(), true);
        }
        let asked = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if let Some(list) = asked("add") {
            let list = if list.starts_with('/') { format!("{PREFIX}{list}") } else { list.to_owned() };
            if let Some((must, Kind::List { least, most, .. })) = self.found(&list, &state) {
                let shown = show::first_rows(must, *least);
                if state.rows(&list).unwrap_or_else(|| shown.clone()).len() < *most {
                    state.add(&list, shown);
                }
            }
            return (state, true);
        }
        if let Some(entry) = asked("remove") {
            let entry = if entry.starts_with('/') { format!("{PREFIX}{entry}") } else { entry.to_owned() };
            state.remove(&entry);
            return (state, true);
        }
        (state, asked("turn").is_some())
    }

    /// The kind of the field of a name, and whether it has to be there.
    fn found(&self, name: &str, state: &State) -> Option<(bool, &Kind)> {
        fn walk<'a>(field: &'a Field, at: &str, must: bool, name: &str, state: &State) -> Option<(bool, &'a Kind)> {
            if at == name && !matches!(field.kind, Kind::Variants(_)) {
                return Some((must, &field.kind));
            }
            if at != name && !name.starts_with(&format!("{at}/")) {
                return None;
            }
            match &field.kind {
                Kind::Object(fields) => fields
                    .iter()
                    .find_map(|field| walk(field, &within(at, &field.key), must && field.required, name, state)),
                Kind::List { item, .. } => {
                    let rows = state.rows(at).unwrap_or_default();
                    rows.iter().find_map(|row| walk(item, &format!("{at}/{row}"), false, name, state))
                }
                Kind::Variants(shapes) => {
                    let chosen: usize = state.get(&format!("{at}#shape"))?.parse().ok()?;
                    walk(shapes.get(chosen)?, at, must, name, state)
                }
                _ => None,
            }
        }
        walk(&self.root, PREFIX, true, name, state)
    }

    /// The parameters that stand in the fields. `known` are those of what stands, where something does: a secret that is left empty
    /// stays as it is.
    pub fn read(&self, state: &State, known: Option<&Map<String, Value>>) -> Read {
        let known = known.map(|known| Value::Object(known.clone()));
        let (value, reading) = sent::whole(&self.root, PREFIX, state, known.as_ref());
        let mut faults = reading.wrong;
        let value = match value {
            Some(Value::Object(value)) => value,
            None => Map::new(),
            Some(_) => {
                faults
                    .push((PREFIX.to_owned(), "Parameters are an object: write them as {\"name\": value}".to_owned()));
                Map::new()
            }
        };
        Read { value, faults: Faults::new(faults), places: reading.places }
    }

    /// The parameters with each secret replaced by a word for it.
    pub fn masked(&self, value: &Map<String, Value>) -> Map<String, Value> {
        match masked(&self.root, &Value::Object(value.clone())) {
            Value::Object(value) => value,
            _ => Map::new(),
        }
    }

    /// What instances it asks for.
    pub fn wanted(&self) -> Vec<&Wanted> {
        let mut found = Vec::new();
        self.root.wanted(&mut found);
        found
    }

    /// Whether there is nothing to fill in.
    pub fn is_empty(&self) -> bool {
        matches!(&self.root.kind, Kind::Object(fields) if fields.is_empty())
    }

    /// What a parameter is called.
    pub fn title(&self, key: &str) -> Option<&str> {
        self.top(key).map(|field| field.title.as_str())
    }

    /// Whether a parameter holds anything that is never shown.
    pub fn hides(&self, key: &str) -> bool {
        self.top(key).map_or(self.root.hides(), Field::hides)
    }

    /// The parameters that it has fields for; none where all of them are one text.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let fields = match &self.root.kind {
            Kind::Object(fields) => fields.as_slice(),
            _ => &[],
        };
        fields.iter().map(|field| field.key.as_str())
    }

    /// What is sent of a parameter that stands and was emptied: nothing (`null`), no entries, no text; `None` where nothing of that kind
    /// may be said.
    pub fn cleared(&self, key: &str) -> Option<Value> {
        let field = self.top(key)?;
        match &field.kind {
            _ if field.nullable => Some(Value::Null),
            Kind::List { least: 0, .. } => Some(Value::Array(Vec::new())),
            Kind::Text { .. } => Some(Value::String(String::new())),
            _ => None,
        }
    }

    fn top(&self, key: &str) -> Option<&Field> {
        match &self.root.kind {
            Kind::Object(fields) => fields.iter().find(|field| field.key == key),
            _ => None,
        }
    }
}

/// A value as people write it.
pub fn in_words(value: &Value) -> String {
    words::value(value)
}

/// Marks what operators said something about.
fn say(field: &mut Field, values: &Map<String, Value>, said: Said) {
    let Kind::Object(fields) = &mut field.kind else { return };
    for (key, value) in values {
        match fields.iter_mut().find(|field| field.key == *key) {
            Some(inner) => match (value, &inner.kind) {
                (Value::Object(more), Kind::Object(_)) => {
                    say(inner, more, said);
                    inner.required &= said != Said::Forced;
                }
                _ => {
                    inner.said = said;
                    inner.required = false;
                    if said == Said::Forced {
                        inner.kind = Kind::Fixed(value.clone());
                    }
                }
            },
            None if said == Said::Forced => fields.push(Field {
                key: key.clone(),
                title: words::humane(key),
                hint: String::new(),
                required: false,
                nullable: false,
                secret: false,
                default: None,
                said,
                kind: Kind::Fixed(value.clone()),
            }),
            None => {}
        }
    }
}

fn masked(field: &Field, value: &Value) -> Value {
    if field.secret {
        return Value::from(format!("<{}>", if field.key.is_empty() { "secret" } else { &field.key }));
    }
    match (&field.kind, value) {
        (Kind::Object(fields), Value::Object(members)) => {
            let one = |(key, value): (&String, &Value)| {
                let field = fields.iter().find(|field| field.key == *key);
                (key.clone(), field.map_or_else(|| value.clone(), |field| masked(field, value)))
            };
            Value::Object(members.iter().map(one).collect())
        }
        (Kind::List { item, .. }, Value::Array(items)) => items.iter().map(|value| masked(item, value)).collect(),
        (Kind::Variants(shapes), value) => shapes.iter().fold(value.clone(), |value, shape| masked(shape, &value)),
        // What is not as the schema says may hold anything.
        (Kind::Object(_) | Kind::List { .. }, _) if field.hides() => Value::from("<secret>"),
        (_, value) => value.clone(),
    }
}
