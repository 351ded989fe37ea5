//! The authority as a service of the kit: bastions made and changed, access given and taken away.

use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Binding, Fault, Instance, Issued, Reading, Refusal, Service, Window};
use serde_json::{Value, json};

use super::Bastion;
use super::issue::{object, trust};
use super::parameters::{Bind, TargetOrder, bind};
use super::plan::{CATALOG, Plan};
use super::store::{self, Kind, StoreError};

const DAY: u64 = 24 * 60 * 60;

#[async_trait]
impl Service for Bastion {
    fn catalog(&self) -> &'static str {
        CATALOG
    }

    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal> {
        let plan = Self::plan(&wanted.plan_id)?;
        if let Some(before) = before
            && Self::plan(&before.plan_id)?.recording.is_some() != plan.recording.is_some()
        {
            return Err(Refusal::Unchangeable(
                "a bastion without a gateway can't become one with a gateway, nor the reverse, because hosts would trust the wrong key: order another".into(),
            ));
        }
        self.check_gateway(plan)?;
        let (_, settings) = self.settings(wanted)?;
        if plan.recording.is_some() && settings.targets.iter().any(|target| target.via.is_some()) {
            let sentence = "parameter `targets`: leave `via` out; the gateway goes to each target itself";
            return Err(Refusal::Invalid(sentence.into()));
        }
        let Some(before) = before else { return Ok(()) };
        let (_, settings_before) = self.settings(before)?;
        if settings.ca_generation < settings_before.ca_generation {
            return Err(Refusal::Unchangeable(format!(
                "parameter `ca_generation` can only grow, and is {}: keys that were replaced are gone",
                settings_before.ca_generation
            )));
        }
        Ok(())
    }

    fn check_binding(&self, instance: &Instance, binding: &Binding) -> Result<(), Refusal> {
        let (plan, settings) = self.settings(instance)?;
        self.check_gateway(plan)?;
        bind(&binding.parameters, &settings).map(drop)
    }

    async fn create(&self, instance: &Instance) -> Result<Object, Fault> {
        let (plan, settings) = self.settings(instance)?;
        let kinds: &[Kind] = match plan.recording {
            None => &[Kind::User, Kind::Host],
            Some(_) => &[Kind::User, Kind::Host, Kind::Door],
        };
        let bastion = store::Bastion {
            resource: instance.resource.clone(),
            plan_id: instance.plan_id.clone(),
            parameters: instance.parameters.clone(),
            tenant: instance.tenant.as_ref().map(|tenant| tenant.name.clone()),
            retired: false,
            krl_number: 0,
            certificates: 0,
            session_seconds: 0,
            recorded_bytes: 0,
        };
        self.store.settle(&bastion, &instance.id, settings.ca_generation, kinds, self.clock.seconds()).await?;
        Ok(Object::new())
    }

    async fn change(&self, _before: &Instance, after: &Instance, _asked: &Object) -> Result<Object, Fault> {
        self.create(after).await
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        Ok(self.store.retire(&instance.resource, self.clock.seconds()).await?)
    }

    fn retention(&self, instance: &Instance) -> Option<Duration> {
        let days = self.settings(instance).map_or(0, |(_, settings)| u64::from(settings.retention_days));
        (days > 0).then(|| Duration::from_secs(days * DAY))
    }

    async fn purge(&self, instance: &Instance) -> Result<(), Fault> {
        Ok(self.store.purge(&instance.resource).await?)
    }

    async fn issue(
        &self,
        instance: &Instance,
        binding: &Binding,
        _predecessor: Option<&Binding>,
    ) -> Result<Issued, Fault> {
        let (plan, settings) = self.settings(instance)?;
        let wanted = bind(&binding.parameters, &settings)?;
        let now = self.clock.seconds();
        let subject = self.subject(&instance.resource, plan, &settings, now).await?;
        let (kind, mut issued) = match wanted {
            Bind::Trust(order) => ("trust", Issued { credentials: trust(&subject, &order, None), ..Issued::default() }),
            Bind::Host(key, order) => ("host", self.certify_host(instance, binding, &subject, &key, &order).await?),
            Bind::User(order) => ("user", self.certify_user(instance, binding, &subject, &order).await?),
        };
        issued.credentials.insert("kind".into(), kind.into());
        issued.credentials.insert("binding".into(), binding.id.as_str().into());
        Ok(issued)
    }

    async fn revoke(&self, instance: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.store.revoke(&instance.resource, &binding.resource, self.clock.seconds()).await?;
        self.watches.end(&binding.resource);
        Ok(())
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        let (_, settings) = self.settings(instance)?;
        let (resource, now) = (instance.resource.as_str(), self.clock.seconds());
        let row = self.store.bastion(resource).await?.ok_or(StoreError::Gone)?;
        let (lines, head) = self.store.head(resource).await?;
        let targets: Vec<Value> = settings.targets.iter().map(shown).collect();
        let mut shown = json!({
            "user_ca_fingerprints": self.fingerprints(resource, Kind::User, now).await?,
            "host_ca_fingerprints": self.fingerprints(resource, Kind::Host, now).await?,
            "ca_generation": settings.ca_generation,
            "targets": targets,
            "live_grants": self.store.live(resource, now).await?,
            "certificates_issued": row.certificates,
            "krl_number": row.krl_number,
            "url": self.url(resource),
            "audit": {"lines": lines, "head": head},
        });
        if let Some(network) = &settings.network {
            shown["network"] = network.as_str().into();
        }
        Ok(object(shown))
    }

    async fn measure(&self, instance: &Instance, _window: Window) -> Result<Vec<Reading>, Fault> {
        let resource = instance.resource.as_str();
        let row = self.store.bastion(resource).await?.ok_or(StoreError::Gone)?;
        Ok(vec![
            Reading::new("certs_issued", row.certificates),
            Reading::new("live_grants", self.store.live(resource, self.clock.seconds()).await?),
            Reading::new("session_seconds", row.session_seconds),
            Reading::new("recording_bytes", row.recorded_bytes),
        ])
    }

    async fn tend(&self) -> Result<(), Fault> {
        self.watches.tidy();
        Ok(self.store.restore_lists(self.clock.seconds()).await?)
    }
}

impl Bastion {
    fn check_gateway(&self, plan: &Plan) -> Result<(), Refusal> {
        if plan.recording.is_some() && self.gateway.is_none() {
            let sentence = "this broker runs without a gateway: start it with --gateway-listen, or take plan ca-only";
            return Err(Refusal::Invalid(sentence.into()));
        }
        Ok(())
    }
}

fn shown(order: &TargetOrder) -> Value {
    let target = &order.target;
    let mut shown = json!({
        "name": target.name,
        "host": target.host,
        "port": target.port,
        "principals": target.principals,
    });
    if let Some(via) = &order.via {
        shown["via"] = via.as_str().into();
    }
    shown
}
