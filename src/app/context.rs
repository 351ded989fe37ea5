//! The context of a request as a backend gets it: the platform's own, made where it is missing, and what the hub says of the
//! tenant under `bourse`, where nobody else can say anything.

use osb::{Call, Object};
use serde_json::Value;

use super::order::Orderer;
use super::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::stamp::{StampFacts, context_block};
use crate::domain::tenant::Tenant;

impl App {
    /// Builds it.
    #[expect(clippy::too_many_arguments, reason = "a context is made of just these")]
    pub(in crate::app) fn stamped_context(
        &self,
        orderer: &Orderer,
        call: &Call,
        given: Option<Object>,
        tenant: &Tenant,
        plan: &PlanEntry,
        platform_instance_id: &str,
        request_id: &str,
    ) -> Result<Object, Error> {
        let mut context = given.unwrap_or_default();
        if !context.contains_key("platform") {
            let identity = call.originating_identity.as_ref().and_then(osb::OriginatingIdentity::platform);
            let word = identity.unwrap_or(orderer.platform.kind.as_str());
            context.insert("platform".into(), Value::String(word.to_owned()));
        }
        let settings = self.backends().get(&plan.broker_id).map(|backend| backend.stamp_settings().clone());
        let mut facts = StampFacts::of(tenant, &orderer.platform);
        facts.via = self.via(orderer.via());
        let block = context_block(&settings.unwrap_or_default(), &facts, platform_instance_id, request_id);
        if let Some(block) = block {
            context.insert("bourse".into(), block);
        }
        Ok(context)
    }

    /// The hubs that a call has come through when it leaves here, after it came through those.
    pub(in crate::app) fn via(&self, mut before: Vec<String>) -> Vec<String> {
        before.push(self.config().server.hub.clone());
        before
    }
}
