#!/usr/bin/env bash
# Makes the pictures in README anew: the tests look at each page of the portal in Chromium and leave pictures in target/portal; two of
# them are taken over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tests/run.sh --test it portal::story::no_page
mkdir -p docs/portal
for page in catalog order; do
    cp "${CARGO_TARGET_DIR:-target}/portal/readme-$page.png" "docs/portal/$page.png"
done
