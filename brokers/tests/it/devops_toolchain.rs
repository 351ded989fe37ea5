//! The broker `devops-toolchain` with the driver `embedded`, used as people use it: with Git over HTTP, and a real Buildbot.

mod buildbot;
mod builds;
mod conformance;
mod doors;
mod life;
mod room;
mod rules;
mod webhooks;
