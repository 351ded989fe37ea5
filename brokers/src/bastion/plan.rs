//! The offering and its plans: the ids of the catalog, and what each plan adds to the authority.
//!
//! The catalog (`catalog/bastion.json`) is what the wire shows; a test here holds the two together. Ids are for ever.

use super::access::Recording;

/// The catalog, as it stands on the wire.
pub const CATALOG: &str = include_str!("../../../catalog/bastion.json");

/// The offering `managed-bastion`.
pub const SERVICE_ID: &str = "3ad44eab-9caa-416b-ab8f-b6ef3d215c26";

/// A plan.
#[derive(Debug)]
pub struct Plan {
    /// The id in the catalog.
    pub id: &'static str,
    /// The name in the catalog.
    pub name: &'static str,
    /// What the gateway keeps of sessions; `None` where there is no gateway, and users go to the hosts themselves.
    pub recording: Option<Recording>,
}

/// All plans.
pub const PLANS: [Plan; 3] = [
    Plan { id: "a90b672b-6110-4e11-a1cb-893e8c926f2b", name: "ca-only", recording: None },
    Plan { id: "50bc9336-914e-48ec-9945-d79a66064717", name: "gateway", recording: Some(Recording::Metadata) },
    Plan { id: "955dae66-6218-4145-9d13-721d05871621", name: "gateway-recorded", recording: Some(Recording::Full) },
];

impl Plan {
    /// The plan with that id.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.id == id)
    }
}

#[cfg(test)]
mod tests {
    use osb::kit::Meter;

    use super::*;

    #[test]
    fn the_catalog_says_what_the_plans_do() {
        let catalog: osb::Catalog = serde_json::from_str(CATALOG).unwrap();
        let offerings: Vec<_> = catalog.offerings().map(Result::unwrap).collect();
        let [offering] = offerings.as_slice() else { panic!("one offering") };
        assert_eq!((offering.id.as_str(), offering.plans.len()), (SERVICE_ID, PLANS.len()));
        for plan in &PLANS {
            let shown = offering.plan(plan.id).unwrap();
            assert_eq!(shown.name, plan.name);
            let meters: Vec<String> = Meter::of(shown).into_iter().map(|meter| meter.key).collect();
            let has = |meter: &str| meters.iter().any(|key| key == meter);
            assert!(has("certs_issued") && has("live_grants"), "{meters:?}");
            assert_eq!(has("session_seconds"), plan.recording.is_some());
            assert_eq!(has("recording_bytes"), plan.recording == Some(Recording::Full));
            let allow = &shown.create_schema().unwrap()["properties"]["allow"]["properties"];
            assert_eq!(allow["sftp"].is_object(), plan.recording.is_some(), "only a gateway can forbid it");
            assert_eq!(offering.plan_updateable(shown), plan.recording.is_some());
        }
    }
}
