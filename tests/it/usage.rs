//! Usage: what brokers report over HTTP, what becomes of it, and what is shown of it. On both databases.

mod callers;
mod corrections;
pub(crate) mod desk;
mod forms;
mod kit;
mod pulls;
mod quantities;
mod rejections;
mod replicas;
mod silence;
mod verdicts;
