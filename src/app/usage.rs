//! Usage: taken in from brokers ([`report`]), shown to people ([`view`]), missed where it fails to come ([`silence`]),
//! and asked for at brokers that don't report ([`pull`]).
//! What it costs is elsewhere.

mod commit;
mod plans;
mod pull;
mod report;
mod silence;
mod view;

pub use report::{EVENTS_MAX, Reported};
pub use silence::SILENCE_PAGE;
pub use view::{ConflictView, Gathering, UsageQuery, UsageReading};
