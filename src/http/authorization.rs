//! `docs/authorization.txt`: every route and what each kind of caller may do with it, made from [`ROUTES`] and
//! [`Permission::grants`]. A test compares it with the file and tries each cell over HTTP.

use std::fmt::Write as _;

use super::portal::pages::PAGES;
use super::routes::{Permission, ROUTES};
use crate::domain::permission::Reach;
use crate::domain::role::Role;

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A person or service account with that role and no other.
    Role(Role),
    /// A person without a role.
    Person,
    /// A broker with credentials of its own.
    Broker,
    /// A platform.
    Platform,
    /// Somebody without credentials.
    Nobody,
}

impl Column {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [Self::Person, Self::Broker, Self::Platform, Self::Nobody];
        Role::ALL.into_iter().map(Self::Role).chain(others)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role(role) => role.as_str(),
            Self::Person => "person",
            Self::Broker => "broker",
            Self::Platform => "platform",
            Self::Nobody => "nobody",
        }
    }
}

/// How far somebody gets with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// With everything.
    All,
    /// With what is their own: of their brokers or tenants, or naming them.
    Own,
    /// With what names them.
    Named,
    /// Not at all: 403, without credentials 401.
    No,
}

impl Cell {
    /// What the rules say.
    pub fn of(permission: Permission, column: Column) -> Self {
        let role = match (permission, column) {
            (Permission::Open, _) | (_, Column::Role(Role::Administrator)) => return Self::All,
            (Permission::SignedIn, Column::Role(_) | Column::Person) => return Self::All,
            (Permission::Broker, Column::Broker) => return Self::Own,
            (_, Column::Broker | Column::Platform | Column::Nobody) => return Self::No,
            (_, Column::Person) => None,
            (_, Column::Role(role)) => Some(role),
        };
        let granted = permission.grants().iter().find(|(granted, _)| Some(*granted) == role);
        match granted {
            Some((_, Reach::All)) => Self::All,
            Some((_, Reach::OwnBrokers | Reach::OwnTenants)) => Self::Own,
            None if permission.by_name() => Self::Named,
            None => Self::No,
        }
    }

    /// Its word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Own => "own",
            Self::Named => "named",
            Self::No => "-",
        }
    }
}

const HEAD: &str = "\
Who may do what, by route and role. Made by `bourse authorization`; a test tries each cell.

all    everything
own    what is of their own brokers or tenants; the rest does not exist for them (404), or is forbidden where they see it (403)
named  what names them as approver
-      not at all: 403, without credentials 401

";

/// The table, with a line break at its end.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    let width = ROUTES.iter().chain(PAGES).map(|route| route.path.len()).max().unwrap_or_default();
    let mut line = format!("{:6} {:width$}", "", "");
    for column in Column::all() {
        // Writing to a String can't fail.
        write!(line, "  {}", column.as_str()).ok();
    }
    text.push_str(line.trim_end());
    text.push('\n');
    for route in ROUTES.iter().chain(PAGES) {
        let mut line = format!("{:6} {:width$}", route.method.as_str(), route.path);
        for column in Column::all() {
            let cell = Cell::of(route.permission, column).as_str();
            write!(line, "  {cell:length$}", length = column.as_str().len()).ok();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
