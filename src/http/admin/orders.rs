//! `/api/v1/tenants/{tenant}/instances`: orders by people, by names. What is ordered goes on when the client goes away.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::costs::CostSoFarOut;
use super::instances::{DependentOut, InstanceOut, OperationOut, ReferenceOut, related};
use super::prices::PriceOut;
use crate::app::App;
use crate::app::people::{PersonalBinding, PersonalOrder, PersonallyBound, Placed, Standing};
use crate::domain::instance::BindingState;
use crate::http::detached::detached;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::observe;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, Order, SeeOrders};

/// An order.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Order)]
pub struct OrderIn {
    /// The service offering's name.
    offering: String,
    /// The service plan's name.
    plan: String,
    /// What the plan's schema describes. Absent on a repeat: they stay as they are.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
}

/// An instance as whoever ordered it sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OrderedInstance)]
pub struct OrderedOut {
    #[serde(flatten)]
    instance: InstanceOut,
    /// Its latest operation.
    operation: Option<OperationOut>,
    /// What it costs by the price book in force; `null` where none says.
    price: Option<PriceOut>,
    /// What it has cost this month so far, told by GET; `null` where nothing of it has a price.
    cost: Option<CostSoFarOut>,
    /// The instances that its parameters refer to; GET tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Vec<ReferenceOut>>,
    /// Those that refer to it, the first 1000; GET tells them. It can't be deleted before they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependents: Option<Vec<DependentOut>>,
}

impl From<Standing> for OrderedOut {
    fn from(standing: Standing) -> Self {
        let (references, dependents) = standing.relations.map(related).unzip();
        Self {
            instance: standing.instance.into(),
            operation: standing.operation.map(OperationOut::from),
            price: standing.price.map(PriceOut::from),
            cost: standing.cost.map(CostSoFarOut::from),
            references,
            dependents,
        }
    }
}

/// A binding.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Bind)]
pub struct BindIn {
    /// What the plan's schema describes.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
}

/// A binding as whoever asked for it sees it.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = OrderedBinding)]
pub struct OrderedBindingOut {
    /// Bourse's own id.
    id: String,
    /// Its name.
    name: String,
    /// `binding ready unbinding unresolved failed gone`
    #[schema(value_type = String)]
    state: BindingState,
    /// What to get in with, and what belongs to it, where it is given.
    #[schema(value_type = Object)]
    #[serde(flatten)]
    answer: Option<osb::BindResponse>,
}

impl From<PersonalBinding> for OrderedBindingOut {
    fn from(binding: PersonalBinding) -> Self {
        Self {
            id: binding.row.id,
            name: binding.row.platform_binding_id,
            state: binding.row.state,
            answer: binding.answer,
        }
    }
}

/// `GET /tenants/{tenant}/instances`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeeOrders>,
    app: Data<App>,
    tenant: Path<String>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<InstanceOut>>, Failure> {
    Ok(Json(app.tenant_instances(&who.caller, &tenant, &params.0.page()?).await?.map(InstanceOut::from).into()))
}

/// `PUT /tenants/{tenant}/instances/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<Order>,
    app: Data<App>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Body<OrderIn>,
) -> Result<HttpResponse, Failure> {
    let (call, (tenant, name)) = (observe::call(&request), path.into_inner());
    let OrderIn { offering, plan, parameters } = body.0;
    let order = PersonalOrder { offering, plan, parameters };
    let placed = detached(async move { app.order(&who.caller, &call, &tenant, &name, order).await }).await?;
    Ok(match placed {
        Placed::Created(standing) => HttpResponse::Created().json(OrderedOut::from(*standing)),
        Placed::Unchanged(standing) => HttpResponse::Ok().json(OrderedOut::from(*standing)),
        Placed::Accepted(standing) => accepted(&request, &OrderedOut::from(*standing)),
    })
}

/// `GET /tenants/{tenant}/instances/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(
    who: Can<SeeOrders>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<Json<OrderedOut>, Failure> {
    let (tenant, name) = path.into_inner();
    Ok(Json(app.ordered(&who.caller, &tenant, &name).await?.into()))
}

/// `DELETE /tenants/{tenant}/instances/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(
    who: Can<Order>,
    app: Data<App>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let (call, (tenant, name)) = (observe::call(&request), path.into_inner());
    let left = detached(async move { app.delete_ordered(&who.caller, &call, &tenant, &name).await }).await?;
    Ok(match left {
        Some(standing) => accepted(&request, &OrderedOut::from(standing)),
        None => HttpResponse::NoContent().finish(),
    })
}

/// `PUT /tenants/{tenant}/instances/{name}/bindings/{binding}`
///
/// # Errors
/// [`Failure`].
pub async fn bind(
    who: Can<Order>,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    body: Body<BindIn>,
) -> Result<HttpResponse, Failure> {
    let (call, (tenant, name, binding)) = (observe::call(&request), path.into_inner());
    let parameters = body.0.parameters;
    let bound =
        detached(async move { app.bind_ordered(&who.caller, &call, (&tenant, &name, &binding), parameters).await });
    Ok(match bound.await? {
        PersonallyBound::Ready(binding) => HttpResponse::Created().json(OrderedBindingOut::from(*binding)),
        PersonallyBound::Accepted(binding) => accepted(&request, &OrderedBindingOut::from(*binding)),
    })
}

/// The query of `GET …/bindings/{binding}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindingParams {
    #[serde(default)]
    credentials: bool,
}

/// `GET /tenants/{tenant}/instances/{name}/bindings/{binding}`
///
/// # Errors
/// [`Failure`].
pub async fn binding(
    who: Can<Order>,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    params: Params<BindingParams>,
) -> Result<Json<OrderedBindingOut>, Failure> {
    let (call, (tenant, name, binding)) = (observe::call(&request), path.into_inner());
    let found = app.ordered_binding(&who.caller, &call, (&tenant, &name, &binding), params.0.credentials).await?;
    Ok(Json(found.into()))
}

/// `DELETE /tenants/{tenant}/instances/{name}/bindings/{binding}`
///
/// # Errors
/// [`Failure`].
pub async fn unbind(
    who: Can<Order>,
    app: Data<App>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let (call, (tenant, name, binding)) = (observe::call(&request), path.into_inner());
    let left =
        detached(async move { app.unbind_ordered(&who.caller, &call, (&tenant, &name, &binding)).await }).await?;
    Ok(match left {
        Some(binding) => accepted(&request, &OrderedBindingOut::from(binding)),
        None => HttpResponse::NoContent().finish(),
    })
}

/// 202: it goes on; where and when to look.
fn accepted(request: &HttpRequest, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(StatusCode::ACCEPTED)
        .insert_header((LOCATION, request.path()))
        .insert_header((RETRY_AFTER, "1"))
        .json(body)
}
