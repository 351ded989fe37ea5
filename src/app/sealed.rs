//! What is kept sealed about instances, bindings and operations, each in its own place, and the bytes to send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{App, Error};
use crate::domain::instance::InstanceAttributes;
use crate::secret;
use crate::store::instances::InstanceRow;

/// A request to a backend as it is kept with its intent: made once, sent any number of times under a new stamp.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::app) struct StoredRequest {
    /// The layout's version.
    pub(in crate::app) version: u8,
    method: String,
    path_and_query: String,
    body: String,
    /// `X-Broker-API-Originating-Identity`, word for word; absent for what the hub does by itself.
    pub(in crate::app) originating_identity: Option<String>,
    /// `X-Broker-API-Request-Identity`.
    pub(in crate::app) request_identity: String,
    /// The hubs that the order came through before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::app) via: Vec<String>,
}

impl StoredRequest {
    /// Keeps a request.
    pub(in crate::app) fn new(
        request: &osb::WireRequest,
        originating_identity: Option<String>,
        request_identity: String,
        via: Vec<String>,
    ) -> Self {
        Self {
            version: 1,
            method: request.method.clone(),
            path_and_query: request.path_and_query.clone(),
            body: STANDARD.encode(&request.body),
            originating_identity,
            request_identity,
            via,
        }
    }

    /// The request as it is sent.
    pub(in crate::app) fn wire(&self) -> Result<osb::WireRequest, Error> {
        let body = STANDARD.decode(&self.body).map_err(|_| secret::Error::Open("a stored request".into()))?;
        Ok(osb::WireRequest {
            method: self.method.clone(),
            path_and_query: self.path_and_query.clone(),
            body: body.into(),
        })
    }
}

impl App {
    /// Seals a value for a place such as `operations/{id}/request`.
    pub(in crate::app) fn seal<T: Serialize>(&self, place: &str, value: &T) -> Result<Vec<u8>, Error> {
        let plain = serde_json::to_vec(value).map_err(|_| secret::Error::Open(place.to_owned()))?;
        Ok(self.sealer().seal(place, &plain)?)
    }

    /// Opens what [`App::seal`] sealed for the same place.
    pub(in crate::app) fn open<T: DeserializeOwned>(&self, place: &str, sealed: &[u8]) -> Result<T, Error> {
        let plain = self.sealer().open(place, sealed)?;
        Ok(serde_json::from_slice(&plain).map_err(|_| secret::Error::Open(place.to_owned()))?)
    }

    /// What an instance was ordered with, as it stands now.
    pub(in crate::app) fn attributes_of(&self, row: &InstanceRow) -> Result<InstanceAttributes, Error> {
        self.open(&instance_attributes(&row.id), &row.attributes)
    }
}

/// Where the attributes of an instance are sealed.
pub(in crate::app) fn instance_attributes(id: &str) -> String {
    format!("instances/{id}/attributes")
}

/// Where the attributes of a binding are sealed.
pub(in crate::app) fn binding_attributes(id: &str) -> String {
    format!("bindings/{id}/attributes")
}

/// Where the answer to a bind is sealed.
pub(in crate::app) fn binding_answer(id: &str) -> String {
    format!("bindings/{id}/answer")
}

/// Where the request of an operation is sealed.
pub(in crate::app) fn operation_request(id: &str) -> String {
    format!("operations/{id}/request")
}

/// Where the target of an update is sealed.
pub(in crate::app) fn operation_target(id: &str) -> String {
    format!("operations/{id}/target")
}

/// An OSB error as it is kept with an operation.
#[derive(Debug, Serialize, Deserialize)]
struct StoredError {
    status: u16,
    retry_after_seconds: Option<u64>,
    body: osb::error::ErrorBody,
}

/// An OSB error as text.
pub(in crate::app) fn error_to_text(error: &osb::Error) -> String {
    let stored = StoredError {
        status: error.status,
        retry_after_seconds: error.retry_after_seconds,
        body: (*error.body).clone(),
    };
    serde_json::to_string(&stored).unwrap_or_default()
}

/// An OSB error from text; one that can't be read is a 500.
pub(in crate::app) fn error_from_text(text: Option<&str>) -> osb::Error {
    match text.and_then(|text| serde_json::from_str::<StoredError>(text).ok()) {
        Some(stored) => osb::Error {
            status: stored.status,
            body: Box::new(stored.body),
            retry_after_seconds: stored.retry_after_seconds,
        },
        None => osb::Error::internal("the operation failed and its reason is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_request_gives_back_the_same_bytes() {
        let wire = osb::WireRequest {
            method: "PUT".into(),
            path_and_query: "/v2/service_instances/a%2Fb?accepts_incomplete=true".into(),
            body: bytes::Bytes::from_static(b"{\"a\": 99.0}"),
        };
        let stored = StoredRequest::new(&wire, None, "r".into(), Vec::new());
        let json = serde_json::to_string(&stored).unwrap();
        let read: StoredRequest = serde_json::from_str(&json).unwrap();
        assert_eq!(read.wire().unwrap(), wire);
    }

    #[test]
    fn an_error_is_kept_whole() {
        let mut error = osb::Error::unavailable("down", 7);
        error.body.instance_usable = osb::Maybe::Present(false);
        assert_eq!(error_from_text(Some(&error_to_text(&error))), error);
        assert_eq!(error_from_text(None).status, 500);
    }
}
