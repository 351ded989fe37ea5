//! What a service broker is: ten methods, one per endpoint, and what each call brings besides its body.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    BindRequest, BindingOperationRequest, Bound, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, UnbindRequest, Unbound, UpdateRequest, Updated, WireRequest,
};

/// The header `X-Broker-API-Originating-Identity`: who caused the call, word for word ("Originating Identity").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginatingIdentity(pub String);

impl OriginatingIdentity {
    /// The platform's word: what stands before the first space.
    pub fn platform(&self) -> Option<&str> {
        self.0.split_once(' ').map(|(platform, _)| platform).filter(|platform| !platform.is_empty())
    }

    /// The decoded bytes, read leniently: padding and the URL-safe alphabet are both accepted. `None` where the header
    /// is not of the form `<platform> <base64>`.
    pub fn decoded(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true),
        );
        self.platform()?;
        let (_, value) = self.0.split_once(' ')?;
        let standard: String = value.trim().replace('-', "+").replace('_', "/");
        if standard.is_empty() { None } else { LENIENT.decode(standard).ok() }
    }

    /// The decoded JSON object, where it is one.
    pub fn value(&self) -> Option<crate::Object> {
        serde_json::from_slice(&self.decoded()?).ok()
    }
}

/// What a call brings besides its own fields: the headers, and on the server's side the request as it came.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// `X-Broker-API-Version`; a server has checked that it is 2.x, a client sends [`crate::API_VERSION`] where it is `None`.
    pub api_version: Option<String>,
    /// `X-Broker-API-Request-Identity`: echoed by a server; made where absent.
    pub request_identity: Option<String>,
    /// `X-Broker-API-Originating-Identity`, word for word.
    pub originating_identity: Option<OriginatingIdentity>,
    /// `traceparent` of W3C Trace Context.
    pub traceparent: Option<String>,
    /// `X-Bourse-Stamp`: who this call is for, signed; see [`crate::stamp`].
    pub stamp: Option<String>,
    /// `If-None-Match`, for the catalog.
    pub if_none_match: Option<String>,
    /// On the server's side: method, path, query and body as they came, which a stamp is checked against.
    pub wire: Option<Arc<WireRequest>>,
}

/// A service broker: whatever answers the Open Service Broker API. A reference broker, [`crate::client::Client`] and the
/// hub itself are all of this kind.
///
/// What may be answered besides success is [`Error`]; each method's section of the specification says which.
/// All methods must be safe to repeat.
#[async_trait]
pub trait ServiceBroker: Send + Sync + 'static {
    /// `GET /v2/catalog` ("Catalog Management").
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error>;

    /// `PUT /v2/service_instances/{id}` ("Provisioning"). The same id again with the same attributes is
    /// [`Provisioned::Existed`], with others [`Error::conflict`].
    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error>;

    /// `GET /v2/service_instances/{id}` ("Fetching a Service Instance").
    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error>;

    /// `GET /v2/service_instances/{id}/last_operation` ("Polling Last Operation for Service Instances").
    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error>;

    /// `PATCH /v2/service_instances/{id}` ("Updating a Service Instance").
    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error>;

    /// `DELETE /v2/service_instances/{id}` ("Deprovisioning"). What is not there is [`Error::gone`].
    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error>;

    /// `PUT /v2/service_instances/{id}/service_bindings/{id}` ("Binding").
    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error>;

    /// `GET /v2/service_instances/{id}/service_bindings/{id}` ("Fetching a Service Binding").
    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error>;

    /// `GET /v2/service_instances/{id}/service_bindings/{id}/last_operation` ("Polling Last Operation for Service Bindings").
    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error>;

    /// `DELETE /v2/service_instances/{id}/service_bindings/{id}` ("Unbinding"). What is not there is [`Error::gone`].
    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error>;
}
