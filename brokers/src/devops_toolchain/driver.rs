//! What a toolchain runs on: the seam between orders and the software that keeps repositories.
//!
//! It deliberately knows no parameters and no plans. Every method may run again after a crash and must come to the same end;
//! taking away what is not there is success.

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Binding, Fault, Instance, Issued, Reading, Refusal};

use super::parameters::{AccessOrder, ProjectOrder};

/// A toolchain: what was ordered, and the kit's record of it.
pub(super) struct Project<'a> {
    pub(super) instance: &'a Instance,
    pub(super) order: ProjectOrder,
}

/// Software that keeps repositories.
#[async_trait]
pub(super) trait Driver: Send + Sync {
    /// Whether this driver can do what is asked.
    fn check(&self, order: &ProjectOrder) -> Result<(), Refusal>;

    /// Whether this driver can give such access.
    fn check_access(&self, access: &AccessOrder) -> Result<(), Refusal>;

    /// Makes the repository, with its rules and members. Returns what the kit shall keep.
    async fn create(&self, project: &Project<'_>) -> Result<Object, Fault>;

    /// Brings rules, members and builds to what is asked now.
    async fn change(&self, project: &Project<'_>) -> Result<Object, Fault>;

    /// Nobody gets in any more; the data stays.
    async fn retire(&self, project: &Project<'_>) -> Result<(), Fault>;

    /// Takes what was retired into use again. Returns what the kit shall keep.
    async fn revive(&self, project: &Project<'_>) -> Result<Object, Fault>;

    /// Destroys the data.
    async fn purge(&self, project: &Project<'_>) -> Result<(), Fault>;

    /// Gives access.
    async fn issue(&self, project: &Project<'_>, binding: &Binding, access: &AccessOrder) -> Result<Issued, Fault>;

    /// Takes access away at once.
    async fn revoke(&self, project: &Project<'_>, binding: &Binding) -> Result<(), Fault>;

    /// What it is and does, beside what was ordered.
    async fn show(&self, project: &Project<'_>) -> Result<Object, Fault>;

    /// What its meters read.
    async fn measure(&self, project: &Project<'_>) -> Result<Vec<Reading>, Fault>;

    /// One round of what has to be done without an order.
    async fn work(&self) -> Result<(), Fault>;
}
