//! What a form is made of: a tree of fields, one for each place of the parameters that its schema names.

use serde_json::Value;

use super::state::State;
use crate::domain::reference::Wanted;

/// A place in the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in the object that it is in; empty for the parameters themselves, and for what a list or a choice is made of.
    pub key: String,
    /// What it is called.
    pub title: String,
    /// What belongs there.
    pub hint: String,
    /// Whether the object that it is in has to have it.
    pub required: bool,
    /// Whether `null` may stand there.
    pub nullable: bool,
    /// Whether it is never shown again.
    pub secret: bool,
    /// What counts where it is left out.
    pub default: Option<Value>,
    /// What operators say about it.
    pub said: Said,
    /// What it takes.
    pub kind: Kind,
}

/// What operators say about a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// They filled it in.
    Preset,
    /// It is so, whatever anybody sends.
    Forced,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A text; a long one has several lines.
    Text {
        /// Several lines.
        long: bool,
    },
    /// A number, a whole one or any.
    Number {
        /// Without a fraction.
        whole: bool,
    },
    /// One of several values, each with what it is called.
    Choice(Vec<(Value, String)>),
    /// This, and nothing else.
    Fixed(Value),
    /// The name of an instance.
    Reference(Wanted),
    /// Fields of its own.
    Object(Vec<Field>),
    /// Any number of the same.
    List {
        /// Of that.
        item: Box<Field>,
        /// Entries that are there from the first.
        least: usize,
        /// Entries at most.
        most: usize,
    },
    /// One of several shapes, each called by its field's title.
    Variants(Vec<Field>),
    /// Anything, written as JSON; and why.
    Json(Why),
}

/// Why something is written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no schema, or it does not say what belongs there.
    Free,
    /// The schema says it in a way that this form has no fields for.
    Unknown,
    /// It is too deep or too large for fields.
    Large,
}

impl Why {
    /// For whoever fills it in.
    pub fn words(self) -> &'static str {
        match self {
            Self::Free => "Its provider does not say what belongs here. Write it as JSON.",
            Self::Unknown => "Its provider describes this in a way that the form has no fields for. Write it as JSON.",
            Self::Large => "This has too many parts for a form. Write it as JSON.",
        }
    }
}

/// Options that take as much of a page as a field does.
const OPTIONS_OF_ONE: usize = 16;

impl Field {
    /// Whether anything in it is never shown again.
    pub fn hides(&self) -> bool {
        self.secret
            || match &self.kind {
                Kind::Object(fields) | Kind::Variants(fields) => fields.iter().any(Self::hides),
                Kind::List { item, .. } => item.hides(),
                _ => false,
            }
    }

    /// Whether it is shown by no more fields than there is room for, which becomes less by them.
    pub(super) fn fits(&self, name: &str, state: &State, room: &mut usize) -> bool {
        let options = if let Kind::Choice(options) = &self.kind { options.len() } else { 0 };
        let Some(left) = room.checked_sub(1 + options / OPTIONS_OF_ONE) else { return false };
        *room = left;
        match &self.kind {
            Kind::Object(fields) => fields.iter().all(|field| field.fits(&within(name, &field.key), state, room)),
            Kind::List { item, .. } => {
                let rows = state.rows(name).unwrap_or_default();
                rows.iter().all(|row| item.fits(&format!("{name}/{row}"), state, room))
            }
            Kind::Variants(shapes) => {
                let chosen = state.get(&format!("{name}#shape")).and_then(|chosen| chosen.parse::<usize>().ok());
                chosen.and_then(|chosen| shapes.get(chosen)).is_none_or(|shape| shape.fits(name, state, room))
            }
            _ => true,
        }
    }

    /// What its instances may be, everywhere in it.
    pub fn wanted<'a>(&'a self, found: &mut Vec<&'a Wanted>) {
        match &self.kind {
            Kind::Reference(wanted) if !found.contains(&wanted) => found.push(wanted),
            Kind::Object(fields) | Kind::Variants(fields) => fields.iter().for_each(|field| field.wanted(found)),
            Kind::List { item, .. } => item.wanted(found),
            _ => {}
        }
    }
}

/// The name of a field within another one: as in a JSON pointer, `#` kept free for what belongs to a field besides its value.
pub fn within(name: &str, key: &str) -> String {
    format!("{name}/{}", key.replace('~', "~0").replace('/', "~1").replace('#', "~2"))
}

/// The pointer (RFC 6901) of a member.
pub fn member(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The id of a name in a page: whatever may not stand in one is written in hexadecimal.
pub fn id(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.') {
            id.push(char::from(byte));
        } else {
            id.push_str(&format!(":{byte:02x}"));
        }
    }
    id
}
