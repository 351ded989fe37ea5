#!/bin/sh
# Run for each pushed commit. It succeeds where it ends with 0.
set -eu
test -s site/index.html
grep -o 'href="[^":#]*"' site/index.html | cut -d'"' -f2 | while read -r page; do
    test -f "site/$page" || { echo "site/index.html links to $page, which is not there"; exit 1; }
done
echo "all pages are there"
