//! From typed requests to what travels: method, path, query and bytes, made once.
//!
//! Ids and query values are percent-encoded here, so that any string arrives as it was. It reads no headers and decides
//! nothing.

use bytes::Bytes;
use serde::Serialize;

use crate::wire::encode;
use crate::{
    BindRequest, BindingOperationRequest, DeprovisionRequest, FetchBindingRequest, FetchInstanceRequest,
    InstanceOperationRequest, ProvisionRequest, UnbindRequest, UpdateRequest, WireRequest,
};

/// The request for the catalog, which has no fields.
pub fn catalog() -> WireRequest {
    Target::new("/v2/catalog".to_owned()).without_body("GET")
}

/// A path and a query that grows.
struct Target(String);

impl Target {
    fn new(path: String) -> Self {
        Self(path)
    }

    fn instance(instance_id: &str) -> Self {
        Self(format!("/v2/service_instances/{}", encode(instance_id)))
    }

    fn binding(instance_id: &str, binding_id: &str) -> Self {
        Self(format!("/v2/service_instances/{}/service_bindings/{}", encode(instance_id), encode(binding_id)))
    }

    fn last_operation(self) -> Self {
        Self(self.0 + "/last_operation")
    }

    fn query(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encode(value));
        self
    }

    /// A hint that is left out where it is empty (LOI-03, GSI-02).
    fn hint(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.query(name, value),
            _ => self,
        }
    }

    fn accepts_incomplete(self, accepts: bool) -> Self {
        if accepts { self.query("accepts_incomplete", "true") } else { self }
    }

    fn without_body(self, method: &str) -> WireRequest {
        WireRequest { method: method.to_owned(), path_and_query: self.0, body: Bytes::new() }
    }

    fn with_body(self, method: &str, body: &impl Serialize) -> WireRequest {
        // JSON values under string keys always serialize.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        WireRequest { method: method.to_owned(), path_and_query: self.0, body }
    }
}

impl From<&ProvisionRequest> for WireRequest {
    fn from(request: &ProvisionRequest) -> Self {
        Target::instance(&request.instance_id).accepts_incomplete(request.accepts_incomplete).with_body("PUT", request)
    }
}

impl From<&UpdateRequest> for WireRequest {
    fn from(request: &UpdateRequest) -> Self {
        Target::instance(&request.instance_id)
            .accepts_incomplete(request.accepts_incomplete)
            .with_body("PATCH", request)
    }
}

impl From<&DeprovisionRequest> for WireRequest {
    fn from(request: &DeprovisionRequest) -> Self {
        Target::instance(&request.instance_id)
            .query("service_id", &request.service_id)
            .query("plan_id", &request.plan_id)
            .accepts_incomplete(request.accepts_incomplete)
            .without_body("DELETE")
    }
}

impl From<&FetchInstanceRequest> for WireRequest {
    fn from(request: &FetchInstanceRequest) -> Self {
        Target::instance(&request.instance_id)
            .hint("service_id", request.service_id.as_deref())
            .hint("plan_id", request.plan_id.as_deref())
            .without_body("GET")
    }
}

impl From<&InstanceOperationRequest> for WireRequest {
    fn from(request: &InstanceOperationRequest) -> Self {
        Target::instance(&request.instance_id)
            .last_operation()
            .hint("service_id", request.service_id.as_deref())
            .hint("plan_id", request.plan_id.as_deref())
            .hint("operation", request.operation.as_deref())
            .without_body("GET")
    }
}

impl From<&BindRequest> for WireRequest {
    fn from(request: &BindRequest) -> Self {
        Target::binding(&request.instance_id, &request.binding_id)
            .accepts_incomplete(request.accepts_incomplete)
            .with_body("PUT", request)
    }
}

impl From<&UnbindRequest> for WireRequest {
    fn from(request: &UnbindRequest) -> Self {
        Target::binding(&request.instance_id, &request.binding_id)
            .query("service_id", &request.service_id)
            .query("plan_id", &request.plan_id)
            .accepts_incomplete(request.accepts_incomplete)
            .without_body("DELETE")
    }
}

impl From<&FetchBindingRequest> for WireRequest {
    fn from(request: &FetchBindingRequest) -> Self {
        Target::binding(&request.instance_id, &request.binding_id)
            .hint("service_id", request.service_id.as_deref())
            .hint("plan_id", request.plan_id.as_deref())
            .without_body("GET")
    }
}

impl From<&BindingOperationRequest> for WireRequest {
    fn from(request: &BindingOperationRequest) -> Self {
        Target::binding(&request.instance_id, &request.binding_id)
            .last_operation()
            .hint("service_id", request.service_id.as_deref())
            .hint("plan_id", request.plan_id.as_deref())
            .hint("operation", request.operation.as_deref())
            .without_body("GET")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: impl Into<WireRequest>, method: &str, path_and_query: &str, body: &str) {
        let request = request.into();
        assert_eq!((request.method.as_str(), request.path_and_query.as_str()), (method, path_and_query));
        assert_eq!(request.body, body);
    }

    #[test]
    fn url_01_ids_and_values_are_percent_encoded() {
        let request = UnbindRequest {
            instance_id: "a%2Fb c".into(),
            binding_id: "ü?#".into(),
            service_id: "s&x=1".into(),
            plan_id: "p+".into(),
            accepts_incomplete: true,
        };
        let path = "/v2/service_instances/a%252Fb%20c/service_bindings/%C3%BC%3F%23\
                    ?service_id=s%26x%3D1&plan_id=p%2B&accepts_incomplete=true";
        check(&request, "DELETE", path, "");
    }

    #[test]
    fn loi_03_an_empty_operation_is_not_sent() {
        let mut request = InstanceOperationRequest { instance_id: "i".into(), ..Default::default() };
        request.operation = Some(String::new());
        check(&request, "GET", "/v2/service_instances/i/last_operation", "");
        request.operation = Some("a b&c=d/é+%".into());
        let path = "/v2/service_instances/i/last_operation?operation=a%20b%26c%3Dd%2F%C3%A9%2B%25";
        check(&request, "GET", path, "");
    }

    #[test]
    fn accepts_incomplete_is_sent_only_where_it_is_true() {
        let mut request = UpdateRequest { instance_id: "i".into(), service_id: "s".into(), ..Default::default() };
        check(&request, "PATCH", "/v2/service_instances/i", r#"{"service_id":"s"}"#);
        request.accepts_incomplete = true;
        check(&request, "PATCH", "/v2/service_instances/i?accepts_incomplete=true", r#"{"service_id":"s"}"#);
    }
}
