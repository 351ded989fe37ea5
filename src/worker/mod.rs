//! Workers: what the hub does without being asked, one file a task. They take no input but "wake up", and go through `app` for
//! everything.

pub mod refresh;
pub mod relay;
pub mod sequence;
