#!/bin/sh
# Run for each pushed commit. It succeeds where it ends with 0.
set -eu
cargo fmt --check
cargo test --quiet
