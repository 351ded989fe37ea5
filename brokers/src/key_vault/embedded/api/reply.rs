//! Answers in Vault's shapes.
//!
//! Invariant: an error body holds sentences of this module or of the pure ones below, never what was sent.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::key_vault::embedded::store::StoreError;

/// A status and a body.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Option<Value>,
}

/// What refuses or fails is an answer, too.
pub(super) type Answered = Result<Reply, Reply>;

fn envelope(data: Value, auth: Value) -> Value {
    json!({
        "request_id": uuid::Uuid::new_v4().to_string(),
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": data,
        "wrap_info": null,
        "warnings": null,
        "auth": auth,
    })
}

impl Reply {
    /// 200 with data.
    pub(super) fn data(data: Value) -> Self {
        Self::data_with(200, data)
    }

    /// Another status with data.
    pub(super) fn data_with(status: u16, data: Value) -> Self {
        Self { status, body: Some(envelope(data, Value::Null)) }
    }

    /// 200 with what a login gives.
    pub(super) fn auth(auth: Value) -> Self {
        Self { status: 200, body: Some(envelope(Value::Null, auth)) }
    }

    /// A body as it is.
    pub(super) fn plain(status: u16, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    /// 204.
    pub(super) fn empty() -> Self {
        Self { status: 204, body: None }
    }

    /// An error with a sentence.
    pub(super) fn error(status: u16, sentence: impl std::fmt::Display) -> Self {
        Self { status, body: Some(json!({"errors": [sentence.to_string()]})) }
    }

    /// 400.
    pub(super) fn bad(sentence: impl std::fmt::Display) -> Self {
        Self::error(400, sentence)
    }

    /// 403.
    pub(super) fn denied() -> Self {
        Self::error(403, "permission denied")
    }

    /// 404 without a sentence, as Vault says that there is nothing.
    pub(super) fn nothing() -> Self {
        Self { status: 404, body: Some(json!({"errors": []})) }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header(("Cache-Control", "no-store"));
        match self.body {
            None => response.finish(),
            Some(body) => response.json(body),
        }
    }
}

impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            return Self::error(503, "the vault is busy: try again later");
        }
        if let StoreError::OutOfRoom(_) = &error {
            return Self::error(507, error);
        }
        if let StoreError::Cipher(refused) = &error {
            return Self::bad(refused);
        }
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "a vault's request failed");
        Self::error(500, "internal error")
    }
}
