//! Builds on a real Buildbot.
