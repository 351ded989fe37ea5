//! A request of the suite, right or wrong: any method, path, header and body, so that wrong ones can be sent too.
//!
//! It knows what is being asked ([`Endpoint`]), since what may be answered depends on it; it sends nothing.

use serde_json::Value;
use uuid::Uuid;

use crate::wire::encode;

/// What is asked for, of the ten that OSB has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Catalog,
    Provision,
    FetchInstance,
    InstanceOperation,
    Update,
    Deprovision,
    Bind,
    FetchBinding,
    BindingOperation,
    Unbind,
    /// A path or method that OSB doesn't have.
    Elsewhere,
}

impl Endpoint {
    /// All that OSB has.
    pub(super) const ALL: [Self; 10] = [
        Self::Catalog,
        Self::Provision,
        Self::FetchInstance,
        Self::InstanceOperation,
        Self::Update,
        Self::Deprovision,
        Self::Bind,
        Self::FetchBinding,
        Self::BindingOperation,
        Self::Unbind,
    ];

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Provision | Self::Bind => "PUT",
            Self::Update => "PATCH",
            Self::Deprovision | Self::Unbind => "DELETE",
            _ => "GET",
        }
    }

    pub(super) fn path(self, instance: &str, binding: &str) -> String {
        let instance = format!("/v2/service_instances/{}", encode(instance));
        let binding = format!("{instance}/service_bindings/{}", encode(binding));
        match self {
            Self::Catalog | Self::Elsewhere => "/v2/catalog".to_owned(),
            Self::Provision | Self::FetchInstance | Self::Update | Self::Deprovision => instance,
            Self::InstanceOperation => format!("{instance}/last_operation"),
            Self::Bind | Self::FetchBinding | Self::Unbind => binding,
            Self::BindingOperation => format!("{binding}/last_operation"),
        }
    }

    /// Whether it changes something, so that it may be answered 202.
    pub(super) fn changes(self) -> bool {
        matches!(self, Self::Provision | Self::Update | Self::Deprovision | Self::Bind | Self::Unbind)
    }

    /// Whether its request has a body.
    pub(super) fn has_body(self) -> bool {
        matches!(self, Self::Provision | Self::Update | Self::Bind)
    }
}

/// Who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The platform that the suite was given credentials for.
    Known,
    /// Somebody with that value in `Authorization`, or without one.
    Other(Option<String>),
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// The instance that it is about; empty for the catalog.
    pub(super) instance: String,
    /// The binding that it is about; empty where there is none.
    pub(super) binding: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) who: Who,
}

impl Request {
    /// A request with the headers that each request has: API version, request identity, content type.
    pub(super) fn new(endpoint: Endpoint, instance: &str, binding: &str) -> Self {
        let mut headers = vec![
            ("X-Broker-API-Version".to_owned(), crate::API_VERSION.to_owned()),
            ("X-Broker-API-Request-Identity".to_owned(), Uuid::new_v4().to_string()),
        ];
        if endpoint.has_body() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Self {
            endpoint,
            instance: instance.to_owned(),
            binding: binding.to_owned(),
            method: endpoint.method(),
            path: endpoint.path(instance, binding),
            query: Vec::new(),
            headers,
            body: None,
            who: Who::Known,
        }
    }

    /// The catalog.
    pub(super) fn catalog() -> Self {
        Self::new(Endpoint::Catalog, "", "")
    }

    /// With that in the query.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without that in the query.
    pub(super) fn without_query(mut self, name: &str) -> Self {
        self.query.retain(|(key, _)| key != name);
        self
    }

    /// With `accepts_incomplete=true`.
    pub(super) fn polls(self) -> Self {
        self.query("accepts_incomplete", "true")
    }

    /// With that header in place of what it had.
    pub(super) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without_header(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    /// Without that header.
    pub(super) fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// With that body.
    pub(super) fn json(self, body: &Value) -> Self {
        self.raw(&body.to_string())
    }

    /// With that body, whatever it is.
    pub(super) fn raw(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// From somebody else.
    pub(super) fn from(mut self, authorization: Option<String>) -> Self {
        self.who = Who::Other(authorization);
        self
    }

    /// The plan that its body names.
    pub(super) fn plan_id(&self) -> Option<String> {
        let body: Value = serde_json::from_str(self.body.as_deref()?).ok()?;
        Some(body.get("plan_id")?.as_str()?.to_owned())
    }

    /// Whether it says that it can poll.
    pub(super) fn accepts_incomplete(&self) -> bool {
        self.query.iter().any(|(name, value)| name == "accepts_incomplete" && value == "true")
    }

    /// Path and query as they are sent.
    pub(super) fn target(&self) -> String {
        let mut target = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(&format!("{}={}", encode(name), encode(value)));
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_with_its_ids_encoded_once() {
        let request = Request::new(Endpoint::Unbind, "a/b", "c d").query("plan_id", "p&q").polls();
        let path = "/v2/service_instances/a%2Fb/service_bindings/c%20d?plan_id=p%26q&accepts_incomplete=true";
        assert_eq!((request.method, request.target().as_str()), ("DELETE", path));
        assert!(request.accepts_incomplete());
    }

    #[test]
    fn a_header_is_replaced_whatever_its_case() {
        let request = Request::catalog().header("x-broker-api-version", "3.0");
        let versions: Vec<_> =
            request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("X-Broker-API-Version")).collect();
        assert_eq!(versions.len(), 1);
        assert_eq!(request.without_header("X-BROKER-API-VERSION").headers.len(), 1);
    }
}
