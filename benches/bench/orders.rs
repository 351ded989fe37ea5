//! The requests of a platform, by number: the same number is the same instance and binding in every order of a batch, so that
//! what one loop made the next one binds, polls and deletes.

use serde_json::json;

use crate::Outcome;
use crate::http::{Connection, Door};
use crate::hub::Plans;
use crate::load::Request;

/// Orders of one loop: nobody else uses its ids.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    door: Door,
    plans: Plans,
    id: u64,
}

impl Batch {
    /// A batch with a number of its own among those that go to the same hub.
    pub(crate) fn new(door: &Door, plans: &Plans, id: u64) -> Self {
        Self { door: door.clone(), plans: plans.clone(), id }
    }

    /// The platform's id of an instance: scattered, as platforms make them.
    pub(crate) fn instance(&self, number: usize) -> String {
        scattered(self.id * 2, number)
    }

    fn binding(&self, number: usize) -> String {
        scattered(self.id * 2 + 1, number)
    }

    fn query(&self) -> String {
        format!("service_id={}&plan_id={}", self.plans.service, self.plans.prompt)
    }

    /// Orders an instance that is made at once.
    pub(crate) fn provision(&self, number: usize) -> Request {
        self.provision_of(number, &self.plans)
    }

    /// The same of another broker.
    pub(crate) fn provision_of(&self, number: usize, plans: &Plans) -> Request {
        let body = json!({
            "service_id": plans.service, "plan_id": plans.prompt, "organization_guid": "org-1", "space_guid": "space-1",
            "context": {"platform": "other", "instance_name": "inventory"}, "parameters": {"size": "small", "count": 3},
        });
        let path = format!("/v2/service_instances/{}", self.instance(number));
        Request { bytes: self.door.request("PUT", &path, Some(&body.to_string())), status: 201 }
    }

    /// Orders an instance that is never made.
    pub(crate) fn provision_slow(&self, number: usize) -> Request {
        let body = json!({
            "service_id": self.plans.service, "plan_id": self.plans.slow, "organization_guid": "org-1", "space_guid": "space-1",
        });
        let path = format!("/v2/service_instances/{}?accepts_incomplete=true", self.instance(number));
        Request { bytes: self.door.request("PUT", &path, Some(&body.to_string())), status: 202 }
    }

    /// Binds, to the instance of another number.
    pub(crate) fn bind(&self, number: usize, instance: usize) -> Request {
        let body = json!({
            "service_id": self.plans.service, "plan_id": self.plans.prompt, "bind_resource": {"app_guid": "app-1"},
        });
        let path = self.binding_path(number, instance);
        Request { bytes: self.door.request("PUT", &path, Some(&body.to_string())), status: 201 }
    }

    /// Deletes a binding.
    pub(crate) fn unbind(&self, number: usize, instance: usize) -> Request {
        let path = format!("{}?{}", self.binding_path(number, instance), self.query());
        Request { bytes: self.door.request("DELETE", &path, None), status: 200 }
    }

    fn binding_path(&self, number: usize, instance: usize) -> String {
        format!("/v2/service_instances/{}/service_bindings/{}", self.instance(instance), self.binding(number))
    }

    /// Asks how the latest order stands.
    pub(crate) fn poll(&self, number: usize) -> Request {
        self.poll_id(&self.instance(number))
    }

    /// The same of an instance by its id.
    pub(crate) fn poll_id(&self, id: &str) -> Request {
        let path = format!("/v2/service_instances/{id}/last_operation");
        Request { bytes: self.door.request("GET", &path, None), status: 200 }
    }

    /// Deletes an instance.
    pub(crate) fn deprovision(&self, number: usize) -> Request {
        let path = format!("/v2/service_instances/{}?{}", self.instance(number), self.query());
        Request { bytes: self.door.request("DELETE", &path, None), status: 200 }
    }

    /// Fetches the catalog.
    pub(crate) fn catalog(&self) -> Request {
        Request { bytes: self.door.request("GET", "/v2/catalog", None), status: 200 }
    }

    /// Sends one of them by itself.
    pub(crate) async fn send(&self, request: &Request) -> Outcome<()> {
        let reply = Connection::open(self.door.address).await?.exchange(&request.bytes).await?;
        if reply.status == request.status { Ok(()) } else { Err(format!("{}: {}", reply.status, reply.text()).into()) }
    }
}

/// An id in the shape of a UUID v4 that follows from two numbers and shows no order (the finish of SplitMix64).
fn scattered(series: u64, number: usize) -> String {
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let number = u64::try_from(number).unwrap_or_default();
    let (high, low) = (mix((series << 40) + number + 1), mix(u64::MAX - (series << 40) - number));
    let (low_high, low_low) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
    format!("{:08x}-{:04x}-4{:03x}-{low_high:04x}-{low_low:012x}", high >> 32, high >> 16 & 0xffff, high & 0xfff)
}
