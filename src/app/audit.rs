//! What use cases write to the audit. An entry is appended in the transaction of the change that it tells of.

use serde_json::Value;

use super::App;
use crate::domain::caller::Caller;
use crate::store::audit::AuditRow;

impl App {
    /// An entry of now. `detail` must hold no credential and no parameter value.
    pub(in crate::app) fn audit_row(&self, caller: &Caller, action: &str, subject: String, detail: Value) -> AuditRow {
        AuditRow { at: self.clock().now(), actor: caller.actor(), action: action.to_owned(), subject, detail }
    }
}
