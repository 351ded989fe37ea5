//! The ids that platforms see: derived, so that they are the same after each import, each restart and a lost database.

use uuid::{Uuid, uuid};

use super::Ids;

/// Of all catalog ids. It never changes: platforms keep the ids that follow from it.
const NAMESPACE: Uuid = uuid!("b0c4b2a6-6a3e-5d0f-9c1e-7d6f0e5a4c21");

fn derive(parts: &[&str]) -> String {
    Uuid::new_v5(&NAMESPACE, parts.join("\0").as_bytes()).to_string()
}

/// The id of an offering of that broker.
pub fn offering(ids: Ids, broker: &str, offering: &str) -> String {
    match ids {
        Ids::Mapped => derive(&["offering", broker, offering]),
        Ids::Passthrough => offering.to_owned(),
    }
}

/// The id of a plan of that broker.
pub fn plan(ids: Ids, broker: &str, offering: &str, plan: &str) -> String {
    match ids {
        Ids::Mapped => derive(&["plan", broker, offering, plan]),
        Ids::Passthrough => plan.to_owned(),
    }
}

/// An id to show an offering under that has none of its own, or somebody else's. It is never served.
pub fn unusable(broker: &str, position: usize) -> String {
    derive(&["unusable", broker, &position.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cat_03_ids_follow_from_broker_and_backend_ids_and_never_change() {
        // Computed with another implementation of RFC 9562.
        assert_eq!(offering(Ids::Mapped, "acme", "1"), "17059abb-3f17-5028-9763-908360d9260d");
        assert_eq!(plan(Ids::Mapped, "acme", "1", "2"), "f34a265a-2664-5956-a77a-940507d5478e");
        assert_ne!(offering(Ids::Mapped, "acme", "1"), offering(Ids::Mapped, "other", "1"));
        assert_ne!(plan(Ids::Mapped, "acme", "1", "2"), plan(Ids::Mapped, "acme", "3", "2"));
    }

    #[test]
    fn passthrough_keeps_the_backends_ids() {
        assert_eq!(offering(Ids::Passthrough, "acme", "1"), "1");
        assert_eq!(plan(Ids::Passthrough, "acme", "1", "2"), "2");
    }
}
