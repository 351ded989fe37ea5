//! From a path and a method to one of the ten endpoints.
//!
//! Ids are taken from the path as it was sent and decoded exactly once (URL-01): the router's own view of the path serves
//! only to tell where the mount ends.

use actix_web::HttpRequest;
use actix_web::http::Method;

use super::answer::Answer;
use super::parse::Input;
use crate::{Call, Error, ServiceBroker, wire};

/// The places under `/v2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Catalog,
    Instance,
    InstanceOperation,
    Binding,
    BindingOperation,
}

/// The ten endpoints of OSB.
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
}

impl Route {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Error> {
        let segments = segments(request);
        let route = match segments.as_slice() {
            ["catalog"] => Self::Catalog,
            ["service_instances", _] => Self::Instance,
            ["service_instances", _, "last_operation"] => Self::InstanceOperation,
            ["service_instances", _, "service_bindings", _] => Self::Binding,
            ["service_instances", _, "service_bindings", _, "last_operation"] => Self::BindingOperation,
            _ => return Err(nothing_here()),
        };
        Ok(route)
    }

    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Catalog | Self::InstanceOperation | Self::BindingOperation => "GET",
            Self::Instance => "GET, PUT, PATCH, DELETE",
            Self::Binding => "GET, PUT, DELETE",
        }
    }
}

pub(super) fn nothing_here() -> Error {
    Error::not_found("there is no such path in the Open Service Broker API")
}

/// Instance id and binding id, each empty where the path has none.
pub(super) fn ids(request: &HttpRequest) -> Result<(String, String), Error> {
    let segments = segments(request);
    let id = |place: usize, name: &str| match segments.get(place) {
        None => Ok(String::new()),
        Some(segment) => wire::decode(segment).filter(|id| !matches!(id.as_str(), "" | "." | "..")).ok_or_else(|| {
            Error::bad_request(format!(
                "the {name} in the path must be a non-empty string, percent-encoded, and neither `.` nor `..`"
            ))
        }),
    };
    Ok((id(1, "instance_id")?, id(3, "binding_id")?))
}

/// What follows `/v2/` in the path as it was sent. The router keeps `%2F` encoded, so its unmatched rest has as many
/// segments as the end of the raw path.
fn segments(request: &HttpRequest) -> Vec<&str> {
    let count = request.match_info().unprocessed().matches('/').count();
    let raw: Vec<&str> = request.uri().path().split('/').collect();
    let start = raw.len().saturating_sub(count);
    raw[start..].to_vec()
}

impl Endpoint {
    pub(super) fn of(method: &Method, route: Route) -> Option<Self> {
        Some(match (route, method.as_str()) {
            (Route::Catalog, "GET") => Self::Catalog,
            (Route::Instance, "GET") => Self::FetchInstance,
            (Route::Instance, "PUT") => Self::Provision,
            (Route::Instance, "PATCH") => Self::Update,
            (Route::Instance, "DELETE") => Self::Deprovision,
            (Route::InstanceOperation, "GET") => Self::InstanceOperation,
            (Route::Binding, "GET") => Self::FetchBinding,
            (Route::Binding, "PUT") => Self::Bind,
            (Route::Binding, "DELETE") => Self::Unbind,
            (Route::BindingOperation, "GET") => Self::BindingOperation,
            _ => return None,
        })
    }

    /// Reads what this endpoint needs, calls the broker and turns its outcome into an answer.
    pub(super) async fn run(self, broker: &dyn ServiceBroker, call: &Call, input: Input) -> Result<Answer, Error> {
        match self {
            Self::Catalog => Ok(Answer::catalog(broker.catalog(call).await?, call.if_none_match.as_deref())),
            Self::Provision => Answer::provision(broker.provision(call, input.provision()?).await?),
            Self::FetchInstance => Answer::json(200, &broker.fetch_instance(call, input.fetch_instance()).await?),
            Self::InstanceOperation => {
                Answer::last_operation(&broker.instance_operation(call, input.instance_operation()).await?)
            }
            Self::Update => Answer::update(broker.update(call, input.update()?).await?),
            Self::Deprovision => Answer::deprovision(broker.deprovision(call, input.deprovision()?).await?),
            Self::Bind => Answer::bind(broker.bind(call, input.bind()?).await?),
            Self::FetchBinding => Answer::json(200, &broker.fetch_binding(call, input.fetch_binding()).await?),
            Self::BindingOperation => {
                Answer::last_operation(&broker.binding_operation(call, input.binding_operation()).await?)
            }
            Self::Unbind => Answer::unbind(broker.unbind(call, input.unbind()?).await?),
        }
    }
}
