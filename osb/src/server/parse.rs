//! From ids, query and body to typed requests.
//!
//! A body is looked at twice: once as plain JSON, to name the field that is wrong, and once as the typed request. What OSB
//! does not name is kept. It knows no catalog: whether an id exists is the broker's business.

use std::collections::HashMap;

use actix_web::HttpRequest;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Limits, route};
use crate::{
    BindRequest, BindingOperationRequest, DeprovisionRequest, Error, FetchBindingRequest, FetchInstanceRequest,
    InstanceOperationRequest, Object, ProvisionRequest, UnbindRequest, UpdateRequest, wire,
};

/// A request taken apart, its body not yet read.
pub(super) struct Input {
    instance_id: String,
    binding_id: String,
    query: HashMap<String, String>,
    content_types: Vec<String>,
    json_depth: usize,
    body: Bytes,
}

impl Input {
    pub(super) fn read(limits: &Limits, request: &HttpRequest, body: Bytes) -> Result<Self, Error> {
        let (instance_id, binding_id) = route::ids(request)?;
        let content_types = request
            .headers()
            .get_all("content-type")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let query = query(request.uri().query().unwrap_or_default())?;
        Ok(Self { instance_id, binding_id, query, content_types, json_depth: limits.json_depth, body })
    }

    pub(super) fn provision(self) -> Result<ProvisionRequest, Error> {
        let body = self.object()?;
        for name in ["service_id", "plan_id", "organization_guid", "space_guid"] {
            required_string(&body, name)?;
        }
        optional_objects(&body, &["context", "parameters", "maintenance_info"])?;
        let request: ProvisionRequest = self.typed()?;
        let accepts_incomplete = self.accepts_incomplete();
        Ok(ProvisionRequest { instance_id: self.instance_id, accepts_incomplete, ..request })
    }

    pub(super) fn update(self) -> Result<UpdateRequest, Error> {
        let body = self.object()?;
        required_string(&body, "service_id")?;
        optional_string(&body, "plan_id")?;
        optional_objects(&body, &["context", "parameters", "previous_values", "maintenance_info"])?;
        let request: UpdateRequest = self.typed()?;
        let accepts_incomplete = self.accepts_incomplete();
        Ok(UpdateRequest { instance_id: self.instance_id, accepts_incomplete, ..request })
    }

    /// ROT-01: a rotation names its predecessor and may leave out offering and plan.
    pub(super) fn bind(self) -> Result<BindRequest, Error> {
        let body = self.object()?;
        optional_string(&body, "predecessor_binding_id")?;
        let rotation = body.get("predecessor_binding_id").is_some_and(Value::is_string);
        for name in ["service_id", "plan_id"] {
            if rotation {
                optional_string(&body, name)?;
            } else {
                required_string(&body, name)?;
            }
        }
        optional_objects(&body, &["context", "parameters", "bind_resource"])?;
        let request: BindRequest = self.typed()?;
        let accepts_incomplete = self.accepts_incomplete();
        Ok(BindRequest { instance_id: self.instance_id, binding_id: self.binding_id, accepts_incomplete, ..request })
    }

    pub(super) fn deprovision(self) -> Result<DeprovisionRequest, Error> {
        Ok(DeprovisionRequest {
            service_id: self.required_query("service_id")?,
            plan_id: self.required_query("plan_id")?,
            accepts_incomplete: self.accepts_incomplete(),
            instance_id: self.instance_id,
        })
    }

    pub(super) fn unbind(self) -> Result<UnbindRequest, Error> {
        Ok(UnbindRequest {
            service_id: self.required_query("service_id")?,
            plan_id: self.required_query("plan_id")?,
            accepts_incomplete: self.accepts_incomplete(),
            instance_id: self.instance_id,
            binding_id: self.binding_id,
        })
    }

    pub(super) fn fetch_instance(self) -> FetchInstanceRequest {
        FetchInstanceRequest {
            service_id: self.hint("service_id"),
            plan_id: self.hint("plan_id"),
            instance_id: self.instance_id,
        }
    }

