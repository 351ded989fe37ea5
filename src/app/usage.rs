//! Usage: taken in from brokers ([`report`]), shown to people ([`view`]), and missed where it fails to come ([`silence`]).
//! What it costs is elsewhere.

mod commit;
mod plans;
mod report;
mod silence;
mod view;

pub use report::{EVENTS_MAX, Reported};
pub use silence::SILENCE_PAGE;
pub use view::{ConflictView, Gathering, UsageQuery, UsageReading};
