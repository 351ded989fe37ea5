//! The broker `devops-toolchain` used as people use it: with Git over HTTP and a real Buildbot; and its
//! drivers for other servers against a script.

mod buildbot;
mod builds;
mod conformance;
mod doors;
mod forgejo;
mod life;
mod refs;
mod room;
mod rules;
mod scripted;
mod webhooks;
