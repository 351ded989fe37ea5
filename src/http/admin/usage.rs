//! `/api/v1/usage`: where brokers report, and what they reported. Events come in each form that CloudEvents has over HTTP: one in
//! JSON, many in JSON, or one in headers and body ([`binary`]).

mod binary;
mod report;
mod view;

pub use report::{ResultsOut, UsageEventIn, report};
pub use view::{ConflictOut, GatheringOut, ReadingOut, conflicts, events, gathered};
