#!/bin/sh
# The pre-receive hook of every repository: bounds how many branches and tags there are. The broker sets BOURSE_REFS_MAX.
# Deletions in the same push make no room: a client may name refs that aren't there.
set -eu

made=0
while read -r old new ref; do
    case "$old" in
        *[!0]*) ;;
        *) made=$((made + 1)) ;;
    esac
done
[ "$made" -gt 0 ] || exit 0
there=$(git for-each-ref --count="$BOURSE_REFS_MAX" --format=x | wc -l)
if [ $((there + made)) -gt "$BOURSE_REFS_MAX" ]; then
    echo "refused: a repository holds at most $BOURSE_REFS_MAX branches and tags: delete some first" >&2
    exit 1
fi
exit 0
