#!/bin/sh
# The update hook of every repository: decides about one ref. The broker sets BOURSE_* for each push.
# Whatever it does not know for sure it refuses.
set -eu

ref=$1
old=$2
new=$3
none=0000000000000000000000000000000000000000

refuse() {
    echo "refused: $1" >&2
    exit 1
}

case "$ref" in
    refs/heads/* | refs/tags/*) ;;
    *) refuse "only branches and tags can be pushed" ;;
esac
[ "$ref" = "refs/heads/$BOURSE_BRANCH" ] || exit 0
[ "$BOURSE_PROTECTED" = 1 ] || exit 0

case "$BOURSE_PUSH:$BOURSE_ROLE" in
    write:write | write:maintain | maintain:maintain) ;;
    *) refuse "$BOURSE_BRANCH is protected: only role $BOURSE_PUSH may push to it" ;;
esac
[ "$new" != "$none" ] || refuse "$BOURSE_BRANCH is protected: it can't be deleted"
if [ "$BOURSE_FORCE" != 1 ] && [ "$old" != "$none" ]; then
    git merge-base --is-ancestor "$old" "$new" || refuse "$BOURSE_BRANCH is protected: its history can't be rewritten"
fi
if [ "$BOURSE_LINEAR" = 1 ]; then
    if [ "$old" = "$none" ]; then range=$new; else range=$old..$new; fi
    merges=$(git rev-list --merges --max-count=1 "$range") || refuse "the history could not be read"
    [ -z "$merges" ] || refuse "$BOURSE_BRANCH is kept linear: rebase instead of merging"
fi
if [ "$BOURSE_STATUS" = 1 ]; then
    [ -e "$GIT_DIR/bourse/passed/$new" ] ||
        refuse "$BOURSE_BRANCH only takes commits whose build has succeeded: push it to another branch first"
fi
exit 0
