//! Approvals as people see them.

use super::super::{App, Error, Listed, Page, access};
use super::ApprovalView;
use crate::domain::approval::ApprovalState;
use crate::domain::permission::{Sight, Thing};
use crate::store::approvals::{self, Filter};

/// What a list of approvals is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// By state.
    pub state: Option<ApprovalState>,
    /// By the tenant's name.
    pub tenant: Option<String>,
}

impl App {
    /// A page of approvals in the order in which they were asked for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals(
        &self,
        sight: &Sight,
        filter: ApprovalFilter,
        page: &Page,
    ) -> Result<Listed<ApprovalView>, Error> {
        let tenant_id = match &filter.tenant {
            Some(name) => match self.tenant_by_name(name).await {
                Ok(tenant) => Some(tenant.id),
                // What means nothing matches nothing.
                Err(Error::NotFound { .. }) => return Ok(Listed { items: Vec::new(), next: None }),
                Err(error) => return Err(error),
            },
            None => None,
        };
        let by = Filter { state: filter.state, tenant_id, sight: sight.clone() };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let rows =
            self.db().read(move |tx| Box::pin(async move { approvals::list(tx, &by, &after, rows).await })).await?;
        Ok(page.cut(rows, |view| view.row.id.clone()))
    }

    /// One approval.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn approval(&self, sight: &Sight, id: &str) -> Result<ApprovalView, Error> {
        let key = id.to_owned();
        let found = self.db().read(move |tx| Box::pin(async move { approvals::by_id(tx, &key).await })).await?;
        let view = found.ok_or_else(|| Error::not_found("approval", id))?;
        let (tenant, names) = (Some(view.row.tenant_id.as_str()), view.row.approvers.as_slice());
        access::check(sight, "approval", id, &Thing { tenant, broker: None, names })?;
        Ok(view)
    }
}