    pub(super) fn fetch_binding(self) -> FetchBindingRequest {
        FetchBindingRequest {
            service_id: self.hint("service_id"),
            plan_id: self.hint("plan_id"),
            instance_id: self.instance_id,
            binding_id: self.binding_id,
        }
    }

    pub(super) fn instance_operation(self) -> InstanceOperationRequest {
        InstanceOperationRequest {
            service_id: self.hint("service_id"),
            plan_id: self.hint("plan_id"),
            operation: self.hint("operation"),
            instance_id: self.instance_id,
        }
    }

    pub(super) fn binding_operation(self) -> BindingOperationRequest {
        BindingOperationRequest {
            service_id: self.hint("service_id"),
            plan_id: self.hint("plan_id"),
            operation: self.hint("operation"),
            instance_id: self.instance_id,
            binding_id: self.binding_id,
        }
    }

    /// AMB-12: exactly `true` counts.
    fn accepts_incomplete(&self) -> bool {
        self.query.get("accepts_incomplete").is_some_and(|value| value == "true")
    }

    /// AMB-14: an empty value counts as absent.
    fn hint(&self, name: &str) -> Option<String> {
        self.query.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn required_query(&self, name: &str) -> Result<String, Error> {
        self.hint(name).ok_or_else(|| Error::bad_request(format!("the query parameter `{name}` is required")))
    }

    fn object(&self) -> Result<Object, Error> {
        self.content_type()?;
        if self.body.is_empty() {
            return Err(Error::bad_request("a body is required: a JSON object"));
        }
        depth_within(&self.body, self.json_depth)?;
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Error::bad_request("the body must be a JSON object")),
            Err(error) => Err(Error::bad_request(format!("the body is not JSON: {error}"))),
        }
    }

    fn typed<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::bad_request(format!("the body is malformed: {}", wire::form_error(&error))))
    }

    /// CT-02: a missing content type is fine, another one is not.
    fn content_type(&self) -> Result<(), Error> {
        match self.content_types.as_slice() {
            [] => Ok(()),
            [one] if one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") => {
                Ok(())
            }
            [_] => Err(Error::bad_request("the content type must be application/json")),
            _ => Err(Error::bad_request("there must be one content type")),
        }
    }
}

/// AMB-10: of several values of one name the first counts. A plus is a space, as in forms.
fn query(raw: &str) -> Result<HashMap<String, String>, Error> {
    let mut query = HashMap::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| wire::decode(&text.replace('+', " "));
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            return Err(Error::bad_request("the query is not percent-encoded UTF-8"));
        };
        query.entry(name).or_insert(value);
    }
    Ok(query)
}

fn required_string(body: &Object, name: &str) -> Result<(), Error> {
    match body.get(name) {
        Some(Value::String(value)) if !value.is_empty() => Ok(()),
        None => Err(Error::bad_request(format!("`{name}` is required"))),
        Some(_) => Err(Error::bad_request(format!("`{name}` must be a non-empty string"))),
    }
}

fn optional_string(body: &Object, name: &str) -> Result<(), Error> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => required_string(body, name),
    }
}

fn optional_objects(body: &Object, names: &[&str]) -> Result<(), Error> {
    for name in names {
        if !matches!(body.get(*name), None | Some(Value::Null | Value::Object(_))) {
            return Err(Error::bad_request(format!("`{name}` must be a JSON object")));
        }
    }
    Ok(())
}

fn depth_within(body: &[u8], limit: usize) -> Result<(), Error> {
    if wire::nests_within(body, limit) {
        return Ok(());
    }
    Err(Error::bad_request(format!("the body nests deeper than {limit} levels")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count_as_depth() {
        assert!(depth_within(br#"{"a":["[[[[","\"[[["]}"#, 2).is_ok());
        assert!(depth_within(b"[[[", 2).is_err());
    }

    #[test]
    fn amb_10_the_first_of_several_values_counts() {
        let query = query("a=1&a=2&b=x+y%2Bz&c&&=d").unwrap();
        assert_eq!(query["a"], "1");
        assert_eq!(query["b"], "x y+z");
        assert_eq!(query["c"], "");
    }
}
