//! What a route is: method, path, who may, and what goes in and out. The table of all of them is in [`super::routes`].

use actix_web::http;
use utoipa::ToSchema;

use super::openapi::{SchemaOf, schema_of};
use crate::domain::permission::Permission;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or acts.
    Post,
    /// Creates or replaces.
    Put,
    /// Changes a part.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    pub(in crate::http) fn http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    /// Who may.
    pub permission: Permission,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The query parameters it knows.
    pub query: &'static [&'static str],
    /// The body it takes.
    pub body: Option<SchemaOf>,
    /// The statuses of success.
    pub statuses: &'static [u16],
    /// What it answers.
    pub answer: Answer,
    pub(in crate::http) handler: fn() -> actix_web::Route,
}

/// What a route answers when it succeeds.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// No body.
    Nothing,
    /// Something that is no JSON, or is described elsewhere.
    Other,
    /// One of these.
    One(SchemaOf),
    /// A page of these.
    Page(SchemaOf),
}

impl Route {
    pub(in crate::http) const fn new(
        method: Method,
        path: &'static str,
        permission: Permission,
        summary: &'static str,
        handler: fn() -> actix_web::Route,
    ) -> Self {
        let (query, body, statuses, answer): (&[&str], _, &[u16], _) = (&[], None, &[200], Answer::Other);
        Self { method, path, permission, summary, query, body, statuses, answer, handler }
    }

    /// It takes a body.
    pub(in crate::http) const fn takes<T: ToSchema>(self) -> Self {
        Self { body: Some(schema_of::<T>), ..self }
    }

    /// It answers 200 with one of these.
    pub(in crate::http) const fn gives<T: ToSchema>(self) -> Self {
        Self { answer: Answer::One(schema_of::<T>), ..self }
    }

    /// It answers with other statuses than 200.
    pub(in crate::http) const fn with(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    /// It knows these query parameters.
    pub(in crate::http) const fn asks(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// It answers 204.
    pub(in crate::http) const fn nothing(self) -> Self {
        Self { answer: Answer::Nothing, statuses: &[204], ..self }
    }

    /// It answers a page of these, filtered by these query parameters besides `limit` and `cursor`.
    pub(in crate::http) const fn pages<T: ToSchema>(self, filters: &'static [&'static str]) -> Self {
        Self { answer: Answer::Page(schema_of::<T>), query: filters, ..self }
    }
}
