//! What an author writes: a service, without anything of OSB but its words.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::meter::{Reading, Window};
use super::stamped::Tenant;
use crate::Object;

/// A service instance, as the kit keeps it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// An id that no other instance ever has, not even one that is made later under the same [`Instance::id`]. Names of what
    /// is made for it belong to this one.
    pub resource: String,
    /// The platform's id. After a deletion it may come again.
    pub id: String,
    /// The offering's id in the catalog.
    pub service_id: String,
    /// The plan's id in the catalog.
    pub plan_id: String,
    /// What was asked for; updates are merged into it.
    pub parameters: Object,
    /// Who it is for, where a verified stamp said so.
    pub tenant: Option<Tenant>,
    /// What [`Service::create`] or [`Service::change`] returned last; empty before. Sealed on disk.
    pub state: Secret,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// A service binding, as the kit keeps it.
#[derive(Clone, Debug)]
pub struct Binding {
    /// An id that no other binding ever has, not even one that is made later under the same [`Binding::id`].
    pub resource: String,
    /// The platform's id, unique within its instance.
    pub id: String,
    /// What was asked for; at a rotation, what the predecessor was asked for with.
    pub parameters: Object,
    /// Who asked, as the platform's originating identity names its user; `None` where it names none.
    pub user: Option<String>,
    /// The tenant's groups and name as the stamp of the bind had them.
    pub tenant: Option<Tenant>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// What [`Service::issue`] returned; `None` before.
    pub issued: Option<Issued>,
}

/// What a bind gives.
#[derive(Clone, Default)]
pub struct Issued {
    /// What an application needs to get in. Sealed on disk.
    pub credentials: Object,
    /// From when on they are of no use, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// From when on they should be rotated, in seconds since 1970; not after `expires_at`.
    pub renew_before: Option<i64>,
    /// Hosts and ports that an application must be able to reach: `{"host", "ports": ["443"], "protocol"}`.
    pub endpoints: Vec<Value>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A JSON object that may hold secrets: masked in `Debug`, sealed on disk.
#[derive(Clone, Default, PartialEq)]
pub struct Secret(pub Object);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why an order is refused: a sentence for who ordered, which says what to do. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It can't be read, or asks for what there is not: 400.
    #[error("{0}")]
    Invalid(String),
    /// The state or the plan of the instance doesn't allow this change, ever: 422 to an update, 400 otherwise.
    #[error("{0}")]
    Unchangeable(String),
}

/// Why a service could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It won't, and nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something that it needs can't be reached or is too busy: 503. Asking again later is right.
    #[error("{what}")]
    Unavailable {
        /// A sentence for who ordered, without host names and secrets.
        what: String,
        /// For the log only.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It may be half done: 500. The next call of the same kind, or the deletion, must cope with that.
    #[error("the service failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Fault {
    /// [`Refusal::Invalid`].
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::Refused(Refusal::Invalid(sentence.into()))
    }

    /// [`Refusal::Unchangeable`].
    pub fn unchangeable(sentence: impl Into<String>) -> Self {
        Self::Refused(Refusal::Unchangeable(sentence.into()))
    }

    /// [`Fault::Unavailable`], without a cause for the log.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), source: None }
    }

    /// [`Fault::Failed`].
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

/// A kind of service. All methods may run again after a crash or a lost answer, and must then come to the same end; taking
/// away what is not there is success. Calls about one instance never run beside one another in one process, but for
/// [`Service::show`] and [`Service::measure`].
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The catalog as it goes on the wire: JSON that [`crate::Catalog`] can read, with ids that never change.
    fn catalog(&self) -> &'static str;

    /// Whether this may be ordered: called before anything is written, at a provision with no `before` and at an update with
    /// the instance as it stands. The plan is one of the catalog's; whether it may be changed at all the kit has checked
    /// (`plan_updateable`).
    ///
    /// # Errors
    /// The sentence for who ordered.
    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal>;

    /// Whether this may be bound: called before anything is written.
    ///
    /// # Errors
    /// The sentence for who asked.
    fn check_binding(&self, instance: &Instance, binding: &Binding) -> Result<(), Refusal>;

    /// The parameters after an update that asks for `asked`. Usually each that is named takes the place of what stood.
    fn merge(&self, current: &Object, asked: &Object) -> Object {
        let mut merged = current.clone();
        merged.extend(asked.clone());
        merged
    }

    /// Makes it. Returns what shall be handed back in [`Instance::state`] from now on.
    ///
    /// # Errors
    /// See [`Fault`]. After a refusal the kit forgets the instance; after another fault the same order may come again, or
    /// [`Service::retire`].
    async fn create(&self, instance: &Instance) -> Result<Object, Fault>;

    /// Makes `before` what `after` asks for. `asked` is what the update itself named, for parameters that are an act rather
    /// than a wish (and that [`Service::merge`] keeps none of). Returns the new state.
    ///
    /// # Errors
    /// See [`Fault`]. After a refusal `before` stands; after another fault an update comes again, perhaps another one.
    async fn change(&self, before: &Instance, after: &Instance, asked: &Object) -> Result<Object, Fault>;

    /// Takes it out of use: nobody gets in any more, nothing runs. Data stays if [`Service::retention`] says so. Its bindings
    /// have been revoked. It may never have been made, or half.
    ///
    /// # Errors
    /// See [`Fault`]. The deletion comes again.
    async fn retire(&self, instance: &Instance) -> Result<(), Fault>;

    /// How long data is kept after [`Service::retire`]. `None`: there is none, and [`Service::purge`] follows at once.
    fn retention(&self, instance: &Instance) -> Option<Duration>;

    /// Destroys the data of a retired instance for good.
    ///
    /// # Errors
    /// See [`Fault`]. It is tried again later.
    async fn purge(&self, instance: &Instance) -> Result<(), Fault>;

    /// Takes a retired instance, whose data is still there, into use again. Returns the new state. Who can't do that leaves it.
    ///
    /// # Errors
    /// See [`Fault`].
    async fn revive(&self, instance: &Instance) -> Result<Object, Fault> {
        let _ = instance;
        Err(Fault::unchangeable(
            "an instance of this service can't be taken into use again: its data can only be purged",
        ))
    }

    /// Gives access. At a rotation `predecessor` is the binding that stays valid beside the new one until it expires or goes.
    ///
    /// # Errors
    /// See [`Fault`].
    async fn issue(
        &self,
        instance: &Instance,
        binding: &Binding,
        predecessor: Option<&Binding>,
    ) -> Result<Issued, Fault>;

    /// Takes access away: when it returns, the credentials are of no use. It may never have been given.
    ///
    /// # Errors
    /// See [`Fault`]. It comes again.
    async fn revoke(&self, instance: &Instance, binding: &Binding) -> Result<(), Fault>;

    /// What the platform shows of it as `metadata.attributes`, now. Never a secret.
    ///
    /// # Errors
    /// See [`Fault`].
    async fn show(&self, instance: &Instance) -> Result<Object, Fault>;

    /// What the plan's meters (`metadata."x-meters"` in the catalog) read at the end of that window. Called when it is ready,
    /// after changes, at each interval, and a last time before it is retired: then levels are left out, because nothing counts after the end.
    ///
    /// # Errors
    /// See [`Fault`]. The window grows until it can be read.
    async fn measure(&self, instance: &Instance, window: Window) -> Result<Vec<Reading>, Fault>;

    /// What has to be done now and then besides: called by each round of the janitor.
    ///
    /// # Errors
    /// Logged; the next round comes.
    async fn tend(&self) -> Result<(), Fault> {
        Ok(())
    }
}
