//! What use cases write to the audit: a row is appended in the transaction of the change that it tells of, by whom, from where, and what
//! the document was and is. Rows are numbered and hashed later ([`chain`]), and what stands is signed ([`heads`]).
//!
//! It decides nothing about the change. Whoever writes a row keeps credentials and parameter values out of it.

pub mod chain;
pub mod heads;
pub mod logins;
pub mod read;

use std::net::IpAddr;

use serde_json::{Value, json};
use tokio::task::futures::TaskLocalFuture;

use super::{App, Orderer};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::operation::OperationKind;
use crate::store::audit::AuditRow;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::{self, Tx};

tokio::task_local! {
    static HERE: Origin;
}

/// From where something is done. It belongs to the task that does it, so that each use case need not hand it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address of whoever asked: of the connection, or what a trusted proxy says.
    pub address: Option<IpAddr>,
    /// The request's id, as the log has it.
    pub request_id: Option<String>,
    /// What the client says it is.
    pub user_agent: Option<String>,
    /// The way in: `api`, `osb`; empty where the hub does it by itself.
    pub channel: &'static str,
}

impl Origin {
    /// Where the running task came from; the hub itself where nobody asked for it.
    pub fn here() -> Self {
        HERE.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future as coming from here. A task that it starts must be given this once more.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        HERE.scope(self, work)
    }

    /// As it is kept.
    pub(in crate::app) fn document(&self) -> Value {
        let channel = if self.channel.is_empty() { "hub" } else { self.channel };
        let mut document = json!({ "channel": channel });
        let parts = [
            ("address", self.address.map(|address| address.to_string())),
            ("request_id", self.request_id.clone()),
            ("user_agent", self.user_agent.clone()),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                document[name] = value.into();
            }
        }
        document
    }
}

impl App {
    /// An entry of now and of here. `detail` must hold no credential and no parameter value; what was and what is comes with
    /// [`AuditRow::changed`].
    pub(in crate::app) fn audit_row(&self, caller: &Caller, action: &str, subject: String, detail: Value) -> AuditRow {
        self.audit_of(caller.actor(), action, subject, detail)
    }

    /// As [`App::audit_row`], by whoever it is.
    pub(in crate::app) fn audit_of(&self, actor: String, action: &str, subject: String, detail: Value) -> AuditRow {
        AuditRow {
            at: self.clock().now(),
            actor,
            origin: Origin::here().document(),
            action: action.to_owned(),
            subject,
            before: None,
            after: None,
            detail,
        }
    }

    /// The entry of an order by a person. An order by a platform has none: its operation says who ordered what, and its events say what
    /// came of it (docs/adr/0013-audit.md).
    pub(in crate::app) fn audit_order(&self, orderer: &Orderer, operation: &OperationRow) -> Option<AuditRow> {
        let tenant = orderer.tenant.as_ref()?;
        let action = match operation.kind {
            OperationKind::Provision => "instance.order",
            OperationKind::Update => "instance.update",
            OperationKind::Deprovision => "instance.delete",
            OperationKind::Bind => "binding.order",
            OperationKind::Unbind => "binding.delete",
            OperationKind::OrphanMitigation | OperationKind::ContextUpdate => return None,
        };
        let subject = match &operation.binding_id {
            Some(binding) => format!("instances/{}/bindings/{binding}", operation.instance_id),
            None => format!("instances/{}", operation.instance_id),
        };
        let detail = json!({ "tenant": tenant.name, "operation_id": operation.id });
        Some(self.audit_of(orderer.actor.clone(), action, subject, detail))
    }

    /// The entry of an order that a person deletes while it waits for approval.
    pub(in crate::app) fn audit_withdrawal(&self, orderer: &Orderer, operation: &OperationRow) -> Option<AuditRow> {
        let row = self.audit_order(orderer, operation)?;
        Some(AuditRow { action: "instance.delete".to_owned(), ..row })
    }

    /// As [`App::audit_order`], of an instance that was ordered as this plan and becomes that one.
    pub(in crate::app) fn audit_plan(
        &self,
        orderer: &Orderer,
        operation: &OperationRow,
        row: &InstanceRow,
        (before, after): (Option<&PlanEntry>, Option<&PlanEntry>),
    ) -> Option<AuditRow> {
        let standing = |plan: Option<&PlanEntry>| plan.map(|plan| standing(row, plan));
        Some(self.audit_order(orderer, operation)?.changed(standing(before), standing(after)))
    }
}

/// What is said about an instance: never a parameter.
pub(in crate::app) fn standing(row: &InstanceRow, plan: &PlanEntry) -> Value {
    json!({ "name": row.name, "offering": plan.offering_name, "plan": plan.plan_name })
}

/// What is said about a binding.
pub(in crate::app) fn bound(row: &BindingRow) -> Option<Value> {
    Some(json!({ "name": row.platform_binding_id }))
}

/// Adds the row, where there is one.
///
/// # Errors
/// Where the database fails.
pub(in crate::app) async fn append(tx: &mut Tx<'_>, row: &Option<AuditRow>) -> Result<(), store::Error> {
    match row {
        Some(row) => store::audit::append(tx, row).await,
        None => Ok(()),
    }
}
